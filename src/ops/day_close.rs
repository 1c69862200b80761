//! The end of a day: where the money lay, and whether the bookkeeper's statement of the day before says the same as ours. A day on which
//! nobody looked stays a gap.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::Ops;
use super::books::BooksSight;
use crate::accounts::Worth;
use crate::domain::{Channel, ChannelId, ChannelState, IncomeLine, Msat, Time};
use crate::ledger::Window;
use crate::node::NodeError;

/// Name in the ledger of the last comparison with the bookkeeper.
const NOTE: &str = "books compared";
/// So long after its end a day is compared: by then each of its transactions' accounts has been read for the second time.
const LAST_WORD_HOURS: f64 = 2.0;

/// A comparison of one whole day with the bookkeeper's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    pub at: Time,
    /// The day, counted from 1970.
    pub day: i64,
    /// Amounts that were compared.
    pub compared: u64,
    pub differences: Vec<Difference>,
}

/// One amount that the two books do not agree on, in msat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub channel: String,
    pub what: String,
    pub ours_msat: u64,
    pub theirs_msat: u64,
    pub reason: String,
}

impl Ops {
    pub(super) async fn close_day(
        &self,
        now: Time,
        channels: &[Channel],
        sight: &mut BooksSight,
    ) -> anyhow::Result<()> {
        let worth = self.worth(channels).await?;
        self.ledger.note_day(now, &worth).await?;
        if sight.bookkeeper == Some(true)
            && let Err(error) = self.reconcile(now).await
        {
            sight.errors.push(format!("comparing with the bookkeeper: {error:#}"));
        }
        Ok(())
    }

    /// Where the money lies now.
    pub(super) async fn worth(&self, channels: &[Channel]) -> anyhow::Result<Worth> {
        let lives = self.ledger.lives().await?;
        let wallet = self.books.wallet().await.inspect_err(|error| {
            if !matches!(error, NodeError::Unsupported { .. }) {
                tracing::warn!("what lies in the wallet is unknown: {error}");
            }
        });
        let wallet = wallet.ok();
        let mut worth = Worth {
            onchain: wallet.map(|coins| coins.confirmed.0),
            unconfirmed: wallet.map(|coins| coins.unconfirmed.0),
            ..Worth::default()
        };
        for channel in channels {
            let Msat(local) = channel.local;
            match channel.state {
                _ if channel.routes() => {
                    worth.local = worth.local.saturating_add(local);
                    worth.remote = worth.remote.saturating_add(channel.capacity.saturating_sub(channel.local).0);
                    worth.capacity = worth.capacity.saturating_add(channel.capacity.0);
                    worth.channels += 1;
                }
                ChannelState::Opening => worth.pending = worth.pending.saturating_add(local),
                ChannelState::Closing => {
                    // Once the funding is spent the bookkeeper knows what has not come to the wallet yet.
                    let life = lives.get(&channel.channel_id).filter(|life| life.spent);
                    let left = life.and_then(|life| life.balance_msat).map(|left| u64::try_from(left).unwrap_or(0));
                    worth.closing = worth.closing.saturating_add(left.unwrap_or(local));
                }
                _ => {}
            }
        }
        Ok(worth)
    }

    /// The last comparison with the bookkeeper, also from an earlier life.
    pub async fn reconciliation(&self) -> anyhow::Result<Option<Reconciliation>> {
        let note = self.ledger.note(NOTE).await?;
        note.map(|text| serde_json::from_str(&text)).transpose().context("the last comparison with the bookkeeper")
    }

    /// Yesterday, once the last of it is known: the bookkeeper is asked for that day's lines only.
    async fn reconcile(&self, now: Time) -> anyhow::Result<()> {
        let day = now.plus_hours(-LAST_WORD_HOURS).day() - 1;
        if self.reconciliation().await?.is_some_and(|last| last.day >= day) {
            return Ok(());
        }
        let (from, to) = (Time::start_of_day(day), Time::start_of_day(day + 1).plus_secs(-1));
        let lines = self.books.income(from, to).await?;
        let ours = self.ledger.day_window(day).await?;
        let theirs = by_channel(&lines);
        let mut report = Reconciliation { at: now, day, compared: 0, differences: Vec::new() };
        for ((channel, what), (ours, theirs)) in beside(&ours, &theirs) {
            report.compared += 1;
            if ours != theirs {
                let reason = self.reason(what, ours < theirs, to).await?;
                let (channel, what) = (channel.to_string(), what.to_owned());
                report.differences.push(Difference { channel, what, ours_msat: ours, theirs_msat: theirs, reason });
            }
        }
        self.ledger.save_note(now, NOTE, &serde_json::to_string(&report)?).await
    }

    async fn reason(&self, what: &str, less: bool, until: Time) -> anyhow::Result<String> {
        let read_until = self.read_until().await?;
        let reason = match (what, less) {
            ("routed", true) if read_until.is_none_or(|read| read < until) => {
                "the node's forwards of that day have not been read to the end"
            }
            ("routed", true) => "the node no longer lists these forwards (autoclean), or they were settled at midnight",
            ("routed", false) => "forwards settled at midnight: the bookkeeper counts by when it wrote them down",
            ("onchain_fee", true) => "the bookkeeper has corrected a fee since its account of the channel was read",
            ("onchain_fee", false) => "an estimate of ours, or a fee that the bookkeeper counts on another day",
            ("rebalance_fee", true) => "payments to ourselves that the node's record has not shown us yet",
            _ => "unexplained",
        };
        Ok(reason.to_owned())
    }
}

type Amounts = BTreeMap<(ChannelId, &'static str), u64>;

/// The bookkeeper's lines that are about the same as ours: fees earned, fees paid. Payments of our own are none of the channels' business.
fn by_channel(lines: &[IncomeLine]) -> Amounts {
    let mut amounts = Amounts::new();
    for line in lines {
        let Some(channel) = line.channel else { continue };
        let (what, amount) = match line.tag.as_str() {
            "routed" => ("routed", line.credit),
            "onchain_fee" => ("onchain_fee", line.debit),
            "rebalance_fee" => ("rebalance_fee", line.debit),
            _ => continue,
        };
        let sum = amounts.entry((channel, what)).or_default();
        *sum = sum.saturating_add(amount.0);
    }
    amounts
}

/// Both books' amounts, where either has one.
fn beside(ours: &Window, theirs: &Amounts) -> BTreeMap<(ChannelId, &'static str), (u64, u64)> {
    let mut both: BTreeMap<_, (u64, u64)> = theirs.iter().map(|(key, msat)| (*key, (0, *msat))).collect();
    for (channel, sums) in &ours.channels {
        let onchain = [sums.costs.opening, sums.costs.closure, sums.costs.splice];
        let onchain = onchain.iter().fold(0_u64, |sum, one| sum.saturating_add(*one));
        for (what, msat) in [("routed", sums.earned), ("onchain_fee", onchain), ("rebalance_fee", sums.costs.rebalance)]
        {
            if msat > 0 {
                both.entry((*channel, what)).or_default().0 = msat;
            }
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Costs, Sums};

    #[test]
    fn both_books_stand_side_by_side() {
        let (one, two) = (ChannelId([1; 32]), ChannelId([2; 32]));
        let line = |channel, tag: &str, credit, debit| IncomeLine {
            channel,
            tag: tag.to_owned(),
            credit: Msat(credit),
            debit: Msat(debit),
        };
        let theirs = by_channel(&[
            line(Some(one), "routed", 5, 0),
            line(Some(one), "routed", 6, 0),
            line(Some(two), "onchain_fee", 0, 7),
            line(Some(two), "invoice", 0, 1_000),
            line(None, "deposit", 9, 0),
        ]);
        let mut ours = Window::default();
        let costs = Costs { opening: 3, closure: 4, rebalance: 2, ..Costs::default() };
        ours.channels.insert(two, Sums { costs, ..Sums::default() });
        let both: Vec<_> = beside(&ours, &theirs).into_iter().map(|((_, what), sums)| (what, sums)).collect();
        assert_eq!(both, [("routed", (0, 11)), ("onchain_fee", (7, 7)), ("rebalance_fee", (2, 0))]);
    }
}
