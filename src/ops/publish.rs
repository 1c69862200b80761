//! Telling the node: orders are written down first, then given, and then it is written down what came of them. Believes only what
//! the node says is in force.

use std::collections::HashMap;

use anyhow::Context;

use super::Ops;
use crate::domain::{Channel, ChannelId, Msat, NodeView, PeerId, Ppm, Scid, Terms, Time};
use crate::fees::{self, Action, FeeDecision, Reason};
use crate::ledger::{FeeOutcomeKind, FeeRow};
use crate::node::{FeeOrder, NodeError};
use crate::options::Options;

/// What became of one channel in a fee cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct FeeOutcome {
    pub channel: ChannelId,
    pub scid: Option<Scid>,
    pub peer: PeerId,
    pub old: Ppm,
    pub new: Ppm,
    pub kind: FeeOutcomeKind,
    pub summary: String,
    /// A change is wanted and has to wait for the budget of a day.
    pub waits: bool,
}

impl FeeOutcome {
    /// Was another fee wanted?
    pub fn is_change(&self) -> bool {
        self.kind != FeeOutcomeKind::Kept
    }

    /// What came of it, as users read it.
    pub fn outcome(&self) -> &'static str {
        in_words(self.kind)
    }
}

/// What came of a decision, as users read it.
pub(super) fn in_words(kind: FeeOutcomeKind) -> &'static str {
    match kind {
        FeeOutcomeKind::Kept => "kept",
        FeeOutcomeKind::Set => "set",
        FeeOutcomeKind::Dry => "dry-run",
        FeeOutcomeKind::Failed => "failed",
        FeeOutcomeKind::Ordered => "unknown",
    }
}

/// Decisions on their way to the node, one a channel, and in the same order what the ledger does not keep of them.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) rows: Vec<FeeRow>,
    asides: Vec<Aside>,
}

/// How operators call a channel, what is told besides the rate, the base fee that its policy names, and whether it waits for the
/// budget of a day.
struct Aside {
    scid: Option<Scid>,
    rest: Terms,
    base: Option<Msat>,
    waits: bool,
}

/// A channel, and what its policy says besides the rate.
pub(super) type Said<'a> = (&'a Channel, Terms);

/// What was told of channels besides their rate. A node cuts the largest payment to what the channel can carry, and makes of the smallest
/// what it must: that is said once, not in every cycle.
pub(super) type Told = HashMap<ChannelId, Terms>;

impl Orders {
    /// What was decided for the channels with one peer, and what their policy says besides.
    pub(super) fn add(
        &mut self,
        at: Time,
        (channels, told): (&[Said<'_>], &Told),
        decision: &FeeDecision,
        dry: bool,
    ) -> anyhow::Result<()> {
        let set = matches!(decision.action, Action::Set { .. });
        let start = self.rows.len();
        self.push(at, (channels, told), (decision.target, set, dry), &decision.why)?;
        for row in &mut self.rows[start..] {
            row.urgent = matches!(decision.action, Action::Set { urgent: true });
        }
        Ok(())
    }

    /// What an operator wants for the channels with one peer.
    pub(super) fn by_hand(at: Time, channels: &[Said<'_>], fee: Ppm, dry: bool) -> anyhow::Result<Orders> {
        let mut orders = Orders::default();
        let named: Vec<Said> = channels
            .iter()
            .map(|(channel, terms)| (*channel, Terms { base: terms.base, ..Terms::default() }))
            .collect();
        orders.push(at, (&named, &Told::new()), (fee, true, dry), &[Reason::ByHand { fee }])?;
        for row in &mut orders.rows {
            row.manual = true;
        }
        Ok(orders)
    }

    fn push(
        &mut self,
        at: Time,
        (channels, told): (&[Said<'_>], &Told),
        (fee, set, dry): (Ppm, bool, bool),
        why: &[Reason],
    ) -> anyhow::Result<()> {
        let waits = why.iter().any(Reason::waits_for_budget);
        let (summary, why) = (fees::summary(why), fees::told(why)?);
        for (channel, terms) in channels {
            let rest = terms.news(&channel.ours).without(told.get(&channel.channel_id));
            let words = rest.in_words();
            // What is said besides the rate does not wait for it.
            let fee = if set || words.is_empty() { fee } else { channel.ours.ppm };
            let summary = if words.is_empty() { summary.clone() } else { format!("{summary}; {words}") };
            let outcome = match (!words.is_empty() || (set && channel.ours.ppm != fee), dry) {
                (false, _) => FeeOutcomeKind::Kept,
                (true, true) => FeeOutcomeKind::Dry,
                (true, false) => FeeOutcomeKind::Ordered,
            };
            self.asides.push(Aside { scid: channel.scid, rest, base: terms.base, waits });
            self.rows.push(FeeRow {
                channel: channel.channel_id,
                peer: channel.peer,
                at,
                old: channel.ours.ppm,
                new: fee,
                outcome,
                manual: false,
                urgent: false,
                summary,
                why: why.clone(),
            });
        }
        Ok(())
    }

    pub(super) fn outcomes(self) -> Vec<FeeOutcome> {
        let outcome = |(row, Aside { scid, waits, .. }): (FeeRow, Aside)| FeeOutcome {
            channel: row.channel,
            scid,
            peer: row.peer,
            old: row.old,
            new: row.new,
            kind: row.outcome,
            summary: row.summary,
            waits,
        };
        self.rows.into_iter().zip(self.asides).map(outcome).collect()
    }
}

impl Ops {
    /// Gives the orders that were recorded, and records what came of each. One refusal does not hide the rest.
    pub(super) async fn carry_out(&self, orders: &mut Orders, options: &Options) -> anyhow::Result<()> {
        let mut settled = Vec::new();
        for (row, aside) in orders.rows.iter_mut().zip(&orders.asides) {
            let name = aside.scid.map_or_else(|| row.channel.to_string(), |scid| scid.to_string());
            // What was refused and is wanted still is refused anew.
            self.seen.change(|seen| seen.terms_refused.remove(&row.channel));
            match row.outcome {
                FeeOutcomeKind::Dry => {
                    let FeeRow { old, new, summary, .. } = &*row;
                    tracing::info!("{name}: would change the fee from {old} to {new} (dry run): {summary}");
                }
                // What the peer's policy has said since counts more: it is decided anew as soon as this step is over.
                FeeOutcomeKind::Ordered if !row.manual && self.is_overruled(&row.peer) => {
                    tracing::info!("{name}: the fee stays at {} for now, the policy has changed meanwhile", row.old);
                    row.outcome = FeeOutcomeKind::Kept;
                    settled.push(&*row);
                }
                FeeOutcomeKind::Ordered => {
                    row.outcome = self.publish(&name, row, (aside, options)).await;
                    settled.push(&*row);
                }
                _ => {}
            }
        }
        if settled.is_empty() {
            return Ok(());
        }
        self.ledger.settle_fees(&settled).await.context("recording what came of the orders")
    }

    async fn publish(&self, name: &str, order: &FeeRow, (aside, options): (&Aside, &Options)) -> FeeOutcomeKind {
        let (old, fee) = (order.old, order.new);
        // A policy's word is stronger than the option, which goes along with changes of the rate only.
        let base = aside.base.or(options.base_fee_msat.map(Msat).filter(|_| old != fee));
        let Terms { htlc_min, htlc_max, .. } = aside.rest;
        match self.node.set_fee(FeeOrder { base, htlc_min, htlc_max, ..FeeOrder::rate(order.channel, fee) }).await {
            Ok(in_force) if in_force.ppm == fee && base.is_none_or(|base| in_force.base == base) => {
                if htlc_min.is_some() || htlc_max.is_some() {
                    self.seen.change(|seen| {
                        let told = seen.terms_told.entry(order.channel).or_default();
                        told.htlc_min = htlc_min.or(told.htlc_min);
                        told.htlc_max = htlc_max.or(told.htlc_max);
                    });
                }
                tracing::info!("{name}: fee {old} -> {fee}: {}", order.summary);
                FeeOutcomeKind::Set
            }
            Ok(in_force) => {
                let (ppm, base) = (in_force.ppm, in_force.base);
                tracing::warn!("{name}: the node was told to charge {fee}, and says that it charges {ppm} and {base}");
                FeeOutcomeKind::Failed
            }
            Err(error @ (NodeError::Unreachable { .. } | NodeError::Garbled { .. })) => {
                tracing::warn!("{name}: whether the fee is {old} or {fee} now, the next look will tell: {error}");
                FeeOutcomeKind::Ordered
            }
            Err(error) => {
                tracing::warn!("{name}: the fee stays at {old}: {error}");
                self.note_refused(name, order, &aside.rest, &error);
                FeeOutcomeKind::Failed
            }
        }
    }

    /// Sizes of payments that a node refuses take the fee of the same order with them, in every cycle anew.
    fn note_refused(&self, name: &str, order: &FeeRow, rest: &Terms, error: &NodeError) {
        let policy = self.last_rulings().of(&order.channel).unwrap_or_default();
        let members = [("min_htlc_msat", rest.htlc_min), ("max_htlc_msat", rest.htlc_max)];
        let said = members.iter().filter_map(|(member, amount)| Some((member, (*amount)?)));
        let wanted: Vec<String> = said
            .map(|(member, amount)| {
                // A share of what the channel carries has a key of its own.
                let ratio = policy.trail.iter().find(|ruling| ruling.member == format!("{member}_ratio"));
                let by = ratio.map_or_else(|| policy.by(member), |ruling| ruling.source.to_string());
                format!("{member} {} by {by}", amount.0)
            })
            .collect();
        if !wanted.is_empty() {
            let (fee, wanted) = (order.old, wanted.join(" and "));
            let text = format!(
                "{name}: the node refuses {wanted}, and the fee of the same order with it, which stays at {fee}: {error}"
            );
            self.seen.change(|seen| seen.terms_refused.insert(order.channel, text));
        }
    }

    /// Orders that the node refused because of, or with, sizes of payments.
    pub(super) fn refused_in_words(&self) -> Vec<String> {
        self.seen.read(|seen| seen.terms_refused.values().cloned().collect())
    }

    /// Orders whose outcome was never heard: the fees that the node shows now tell. What a channel that is gone would have
    /// answered stays unknown.
    pub(super) async fn settle_unheard(&self, view: &NodeView) -> anyhow::Result<()> {
        let mut settled = self.ledger.ordered_fees().await?;
        settled.retain_mut(|row| {
            let Some(channel) = view.channels.iter().find(|channel| channel.channel_id == row.channel) else {
                return false;
            };
            let made = channel.ours.ppm == row.new;
            row.outcome = if made { FeeOutcomeKind::Set } else { FeeOutcomeKind::Failed };
            true
        });
        match settled.is_empty() {
            true => Ok(()),
            false => self.ledger.settle_fees(&settled.iter().collect::<Vec<_>>()).await,
        }
    }
}
