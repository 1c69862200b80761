//! What may stand in the way of a move.

use super::*;

#[test]
fn policies_say_which_way() {
    use RebalanceMode::{Disabled, Enabled, SinkOnly, SourceOnly};
    for (fill, drain, allowed) in [
        (Enabled, Enabled, true),
        (SinkOnly, SourceOnly, true),
        (SourceOnly, Enabled, false),
        (Enabled, SinkOnly, false),
        (Disabled, Enabled, false),
        (Enabled, Disabled, false),
    ] {
        let mut scene = scene();
        scene.modes = vec![fill, drain];
        assert_eq!(!scene.plan().moves.is_empty(), allowed, "{fill:?} {drain:?}");
    }
}

#[test]
fn a_channel_that_is_at_work_is_left_alone() {
    for (n, busy, why) in [
        (0, Busy::Others, Reason::ForeignJob),
        (0, Busy::Us, Reason::UnderWay),
        (1, Busy::Others, Reason::NoSource),
        (1, Busy::Us, Reason::NoSource),
    ] {
        let mut scene = scene();
        scene.busy[n] = Some(busy);
        assert_eq!(scene.why(1), why);
    }
    let mut scene = scene();
    scene.channels[0].connected = false;
    assert_eq!(scene.why(1), Reason::Offline);
}

#[test]
fn after_failures_there_is_a_wait_by_their_kind() {
    let waits = |scene: &Scene| scene.plan().moves.is_empty() && matches!(scene.why(1), Reason::BackOff { .. });
    assert!(!waits(&scene().past(1, None, MoveFailure::Liquidity)), "a quarter of an hour is over");
    assert!(waits(&scene().past(4, None, MoveFailure::Liquidity)), "doubled three times: two hours");
    assert!(waits(&scene().past(1, None, MoveFailure::NoRoute)), "six hours");
    let mut after = scene().past(4, None, MoveFailure::TooDear);
    assert!(waits(&after));
    after.past.extend(scene().past(1, Some(100), MoveFailure::Lost).past);
    assert!(!waits(&after), "a success ends it");
}

#[test]
fn ten_failures_are_futile_for_two_days() {
    let mut scene = scene().past(10, None, MoveFailure::Liquidity);
    let Reason::Futile { failures: 10, until, .. } = scene.why(1) else { panic!("{}", scene.plan()) };
    assert_eq!(until, NOW.plus_hours(47.0));
    assert!(matches!(self::scene().past(9, None, MoveFailure::Liquidity).why(1), Reason::BackOff { .. }));
    scene.past.iter_mut().for_each(|past| past.ended = past.ended.plus_hours(-48.0));
    assert_eq!(scene.plan().moves.len(), 1);
    scene.past.iter_mut().for_each(|past| past.ended = past.ended.plus_hours(96.0));
    assert_eq!(scene.plan().moves.len(), 1, "failures of a time that is still to come do not hold for ever");
}

#[test]
fn a_small_profit_is_not_enough() {
    let mut scene = scene();
    let profit = scene.only().numbers.profit;
    scene.tuning.min_profit = Msat(crate::domain::units::to_u64_rounded(profit) + 1000);
    assert!(matches!(scene.why(1), Reason::Profit { .. }));
    scene.tuning.min_profit_ppm = Some(Ppm(1));
    assert_eq!(scene.plan().moves.len(), 1, "the rate takes the place of the amount");
    scene.tuning.min_profit_ppm = Some(Ppm(2000));
    assert!(matches!(scene.why(1), Reason::Profit { .. }));
}

#[test]
fn toward_the_hive_a_little_may_be_lost() {
    let mut scene = scene();
    scene.channels[0].ours.ppm = Ppm(0);
    assert_eq!(scene.why(1), Reason::NoDemand);
    scene.hive[0] = true;
    let made = scene.only();
    assert!(made.numbers.strategic && made.numbers.value - made.numbers.cost >= -50_000.0, "{made}");
    assert!(made.reserved <= Msat(51_000), "no more is staked than may be lost: {made}");
    // Whoever names both channels and the amount is judged alike.
    let order = Wanted { from: scid(2), to: scid(1), amount: made.order.amount, max_fee: None, force: false };
    let named = scene.with(|i| by_hand(i, &order)).unwrap();
    assert_eq!((named.order, named.reserved), (made.order, made.reserved), "{named}");
    // What may be lost may be more than the budget has; the rate is lowered then.
    (scene.tuning.hive_tolerance, scene.budget.room) = (Msat(90_000), Msat(60_000));
    let poor = scene.with(|i| by_hand(i, &order)).unwrap();
    assert!(poor.reserved <= Msat(60_000) && poor.order.amount == made.order.amount, "{poor}");
    scene.tuning.hive_tolerance = Msat(1_000);
    assert!(scene.plan().moves.is_empty());
    assert!(matches!(scene.with(|i| by_hand(i, &order)).unwrap_err().why, Reason::Profit { .. }));
    scene.channels[0] = Channel { ours: scene.channels[0].ours, ..channel(1, 0.6, 0) };
    scene.tuning.hive_tolerance = Msat(50_000);
    assert!(scene.plan().moves.is_empty(), "more than half full");
}

#[test]
fn kelly_stakes_less_and_reputation_lowers_the_chance() {
    let whole = scene().only();
    let mut scene = scene();
    scene.tuning.kelly = Share::new(0.5);
    let less = scene.only();
    assert!(less.order.amount < whole.order.amount && less.reserved <= whole.reserved, "{less}");
    scene.peers.insert(peer(1), PeerFacts { reputation: Share::new(0.3), ..PeerFacts::default() });
    assert!(matches!(scene.why(1), Reason::Kelly { .. } | Reason::TooSmall { .. }));
    scene.tuning.kelly = None;
    assert!(scene.only().numbers.chance < 0.31 * whole.numbers.chance + 1e-9);
}

#[test]
fn what_is_drained_costs_what_it_would_have_earned() {
    let mut scene = scene();
    scene.flows[1] = Some(flow(900_000.0, 0.0));
    scene.channels[1].ours.ppm = Ppm(800);
    assert!(scene.plan().moves.is_empty(), "both are wanted alike:\n{}", scene.plan());
}

#[test]
fn only_demand_moves_an_idle_channel() {
    let mut scene = scene();
    scene.flows[0] = Some(flow(0.0, 0.0));
    assert_eq!(scene.why(1), Reason::NoDemand);
}

#[test]
fn an_operator_may_insist_but_not_on_more_than_the_budget() {
    let order = |force, max_fee| Wanted { from: scid(2), to: scid(1), amount: Sat(200_000), max_fee, force };
    let dear = scene().route(2, 1, 900);
    let by_hand = |scene: &Scene, wanted: Wanted| scene.with(|i| by_hand(i, &wanted));
    assert!(by_hand(&scene(), order(false, None)).is_ok());
    assert!(matches!(by_hand(&dear, order(false, None)).unwrap_err().why, Reason::Profit { .. }));
    let made = by_hand(&dear, order(true, None)).unwrap();
    assert!(made.order.max >= Ppm(900) && made.order.amount == Sat(200_000), "{made}");
    assert_eq!(by_hand(&dear, order(true, Some(Sat(40)))).unwrap().order.max, Ppm(200));
    let mut poor = dear.clone();
    poor.budget.room = Msat(100_000);
    assert!(matches!(by_hand(&poor, order(true, None)).unwrap_err().why, Reason::NoMoney { .. }));
    poor = dear.clone();
    poor.budget.stop = Some(Stop::Jobs { running: 5, most: 5 });
    assert!(matches!(by_hand(&poor, order(true, None)).unwrap_err().why, Reason::Budget { .. }));
    poor = dear.clone();
    poor.modes[0] = RebalanceMode::SourceOnly;
    assert!(matches!(by_hand(&poor, order(true, None)).unwrap_err().why, Reason::Policy { .. }));
    let too_much = Wanted { amount: Sat(4_900_000), ..order(true, None) };
    assert!(matches!(by_hand(&dear, too_much).unwrap_err().why, Reason::NoRoom { .. }));
    let nowhere = Wanted { to: scid(77), ..order(true, None) };
    assert_eq!(by_hand(&dear, nowhere).unwrap_err().why, Reason::Unknown);
}
