//! The learner in small markets of one channel, seeded: what it earns against the best fee in hindsight.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Poisson};

use super::tests::{START, Scene, scene};
use super::*;

/// Payers of one channel: how much is wanted at a fee, in payments of what size, and what refills the channel.
struct Payers {
    /// Sat wanted in half an hour at a fee.
    demand: fn(f64) -> f64,
    mean_sat: f64,
    /// Sigma of ln(amount); 0: all alike.
    sigma: f64,
    /// Sat that come back in half an hour; `None`: the balance stays as it is.
    inflow: Option<f64>,
    /// Traffic swings with the hour of the day.
    daily: bool,
    /// Sigma of ln(level of demand) from one half week to the next.
    moods: f64,
}

struct Outcome {
    /// Msat earned on each day.
    earned: Vec<f64>,
    updates: usize,
    fees: Vec<u32>,
    /// What the learner said at noon.
    said: Vec<String>,
}

impl Payers {
    fn steady(demand: fn(f64) -> f64) -> Payers {
        Payers { demand, mean_sat: 50_000.0, sigma: 0.0, inflow: None, daily: false, moods: 0.0 }
    }

    /// What could be had in half an hour: (amount in msat, how dear it may be: 0 any fee, 1 none). The same whatever the fee,
    /// so that policies are compared over the same payers.
    fn payments(&self, rng: &mut ChaCha8Rng, now: Time) -> Vec<(u64, f64)> {
        let hour = (now.hour().rem_euclid(24)) as f64;
        let swing = if self.daily { 1.0 + 0.6 * (hour / 24.0 * std::f64::consts::TAU).sin() } else { 1.0 };
        let expected = (self.demand)(0.0) * swing * self.mood(now) / self.mean_sat;
        let n: f64 = Poisson::new(expected.max(1e-9)).unwrap().sample(rng);
        (0..crate::domain::units::to_u64_rounded(n)).map(|_| (self.amount(rng), rng.random())).collect()
    }

    fn mood(&self, now: Time) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(now.hour().div_euclid(84).unsigned_abs());
        LogNormal::new(0.0, self.moods).unwrap().sample(&mut rng)
    }

    fn amount(&self, rng: &mut ChaCha8Rng) -> u64 {
        if self.sigma == 0.0 {
            return crate::domain::units::to_u64_rounded(self.mean_sat * 1000.0);
        }
        let mu = (self.mean_sat * 1000.0).ln() - self.sigma * self.sigma / 2.0;
        let drawn: f64 = LogNormal::new(mu, self.sigma).unwrap().sample(rng);
        crate::domain::units::to_u64_rounded(drawn.min(2_500_000_000.0))
    }

    /// Runs `days` with decisions every half hour; `fixed`: the fee stays at the start.
    fn run(&self, start: u32, days: u32, seed: u64, fixed: bool) -> Outcome {
        self.run_with(start, days, seed, (fixed, false))
    }

    /// The same, and with plans of a node that has this channel only.
    fn run_with(&self, start: u32, days: u32, seed: u64, (fixed, plans): (bool, bool)) -> Outcome {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut s: Scene = scene(start);
        let mut sample: Vec<Msat> = (0..400).map(|_| Msat(self.amount(&mut rng))).collect();
        sample.sort();
        s.market.amounts = sample;
        let mut sets: Vec<Time> = vec![];
        let mut out =
            Outcome { earned: vec![0.0; usize::try_from(days).unwrap()], updates: 0, fees: vec![], said: vec![] };
        for cycle in 0..days * 48 {
            s.now = START.plus_secs(1800 * i64::from(cycle));
            s.updates.ordinary = sets.iter().filter(|t| s.now.hours_since(**t) < 24.0).count().try_into().unwrap();
            let day = usize::try_from(cycle / 48).unwrap();
            if plans && cycle % 24 == 0 {
                s.bid = s.plan().bid(&s.channels[0].peer).copied();
            }
            if !fixed {
                let decision = s.decide();
                if let Action::Set { .. } = decision.action {
                    s.channels[0].ours.ppm = decision.target;
                    sets.push(s.now);
                }
                if cycle % 48 == 24 {
                    let learner = decision.why.iter().find(|r| r.stage() == "hill_climb").unwrap();
                    out.said.push(format!("local {:.2} {learner}", s.channels[0].local_share().get()));
                }
                s.memory = Some(decision.memory);
            }
            let fee = s.channels[0].ours.ppm;
            out.fees.push(fee.0);
            s.observed = Observed { from: s.now, to: s.now.plus_secs(1800), ..Observed::default() };
            let stay = (self.demand)(fee.as_f64()) / (self.demand)(0.0);
            for (amount, patience) in self.payments(&mut rng, s.now) {
                if patience >= stay {
                    continue;
                }
                s.observed.events += 1.0;
                if self.inflow.is_none() || amount <= s.channels[0].spendable.0 {
                    s.observed.out_msat += amount as f64;
                    s.observed.settled += 1.0;
                    out.earned[day] += amount as f64 * fee.as_f64() / 1e6;
                    self.settle(&mut s.channels[0], -i64::try_from(amount).unwrap());
                }
            }
            if let Some(inflow) = self.inflow {
                let refill = if rng.random::<f64>() < 0.25 { inflow * 4.0 } else { 0.0 };
                self.settle(
                    &mut s.channels[0],
                    i64::try_from(crate::domain::units::to_u64_rounded(refill * 1000.0)).unwrap(),
                );
            }
        }
        out.updates = sets.len();
        out
    }

    fn settle(&self, channel: &mut Channel, change: i64) {
        if self.inflow.is_some() {
            let local = channel.local.0.saturating_add_signed(change).min(channel.capacity.0 * 99 / 100);
            channel.local = Msat(local);
            channel.spendable = Msat(local.saturating_sub(channel.capacity.0 / 100));
        }
    }
}

fn linear(f: f64) -> f64 {
    (200_000.0 * (1.0 - f / 1000.0)).max(0.0)
}

/// Shares of the best in days 10 to 20, one per seed, and the most updates.
fn shares(start: u32, seeds: std::ops::Range<u64>, plans: bool) -> (Vec<f64>, usize) {
    let best = linear(500.0) * 1000.0 * 500.0 / 1e6 * 480.0;
    let mut updates = 0;
    let shares = seeds
        .map(|seed| {
            let run = Payers::steady(linear).run_with(start, 20, seed, (false, plans));
            updates = updates.max(run.updates);
            run.earned[10..].iter().sum::<f64>() / best
        })
        .collect();
    (shares, updates)
}

/// Nine tenths of what the best fee would earn, from wherever it starts, in days 10 to 20, within three changes a day.
#[test]
fn the_climb_finds_the_top() {
    for (start, plans) in [100, 500, 900, 2000].into_iter().flat_map(|start| [(start, false), (start, true)]) {
        let (shares, updates) = shares(start, 0..12, plans);
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let worst = shares.iter().copied().fold(f64::INFINITY, f64::min);
        println!("from {start}, plans {plans}: {shares:.2?} mean {mean:.3} worst {worst:.3} most updates {updates}");
        assert!(mean > 0.92, "from {start}: mean {mean}");
        assert!(worst > 0.85, "from {start}: worst {worst}");
        assert!(updates < 60, "from {start}: {updates} updates");
    }
}

#[test]
fn without_demand_the_fee_sinks_to_the_floor_and_stays() {
    for start in [400, 2000] {
        let run = Payers::steady(|_| 0.0).run(start, 45, 1, false);
        // The first pair still tries both sides; from the second day on there is only down.
        let later = &run.fees[48..];
        assert!(later.windows(2).all(|w| w[1] <= w[0]), "from {start}: never up again");
        assert!(
            run.fees.iter().all(|fee| *fee >= 10) && run.fees.last() == Some(&10),
            "from {start}: {:?}",
            run.fees.last()
        );
        assert!(run.updates <= 45, "from {start}: {} updates", run.updates);
        for day in later.chunks(48) {
            let mut fees = day.to_vec();
            fees.dedup();
            assert!(fees.len() <= 2, "from {start}: {fees:?} on one day");
        }
    }
}

#[test]
fn demand_that_ignores_the_fee_takes_it_to_the_ceiling() {
    let run = Payers::steady(|_| 50_000.0).run(500, 60, 1, false);
    assert!(run.fees.iter().all(|fee| *fee <= 5000));
    let last: Vec<u32> = run.fees[50 * 48..].to_vec();
    let mean = last.iter().sum::<u32>() / u32::try_from(last.len()).unwrap();
    assert!(mean > 4000 && last.contains(&5000), "mean {mean} of the last ten days");
}

/// A finite balance and lumpy payments: neither the run-out price nor scarcity makes the fee collapse or run away.
#[test]
fn a_draining_channel_is_kept_in_stock_and_earning() {
    for (name, payers) in markets().iter().filter(|m| m.0.starts_with("even") || m.0.starts_with("drained:")) {
        let (mean, worst, updates, best) = against_fixed(payers, 200, 40, 15, 0..4);
        println!("{name}: mean {mean:.3} worst {worst:.3}, {updates:.2} updates a day, best fixed {best}");
        assert!(mean > 0.7 && worst > 0.5, "{name}: mean {mean}, worst {worst}");
        assert!(updates <= 2.1, "{name}: {updates} updates a day");
    }
}

/// What the learner does from day to day: cargo test --lib fees::tests_market::trace -- --ignored --nocapture
#[test]
#[ignore = "prints, proves nothing"]
fn trace() {
    let market = std::env::var("MARKET").unwrap_or_default();
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let payers = markets().into_iter().find(|m| m.0 == market).map_or(Payers::steady(linear), |m| m.1);
    let run = payers.run(u32::try_from(number("START", 2000)).unwrap(), 60, number("SEED", 1), false);
    for (day, fees) in run.fees.chunks(48).enumerate() {
        println!("day {day}: {} {} earned {:.0}; {}", fees[0], fees[24], run.earned[day] / 1000.0, run.said[day]);
    }
}

fn hill(f: f64, theta: f64, kappa: f64, sat_per_day: f64) -> f64 {
    sat_per_day / 48.0 / (1.0 + (f / theta).powf(kappa))
}

/// Share of what the best fixed fee earns from day `from` on, per seed, with updates a day.
fn against_fixed(
    payers: &Payers,
    start: u32,
    days: u32,
    from: usize,
    seeds: std::ops::Range<u64>,
) -> (f64, f64, f64, u32) {
    let (mut all, mut worst, mut updates, mut best_fee) = (0.0, f64::INFINITY, 0.0, 0);
    let n = (seeds.end - seeds.start) as f64;
    for seed in seeds {
        let best = (0..45)
            .map(|k| crate::domain::units::to_u32_rounded(10.0 * 1.15_f64.powi(k)))
            .map(|fee| (payers.run(fee, days, seed, true).earned[from..].iter().sum::<f64>(), fee))
            .fold((0.0, 0), |a, b| if b.0 > a.0 { b } else { a });
        best_fee = best.1;
        let run = payers.run(start, days, seed, false);
        let share = run.earned[from..].iter().sum::<f64>() / best.0;
        all += share / n;
        worst = worst.min(share);
        updates += run.updates as f64 / f64::from(days) / n;
    }
    (all, worst, updates, best_fee)
}

fn markets() -> Vec<(&'static str, Payers)> {
    let finite = |demand, inflow: f64| Payers {
        demand,
        mean_sat: 60_000.0,
        sigma: 1.6,
        inflow: Some(inflow / 48.0),
        daily: true,
        moods: 0.0,
    };
    vec![
        ("fixed balance", Payers { inflow: None, ..finite(|f| hill(f, 300.0, 2.2, 3e6), 0.0) }),
        ("moody", Payers { inflow: None, moods: 0.7, ..finite(|f| hill(f, 300.0, 2.2, 3e6), 0.0) }),
        ("moody and sparse", Payers { inflow: None, moods: 0.7, ..finite(|f| hill(f, 300.0, 2.2, 4e5), 0.0) }),
        ("rich: more comes than goes", finite(|f| hill(f, 300.0, 2.2, 3e6), 3e6)),
        ("even: as much comes as the best fee sells", finite(|f| hill(f, 300.0, 2.2, 3e6), 1.6e6)),
        ("drained: a fifth of it comes", finite(|f| hill(f, 300.0, 2.2, 3e6), 3e5)),
        ("drained, flat demand", finite(|f| hill(f, 200.0, 1.4, 6e6), 5e5)),
        ("sparse", finite(|f| hill(f, 300.0, 2.2, 3e5), 3e5)),
        ("dear", finite(|f| hill(f, 1500.0, 2.2, 2e6), 2e6)),
        ("cheap", finite(|f| hill(f, 40.0, 2.2, 6e6), 6e6)),
    ]
}

/// A table for whoever tunes: cargo test --release --lib fees::tests_market::table -- --ignored --nocapture
#[test]
#[ignore = "prints, proves nothing"]
fn table() {
    for (name, payers) in markets() {
        for start in [50, 200, 1000] {
            let (mean, worst, updates, best) = against_fixed(&payers, start, 60, 20, 0..24);
            println!(
                "{name:45} from {start:4}: mean {mean:.3} worst {worst:.3}, {updates:.2} updates a day, best fixed {best}"
            );
        }
    }
}
