//! Every key by which a section chooses channels: the one table that parser, lint and manual read.

use super::Reading;
use super::quantity::Quantity::{self, *};
use super::quantity::Which::{Active, All, Inactive};

/// One row of the table. Within a namespace keys are judged in this order.
#[derive(Debug)]
pub struct Matcher {
    pub key: &'static str,
    pub(super) kind: Kind,
    pub origin: Origin,
    pub about: &'static str,
    pub example: &'static str,
}

/// Whose word a key or a strategy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    ChargeLnd,
    Ours,
}

/// What a key's value is, and what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An inclusive lower bound; whole numbers only, or fractions too.
    Min(Quantity, Number),
    Max(Quantity, Number),
    Is(Question),
    Channels,
    Nodes,
    Alias,
    Levels,
    Classes,
    Tags,
    /// How far back activity counts; also the age that a channel must have for it.
    Period,
    /// `false`: younger channels count too.
    Youth,
    /// Which estimate on-chain bounds are for.
    ConfTarget,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Whole,
    Real,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    OpenedByUs,
    Private,
    PeerDisabled,
    Synced,
}

use Kind::{Alias, Channels, Classes, ConfTarget, Is, Levels, Max, Min, Nodes, Period, Tags, Youth};
use Number::{Real, Whole};

impl Origin {
    pub(super) fn known_to(self, reading: Reading) -> bool {
        reading == Reading::Ours || self == Origin::ChargeLnd
    }
}

impl Matcher {
    pub fn namespace(&self) -> &'static str {
        self.key.split('.').next().unwrap_or_default()
    }

    /// Has it no meaning without `chan.activity_period`?
    pub(super) fn needs_period(&self) -> bool {
        let of = match self.kind {
            Min(of, _) | Max(of, _) => of,
            Youth => return true,
            _ => return false,
        };
        matches!(of, HtlcsIn | HtlcsOut | SatsIn | SatsOut | HtlcsRatio | SatsRatio)
    }

    pub fn find(key: &str) -> Option<&'static Matcher> {
        MATCHERS.iter().find(|matcher| matcher.key == key)
    }
}

const fn row(key: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Matcher {
    Matcher { key, kind, origin: Origin::ChargeLnd, about, example }
}

const fn own(key: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Matcher {
    Matcher { key, kind, origin: Origin::Ours, about, example }
}

pub const MATCHERS: &[Matcher] = &[
    row(
        "chan.id",
        Channels,
        "840000x1x0, file://list.txt",
        "The channel is in the list: short channel ids, their 64-bit numbers, or files of them",
    ),
    row("chan.initiator", Is(Question::OpenedByUs), "true", "We opened the channel"),
    row("chan.private", Is(Question::Private), "false", "The channel is not announced"),
    row("chan.min_capacity", Min(Capacity, Whole), "1_000_000", "Capacity in sat"),
    row("chan.max_capacity", Max(Capacity, Whole), "5_000_000", "Capacity in sat"),
    row("chan.min_ratio", Min(Ratio, Real), "0.2", "Our share of the balance, 0 to 1"),
    row("chan.max_ratio", Max(Ratio, Real), "0.8", "Our share of the balance, 0 to 1"),
    row("chan.min_local_balance", Min(Local, Whole), "100_000", "Our balance in sat, pending payments out included"),
    row("chan.max_local_balance", Max(Local, Whole), "30_000", "Our balance in sat, pending payments out included"),
    row(
        "chan.min_remote_balance",
        Min(Remote, Whole),
        "100_000",
        "The peer's balance in sat, pending payments in included",
    ),
    row(
        "chan.max_remote_balance",
        Max(Remote, Whole),
        "30_000",
        "The peer's balance in sat, pending payments in included",
    ),
    row("chan.min_age", Min(Age, Whole), "1008", "Blocks since the funding transaction"),
    row("chan.max_age", Max(Age, Whole), "4320", "Blocks since the funding transaction"),
    row("chan.min_base_fee_msat", Min(PeerBase, Whole), "1", "The peer's base fee on this channel, in msat"),
    row("chan.max_base_fee_msat", Max(PeerBase, Whole), "0", "The peer's base fee on this channel, in msat"),
    row("chan.min_fee_ppm", Min(PeerPpm, Whole), "8_000", "The peer's fee rate on this channel, in ppm"),
    row("chan.max_fee_ppm", Max(PeerPpm, Whole), "100", "The peer's fee rate on this channel, in ppm"),
    row("chan.disabled", Is(Question::PeerDisabled), "true", "The peer has disabled its side of the channel"),
    row(
        "chan.activity_period",
        Period,
        "14d",
        "How far back forwards count: seconds, or a whole number with s, m, h or d. A channel younger than that does not match",
    ),
    row(
        "chan.activity_period_ignore_channel_age",
        Youth,
        "false",
        "`false` lets younger channels match too; `true` is as if it were not there",
    ),
    row(
        "chan.min_htlcs_in",
        Min(HtlcsIn, Whole),
        "10",
        "Settled forwards that came in by the channel within the period",
    ),
    row(
        "chan.max_htlcs_in",
        Max(HtlcsIn, Whole),
        "0",
        "Settled forwards that came in by the channel within the period",
    ),
    row(
        "chan.min_htlcs_out",
        Min(HtlcsOut, Whole),
        "10",
        "Settled forwards that left by the channel within the period",
    ),
    row("chan.max_htlcs_out", Max(HtlcsOut, Whole), "0", "Settled forwards that left by the channel within the period"),
    row("chan.min_sats_in", Min(SatsIn, Whole), "100_000", "Sat that came in by the channel within the period"),
    row("chan.max_sats_in", Max(SatsIn, Whole), "1_000", "Sat that came in by the channel within the period"),
    row("chan.min_sats_out", Min(SatsOut, Whole), "100_000", "Sat that left by the channel within the period"),
    row("chan.max_sats_out", Max(SatsOut, Whole), "1_000", "Sat that left by the channel within the period"),
    row(
        "chan.min_htlcs_ratio",
        Min(HtlcsRatio, Real),
        "0.8",
        "Share of the period's forwards that came in; without any neither bound holds",
    ),
    row(
        "chan.max_htlcs_ratio",
        Max(HtlcsRatio, Real),
        "0.2",
        "Share of the period's forwards that came in; without any neither bound holds",
    ),
    row(
        "chan.min_sats_ratio",
        Min(SatsRatio, Real),
        "0.8",
        "Share of the period's sat that came in; without any neither bound holds",
    ),
    row(
        "chan.max_sats_ratio",
        Max(SatsRatio, Real),
        "0.2",
        "Share of the period's sat that came in; without any neither bound holds",
    ),
    row("chan.min_count_pending_htlcs", Min(Pending, Whole), "5", "Payments in flight"),
    row("chan.max_count_pending_htlcs", Max(Pending, Whole), "0", "Payments in flight"),
    row(
        "chan.min_next_pending_htlc_expiry",
        Min(NextExpiry, Whole),
        "13",
        "Blocks until the first payment in flight expires; without any neither bound holds",
    ),
    row(
        "chan.max_next_pending_htlc_expiry",
        Max(NextExpiry, Whole),
        "13",
        "Blocks until the first payment in flight expires; without any neither bound holds",
    ),
    own("chan.min_age_days", Min(AgeDays, Real), "90", "Days of 144 blocks since the funding transaction"),
    own("chan.max_age_days", Max(AgeDays, Real), "30", "Days of 144 blocks since the funding transaction"),
    row(
        "node.id",
        Nodes,
        "02…, 03…, file://nodes.txt",
        "The peer is in the list: node ids in small letters, or files of them",
    ),
    row("node.min_channels", Min(NodeChannels, Whole), "10", "The peer's channels in the graph"),
    row("node.max_channels", Max(NodeChannels, Whole), "5", "The peer's channels in the graph"),
    row("node.min_capacity", Min(NodeCapacity, Whole), "50_000_000", "The peer's capacity in the graph, in sat"),
    row("node.max_capacity", Max(NodeCapacity, Whole), "1_000_000", "The peer's capacity in the graph, in sat"),
    row(
        "node.min_shared_channels_active",
        Min(SharedChannels(Active), Whole),
        "2",
        "Our active channels with the peer",
    ),
    row(
        "node.max_shared_channels_active",
        Max(SharedChannels(Active), Whole),
        "0",
        "Our active channels with the peer",
    ),
    row(
        "node.min_shared_channels_inactive",
        Min(SharedChannels(Inactive), Whole),
        "1",
        "Our inactive channels with the peer",
    ),
    row(
        "node.max_shared_channels_inactive",
        Max(SharedChannels(Inactive), Whole),
        "0",
        "Our inactive channels with the peer",
    ),
    row(
        "node.min_shared_capacity_active",
        Min(SharedCapacity(Active), Whole),
        "10_000_000",
        "Both sides' balances of our active channels with the peer, in sat",
    ),
    row(
        "node.max_shared_capacity_active",
        Max(SharedCapacity(Active), Whole),
        "10_000",
        "Both sides' balances of our active channels with the peer, in sat",
    ),
    row(
        "node.min_shared_capacity_inactive",
        Min(SharedCapacity(Inactive), Whole),
        "10_000_000",
        "Both sides' balances of our inactive channels with the peer, in sat",
    ),
    row(
        "node.max_shared_capacity_inactive",
        Max(SharedCapacity(Inactive), Whole),
        "0",
        "Both sides' balances of our inactive channels with the peer, in sat",
    ),
    row(
        "node.min_shared_ratio",
        Min(SharedRatio(All), Real),
        "0.9",
        "Our share of the balances of all channels with the peer",
    ),
    row(
        "node.max_shared_ratio",
        Max(SharedRatio(All), Real),
        "0.1",
        "Our share of the balances of all channels with the peer",
    ),
    row(
        "node.min_shared_ratio_active",
        Min(SharedRatio(Active), Real),
        "0.99",
        "The same of the active channels; without any neither bound holds",
    ),
    row(
        "node.max_shared_ratio_active",
        Max(SharedRatio(Active), Real),
        "0.01",
        "The same of the active channels; without any neither bound holds",
    ),
    row(
        "node.min_shared_ratio_inactive",
        Min(SharedRatio(Inactive), Real),
        "0.99",
        "The same of the inactive channels; without any neither bound holds",
    ),
    row(
        "node.max_shared_ratio_inactive",
        Max(SharedRatio(Inactive), Real),
        "0.01",
        "The same of the inactive channels; without any neither bound holds",
    ),
    own(
        "node.alias",
        Alias,
        "ACINQ*, *hub*",
        "The peer's name follows one of the patterns: `*` is any text, `?` one character, small and capital letters are the same",
    ),
    row("onchain.conf_target", ConfTarget, "6", "Blocks that the next two are for, at least 2; 6 if not given"),
    row("onchain.min_fee_rate", Min(FeeRate, Real), "100", "The node's on-chain estimate in sat/vB"),
    row("onchain.max_fee_rate", Max(FeeRate, Real), "10", "The node's on-chain estimate in sat/vB"),
    row("onchain.synced_to_chain", Is(Question::Synced), "false", "The node follows the chain's tip"),
    own(
        "activity.level",
        Levels,
        "high, medium",
        "How much moved in seven days, both ways, as a share of the capacity: `high` more than 0.1, `medium` more than 0.01, `low` anything, `inactive` nothing",
    ),
    own("flow.7d.min", Min(Flow7d, Whole), "1000000", "Sat that moved in seven days, both ways"),
    own("flow.7d.max", Max(Flow7d, Whole), "50_000", "Sat that moved in seven days, both ways"),
    own(
        "flow.class",
        Classes,
        "source, balanced",
        "What flow analysis calls the channel: source, sink, balanced or idle",
    ),
    own(
        "network.min_alternatives",
        Min(Alternatives, Whole),
        "5",
        "The peer's channels with others than us: as many ways lead around us",
    ),
    own("peer.fee_ratio.min", Min(FeeRatio, Real), "0.5", "The peer's fee rate on this channel in multiples of ours"),
    own("peer.fee_ratio.max", Max(FeeRatio, Real), "1.5", "The peer's fee rate on this channel in multiples of ours"),
    own("peer.tag", Tags, "friend, exchange", "The operator has given the peer one of the tags"),
    own("revenue.7d.min", Min(Revenue7d, Whole), "1_000", "Sat that forwards out by the channel earned in seven days"),
    own("revenue.7d.max", Max(Revenue7d, Whole), "0", "Sat that forwards out by the channel earned in seven days"),
];
