//! The oracle against payers' own accounts, and against searches that are slower and were written without it.

use super::*;
use crate::sim::{Kind, Network, Scenario};

fn tape(name: &str, shape: impl FnOnce(Scenario) -> Scenario) -> Arc<Tape> {
    let scenario = shape(Kind::by_name(name).unwrap().scenario(1));
    Arc::new(Tape::new(Network::draw(scenario)).frozen(12))
}

/// Plenty of balance, and payers of one kind.
fn endless(shape: Scenario) -> Scenario {
    Scenario { refill: Some(20.0), capacities: (1e9, 2e9), insensitive: 0.0, ..shape }
}

#[test]
fn with_constant_demand_and_endless_refill_the_best_fee_is_where_fee_times_share_peaks() {
    let tape = tape("S1", |shape| Scenario { payer_spread: (0.9, 0.9), offline: 0.0, ..endless(shape) });
    let oracle = Oracle::of(&tape, 12);
    for (channel, fee) in (0u32..).zip(&oracle.fixed) {
        let sold = |ppm: f64| ppm * bought(&tape, channel, ppm);
        let peak = (1..500).map(|step| sold(f64::from(step) * 10.0)).fold(0.0, f64::max);
        // A few payments of a tenth of the capacity and more are sold by the sum, and not always by the channel.
        assert!(sold(fee.as_f64()) > 0.9 * peak, "{channel}: {} at {fee}, {peak}", sold(fee.as_f64()));
    }
}

/// What payers of a channel would buy at that fee, in msat.
fn bought(tape: &Tape, channel: u32, ppm: f64) -> f64 {
    let days: Vec<_> = (0..12).map(|day| tape.day(day)).collect();
    let payments = days.iter().flat_map(|day| &day.payments).filter(|p| p.choices > 0 && !p.doomed);
    let buys = |p: &&crate::sim::tape::Payment| {
        p.exits[0].channel == channel && f64::from(p.exits[0].reservation) > ppm * 1000.0
    };
    payments.filter(buys).map(|p| p.amount as f64).sum()
}

#[test]
fn without_refill_it_pays_to_ask_more_of_those_who_come_late() {
    let narrow = |shape| Scenario { refill: Some(0.0), capacities: (3e6, 6e6), ..shape };
    let [dry, ample] = [tape("S1", narrow), tape("S1", endless)].map(|tape| Oracle::of(&tape, 12));
    let dearer = dry.fixed.iter().zip(&ample.fixed).filter(|(dry, ample)| dry > ample).count();
    assert!(dearer >= 10, "{:?} {:?}", dry.fixed, ample.fixed);
}

#[test]
fn who_knows_more_earns_more() {
    for name in ["S3", "M1"] {
        let oracle = Oracle::of(&tape(name, |shape| shape), 12);
        let (fixed, laws) = (oracle.fixed_run.total(), oracle.laws_run.total());
        assert!(oracle.single.1 <= fixed && fixed <= laws, "{name}: {} {fixed} {laws}", oracle.single.1);
    }
}

/// Fees and what they earn.
#[derive(Clone)]
struct Found {
    fees: Vec<f64>,
    earned: u64,
}

/// Tries what is near in every direction, one channel, two channels and all channels at a time, and takes the best of it, until
/// nothing near is better. Slow; shares nothing with the climb that it checks.
fn nearby(tape: &Arc<Tape>, days: u32, start: &[f64]) -> Found {
    let earn = |fees: Vec<f64>| Found { earned: play_fixed(tape, days, &rounded(&fees)).total(), fees };
    let mut best = earn(start.to_vec());
    loop {
        let before = best.earned;
        for moved in moves(start.len()) {
            let by = |(channel, fee): (usize, &f64)| {
                let factor = moved.iter().find(|(place, _)| *place == channel).map_or(1.0, |(_, factor)| *factor);
                (fee * factor).clamp(LOWEST_PPM, HIGHEST_PPM)
            };
            let tried = earn(best.fees.iter().enumerate().map(by).collect());
            if tried.earned > best.earned {
                best = tried;
            }
        }
        if best.earned as f64 <= before as f64 * 1.000_1 {
            return best;
        }
    }
}

/// Which channels' fees are multiplied by what.
fn moves(channels: usize) -> Vec<Vec<(usize, f64)>> {
    let mut moves = Vec::new();
    for first in 0..channels {
        for factor in [4.0, 2.5, 1.7, 1.3, 1.15, 1.07, 1.03] {
            moves.extend([factor, 1.0 / factor].map(|by| vec![(first, by)]));
        }
        for (second, factor) in (0..first).flat_map(|second| [2.0, 1.2, 1.06].map(|factor| (second, factor))) {
            for (a, b) in
                [(factor, factor), (factor, 1.0 / factor), (1.0 / factor, factor), (1.0 / factor, 1.0 / factor)]
            {
                moves.push(vec![(first, a), (second, b)]);
            }
        }
    }
    for factor in [2.0, 1.3, 1.1, 1.04] {
        moves.extend([factor, 1.0 / factor].map(|by| (0..channels).map(|channel| (channel, by)).collect()));
    }
    moves
}

/// The best of such searches from so many places by chance, and from where the oracle is.
fn patient(tape: &Arc<Tape>, days: u32, oracle: &[Ppm], starts: usize) -> Found {
    let mut rng = stream(99, Stream::Score, 1);
    let seats = &tape.network().seats;
    let mut places = vec![oracle.iter().map(|ppm| ppm.as_f64()).collect::<Vec<_>>()];
    places.extend((0..starts).map(|_| {
        seats.iter().map(|seat| seat.level_ppm * 6_f64.powf(rng.random_range(-1.0..1.2))).collect::<Vec<f64>>()
    }));
    places.iter().map(|start| nearby(tape, days, start)).max_by_key(|found| found.earned).unwrap()
}

/// What the oracle's fixed fees earn as a share of that.
fn share_of(oracle: &Oracle, best: u64) -> f64 {
    oracle.fixed_run.total() as f64 / best as f64
}

#[test]
fn no_pair_of_fees_earns_two_channels_more() {
    for name in ["M1", "M3"] {
        let (days, ladder): (_, Vec<Ppm>) = (8, (0..44).map(|step| Ppm::rounded(8.0 * 1.16_f64.powi(step))).collect());
        let tape = tape(name, |shape| Scenario { channels: 2, rates: (30.0, 60.0), ..shape });
        let pairs = ladder.iter().flat_map(|one| ladder.iter().map(|other| [*one, *other]));
        let best = pairs.map(|fees| play_fixed(&tape, days, &fees).total()).max().unwrap();
        let share = share_of(&Oracle::of(&tape, days), best);
        assert!(share > 0.99, "{name}: {share} of the best pair");
    }
}

#[test]
fn a_patient_search_hardly_finds_better_fees() {
    // Few payments, so that single large ones make many small summits.
    for name in ["M1", "M2", "M5"] {
        let tape = tape(name, |shape| Scenario { channels: 4, rates: (10.0, 40.0), ..shape });
        let oracle = Oracle::of(&tape, 12);
        let share = share_of(&oracle, patient(&tape, 12, &oracle.fixed, 4).earned);
        assert!(share > 0.97, "{name}: {share} of what patience found");
    }
}

#[test]
fn single_channels_have_their_best_fee_and_their_best_law() {
    for name in ["S2", "S3"] {
        let (tape, days) = (tape(name, |shape| Scenario { rates: (4.0, 12.0), ..shape }), 12);
        let oracle = Oracle::of(&tape, days);
        let start = tape.start_of(0);
        let levels = || (0..110).map(|step| 8.0 * 1.06_f64.powi(step));
        let best_of = |laws: &mut dyn Iterator<Item = Law>| {
            let mut best = vec![0; tape.network().seats.len()];
            for law in laws {
                let run = play_laws(&tape, days, &vec![law; best.len()]);
                best.iter_mut().enumerate().for_each(|(channel, most)| *most = run.of_channel(channel).max(*most));
            }
            best.iter().sum::<u64>()
        };
        let fixed = best_of(&mut levels().map(|ppm| Law::fixed(start, ppm)));
        let forms =
            || [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0].into_iter().flat_map(|k| [0.2, 0.4, 0.6, 0.8, 1.0].map(|t| (k, t)));
        let form = |ppm: f64| {
            forms().map(move |(steepness, threshold)| Law { steepness, threshold, ..Law::fixed(start, ppm) })
        };
        let bent = best_of(&mut levels().step_by(2).flat_map(form));
        let laws = oracle.laws_run.total() as f64 / bent as f64;
        // Their number makes up for what they do not fit: the best of 2,000 laws is found by chance, too.
        assert!(share_of(&oracle, fixed) > 0.985 && laws > 0.975, "{name}: {} {laws}", share_of(&oracle, fixed));
    }
}

#[test]
fn who_bends_a_law_never_earns_less() {
    let tape = tape("M1", |shape| Scenario { channels: 3, rates: (10.0, 40.0), ..shape });
    let oracle = Oracle::of(&tape, 12);
    let bent = oracle.clone().bent(&tape, 12);
    assert!(bent.laws_run.total() >= oracle.fixed_run.total() && bent.fixed == oracle.fixed);
    assert_eq!(play_laws(&tape, 12, &bent.laws), bent.laws_run);
}

/// How far it is from the best: `cargo test --release --lib -- --ignored oracle --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
fn oracle_against_patience() {
    for (name, seed) in ["M1", "M2", "M3", "M4", "M5"].into_iter().flat_map(|name| (1..4).map(move |seed| (name, seed)))
    {
        let days = 45;
        let tape = Arc::new(Tape::new(Network::draw(Kind::by_name(name).unwrap().scenario(seed))).frozen(days));
        let oracle = Oracle::of(&tape, days);
        let found = patient(&tape, days, &oracle.fixed, 8);
        eprintln!("{name} {seed}: {:.1} % of what patience found", share_of(&oracle, found.earned) * 100.0);
    }
}

#[test]
fn the_insider_knows_every_payer_and_no_payment() {
    for name in ["S1", "M1"] {
        let tape = tape(name, |shape| shape);
        let known = Insider::of(&tape, 12).unwrap();
        // Another tape of the same payers tells nothing else.
        let another = Arc::new(tape.redrawn(99).unwrap().frozen(12));
        assert_ne!(tape.day(3), another.day(3), "{name}");
        assert_eq!(Insider::of(&another, 12).unwrap(), known, "{name}");
        let oracle = Oracle::of(&tape, 12);
        let share = known.play(&tape, 12).total() as f64 / oracle.laws_run.total() as f64;
        let single = oracle.single.1 as f64 / oracle.laws_run.total() as f64;
        assert!(single < share && share < 1.0, "{name}: {single} {share}");
    }
}

#[test]
fn another_tape_of_the_same_payers_differs_by_chance_only() {
    let tape = tape("S1", |shape| shape);
    let another = tape.redrawn(1).unwrap();
    assert_eq!(tape.network(), another.network());
    assert_eq!(tape.redrawn(0).unwrap().day(5), tape.day(5));
    let wanted = |tape: &Tape| (0..12).map(|day| tape.day(day).payments.len()).sum::<usize>() as f64;
    let ratio = wanted(&another) / wanted(&tape);
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
    // Payments that were read have no others beside them.
    let read = Tape::of_days(tape.network().clone(), vec![(*tape.day(0)).clone()]);
    assert!(read.redrawn(1).is_none());
}
