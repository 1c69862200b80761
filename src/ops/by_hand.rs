//! What an operator orders: a fee for one channel, a wake-up for all.

use anyhow::Context;

use super::policies::{Rules, Whom};
use super::publish::{Orders, Said};
use super::{FeeOutcome, Ops};
use crate::domain::{Channel, ChannelId, NodeView, PeerId, Policy, Ppm, Scid, Time};
use crate::fees;
use crate::ledger::FeeOutcomeKind;
use crate::options::Options;

/// What `revenue-set-fee` did.
#[derive(Clone, Debug, PartialEq)]
pub struct SetFeeAnswer {
    pub channel: ChannelId,
    pub scid: Option<Scid>,
    pub old: Ppm,
    pub new: Ppm,
    /// Nothing was sent, because of `dry-run`.
    pub dry: bool,
    /// Other channels with the same peer that got the same fee.
    pub together_with: Vec<Scid>,
}

/// What `revenue-wake-all` brought about, in channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WakeAnswer {
    pub woken: usize,
    /// They got another fee; in a dry run they would have.
    pub moved: usize,
    /// They wait for the budget of a day.
    pub waiting: usize,
    /// The node refused, or did not answer.
    pub failed: usize,
}

/// Why an order was not carried out; the text says what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The caller erred.
    #[error("{0}")]
    Caller(String),
    /// Asked for too often; the text says when to ask again.
    #[error("{0}")]
    TooOften(String),
    /// Something broke underneath.
    #[error("{0:#}")]
    Broken(#[from] anyhow::Error),
}

impl Ops {
    /// Sets the fee of a channel, named by scid (old ones too), channel id, or the node id of its peer. Outside the
    /// limits only with `force`. The learner goes on from there.
    pub async fn set_fee(&self, channel: &str, ppm: Ppm, force: bool) -> Result<SetFeeAnswer, OrderError> {
        let _turn = self.turn.lock().await;
        let (now, options) = (self.clock.now(), self.settings.now());
        check_limits(ppm, force, &options)?;
        let view = self.look(now).await?;
        self.settle_unheard(&view).await?;
        let (peer, named) = self.named(&view, channel).await?;
        let (_, channels) = view.priced_by_peer().into_iter().find(|(id, _)| *id == peer).ok_or_else(|| {
            OrderError::Caller(format!("channel '{channel}' does not route now; its fee cannot be set"))
        })?;
        let rules = self.ruled(Rules::new(self.policies().await?, &options, now), &view, &options).await?;
        // Rules may treat channels with one peer each in its own way: those that are priced with the one that is named follow it.
        let groups = rules.groups(&channels);
        let of_named = |group: &[&Channel]| named.is_none_or(|id| group.iter().any(|channel| channel.channel_id == id));
        let (place, (policy, group)) =
            groups.iter().enumerate().find(|(_, (_, group))| of_named(group)).ok_or_else(|| unknown(channel))?;
        check_policy(policy, peer, ppm)?;
        let said: Vec<Said> = group.iter().map(|channel| (*channel, rules.terms_of(channel))).collect();
        let kinds = self.set_together(now, (&said, place == 0), ppm, &options).await?;
        answer(channel, group, &kinds, ppm)
    }

    /// Ends every channel's waiting for a block or for a difference that is worth gossip, and decides at once. The budget of
    /// changes a day holds all the same.
    pub async fn wake_all(&self) -> anyhow::Result<WakeAnswer> {
        self.catch_up().await?;
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let memories = self.memories().await?;
        let woken = memories.iter().map(|(peer, memory)| (*peer, fees::woken(memory, now))).collect();
        self.record_fees(now, memories, woken, &[]).await?;
        let outcomes = self.fee_step(Whom::All).await?;
        let count = |which: &dyn Fn(&FeeOutcome) -> bool| outcomes.iter().filter(|outcome| which(outcome)).count();
        Ok(WakeAnswer {
            woken: outcomes.len(),
            moved: count(&|outcome| matches!(outcome.kind, FeeOutcomeKind::Set | FeeOutcomeKind::Dry)),
            waiting: count(&|outcome| outcome.waits),
            failed: count(&|outcome| matches!(outcome.kind, FeeOutcomeKind::Failed | FeeOutcomeKind::Ordered)),
        })
    }

    /// Whom an operator named, in any of the ways that the node understands: a peer with all its channels, or one channel.
    async fn named(&self, view: &NodeView, name: &str) -> Result<(PeerId, Option<ChannelId>), OrderError> {
        if let Ok(peer) = name.parse::<PeerId>() {
            let is_known = view.channels.iter().any(|channel| channel.peer == peer);
            return is_known.then_some((peer, None)).ok_or_else(|| {
                let text = format!("the node has no channel with {peer}; lightning-cli listpeerchannels shows all");
                OrderError::Caller(text)
            });
        }
        let id = self.channel_by_name(view, name).await?;
        let channel = view.channels.iter().find(|channel| channel.channel_id == id);
        Ok((channel.ok_or_else(|| unknown(name))?.peer, Some(id)))
    }

    /// A channel by its scid, an earlier scid, its alias or its channel id.
    pub(super) async fn channel_by_name(&self, view: &NodeView, name: &str) -> Result<ChannelId, OrderError> {
        if let Ok(id) = name.parse::<ChannelId>() {
            return Ok(id);
        }
        let scid = match scid_of(name) {
            Some(scid) => scid,
            None => name.parse().map_err(|error| OrderError::Caller(format!("{error}")))?,
        };
        let named = |channel: &&Channel| channel.scid == Some(scid) || channel.alias == Some(scid);
        if let Some(channel) = view.channels.iter().find(named) {
            return Ok(channel.channel_id);
        }
        let name_of = self.node.channel_of(scid).await.context("asking the node for an earlier short channel id")?;
        Ok(name_of.ok_or_else(|| unknown(name))?.channel_id)
    }

    async fn set_together(
        &self,
        now: Time,
        (said, learns): (&[Said<'_>], bool),
        ppm: Ppm,
        options: &Options,
    ) -> anyhow::Result<Vec<FeeOutcomeKind>> {
        let channels: Vec<&Channel> = said.iter().map(|(channel, _)| *channel).collect();
        let mut orders = Orders::by_hand(now, said, ppm, options.dry_run)?;
        self.ledger.record_fees(now, &[], &orders.rows).await?;
        self.carry_out(&mut orders, options).await?;
        let kinds: Vec<FeeOutcomeKind> = orders.rows.iter().map(|row| row.outcome).collect();
        let in_force = kinds.iter().all(|kind| matches!(kind, FeeOutcomeKind::Kept | FeeOutcomeKind::Set));
        if let (true, Some(first)) = (in_force && learns, channels.first()) {
            let memories = self.memories().await?;
            let forced = !(options.min_fee_ppm..=options.max_fee_ppm).contains(&ppm.0);
            let held = fees::set_by_hand(memories.get(&first.peer), &channels, ppm, forced, now);
            self.record_fees(now, memories, vec![(first.peer, held)], &[]).await?;
        }
        Ok(kinds)
    }
}

/// A fee that a policy would set back at the next step is no fee that was set.
fn check_policy(policy: &Policy, peer: PeerId, ppm: Ppm) -> Result<(), OrderError> {
    match policy.exact() {
        Some(fee) if fee != ppm => Err(OrderError::Caller(format!(
            "the fee of {peer} is {fee} by {}, which would set it back; give \"revenue-policy set {peer} strategy=static \
             fee_ppm={}\" instead, or change that policy first",
            policy.by("strategy"),
            ppm.0
        ))),
        _ => Ok(()),
    }
}

fn check_limits(ppm: Ppm, force: bool, options: &Options) -> Result<(), OrderError> {
    let (min, max) = (options.min_fee_ppm, options.max_fee_ppm);
    if force || (min..=max).contains(&ppm.0) {
        return Ok(());
    }
    Err(OrderError::Caller(format!(
        "fee_ppm {} is outside the limits {min} to {max} (min_fee_ppm, max_fee_ppm); add force=true to set it all the same",
        ppm.0
    )))
}

fn answer(name: &str, channels: &[&Channel], kinds: &[FeeOutcomeKind], ppm: Ppm) -> Result<SetFeeAnswer, OrderError> {
    let scids = |wanted: &dyn Fn(FeeOutcomeKind) -> bool| -> Vec<Scid> {
        channels.iter().zip(kinds).filter(|(_, kind)| wanted(**kind)).filter_map(|(channel, _)| channel.scid).collect()
    };
    let failed = scids(&|kind| matches!(kind, FeeOutcomeKind::Failed | FeeOutcomeKind::Ordered));
    if !failed.is_empty() {
        let failed = failed.iter().map(Scid::to_string).collect::<Vec<_>>().join(", ");
        let text = format!(
            "the node did not confirm the fee of {failed} (the log says why); revenue-status shows what is in force"
        );
        return Err(OrderError::Broken(anyhow::anyhow!(text)));
    }
    let by_name = |channel: &&&Channel| {
        (channel.scid.is_some() && channel.scid == scid_of(name)) || channel.channel_id.to_string() == name
    };
    let named = channels.iter().find(by_name).or(channels.first()).ok_or_else(|| unknown(name))?;
    Ok(SetFeeAnswer {
        channel: named.channel_id,
        scid: named.scid,
        old: named.ours.ppm,
        new: ppm,
        dry: kinds.contains(&FeeOutcomeKind::Dry),
        together_with: channels
            .iter()
            .filter(|channel| channel.channel_id != named.channel_id)
            .filter_map(|channel| channel.scid)
            .collect(),
    })
}

/// A short channel id as operators write it; with `:` in place of `x` it is the same.
pub(super) fn scid_of(name: &str) -> Option<Scid> {
    name.replace(':', "x").parse().ok()
}

fn unknown(name: &str) -> OrderError {
    OrderError::Caller(format!("the node has no channel '{name}'; lightning-cli listpeerchannels shows them"))
}
