//! What the learner would believe of each peer's payers in every week of the record, and sets of parameters drawn from it. Each week
//! has its own level of demand, so that busy and idle weeks stay what they were.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

use super::record::{Place, Record};
use crate::domain::Time;
use crate::fees::fitted::{Curve, Evidence, Fitted, Learned, Period, Refusal, learned, patience, raise, washed_hours};
use crate::sim::network::{Stream, log_normal, stream};

/// A long time at one price is cut into days.
const LONGEST_HOURS: f64 = 24.0;
const WEEK_DAYS: u32 = 7;

/// Outside the fees that were tried the curve may bend: its exponent is multiplied there by a number whose logarithm has this
/// standard deviation. One draw for all peers, because that is an error of the form of the curve, which they share.
const BEND: f64 = 0.5;

pub struct Believed {
    peers: Vec<Peer>,
}

struct Peer {
    weeks: Vec<Week>,
    /// The lowest and the highest fee that was asked.
    tried: (f64, f64),
    information: f64,
    /// Settled fees, msat.
    earned: f64,
}

struct Week {
    fitted: Fitted,
    periods: Vec<Period>,
}

/// What the record tells of one peer's payers.
struct Told {
    weeks: Vec<Vec<Period>>,
    /// Of all weeks, where there was something to be seen.
    all: Vec<Period>,
    refusals: Vec<Refusal>,
    /// Settled fees, msat.
    earned: f64,
}

/// One peer's payers, drawn: by week, and their number per exposure hour if the fee were nothing.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) weeks: Vec<(Demand, f64)>,
    pub(super) tried: (f64, f64),
}

/// A curve that may bend where nothing was tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    curve: Curve,
    tried: (f64, f64),
    bends: (f64, f64),
}

impl Demand {
    /// Share of the payers who bear that fee.
    pub(super) fn share(&self, fee: f64) -> f64 {
        let Demand { curve, tried: (low, high), bends: (below, above) } = self;
        let odds = match fee {
            fee if fee < *low => curve.odds(*low) * (fee / low).powf(curve.kappa * below),
            fee if fee > *high => curve.odds(*high) * (fee / high).powf(curve.kappa * above),
            fee => curve.odds(fee),
        };
        1.0 / (1.0 + odds)
    }

    /// The fee that just this share of the payers bears.
    pub(super) fn fee_of(&self, share: f64) -> f64 {
        let Demand { curve, tried: (low, high), bends: (below, above) } = self;
        let odds = (1.0 / share - 1.0).max(0.0);
        let (at_low, at_high) = (curve.odds(*low), curve.odds(*high));
        match odds {
            odds if odds < at_low => low * (odds / at_low).powf(1.0 / (curve.kappa * below)),
            odds if odds > at_high => high * (odds / at_high).powf(1.0 / (curve.kappa * above)),
            odds => curve.theta * odds.powf(1.0 / curve.kappa),
        }
    }
}

impl Believed {
    pub fn of(record: &Record) -> Believed {
        let mut seen: Vec<Vec<(Time, f64)>> = vec![Vec::new(); record.places.len()];
        for payer in &record.payers {
            for (at, (exit, fee)) in payer.exits().enumerate() {
                let last = payer.second.is_none() || at == 1;
                let earned = if payer.settled && last { fee as f64 } else { 0.0 };
                seen[exit as usize].push((payer.at, earned));
            }
        }
        let told: Vec<Told> =
            record.places.iter().zip(&seen).map(|(place, seen)| Told::of(record, place, seen)).collect();
        let around: Vec<Learned> = told.iter().map(|told| learned(told.evidence(), record.middle())).collect();
        let patience = patience(around.iter());
        let peer = |(place, told)| Peer::of(record, place, told, patience);
        Believed { peers: record.places.iter().zip(told).map(peer).collect() }
    }

    /// The lowest and the highest fee that was asked at each place, ppm.
    pub(super) fn tried(&self) -> Vec<(f64, f64)> {
        self.peers.iter().map(|peer| peer.tried).collect()
    }

    /// Share of what was earned that came by peers of whose payers' answer to price at least so much is known.
    pub(super) fn share_known(&self, information: f64) -> f64 {
        let all: f64 = self.peers.iter().map(|peer| peer.earned).sum();
        let known = self.peers.iter().filter(|peer| peer.information >= information);
        if all > 0.0 { known.map(|peer| peer.earned).sum::<f64>() / all } else { 0.0 }
    }

    /// The set of that number.
    pub(super) fn draw(&self, set: u32) -> Vec<Drawn> {
        let mut rng = stream(u64::from(set) + 1, Stream::Backtest, 0);
        let bend = log_normal(1.0, BEND);
        let bends = (bend.sample(&mut rng), bend.sample(&mut rng));
        self.peers.iter().map(|peer| peer.draw(bends, &mut rng)).collect()
    }
}

impl Peer {
    fn of(record: &Record, place: &Place, told: Told, patience: f64) -> Peer {
        let middle = |week: u32| record.start.plus_hours(24.0 * f64::from(WEEK_DAYS) * (f64::from(week) + 0.5));
        let asked = || place.prices.0.iter().map(|(at, _)| place.rate(*at, place.middle).max(1.0));
        let fitted = |week: u32| learned(told.evidence(), middle(week)).fitted(patience);
        Peer {
            tried: (asked().fold(f64::INFINITY, f64::min), asked().fold(1.0, f64::max)),
            information: learned(told.evidence(), record.middle()).information(&told.all, patience),
            earned: told.earned,
            weeks: (0..)
                .zip(&told.weeks)
                .map(|(week, periods)| Week { fitted: fitted(week), periods: periods.clone() })
                .collect(),
        }
    }

    /// The same share of the belief in all weeks: what is uncertain does not even out over them.
    fn draw(&self, bends: (f64, f64), rng: &mut ChaCha8Rng) -> Drawn {
        let mark: f64 = rng.random();
        let week = |week: &Week| {
            let curve = week.fitted.curve(mark);
            let (shape, hours) = curve.level(&week.periods);
            let level = Gamma::new(shape, 1.0 / hours).map_or(shape / hours, |law| law.sample(rng));
            (Demand { curve, tried: self.tried, bends }, level)
        };
        Drawn { weeks: self.weeks.iter().map(week).collect(), tried: self.tried }
    }
}

impl Told {
    fn of(record: &Record, place: &Place, seen: &[(Time, f64)]) -> Told {
        let weeks = weeks(record, place, seen);
        let all = weeks.iter().flatten().copied().filter(|p| p.exposure > 0.0 && p.ppm > 0.0).collect();
        let refusal = |(at, came_back): &(Time, bool)| {
            let (since, from, to) = raise(&place.prices.0, *at)?;
            let base = place.rate(*at, place.middle) - f64::from(to);
            let [from, to] = [from, to].map(|ppm| f64::from(ppm) + base);
            (from > 0.0).then_some(Refusal { since, from, to, came_back: *came_back })
        };
        let earned = seen.iter().map(|(_, earned)| earned).sum();
        Told { weeks, all, refusals: place.refused.iter().filter_map(refusal).collect(), earned }
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence { periods: &self.all, refusals: &self.refusals }
    }
}

/// Each week's hours at one price. The first hours at a new price do not count, and no hour in which the balance was too low.
fn weeks(record: &Record, place: &Place, seen: &[(Time, f64)]) -> Vec<Vec<Period>> {
    let mut weeks = vec![Vec::new(); record.days.div_ceil(WEEK_DAYS) as usize];
    let ends = place.prices.0.iter().skip(1).map(|(at, _)| *at).chain([record.end()]);
    for ((start, _), end) in place.prices.0.iter().zip(ends) {
        let (mut from, end) = (*start, end.min(record.end()));
        if *start > record.start {
            from = from.plus_hours(washed_hours(end.hours_since(from)));
        }
        while from < end {
            let to = end.min(from.plus_hours(LONGEST_HOURS));
            let week = record.hour(from) / (24 * WEEK_DAYS as usize);
            if let Some(week) = weeks.get_mut(week) {
                week.push(period(record, place, seen, (from, to)));
            }
            from = to;
        }
    }
    weeks
}

fn period(record: &Record, place: &Place, seen: &[(Time, f64)], (from, to): (Time, Time)) -> Period {
    let servable = |at: Time| place.servable.get(record.hour(at)).copied().unwrap_or(false);
    let first = seen.partition_point(|(at, _)| *at < from);
    let events = seen[first..].iter().take_while(|(at, _)| *at < to).filter(|(at, _)| servable(*at)).count();
    let (mut exposure, mut at) = (0.0, from);
    while at < to {
        let next = Time((at.0.div_euclid(3_600_000) + 1) * 3_600_000).min(to);
        if servable(at) {
            exposure += next.hours_since(at) * record.traffic_at(at) * record.open_at(at);
        }
        at = next;
    }
    Period {
        at: Time(i64::midpoint(from.0, to.0)),
        events: events as f64,
        exposure,
        ppm: place.rate(from, place.middle),
    }
}
