//! The only SQL: what happened, what was decided, what was learned. One SQLite file, one writer.

use std::collections::HashMap;
use std::path::Path;

use crate::domain::{
    Channel, ChannelId, ChannelName, Flow, Forward, ForwardIndex, Identity, Msat, PeerId, Ppm, Scid, Time,
};
use crate::flow::DaySum;

#[derive(Clone, Debug)]
pub struct Ledger {}

/// Why a ledger was not opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("'{path}' is a SQLite file of another program; give another path in 'revenue-ops-db-path'")]
    NotOurs { path: String },
    #[error("'{path}' is not a SQLite file; give another path in 'revenue-ops-db-path'")]
    NotSqlite { path: String },
    #[error(
        "'{path}' belongs to node {theirs}, and this is {ours}; give each node its own path in 'revenue-ops-db-path'"
    )]
    OtherNode { path: String, theirs: String, ours: String },
    #[error(
        "'{path}' was written by a newer version (schema {theirs}; this version knows {ours}); update cl-revenue-ops"
    )]
    Newer { path: String, theirs: i64, ours: i64 },
    #[error("'{path}' cannot be opened: {why}")]
    Broken { path: String, why: String },
}

/// What came of recording a batch of forwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub new: u64,
    pub changed: u64,
}

/// Up to which index the node's forwards have been taken in (0: none yet).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    pub created: u64,
    pub updated: u64,
}

/// Sums of one channel over the flow window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelDays {
    pub days: Vec<DaySum>,
    /// Time of the newest forward ever, in or out.
    pub last_forward: Option<Time>,
}

/// Demand for one channel from one other, within a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    pub out: ChannelId,
    /// `None`: the incoming channel is not known (it closed long ago).
    pub from_peer: Option<PeerId>,
    pub settled: u64,
    /// Distinct forwards that failed for our lack of local balance: same incoming channel, amount within 1 % and 60 s
    /// count once.
    pub starved: u64,
    pub out_msat: u64,
}

/// One line of the audit trail of fees.
#[derive(Clone, Debug, PartialEq)]
pub struct FeeRow {
    pub channel: ChannelId,
    pub peer: PeerId,
    pub at: Time,
    pub old: Ppm,
    pub new: Ppm,
    pub outcome: FeeOutcomeKind,
    /// By an operator, not by the controller.
    pub manual: bool,
    pub urgent: bool,
    /// One line for people.
    pub summary: String,
    /// All stages, as JSON.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeOutcomeKind {
    /// Nothing was to be done.
    Kept,
    /// The node confirmed it.
    Set,
    /// `dry-run`: it would have been set.
    Dry,
    /// The node refused, or answered something else than was asked.
    Failed,
}

/// Changes of the fee of one channel since some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCount {
    pub ordinary: u32,
    pub urgent: u32,
}

/// An option that `revenue-config set` keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideRow {
    pub key: String,
    pub value: String,
    pub version: i64,
    pub updated_at: Time,
}

/// Money from one account to another, once per key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub key: String,
    pub at: Time,
    pub from: String,
    pub to: String,
    pub amount: Msat,
    pub memo: String,
}

/// Result of the ledger's own examination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerCheck {
    pub at: Time,
    /// Must be 0.
    pub sum_of_accounts_msat: i64,
    pub forwards: u64,
    pub settled: u64,
    pub fees_msat: u64,
    /// What does not agree, in sentences; empty: all is well.
    pub problems: Vec<String>,
}

/// How often payments that a peer brought in got through.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reputation {
    pub successes: f64,
    pub failures: f64,
}

/// Lifetime sums of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelTotals {
    pub out_msat: u64,
    pub in_msat: u64,
    pub out_count: u64,
    pub in_count: u64,
    /// Fees earned by forwards out of this channel.
    pub fees_earned_msat: u64,
    /// Fees earned elsewhere by forwards that came in here.
    pub fees_brought_msat: u64,
    pub failed: u64,
    pub local_failed: u64,
    pub starved: u64,
}

#[expect(clippy::unused_async, unused_variables, reason = "bodies come next")]
impl Ledger {
    pub async fn open(path: &Path, owner: &Identity, now: Time) -> Result<Ledger, OpenError> {
        todo!()
    }
    /// A ledger that is gone when it is dropped: simulations and tests.
    pub async fn in_memory(owner: &Identity, now: Time) -> anyhow::Result<Ledger> {
        todo!()
    }
    /// Writes everything to the main file and closes it.
    pub async fn close(&self) {
        todo!()
    }

    /// Takes in the node's list of channels: names, peers, and every scid that a channel has had.
    pub async fn note_channels(&self, now: Time, channels: &[Channel]) -> anyhow::Result<()> {
        todo!()
    }
    /// Short channel ids seen in forwards whose channel is not known yet and was not asked for before.
    pub async fn unknown_scids(&self, limit: u32) -> anyhow::Result<Vec<Scid>> {
        todo!()
    }
    /// Says which channel an scid belongs to (`None`: the node does not know); its forwards move to that channel.
    pub async fn name_scid(&self, scid: Scid, name: Option<&ChannelName>) -> anyhow::Result<()> {
        todo!()
    }

    /// Takes in forwards, each once, and in the same transaction how far the node's list has been read.
    pub async fn record_forwards(
        &self,
        batch: &[Forward],
        read_to: Option<(ForwardIndex, u64)>,
    ) -> anyhow::Result<Recorded> {
        todo!()
    }
    pub async fn positions(&self) -> anyhow::Result<Positions> {
        todo!()
    }
    /// Created indexes of forwards received before `before` that are only known as offered, oldest first.
    pub async fn unresolved(&self, before: Time, limit: u32) -> anyhow::Result<Vec<u64>> {
        todo!()
    }
    /// Drops single forwards received before `before`, at most `limit`; hourly sums stay. Returns how many went.
    pub async fn drop_forwards(&self, before: Time, limit: u32) -> anyhow::Result<u64> {
        todo!()
    }

    /// Daily sums of every channel over the last `window_days` x 24 hours.
    pub async fn day_sums(&self, now: Time, window_days: u64) -> anyhow::Result<HashMap<ChannelId, ChannelDays>> {
        todo!()
    }
    pub async fn record_flows(&self, now: Time, flows: &[(ChannelId, Flow)]) -> anyhow::Result<()> {
        todo!()
    }
    /// The last analysis of each channel.
    pub async fn flows(&self) -> anyhow::Result<HashMap<ChannelId, (Time, Flow)>> {
        todo!()
    }
    /// Lifetime sums of each channel, from the rollups' own totals.
    pub async fn totals(&self) -> anyhow::Result<HashMap<ChannelId, ChannelTotals>> {
        todo!()
    }

    /// Forwards that were settled, or failed for our lack of balance, after `from` and not after `to`.
    pub async fn demand(&self, from: Time, to: Time) -> anyhow::Result<Vec<Demand>> {
        todo!()
    }
    /// Msat that came in by each channel with settled forwards after `from` and not after `to`.
    pub async fn inflow(&self, from: Time, to: Time) -> anyhow::Result<HashMap<ChannelId, u64>> {
        todo!()
    }
    /// Outgoing amounts of the newest settled forwards of the node.
    pub async fn recent_amounts(&self, limit: u32) -> anyhow::Result<Vec<Msat>> {
        todo!()
    }
    /// Settled forwards of the whole node per hour (hours since 1970), from `from` on.
    pub async fn node_hours(&self, from: Time) -> anyhow::Result<Vec<(i64, u64)>> {
        todo!()
    }

    /// Forgets the part `1 - decay` of every peer's record and adds what happened since the last time.
    pub async fn update_reputation(&self, now: Time, decay: f64) -> anyhow::Result<()> {
        todo!()
    }
    pub async fn reputations(&self) -> anyhow::Result<HashMap<PeerId, Reputation>> {
        todo!()
    }

    /// What pricing remembers of each peer, as the JSON that was saved.
    pub async fn memories(&self) -> anyhow::Result<HashMap<PeerId, String>> {
        todo!()
    }
    /// One transaction: memories, each channel's last decision, and for ever each change.
    pub async fn record_fees(&self, now: Time, memories: &[(PeerId, String)], rows: &[FeeRow]) -> anyhow::Result<()> {
        todo!()
    }
    /// Changes that the node confirmed, per channel, since `since`; dry ones count too.
    pub async fn changes_since(&self, since: Time) -> anyhow::Result<HashMap<ChannelId, ChangeCount>> {
        todo!()
    }
    /// The last decision of each channel.
    pub async fn last_decisions(&self) -> anyhow::Result<HashMap<ChannelId, FeeRow>> {
        todo!()
    }
    /// The newest changes (set, dry or failed), newest first, with their row ids.
    pub async fn recent_changes(&self, limit: u32) -> anyhow::Result<Vec<(i64, FeeRow)>> {
        todo!()
    }

    /// State of a node-wide stage, as the JSON that was saved under `name`.
    pub async fn note(&self, name: &str) -> anyhow::Result<Option<String>> {
        todo!()
    }
    pub async fn save_note(&self, now: Time, name: &str, text: &str) -> anyhow::Result<()> {
        todo!()
    }
    pub async fn record_feerate(&self, now: Time, sat_per_kvb: u64) -> anyhow::Result<()> {
        todo!()
    }
    /// Mean of the feerates recorded since `since`; `None` if there are none. Older ones than 48 h before `now` go.
    pub async fn feerate_average(&self, since: Time) -> anyhow::Result<Option<f64>> {
        todo!()
    }

    pub async fn overrides(&self) -> anyhow::Result<Vec<OverrideRow>> {
        todo!()
    }
    /// Keeps an option; returns the new version.
    pub async fn set_override(&self, now: Time, key: &str, value: &str) -> anyhow::Result<i64> {
        todo!()
    }
    /// Forgets an option; `None` if there was none, otherwise the new version.
    pub async fn clear_override(&self, now: Time, key: &str) -> anyhow::Result<Option<i64>> {
        todo!()
    }
    /// Version of the settings: grows with every change.
    pub async fn config_version(&self) -> anyhow::Result<i64> {
        todo!()
    }

    /// Records a transfer; `false` if its key was there already (nothing changes then).
    pub async fn record_transfer(&self, transfer: &Transfer) -> anyhow::Result<bool> {
        todo!()
    }
    /// What has come into the account minus what has left it.
    pub async fn balance_of(&self, account: &str) -> anyhow::Result<i64> {
        todo!()
    }
    pub async fn check(&self, now: Time) -> anyhow::Result<LedgerCheck> {
        todo!()
    }
}
