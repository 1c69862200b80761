//! The budget, and how moves share it.

use super::*;

fn funds() -> Funds {
    Funds {
        spent: Msat(1_000_000),
        reserved: Msat(500_000),
        revenue: Msat(10_000_000),
        onchain: Some(Msat(400_000_000)),
        outbound: Msat(700_000_000),
        running: 1,
    }
}

fn limits() -> Limits {
    Limits { daily: Sat(2_000), share: Share::new(0.3), wallet_reserve: Sat(1_000_000), jobs: 3 }
}

#[test]
fn the_budget_is_what_is_left_of_the_larger_limit() {
    let now = budget(&funds(), &limits());
    assert_eq!((now.limit, now.room, now.slots, now.stop), (Msat(3_000_000), Msat(1_500_000), 2, None));
    let fixed = budget(&funds(), &Limits { share: None, ..limits() });
    assert_eq!((fixed.limit, fixed.room), (Msat(2_000_000), Msat(500_000)));
    let poor = budget(&Funds { revenue: Msat(0), ..funds() }, &limits());
    assert_eq!(poor.limit, Msat(2_000_000));
}

#[test]
fn everything_that_stops_it_has_a_name() {
    let spent = budget(&Funds { spent: Msat(3_000_000), ..funds() }, &limits());
    assert!(matches!(spent.stop, Some(Stop::Spent { .. })));
    let busy = budget(&Funds { running: 4, ..funds() }, &limits());
    assert_eq!(busy.stop, Some(Stop::Jobs { running: 4, most: 3 }));
    let unknown = budget(&Funds { onchain: None, ..funds() }, &limits());
    assert!(matches!(unknown.stop, Some(Stop::WalletReserve { .. })), "what the node did not say counts for nothing");
    let none = budget(&funds(), &Limits { daily: Sat(0), share: None, ..limits() });
    assert_eq!((none.room, none.stop.is_some()), (Msat(0), true));
}

#[test]
fn a_reservation_covers_every_rate_that_was_allowed() {
    assert_eq!(reservation(Sat(150_000), Sat(50_000), Ppm(2000)), Some(Msat(150_000_000 / 1000 * 2001 / 1000 + 3)));
    assert_eq!(reservation(Sat(1), Sat(0), Ppm(1)), None);
    assert_eq!(reservation(Sat(u64::MAX), Sat(1), Ppm(1)), None);
}

#[test]
fn a_short_budget_lowers_the_rate_first_and_then_the_amount() {
    let mut scene = scene();
    scene.budget.room = Msat(u64::MAX);
    let whole = scene.only();
    let mut amounts = vec![whole.order.amount];
    for room in [1_000_000, 600_000, 500_000, 300_000, 100_000, 30_000] {
        scene.budget.room = Msat(room);
        let made = scene.only();
        assert!(made.reserved <= Msat(room), "{made}");
        assert!(made.order.max.as_f64() >= made.numbers.cost * 1e6 / made.order.amount.as_f64() / 1000.0);
        amounts.push(made.order.amount);
    }
    assert!(amounts[1] == amounts[0] && amounts.windows(2).all(|pair| pair[0] >= pair[1]), "{amounts:?}");
    assert!(amounts.last() < Some(&Sat(200_000)));
    // A channel so small that it is filled to the brim: its last satoshi is worth far more than the way costs.
    scene.channels[0].receivable = Some(Msat(500_000_000));
    scene.budget.room = Msat(u64::MAX);
    let brim = scene.only();
    scene.budget.room = Msat(200_000);
    let made = scene.only();
    assert!(made.order.amount == brim.order.amount && made.order.max < brim.order.max, "{brim}\n{made}");
    scene.budget.room = Msat(1_000);
    assert!(matches!(scene.why(1), Reason::TooSmall { .. }));
}

/// Three channels that are wanted, the first most, and three to drain for them.
fn many() -> Scene {
    let mut channels: Vec<Channel> = [900, 700, 500].iter().zip(1..).map(|(ppm, n)| channel(n, 0.05, *ppm)).collect();
    channels.extend((4..7).map(|n| channel(n, 0.95, 100)));
    let flows = (1..7).map(|n| Some(flow(if n < 4 { 400_000.0 } else { 0.0 }, 0.0))).collect();
    scene_of(channels, flows)
}

#[test]
fn the_best_come_first_and_each_peer_once() {
    let mut scene = many();
    let plan = scene.plan();
    let to: Vec<u8> = plan.moves.iter().map(|made| made.to.0[0]).collect();
    assert_eq!(to, [1, 2, 3], "{plan}");
    let mut from: Vec<u8> = plan.moves.iter().map(|made| made.from.0[0]).collect();
    from.sort_unstable();
    assert_eq!(from, [4, 5, 6]);
    assert!(plan.moves.iter().map(|made| made.reserved).sum::<Msat>() <= scene.budget.room);

    scene.budget.slots = 1;
    assert!(matches!(scene.why(2), Reason::NoSlot { .. }));
    scene.budget.slots = 5;
    scene.channels.truncate(4);
    assert!(matches!(scene.why(2), Reason::Taken { .. }));
    scene.budget.stop = Some(Stop::Jobs { running: 5, most: 5 });
    let plan = scene.plan();
    assert!(plan.moves.is_empty() && matches!(scene.why(1), Reason::Budget { profit, .. } if profit > 0.0), "{plan}");
}

#[test]
fn a_channel_that_is_asked_for_need_not_be_the_best() {
    let scene = many();
    let best = scene.with(|i| best_for(i, scid(3), None)).unwrap();
    assert_eq!(best.to, ChannelId([3; 32]));
    let refusal = scene.with(|i| best_for(i, scid(4), None)).unwrap_err();
    assert!(matches!(refusal.why, Reason::NoRoom { .. }), "{refusal}");
    assert_eq!(scene.with(|i| best_for(i, scid(99), None)).unwrap_err().why, Reason::Unknown);
}

#[test]
fn the_best_move_costs_no_more_than_it_may() {
    let scene = many();
    let best = |max_fee| scene.with(|i| best_for(i, scid(3), max_fee));
    let free = best(None).unwrap();
    for sat in [5_000, 1_000, 200, 20] {
        match best(Some(Sat(sat))) {
            Ok(made) => {
                println!("{sat}: {made}");
                assert!(made.reserved <= Msat(sat * 1000), "{sat}: {made}");
                assert!(made.reserved <= free.reserved && made.order.amount <= free.order.amount, "{sat}: {made}");
            }
            Err(refusal) => assert!(
                sat < 1_000 && matches!(refusal.why, Reason::TooSmall { .. } | Reason::Profit { .. }),
                "{refusal}"
            ),
        }
    }
    assert!(best(Some(Sat(1))).is_err());
}
