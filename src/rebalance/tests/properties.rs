//! What holds for every node.

use proptest::prelude::*;

use super::*;

fn nodes() -> impl Strategy<Value = Scene> {
    let one = (0.0..1.0_f64, 0_u32..2000, 0.0..2e6_f64, 0.0..1e6_f64, 0_u32..1500);
    let extra = (0_u64..3_000_000, proptest::option::of(0.1..1.0_f64), 0_u32..4, proptest::bool::ANY);
    // What has been learned of the payers of some of them: the highest fee, and what may leave in a day.
    let known = proptest::collection::vec(proptest::option::of((1.0..3000.0_f64, 1e6..1e9_f64)), 7);
    (proptest::collection::vec(one, 2..7), extra, known).prop_map(|(channels, (room, kelly, slots, hive), known)| {
        let made = (1..).zip(&channels).map(|(n, (local, ppm, _, _, theirs))| {
            let mut channel = channel(n, *local, *ppm);
            channel.theirs.as_mut().unwrap().ppm = Ppm(*theirs);
            channel
        });
        let flows = channels.iter().map(|(_, _, out, into, _)| Some(flow(*out, *into))).collect();
        let mut scene = scene_of(made.collect(), flows);
        (scene.budget.room, scene.budget.slots) = (Msat(room), slots);
        scene.tuning.kelly = kelly.and_then(Share::new);
        scene.hive[0] = hive;
        for (number, known) in (1..).zip(known) {
            let worth = known.and_then(|(ppm, msat)| Worth::new(vec![(0.0, ppm), (msat, 0.0)], 40.0));
            scene.peers.insert(peer(number), PeerFacts { worth, ..PeerFacts::default() });
        }
        scene
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_move_is_bounded_and_every_channel_is_accounted_for(scene in nodes()) {
        let plan = scene.plan();
        let mut peers = std::collections::BTreeSet::new();
        for made in &plan.moves {
            let order = &made.order;
            prop_assert_eq!(order.amount.0 % order.part.0, 0);
            prop_assert!(order.amount >= Sat(50_000) || order.part.0 * 1000 >= 49_000_000);
            prop_assert!(made.numbers.strategic || made.numbers.profit >= 10_000.0);
            let numbers = &made.numbers;
            let most = order.max.as_f64() * order.amount.as_f64() / 1000.0;
            let lost = if numbers.strategic { 50_001.0 } else { 1.0 };
            prop_assert!(most <= numbers.value + lost, "even at its highest price it does not lose: {made}");
            prop_assert!(reservation(order.amount, order.part, order.max) == Some(made.reserved));
            prop_assert!(peers.insert(made.from_peer) && peers.insert(made.to_peer));
            let source = &scene.channels[usize::from(made.from.0[0]) - 1];
            prop_assert!(order.amount.0 * 1000 <= source.spendable.0);
        }
        prop_assert!(plan.moves.iter().map(|made| made.reserved).sum::<Msat>() <= scene.budget.room);
        prop_assert!(plan.moves.len() <= scene.budget.slots as usize);
        for channel in &scene.channels {
            let filled = plan.moves.iter().any(|made| made.to == channel.channel_id);
            let told = plan.refused.iter().any(|r| r.channel == Some(channel.channel_id) && r.role == Role::Fill);
            prop_assert!(filled != told, "{:?}\n{plan}", channel.scid);
        }
        prop_assert_eq!(scene.plan(), plan, "the same again");
    }

    /// What the earlier plugin had the wrong way round.
    #[test]
    fn a_dearer_route_never_pays_more(scene in nodes(), cheap in 0_u32..1500, more in 1_u32..800) {
        let mut scene = scene;
        (scene.budget.room, scene.budget.slots) = (Msat(u64::MAX), 5);
        scene.channels.truncate(2);
        scene.hive[0] = false;
        let profit = |ppm: u32| {
            let plan = scene.clone().route(2, 1, ppm).route(1, 2, ppm).plan();
            plan.moves.first().map_or(0.0, |made| made.numbers.profit)
        };
        let (before, after) = (profit(cheap), profit(cheap + more));
        // A satoshi in ten thousand is lost to whole parts.
        prop_assert!(after <= before * 1.0001, "{before} at {cheap} ppm, {after} at {more} more");
        if before > 0.0 && scene.tuning.kelly.is_none() {
            prop_assert!(after < before);
        }
    }
}
