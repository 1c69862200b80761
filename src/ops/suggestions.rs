//! Which peers deserve another policy: what the ledger knows of each, handed to the room that judges it. Changes nothing.

use anyhow::Context;

use super::Ops;
use crate::domain::{Channel, Msat, PeerId, Ppm, Scid, Time};
use crate::ledger::Earnings;
use crate::policy::suggest::{self, Record, Suggestion, WINDOW_DAYS};

/// One peer that deserves another policy, with the numbers behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct SuggestionReport {
    pub peer: PeerId,
    pub scids: Vec<Scid>,
    pub capacity: Msat,
    pub local: Msat,
    pub fee: Ppm,
    pub out: Msat,
    pub incoming: Msat,
    pub forwards: u64,
    pub earned: Msat,
    pub brought: Msat,
    pub last_forward: Option<Time>,
    pub suggestion: Suggestion,
}

impl Ops {
    /// By what channels have earned lately; the gravest come first.
    pub async fn suggestions(&self) -> anyhow::Result<Vec<SuggestionReport>> {
        let (now, options) = (self.now(), self.settings.now());
        let Some(view) = self.last_view() else { return Ok(Vec::new()) };
        let since = now.plus_hours(-24.0 * f64::from(WINDOW_DAYS));
        let earnings = self.ledger.earnings(since).await.context("summing up what channels have earned")?;
        let policies = self.policies().await?;
        let mut reports = Vec::new();
        for (peer, channels) in view.priced_by_peer() {
            let sums: Vec<Earnings> = channels.iter().filter_map(|c| earnings.get(&c.channel_id)).copied().collect();
            let record = Record { policy: policies.get(&peer), ..record(peer, &channels, &sums) };
            let Some(suggestion) = suggest::suggest(&record, Ppm(options.min_fee_ppm), now) else { continue };
            let scids = channels.iter().filter_map(|channel| channel.scid).collect();
            reports.push(report(&record, scids, suggestion));
        }
        reports.sort_by_key(|report| (report.suggestion.severity != "high", report.peer));
        Ok(reports)
    }
}

fn record(peer: PeerId, channels: &[&Channel], sums: &[Earnings]) -> Record<'static> {
    let sum = |of: fn(&Earnings) -> u64| Msat(sums.iter().map(of).fold(0, u64::saturating_add));
    let largest = channels.iter().max_by_key(|channel| channel.capacity);
    Record {
        peer,
        capacity: channels.iter().map(|channel| channel.capacity).sum(),
        local: channels.iter().map(|channel| channel.local).sum(),
        fee: largest.map_or(Ppm(0), |channel| channel.ours.ppm),
        out: sum(|earnings| earnings.out_msat),
        incoming: sum(|earnings| earnings.in_msat),
        forwards: sum(|earnings| earnings.forwards).0,
        earned: sum(|earnings| earnings.earned_msat),
        brought: sum(|earnings| earnings.brought_msat),
        last_forward: sums.iter().filter_map(|earnings| earnings.last_forward).max(),
        // A peer with a new channel is not given up for its old one.
        known_since: sums.iter().filter_map(|earnings| earnings.noted_at).max(),
        policy: None,
    }
}

fn report(record: &Record, scids: Vec<Scid>, suggestion: Suggestion) -> SuggestionReport {
    SuggestionReport {
        peer: record.peer,
        scids,
        capacity: record.capacity,
        local: record.local,
        fee: record.fee,
        out: record.out,
        incoming: record.incoming,
        forwards: record.forwards,
        earned: record.earned,
        brought: record.brought,
        last_forward: record.last_forward,
        suggestion,
    }
}
