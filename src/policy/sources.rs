//! Where the sources of a policy meet: what each channel may do, and who said so.

use super::peer::{PeerPolicy, Strategy};
use crate::domain::{Policy, Ppm, Pricing, Ruling, Source, Terms};

/// A channel's policy from its sources: the peer's own policy is stronger than what the rules say (`None`: no rule speaks), and these
/// are stronger than the default. `hive_fee` is what peers with the strategy `hive` are charged.
pub fn resolve(peer: Option<&PeerPolicy>, rules: Option<Policy>, hive_fee: Ppm) -> Policy {
    let mut policy = rules.unwrap_or_default();
    let Some(peer) = peer else { return by_default(policy) };
    match peer.strategy {
        None => {}
        Some(strategy) => {
            policy.pricing = match strategy {
                Strategy::Dynamic => Pricing::Controller,
                Strategy::Static | Strategy::Hive => Pricing::Exact,
                Strategy::Passive => Pricing::Untouched,
            };
            policy.terms.ppm = match strategy {
                Strategy::Static => peer.fee,
                Strategy::Hive => Some(hive_fee),
                Strategy::Dynamic | Strategy::Passive => None,
            };
            policy.rollback = None;
            if strategy == Strategy::Passive {
                // Left alone means left alone: what the rules say besides the rate is not told either.
                policy.terms = Terms::default();
            }
            rule(&mut policy, "strategy", strategy.name().to_owned());
            policy.trail.retain(|ruling| ruling.member != "fee_ppm");
            if let Some(fee) = policy.terms.ppm {
                rule(&mut policy, "fee_ppm", fee.0.to_string());
            }
        }
    }
    if let Some(mode) = peer.rebalance {
        policy.rebalance = mode;
        rule(&mut policy, "rebalance_mode", mode.name().to_owned());
    }
    if let Some(least) = peer.multiplier_min {
        policy.limits.multiplier_min = Some(least);
        rule(&mut policy, "fee_multiplier_min", least.to_string());
    }
    if let Some(most) = peer.multiplier_max {
        policy.limits.multiplier_max = Some(most);
        rule(&mut policy, "fee_multiplier_max", most.to_string());
    }
    if !peer.tags.is_empty() {
        policy.tags.extend(peer.tags.iter().cloned());
        policy.trail.push(Ruling { source: Source::Peer, member: "tags".to_owned(), value: peer.tags.join(", ") });
    }
    by_default(policy)
}

/// The peer's word takes the place of any other on that member.
fn rule(policy: &mut Policy, member: &str, value: String) {
    policy.trail.retain(|ruling| ruling.member != member);
    policy.trail.push(Ruling { source: Source::Peer, member: member.to_owned(), value });
}

/// Where nobody spoke, the default did.
fn by_default(mut policy: Policy) -> Policy {
    for (member, value) in [("strategy", "dynamic"), ("rebalance_mode", "enabled")] {
        if !policy.trail.iter().any(|ruling| ruling.member == member) {
            policy.trail.push(Ruling { source: Source::Default, member: member.to_owned(), value: value.to_owned() });
        }
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Limits, PeerId, RebalanceMode, Time};
    use crate::policy::peer::{self, Change};

    fn peer(change: Change) -> PeerPolicy {
        peer::changed(None, PeerId([2; 33]), &change, Time::default()).unwrap()
    }

    fn trail(policy: &Policy) -> Vec<String> {
        policy.trail.iter().map(|r| format!("{}={} by {}", r.member, r.value, r.source)).collect()
    }

    fn section() -> Policy {
        let source = Source::Section { name: "big".to_owned(), line: 7 };
        let says = |member: &str, value: &str| Ruling {
            source: source.clone(),
            member: member.to_owned(),
            value: value.to_owned(),
        };
        Policy {
            pricing: Pricing::Exact,
            terms: Terms { ppm: Some(Ppm(300)), ..Terms::default() },
            rebalance: RebalanceMode::SinkOnly,
            trail: vec![says("strategy", "static"), says("fee_ppm", "300"), says("rebalance_mode", "sink_only")],
            ..Policy::default()
        }
    }

    #[test]
    fn the_default_is_the_controller() {
        let policy = resolve(None, None, Ppm(0));
        assert_eq!((policy.pricing, policy.limits), (Pricing::Controller, Limits::default()));
        assert_eq!(trail(&policy), ["strategy=dynamic by the default", "rebalance_mode=enabled by the default"]);
        assert_eq!(Policy { trail: vec![], ..policy }, *Policy::controller());
    }

    #[test]
    fn each_strategy_is_what_it_says() {
        for (strategy, pricing, ppm) in [
            (Strategy::Dynamic, Pricing::Controller, None),
            (Strategy::Static, Pricing::Exact, Some(Ppm(0))),
            (Strategy::Hive, Pricing::Exact, Some(Ppm(7))),
            (Strategy::Passive, Pricing::Untouched, None),
        ] {
            let change = Change { strategy: Some(strategy), fee: Some(Some(Ppm(0))), ..Change::default() };
            let policy = resolve(Some(&peer(change)), None, Ppm(7));
            assert_eq!((policy.pricing, policy.terms.ppm), (pricing, ppm), "{strategy:?}");
            assert_eq!(policy.exact(), ppm);
            assert_eq!(policy.is_priced(), strategy != Strategy::Passive);
        }
    }

    #[test]
    fn the_peer_is_stronger_than_the_rules_on_what_it_speaks_of() {
        let tagged = peer(Change { tags: Some(vec!["vip".to_owned()]), ..Change::default() });
        let policy = resolve(Some(&tagged), Some(section()), Ppm(0));
        assert_eq!((policy.exact(), policy.rebalance), (Some(Ppm(300)), RebalanceMode::SinkOnly));
        assert!(policy.tags.contains("vip"));
        assert_eq!(policy.by("fee_ppm"), "section [big], line 7");
        let passive = peer(Change { strategy: Some(Strategy::Passive), ..Change::default() });
        let policy = resolve(Some(&passive), Some(section()), Ppm(0));
        assert_eq!((policy.pricing, policy.terms.ppm), (Pricing::Untouched, None));
        assert_eq!(
            trail(&policy),
            ["rebalance_mode=sink_only by section [big], line 7", "strategy=passive by the peer's policy"]
        );
    }
}
