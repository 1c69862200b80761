//! Policies as commands show them: one shape for all of them.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::domain::{Limits, PeerId, Policy, Pricing, RebalanceMode, Time};
use crate::ops::{FeeOutcome, Ops, PolicyAnswer, PolicyChange, PolicyChangeKind, SuggestionReport};
use crate::options::Options;
use crate::policy::peer::{PeerPolicy, Strategy};

/// A peer's own policy, or the default, as of now.
pub(super) struct P<'a>(pub(super) PeerId, pub(super) Option<&'a PeerPolicy>, pub(super) Time);

impl P<'_> {
    fn json(&self) -> Value {
        let P(peer, policy, now) = self;
        let of = |read: fn(&PeerPolicy) -> Value| policy.map_or(Value::Null, read);
        let strategy = policy.and_then(|p| p.strategy).unwrap_or(Strategy::Dynamic);
        let mode = policy.and_then(|p| p.rebalance).unwrap_or(RebalanceMode::Enabled);
        json!({
            "peer_id": peer,
            "strategy": strategy.name(),
            "rebalance_mode": mode.name(),
            "fee_ppm_target": of(|p| json!(p.fee)),
            "tags": policy.map(|p| p.tags.clone()).unwrap_or_default(),
            "updated_at": of(|p| json!(p.updated_at.secs())),
            "fee_multiplier_min": of(|p| json!(p.multiplier_min)),
            "fee_multiplier_max": of(|p| json!(p.multiplier_max)),
            "expires_at": of(|p| json!(p.expires_at.map(Time::secs))),
            "is_expired": policy.is_some_and(|p| p.is_expired(*now)),
        })
    }
}

impl Serialize for P<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

/// What a wish has led to.
pub(super) fn shown(answer: &PolicyAnswer, now: Time) -> P<'_> {
    P(answer.peer, answer.policy.as_ref(), now)
}

pub(super) fn message(answer: &PolicyAnswer) -> String {
    let PolicyAnswer { peer, policy, unchanged } = answer;
    let Some(policy) = policy else { return format!("{peer} has no policy of its own") };
    let default = match policy.strategy {
        Some(_) => "",
        // The row shows the default, which rules may change.
        None => " ('dynamic', unless a rule says otherwise)",
    };
    match unchanged {
        true => format!("the policy of {peer} was like that already: {policy}{default}"),
        false => format!("policy of {peer}: {policy}{default}"),
    }
}

/// What of the policy has no effect, and what else to know.
pub(super) fn advise(answer: &mut Value, done: &PolicyAnswer, options: &Options) {
    let Some(policy) = &done.policy else { return };
    let strategy = policy.strategy.unwrap_or(Strategy::Dynamic);
    if policy.fee.is_some() && strategy != Strategy::Static {
        let instead = match strategy {
            Strategy::Hive => format!("'hive' charges revenue-ops-hive-fee-ppm ({} ppm)", options.hive_fee_ppm),
            other => format!("'{}' does not use it", other.name()),
        };
        answer["warning_fee_ppm"] = json!(format!("fee_ppm is kept for strategy 'static'; {instead}"));
    }
    let bounded = policy.multiplier_min.is_some() || policy.multiplier_max.is_some();
    if bounded && strategy != Strategy::Dynamic {
        answer["warning_fee_multiplier"] =
            json!(format!("the multipliers bound the controller, and strategy '{}' does not ask it", strategy.name()));
    }
    if options.dry_run {
        answer["warning_dry_run"] = json!("dry-run is on: no fee is set on the node");
    }
}

/// What follows for channels from all sources.
pub(super) fn in_force(policy: &Policy) -> Value {
    let Limits { min, max, max_step, multiplier_min, multiplier_max } = policy.limits;
    let (pricing, from) = match policy.pricing {
        Pricing::Controller => ("controller", None),
        Pricing::ControllerFrom(fee) => ("controller", Some(fee)),
        Pricing::Exact => ("exact", None),
        Pricing::Untouched => ("untouched", None),
    };
    let ruling = |ruling: &crate::domain::Ruling| json!({ "member": ruling.member, "value": ruling.value, "source": ruling.source.to_string() });
    json!({
        "pricing": pricing,
        "fee_ppm": policy.exact(),
        "starts_at_ppm": from,
        "rebalance_mode": policy.rebalance.name(),
        "min_fee_ppm": min,
        "max_fee_ppm": max,
        "max_step_ppm": max_step,
        "fee_multiplier_min": multiplier_min,
        "fee_multiplier_max": multiplier_max,
        "tags": policy.tags,
        "trail": policy.trail.iter().map(ruling).collect::<Vec<_>>(),
    })
}

/// The present names of the channels with the peer.
pub(super) fn channels(ops: &Ops, peer: PeerId) -> Vec<String> {
    let view = ops.last_view();
    let all = view.as_ref().map(|view| view.channels.as_slice()).unwrap_or_default();
    let of_peer = all.iter().filter(|channel| channel.peer == peer);
    of_peer.filter_map(|channel| channel.scid).map(|scid| scid.to_string()).collect()
}

pub(super) fn change(change: &PolicyChange, now: Time) -> Value {
    let mut row = P(change.policy.peer, Some(&change.policy), now).json();
    let kind = match change.kind {
        PolicyChangeKind::Set => "set",
        PolicyChangeKind::Deleted => "deleted",
        PolicyChangeKind::Expired => "expired",
    };
    row["change"] = json!(kind);
    row["deleted"] = json!(change.kind != PolicyChangeKind::Set);
    row["updated_at"] = json!(change.at.secs());
    row
}

/// The fees that changed.
pub(super) fn fees(outcomes: &[FeeOutcome]) -> Value {
    let moved = outcomes.iter().filter(|outcome| outcome.is_change());
    let row = |outcome: &FeeOutcome| {
        json!({
            "channel_id": outcome.scid.map_or_else(|| outcome.channel.to_string(), |scid| scid.to_string()),
            "old_fee_ppm": outcome.old,
            "new_fee_ppm": outcome.new,
            "outcome": outcome.outcome(),
        })
    };
    moved.map(row).collect::<Vec<_>>().into()
}

pub(super) fn suggestion(report: &SuggestionReport) -> Value {
    let (record, suggested) = (&report.record, &report.suggestion);
    let strategy = suggested.strategy.map(|s| format!(" strategy={}", s.name())).unwrap_or_default();
    json!({
        "peer_id": record.peer,
        "channels": report.scids,
        "kind": suggested.kind.name(),
        "severity": suggested.severity,
        "reason": suggested.reason,
        "command": format!("revenue-policy set {}{strategy} rebalance={}", record.peer, suggested.rebalance.name()),
        "capacity_sats": record.capacity.sat_floor(),
        "local_sats": record.local.sat_floor(),
        "fee_ppm": record.fee,
        "out_sats": record.out.sat_floor(),
        "in_sats": record.incoming.sat_floor(),
        "forward_count": record.forwards,
        "earned_msat": record.earned,
        "brought_msat": record.brought,
        "last_forward": record.last_forward.map(Time::secs),
        "rebalance_cost_sats": report.rebalance_cost.map(|cost| cost.sat_floor()),
    })
}
