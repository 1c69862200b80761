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
    near(cost(few), 0.4 * 100.0 + 0.6 * of_peer, Basis::Pair { moves: 2, guessed: false });
    // Without a route the rest is a guess.
    let of_peer = 0.4 * 100.0 + 0.6 * 150.0;
    let guessed = cost(scene().past(2, Some(100), MoveFailure::Lost));
    near(guessed, 0.4 * 100.0 + 0.6 * of_peer, Basis::Pair { moves: 2, guessed: true });
    near(
        cost(scene().route(2, 1, 300).past(5, Some(100), MoveFailure::Lost)),
        100.0,
        Basis::Pair { moves: 5, guessed: false },
    );
    let mut other = scene().past(6, Some(120), MoveFailure::Lost);
    other.past.iter_mut().for_each(|past| past.from = peer(9));
    near(cost(other), 120.0, Basis::Peer { moves: 6, guessed: false });
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
fn a_guess_is_no_ground_for_a_move_where_the_node_looks_for_routes() {
    let scene = || Scene { guesses: false, ..scene() };
    assert!(matches!(scene().why(1), Reason::Unsearched { profit } if profit > 0.0));
    assert_eq!(scene().searched(2, 1, Route::None).why(1), Reason::NoRoute);
    assert_eq!(scene().route(2, 1, 300).plan().moves.len(), 1);
    // Few own moves leave room for a guess; enough of them do not.
    assert!(matches!(scene().past(2, Some(100), MoveFailure::Lost).why(1), Reason::Unsearched { .. }));
    assert_eq!(scene().past(5, Some(100), MoveFailure::Lost).plan().moves.len(), 1);
    // What has come across before may again, whatever the search finds.
    let found_none = scene().past(2, Some(100), MoveFailure::Lost).searched(2, 1, Route::None);
    assert_eq!(found_none.only().numbers.basis, Basis::Pair { moves: 2, guessed: false });
}

#[test]
fn whoever_insists_may_try_where_no_route_was_found() {
    let scene = scene().searched(2, 1, Route::None);
    let order = |force: bool| Wanted { from: scid(2), to: scid(1), amount: Sat(100_000), max_fee: None, force };
    let by_hand = |force: bool| scene.with(|i| by_hand(i, &order(force)));
    assert_eq!(by_hand(false).unwrap_err().why, Reason::NoRoute);
    assert!(by_hand(true).unwrap().numbers.basis.is_guess());
}

#[test]
fn a_dearer_way_is_refused_with_its_numbers() {
    let scene = scene().route(2, 1, 900);
    let Reason::TooDear { difference, cost, basis, .. } = scene.why(1) else { panic!("{}", scene.plan()) };
    assert!(difference < 800.1 && (cost - 900.0).abs() < 1.0 && basis == Basis::Route);
}

#[test]
fn what_has_been_learned_counts_before_what_was_seen() {
    let mut scene = scene();
    scene.flows[0] = Some(flow(0.0, 0.0));
    assert_eq!(scene.why(1), Reason::NoDemand, "nothing left, because there was nothing to send");
    scene.peers.insert(peer(1), wanted(800.0, 400_000.0));
    assert_eq!(scene.plan().moves.len(), 1);
}

/// Payers who give up one by one as the fee rises to `ppm`; at no fee at all `sat` a day.
fn wanted(ppm: f64, sat: f64) -> PeerFacts {
    let worth = Worth::new(vec![(0.0, ppm), (sat * 1000.0 / 2.0, 0.0)], 40.0);
    PeerFacts { wanted_per_day: Some(sat * 1000.0 / 2.0), worth, ..PeerFacts::default() }
}

#[test]
fn a_channel_of_known_payers_is_filled_to_where_more_would_only_be_sold_for_less() {
    let table = [
        // sat a day that would leave for nothing, that come in anyhow, fees of the way, whether it is filled
        (400_000.0, 0.0, 150, true),
        (400_000.0, 50_000.0, 150, true),
        (400_000.0, 200_000.0, 150, false),
        (400_000.0, 0.0, 780, false),
        (4_000.0, 0.0, 150, false),
        (4_000_000.0, 0.0, 400, true),
    ];
    for (sat, into, ppm, filled) in table {
        let mut scene = scene().route(2, 1, ppm);
        scene.flows[0] = Some(flow(0.0, into));
        scene.peers.insert(peer(1), wanted(800.0, sat));
        let plan = scene.plan();
        assert_eq!(!plan.moves.is_empty(), filled, "{sat} a day, {into} come in, {ppm} ppm:\n{plan}");
    }
}

#[test]
fn what_comes_in_by_other_ways_counts_with_the_doubt_in_its_count() {
    let table = [
        // sat a day that come in by other ways, days for which they were counted, whether the channel is filled
        (0.0, 0.0, true),
        (30_000.0, 20.0, true),
        (30_000.0, 0.2, false),
        (-30_000.0, 0.2, true),
        (200_000.0, 20.0, false),
    ];
    for (sat, other_days, filled) in table {
        let mut scene = scene().route(2, 1, 150);
        scene.flows[0] = Some(flow(0.0, 0.0));
        let facts = PeerFacts { other_per_day: sat * 1000.0, other_days, ..wanted(800.0, 400_000.0) };
        scene.peers.insert(peer(1), facts);
        let plan = scene.plan();
        assert_eq!(!plan.moves.is_empty(), filled, "{sat} a day, counted for {other_days} days:\n{plan}");
    }
}

#[test]
fn what_a_known_source_gives_up_is_what_it_would_have_sold() {
    let profit = |sat: f64| {
        let mut scene = scene();
        scene.budget.room = Msat(u64::MAX);
        scene.peers.insert(peer(2), wanted(600.0, sat));
        scene.plan().moves.first().map_or(0.0, |made| made.numbers.profit)
    };
    let profits = [100_000.0, 400_000.0, 1_000_000.0, 2_000_000.0, 4_000_000.0].map(profit);
    assert!(profits.windows(2).all(|pair| pair[0] >= pair[1]) && profits[0] > profits[4], "{profits:?}");
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
