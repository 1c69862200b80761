//! What a rehearsal finds out, on networks whose payers are known.

use rand::seq::IndexedRandom;

use super::super::bid_price::{self, Inflow, Stock};
use super::*;

/// Msat of the payments; the mean is 100,000 sat.
const AMOUNTS: [f64; 5] = [1e7, 3e7, 6e7, 1e8, 3e8];
const CAPACITY: f64 = 5e9;

/// Payers who want that many msat a day for nothing, half of them at `theta`.
fn ladder(theta: f64, a_day: f64) -> Vec<(f64, f64)> {
    let fees = (0..147).map(|rung| 1.06_f64.powi(rung));
    fees.map(|fee| (fee, a_day / (1.0 + (fee / theta).powf(2.0)))).collect()
}

fn part(ladder: &[(f64, f64)], fee: f64, share: f64) -> Part<'_> {
    Part {
        ladder,
        share,
        inflow: 0.0,
        local: CAPACITY / 2.0,
        capacity: CAPACITY,
        fee,
        mu: 0.0,
        scarce_below: Some(0.35),
        before: 0.0,
        holds: true,
    }
}

/// So many rehearsals, each going on from the one before.
fn rehearsed(parts: &[Part], times: u64) -> Vec<f64> {
    let mut parts = parts.to_vec();
    for seed in 0..times {
        let found = rehearse(&parts, &AMOUNTS, 1.0, seed);
        parts.iter_mut().zip(found).for_each(|(part, found)| part.before = found);
    }
    parts.iter().map(|part| part.before).collect()
}

/// The one thing that all else rests on. Earnings and what is left of the balances are compared a little to both sides of some fees, with
/// the same payments.
#[test]
fn the_walk_back_finds_the_slope() {
    let ladders: Vec<_> = [150.0, 400.0, 900.0].iter().map(|theta| ladder(*theta, 6e9)).collect();
    for (seed, forwarded, mu) in [(1, 1.0, 0.0), (2, 1.0, 120.0), (3, 0.6, -50.0)] {
        let mut parts: Vec<Part> =
            ladders.iter().zip([0.6, 0.3, 0.1]).map(|(l, share)| part(l, 300.0, share)).collect();
        parts[0].local = 0.05 * CAPACITY;
        parts.iter_mut().for_each(|part| part.mu = mu);
        let stage = Stage::new(&parts, &AMOUNTS, forwarded).unwrap();
        let worth = |at: &[f64]| {
            let mut forwards = vec![];
            let earned: f64 = stage.play(at, &mut ChaCha8Rng::seed_from_u64(seed), &mut forwards).iter().sum();
            let left = |f: &Forward| f.sent * (f.into.map_or(0.0, |into| parts[into].mu) - parts[f.out].mu);
            (earned + forwards.iter().map(left).sum::<f64>(), earned, stage.slopes(&forwards))
        };
        let at = [0.1, -0.3, 0.0];
        let (_, earned, slopes) = worth(&at);
        for (place, slope) in slopes.into_iter().enumerate() {
            let beside = |by: f64| {
                let mut at = at;
                at[place] += by;
                worth(&at).0
            };
            let measured = (beside(1e-5) - beside(-1e-5)) / 2e-5;
            assert!(
                (slope - measured).abs() < 0.01 * earned,
                "{place} of {seed}: {slope:.3e}, measured {measured:.3e}"
            );
        }
    }
}

/// Two peers whose payers trade evenly: what is right for each alone (its theta, where elasticity is 1) is right for both.
#[test]
fn a_fee_too_dear_comes_down_and_one_too_cheap_goes_up() {
    let rungs = ladder(300.0, 1e9);
    for (plan, low, high) in [(900.0, 230.0, 390.0), (300.0, 230.0, 390.0), (100.0, 230.0, 390.0)] {
        let parts = [part(&rungs, plan, 0.5), part(&rungs, plan, 0.5)];
        for ln in rehearsed(&parts, 6) {
            let fee = plan * ln.exp();
            assert!((low..=high).contains(&fee), "from {plan}: {fee}");
        }
    }
}

/// Scarcity multiplies whatever is asked: a plan that already asks what an empty channel must would be paid by nobody.
#[test]
fn what_scarcity_will_add_is_not_asked_twice() {
    let (wanted, other) = (ladder(300.0, 2e10), ladder(300.0, 2e9));
    let empty = |scarce_below| Part { local: 0.1 * CAPACITY, scarce_below, ..part(&wanted, 900.0, 0.1) };
    let ln = |scarce_below| rehearsed(&[empty(scarce_below), part(&other, 300.0, 0.9)], 4)[0];
    let (with, without) = (ln(Some(0.35)), ln(None));
    assert!(with < without - 0.2, "with scarcity {with:.2}, without {without:.2}");
}

#[test]
fn who_is_not_priced_by_the_plan_stays_and_bounds_are_kept() {
    let (rungs, pinned) = (ladder(300.0, 1e9), vec![(250.0, 4e8)]);
    let before = 0.7;
    let parts = [
        Part { before, ..part(&rungs, 900.0, 0.4) },
        Part { before, holds: false, ..part(&rungs, 900.0, 0.3) },
        part(&pinned, 250.0, 0.3),
    ];
    let found = rehearse(&parts, &AMOUNTS, 1.0, 1);
    assert!(found[0] < before && found[1] == 0.0 && found[2] == 0.0, "{found:?}");
    assert_eq!(parts[2].asked(0.5), (250.0_f64.ln(), false));
    assert_eq!(found, rehearse(&parts, &AMOUNTS, 1.0, 1), "the same seed");
    assert_ne!(found, rehearse(&parts, &AMOUNTS, 1.0, 2), "another");
}

/// What a policy asks is what is paid, by all of whom it is known that they pay it.
#[test]
fn at_a_fee_that_nobody_may_change_all_its_payers_come() {
    let (rungs, pinned) = (ladder(300.0, 1e9), vec![(250.0, 1e8)]);
    // Nothing refills it; scarcity would raise a fee there from the first payment to the last.
    let parts = [part(&rungs, 300.0, 1.0), Part { local: 0.3 * CAPACITY, ..part(&pinned, 250.0, 0.0) }];
    let stage = Stage::new(&parts, &[1e6], 1.0).unwrap();
    let (mut forwards, mut rng) = (vec![], ChaCha8Rng::seed_from_u64(1));
    let earned = stage.play(&[0.0; 2], &mut rng, &mut forwards)[1];
    let sent: f64 = forwards.iter().filter(|forward| forward.out == 1).map(|forward| forward.sent).sum();
    assert!((earned / sent - 250.0).abs() < 1e-9, "{} ppm", earned / sent);
    let wished = 1e6 * stage.payments as f64 * stage.wishes[1] / stage.wishes_to[1];
    assert!((0.9..1.1).contains(&(sent / wished)), "{} of what is wanted", sent / wished);
}

#[test]
fn nothing_to_play_is_no_trouble() {
    let (rungs, nobody) = (ladder(300.0, 1e9), vec![(1.0, 0.0), (2.0, 0.0)]);
    let two = [part(&rungs, 300.0, 0.5), Part { before: 1.0, ..part(&rungs, 300.0, 0.5) }];
    assert_eq!(rehearse(&[], &AMOUNTS, 1.0, 1), [0.0; 0]);
    assert_eq!(rehearse(&two[1..], &AMOUNTS, 0.0, 1), [0.0], "who has no neighbours has no plan to rehearse");
    assert_eq!(rehearse(&two, &[], 1.0, 1), [0.0; 2], "no payment was ever seen");
    let silent = [part(&nobody, 1.0, 0.5), part(&nobody, 1.0, 0.5)];
    assert_eq!(rehearse(&silent, &AMOUNTS, 1.0, 1), [0.0; 2]);
    let void = Part { local: 0.0, capacity: 0.0, ..part(&rungs, 300.0, 1.0) };
    assert!(rehearse(&[void, two[0].clone()], &AMOUNTS, 1.0, 1).iter().all(|ln| ln.is_finite()));
}

/// Peers of a node where a few bring most, with the plan's fees.
struct Network {
    ladders: Vec<Vec<(f64, f64)>>,
    shares: Vec<f64>,
    locals: Vec<f64>,
}

impl Network {
    fn new(seed: u64) -> Network {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut between = |low: f64, high: f64| low + (high - low) * rng.random_range(0.0..1.0);
        let thetas: Vec<f64> = (0..8).map(|_| between(4.5, 6.5).exp()).collect();
        let ladders = thetas.iter().map(|theta| ladder(*theta, between(1e9, 1e10))).collect();
        let weights: Vec<f64> = (0..8).map(|_| between(0.1, 1.0).powi(3)).collect();
        let sum: f64 = weights.iter().sum();
        let locals = (0..8).map(|_| between(0.1, 0.9) * CAPACITY).collect();
        Network { ladders, shares: weights.iter().map(|weight| weight / sum).collect(), locals }
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let spare = |local: f64| (local - 0.1 * CAPACITY) / 40.0;
        let stocks: Vec<Stock> = (self.ladders.iter().zip(&self.locals))
            .map(|(ladder, local)| Stock { ladder, inflow: 0.0, spare: spare(*local), room: spare(CAPACITY - local) })
            .collect();
        let prices = bid_price::solve(&stocks, &Inflow { shares: self.shares.clone(), forwarded: 1.0 });
        let part = |(place, price): (usize, &bid_price::Price)| Part {
            local: self.locals[place],
            mu: price.mu,
            ..part(&self.ladders[place], price.fee.max(1.0), self.shares[place])
        };
        prices.iter().enumerate().map(part).collect()
    }
}

/// Payments that go through whole or not at all: what they earn, with what is left of the balances.
fn played(parts: &[Part], ln: &[f64], seed: u64) -> f64 {
    let stage = Stage::new(parts, &AMOUNTS, 1.0).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut local: Vec<f64> = parts.iter().map(|part| part.local).collect();
    let mut earned = 0.0;
    for _ in 0..stage.payments {
        let Wish { out, into, amount, limit } = stage.draw(&mut rng);
        let into = into.unwrap();
        let fee = parts[out].asked(ln[out]).0 + parts[out].scarcity(local[out]).0;
        let there = local[out] - RESERVE * CAPACITY >= amount;
        let here = (1.0 - RESERVE) * CAPACITY - local[into] >= amount;
        if fee <= limit && there && here {
            earned += (fee.exp() - parts[out].mu + parts[into].mu) * amount;
            local[out] -= amount;
            local[into] += amount;
        }
    }
    earned
}

/// Other payments than those of the rehearsal, of the same payers.
#[test]
fn rehearsed_fees_earn_more() {
    let (mut gain, networks) = (0.0, 12);
    for seed in 0..networks {
        let network = Network::new(seed);
        let parts = network.parts();
        let ln = rehearsed(&parts, 3);
        let earned = |ln: &[f64]| (100..108).map(|seed| played(&parts, ln, seed)).sum::<f64>();
        let (plan, rehearsed) = (earned(&vec![0.0; parts.len()]), earned(&ln));
        println!("network {seed}: {:+.1} %", 100.0 * (rehearsed / plan - 1.0));
        gain += 100.0 * (rehearsed / plan).ln() / f64::from(u32::try_from(networks).unwrap());
    }
    println!("mean {gain:+.1} %");
    assert!(gain > 0.2, "{gain}");
}

/// cargo test --release --lib rehearsal::tests::speed -- --ignored --nocapture
#[test]
#[ignore = "prints, proves nothing"]
fn speed() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for peers in [6_u32, 100, 1000] {
        let ladders: Vec<_> =
            (0..peers).map(|_| ladder(*[100.0, 300.0, 900.0].choose(&mut rng).unwrap(), 1e9)).collect();
        let parts: Vec<Part> = ladders.iter().map(|ladder| part(ladder, 300.0, 1.0 / f64::from(peers))).collect();
        let start = std::time::Instant::now();
        rehearse(&parts, &AMOUNTS, 1.0, 1);
        println!("{:?} for {peers} peers", start.elapsed());
    }
}
