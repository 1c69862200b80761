//! Which peers deserve another policy: what the ledger knows of each, handed to the room that judges it. Changes nothing.

use anyhow::Context;

use super::Ops;
use crate::domain::{Channel, Msat, PeerId, Ppm, Scid};
use crate::ledger::{Earnings, Moved};
use crate::policy::suggest::{self, Record, Suggestion, WINDOW_DAYS};

/// One peer that deserves another policy, with the numbers behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct SuggestionReport {
    pub scids: Vec<Scid>,
    pub record: Record,
    pub suggestion: Suggestion,
    /// What refilling its channels has cost in the window; `None`: the node's books have not been read yet.
    pub rebalance_cost: Option<Msat>,
}

impl Ops {
    /// By what channels have earned lately; the gravest come first.
    pub async fn suggestions(&self) -> anyhow::Result<Vec<SuggestionReport>> {
        let (now, options) = (self.now(), self.settings.now());
        let Some(view) = self.last_view() else { return Ok(Vec::new()) };
        let window = i64::from(WINDOW_DAYS) * 86_400;
        let earnings = self.ledger.earnings(now, window).await.context("summing up what channels have earned")?;
        let costs =
            self.ledger.window(Some(now.plus_secs(-window))).await.context("adding up what refills have cost")?;
        let is_read = self.books_sight().read_at.is_some();
        let policies = self.policies().await?;
        let mut reports = Vec::new();
        for (peer, channels) in view.priced_by_peer() {
            let sums: Vec<Earnings> = channels.iter().filter_map(|c| earnings.get(&c.channel_id)).copied().collect();
            let record = record(peer, &channels, &sums);
            let least = Ppm(options.min_fee_ppm);
            let Some(suggestion) = suggest::suggest(&record, policies.get(&peer), least, now) else { continue };
            let scids = channels.iter().filter_map(|channel| channel.scid).collect();
            let refills = channels.iter().filter_map(|c| costs.channels.get(&c.channel_id)).map(|s| s.costs.rebalance);
            let rebalance_cost = is_read.then(|| Msat(refills.fold(0, u64::saturating_add)));
            reports.push(SuggestionReport { scids, record, suggestion, rebalance_cost });
        }
        reports.sort_by_key(|report| (report.suggestion.severity != "high", report.record.peer));
        Ok(reports)
    }
}

fn record(peer: PeerId, channels: &[&Channel], sums: &[Earnings]) -> Record {
    let sum =
        |of: fn(&Moved) -> u64| Msat(sums.iter().map(|earnings| of(&earnings.moved)).fold(0, u64::saturating_add));
    let largest = channels.iter().max_by_key(|channel| channel.capacity);
    Record {
        peer,
        capacity: channels.iter().map(|channel| channel.capacity).sum(),
        local: channels.iter().map(|channel| channel.local).sum(),
        fee: largest.map_or(Ppm(0), |channel| channel.ours.ppm),
        out: sum(|moved| moved.out_msat),
        incoming: sum(|moved| moved.in_msat),
        forwards: sum(|moved| moved.in_count.saturating_add(moved.out_count)).0,
        earned: sum(|moved| moved.earned_msat),
        brought: sum(|moved| moved.brought_msat),
        last_forward: sums.iter().filter_map(|earnings| earnings.last_forward).max(),
        // A peer with a new channel is not given up for its old one.
        known_since: sums.iter().filter_map(|earnings| earnings.noted_at).max(),
    }
}
