//! Where an expected cost comes from.

use super::*;

#[test]
fn own_moves_come_first_then_the_route_then_the_peers_fee() {
    let cost = |scene: Scene| {
        let Numbers { cost, basis, .. } = scene.only().numbers;
        let amount = scene.only().order.amount.as_f64() * 1000.0;
        (cost * 1e6 / amount / (amount / 5e8).max(1.0).powf(0.15), basis)
    };
    let near = |(ppm, basis): (f64, Basis), expected: f64, from: Basis| {
        assert!((ppm - expected).abs() < 1.0 && basis == from, "{ppm} {basis}, not {expected} {from}");
    };
    near(cost(scene()), 150.0, Basis::PeerFee);
    near(cost(scene().route(2, 1, 300)), 300.0, Basis::Route);
    // Two of five moves: two fifths of their median.
    let few = scene().route(2, 1, 300).past(2, Some(100), MoveFailure::Lost);
    let of_peer = 0.4 * 100.0 + 0.6 * 300.0;
    near(cost(few), 0.4 * 100.0 + 0.6 * of_peer, Basis::Pair { moves: 2 });
    near(cost(scene().route(2, 1, 300).past(5, Some(100), MoveFailure::Lost)), 100.0, Basis::Pair { moves: 5 });
    let mut other = scene().past(6, Some(120), MoveFailure::Lost);
    other.past.iter_mut().for_each(|past| past.from = peer(9));
    near(cost(other), 120.0, Basis::Peer { moves: 6 });
}

#[test]
fn what_is_unknown_is_not_nothing() {
    let mut scene = scene();
    scene.channels[0].theirs = None;
    assert_eq!(scene.why(1), Reason::CostUnknown);
    assert_eq!(scene.clone().route(2, 1, 100).plan().moves.len(), 1);
    scene = self::scene();
    scene.flows[0] = None;
    assert_eq!(scene.why(1), Reason::DemandUnknown);
    scene = self::scene();
    scene.flows[1] = None;
    assert_eq!(scene.why(1), Reason::NoSource, "what a channel is worth that nobody has analysed is not known either");
}

#[test]
fn a_dearer_way_is_refused_with_its_numbers() {
    let scene = scene().route(2, 1, 900);
    let Reason::TooDear { difference, cost, basis } = scene.why(1) else { panic!("{}", scene.plan()) };
    assert!(difference < 800.1 && (cost - 900.0).abs() < 1.0 && basis == Basis::Route);
}

#[test]
fn what_has_been_learned_counts_before_what_was_seen() {
    let mut scene = scene();
    scene.flows[0] = Some(flow(0.0, 0.0));
    assert_eq!(scene.why(1), Reason::NoDemand, "nothing left, because there was nothing to send");
    scene.peers.insert(peer(1), PeerFacts { wanted_per_day: Some(4e8), ..PeerFacts::default() });
    assert_eq!(scene.plan().moves.len(), 1);
}

#[test]
fn a_newcomer_is_taken_for_half_of_the_others() {
    let mut scene = scene();
    scene.channels.push(channel(3, 0.05, 800));
    scene.flows.push(Some(flow(0.0, 0.0)));
    scene.modes.push(RebalanceMode::Enabled);
    scene.hive.push(false);
    scene.newcomers.push(true);
    scene.busy.push(None);
    scene.modes[0] = RebalanceMode::Disabled;
    assert_eq!(scene.only().to, ChannelId([3; 32]));
    scene.newcomers[2] = false;
    assert_eq!(scene.why(3), Reason::NoDemand);
}

#[test]
fn channels_with_one_peer_share_what_is_wanted() {
    let alone = scene().only().order.amount;
    let mut scene = scene();
    let mut sibling = channel(3, 0.5, 800);
    sibling.peer = peer(1);
    scene.channels.push(sibling);
    scene.flows.push(Some(flow(0.0, 0.0)));
    scene.modes.push(RebalanceMode::Disabled);
    scene.hive.push(false);
    scene.newcomers.push(false);
    scene.busy.push(None);
    let plan = scene.plan();
    assert!(plan.moves.iter().all(|made| made.order.amount < alone), "{plan}");
}
