//! Does a fee that a rule has set earn less than the one before? What was really earned must have fallen, and there must be too few payments
//! for that to be chance; both are looked at at a few moments only, which are fixed in advance, so that chance alone takes back at most one
//! good change in twenty. "Revenue fell by a quarter" would not do: with thirty payments a day it falls that much within three days one
//! time in five.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

use crate::domain::{Ppm, Time};

/// The share of revenue that must be lost where a section does not say.
pub const USUAL_THRESHOLD: f64 = 0.3;
/// A change is looked at so many days after it. Whole days, because the hours of a day are not alike.
const LOOKS: [u32; 5] = [1, 2, 4, 8, 16];
const LAST_LOOK: u32 = LOOKS[LOOKS.len() - 1];
/// How often all looks together may err about a change that costs nothing.
const CHANCE: f64 = 0.05;
/// So many days before the change are compared at most.
const MOST_DAYS_BEFORE: i64 = 16;
/// What was taken back is tried again after so many days: demand changes.
const KEPT_BACK_DAYS: f64 = 30.0;
const DAY_HOURS: i64 = 24;
/// A further change by less than this share of the whole one belongs to it.
const SAME_CHANGE: f64 = 0.25;

/// A change of a channel's fee rate on trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub at: Time,
    pub old: Ppm,
    pub new: Ppm,
    /// From when on the old rate had been in force.
    pub since: Time,
    /// The share of revenue that must be lost, by the rule that made the change.
    pub threshold: f64,
    /// Days after the change of the last look.
    pub looked: u32,
    /// What was taken back last, this change or an earlier one.
    pub refused: Option<Refused>,
}

/// A change that was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    pub at: Time,
    pub old: Ppm,
    pub new: Ppm,
    pub loss: Loss,
}

/// The hours that a look compares: `[from, to)` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    pub days: u32,
    pub before: (i64, i64),
    pub after: (i64, i64),
}

/// What came by a channel within some hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takings {
    pub settled: u64,
    /// Payments that found too little balance: no income, and no sign that the fee keeps anybody away.
    pub starved: u64,
    pub earned_msat: u64,
}

/// What a change has cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Share of what was earned a day.
    pub share: f64,
    /// How likely it would be to see so few payments if nothing was lost.
    pub chance: f64,
    pub payments_before: u64,
    pub days_before: u32,
    pub payments_after: u64,
    pub days_after: u32,
}

impl Trial {
    /// What is on trial after a change. A further step of the same change goes on with its trial, and so does a small one; `None` where the
    /// old rate was not in force for a day, so that there is nothing to compare with.
    pub fn begin(
        at: Time,
        (old, new): (Ppm, Ppm),
        (since, threshold): (Time, f64),
        before: Option<&Trial>,
    ) -> Option<Trial> {
        let refused = before.and_then(|before| before.refused.clone());
        if let Some(open) = before.filter(|before| before.looked < LAST_LOOK && before.new == old) {
            let (done, whole) = (apart(open.old, open.new), apart(open.old, new));
            if done.signum() == whole.signum() {
                let is_small = apart(open.new, new).abs() <= SAME_CHANGE * whole.abs();
                let (at, looked) = if is_small { (open.at, open.looked) } else { (at, 0) };
                return Some(Trial { at, new, looked, threshold, ..open.clone() });
            }
        }
        let comparable = at.hour() - since.hour() > DAY_HOURS && old != new;
        match (comparable, refused) {
            (true, refused) => Some(Trial { at, old, new, since, threshold, looked: 0, refused }),
            // What was taken back is remembered all the same.
            (false, Some(_)) => before.cloned().map(Trial::closed),
            (false, None) => None,
        }
    }

    /// The look that is due, if one is: the latest, because it knows what the earlier ones would have known.
    pub fn due(&self, now: Time) -> Option<Look> {
        let first = self.at.hour() + 1;
        let is_over = |days: &&u32| **days > self.looked && first + i64::from(**days) * DAY_HOURS <= now.hour();
        let days = *LOOKS.iter().rev().find(is_over)?;
        let until = self.at.hour();
        let known = (until - self.since.hour() - 1) / DAY_HOURS;
        let before = known.clamp(1, MOST_DAYS_BEFORE) * DAY_HOURS;
        let after = (first, first + i64::from(days) * DAY_HOURS);
        Some(Look { days, before: (until - before, until), after })
    }

    /// The last look is over, or somebody has changed the rate again: nothing is to be judged any more.
    pub fn closed(self) -> Trial {
        Trial { looked: LAST_LOOK, ..self }
    }

    /// Taken back at that time.
    pub fn refused(self, at: Time, loss: Loss) -> Trial {
        let refused = Some(Refused { at, old: self.old, new: self.new, loss });
        Trial { refused, ..self }.closed()
    }

    /// What the two spans say against the change; `None`: not enough.
    pub fn loss(&self, look: Look, (before, after): (Takings, Takings)) -> Option<Loss> {
        let hours = ((look.before.1 - look.before.0) as f64, (look.after.1 - look.after.0) as f64);
        let earned = (before.earned_msat as f64 / hours.0, after.earned_msat as f64 / hours.1);
        if before.settled == 0 || earned.0 <= 0.0 {
            return None;
        }
        let share = 1.0 - earned.1 / earned.0;
        // What one payment brings; where none has come at the new rate, as much more as the rate is higher.
        let brought = before.earned_msat as f64 / before.settled as f64;
        let brings = match after.settled {
            0 => brought * self.new.as_f64() / self.old.as_f64().max(1.0),
            settled => after.earned_msat as f64 / settled as f64,
        };
        // If both rates earned the same, this share of all payments would have come after the change.
        let expected = hours.1 * brought / (hours.1 * brought + hours.0 * brings);
        let chance =
            |before: u64, after: u64| Some(Binomial::new(expected, before.checked_add(after)?).ok()?.cdf(after));
        let wanted = |takings: Takings| takings.settled.checked_add(takings.starved);
        let (came, would) = (chance(before.settled, after.settled)?, chance(wanted(before)?, wanted(after)?)?);
        let loss = Loss {
            share,
            chance: came.max(would),
            payments_before: before.settled,
            days_before: u32::try_from((look.before.1 - look.before.0) / DAY_HOURS).ok()?,
            payments_after: after.settled,
            days_after: look.days,
        };
        (share > self.threshold && loss.chance <= CHANCE / LOOKS.len() as f64).then_some(loss)
    }

    /// The rate that stays although a rule wants another one: what it wants is about as far off as what was taken back.
    pub fn keeps(&self, wanted: i64, now: Time) -> Option<Ppm> {
        let Refused { at, old, new, .. } = self.refused.as_ref()?;
        let (old_ppm, new_ppm) = (i64::from(old.0), i64::from(new.0));
        let same_way = (wanted - old_ppm).signum() == (new_ppm - old_ppm).signum();
        let as_far = 2 * (wanted - old_ppm).abs() > (new_ppm - old_ppm).abs();
        (same_way && as_far && now.hours_since(*at) < KEPT_BACK_DAYS * DAY_HOURS as f64).then_some(*old)
    }

    /// Why the old rate is kept, in words.
    pub fn in_words(&self) -> Option<String> {
        let Refused { at, old, new, loss } = self.refused.as_ref()?;
        Some(format!(
            "{new} instead of {old} was taken back on {at}: {} payments in {} days before, {} in {} days after, {:.0} % of the revenue lost",
            loss.payments_before,
            loss.days_before,
            loss.payments_after,
            loss.days_after,
            100.0 * loss.share
        ))
    }
}

fn apart(from: Ppm, to: Ppm) -> f64 {
    to.as_f64() - from.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::to_u64_rounded;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution as _, Poisson};

    const START: Time = Time::from_secs(1_704_067_200);
    const SINCE: f64 = -24.0 * 14.1;

    fn trial(old: u32, new: u32, threshold: f64) -> Trial {
        let terms = (START.plus_hours(SINCE), threshold);
        Trial::begin(START.plus_hours(0.5), (Ppm(old), Ppm(new)), terms, None).unwrap()
    }

    /// Payments of 50,000 sat, and nobody who finds too little balance.
    fn takings(settled: u64, ppm: u32) -> Takings {
        Takings { settled, starved: 0, earned_msat: settled * u64::from(ppm) * 50 }
    }

    /// Goes through all looks with so many payments a day; the day on which the change is taken back.
    fn taken_back(trial: &mut Trial, before: Takings, per_day: &[Takings]) -> Option<u32> {
        for hour in 0..24 * 20 {
            let Some(look) = trial.due(trial.at.plus_hours(f64::from(hour))) else { continue };
            let days = per_day.iter().take(usize::try_from(look.days).unwrap());
            let after = days.fold(Takings::default(), |sum, day| Takings {
                settled: sum.settled + day.settled,
                starved: sum.starved + day.starved,
                earned_msat: sum.earned_msat + day.earned_msat,
            });
            if trial.loss(look, (before, after)).is_some() {
                return Some(look.days);
            }
            trial.looked = look.days;
        }
        assert_eq!(*trial, trial.clone().closed());
        None
    }

    #[test]
    fn what_costs_revenue_is_taken_back_as_soon_as_it_is_certain() {
        for (old, new, before, a_day, threshold, day) in [
            // 280 payments in 14 days before the change.
            (200, 400, 280, 20, 0.3, None),
            (200, 400, 280, 9, 0.3, None),
            (200, 400, 280, 4, 0.3, Some(2)),
            (200, 400, 280, 6, 0.3, Some(4)),
            (200, 400, 280, 6, 0.5, None),
            (400, 200, 280, 20, 0.3, Some(1)),
            (400, 200, 280, 36, 0.3, None),
            (200, 400, 28, 0, 0.3, Some(8)),
            (200, 400, 3, 0, 0.3, None),
            (200, 0, 280, 99, 0.3, Some(1)),
            (0, 200, 280, 0, 0.3, None),
        ] {
            let found = taken_back(&mut trial(old, new, threshold), takings(before, old), &[takings(a_day, new); 16]);
            assert_eq!(found, day, "{old} -> {new}, {before} before, {a_day} a day after, {threshold}");
        }
    }

    #[test]
    fn what_was_earned_counts_and_not_what_was_tried() {
        // Two payments and five hundred attempts before, fewer attempts and more payments after.
        let before = Takings { settled: 2, starved: 510, earned_msat: 181 };
        let day = Takings { settled: 8, starved: 121, earned_msat: 3_552 };
        assert_eq!(taken_back(&mut trial(36, 21, 0.3), before, &[day; 16]), None);
        // A channel that has run dry earns nothing, whatever it asks: demand is as it was.
        let dry = Takings { settled: 1, starved: 30, earned_msat: 20_000 };
        assert_eq!(taken_back(&mut trial(200, 400, 0.3), takings(280, 200), &[dry; 16]), None);
        // No rate, but a base fee that brings as much.
        let base = Takings { settled: 20, starved: 0, earned_msat: 200_000 };
        assert_eq!(taken_back(&mut trial(200, 0, 0.3), takings(280, 200), &[base; 16]), None);
    }

    #[test]
    fn without_a_day_to_compare_with_there_is_no_trial() {
        let begin =
            |hours: f64, old, new| Trial::begin(START, (Ppm(old), Ppm(new)), (START.plus_hours(-hours), 0.3), None);
        assert_eq!((begin(23.0, 1, 2), begin(240.0, 2, 2)), (None, None));
        let trial = begin(90.0 * 24.0, 1, 2).unwrap();
        let look = trial.due(START.plus_hours(25.0)).unwrap();
        assert_eq!((look.before.1 - look.before.0, look.after.1 - look.after.0), (16 * 24, 24));
        assert_eq!(trial.due(START.plus_hours(24.9)), None);
        assert_eq!(
            trial.due(START.plus_hours(24.0 * 11.0)).unwrap().days,
            8,
            "after an absence the latest look counts"
        );
    }

    #[test]
    fn a_change_in_steps_is_one_change() {
        let next = |trial: &Trial, hours: f64, new| {
            let at = trial.at.plus_hours(hours);
            Trial::begin(at, (trial.new, Ppm(new)), (trial.at, 0.3), Some(trial))
        };
        let first = trial(200, 140, 0.3);
        let second = next(&first, 0.5, 80).unwrap();
        assert_eq!((second.old, second.new, second.since, second.looked), (Ppm(200), Ppm(80), first.since, 0));
        assert!(second.at > first.at);
        // By a little, and back again: the days go on.
        let moved = next(&Trial { looked: 2, ..second.clone() }, 50.0, 85).unwrap();
        assert_eq!((moved.at, moved.looked, moved.new), (second.at, 2, Ppm(85)));
        assert_eq!(next(&second, 5.0, 300), None, "the other way, and nothing to compare with");
    }

    #[test]
    fn the_old_rate_is_kept_against_the_same_wish_and_not_for_ever() {
        let loss =
            Loss { share: 0.6, chance: 0.001, payments_before: 90, days_before: 7, payments_after: 4, days_after: 2 };
        let trial = trial(200, 400, 0.3);
        assert_eq!(trial.keeps(400, START), None);
        let trial = trial.refused(START, loss);
        let kept = [400, 900, 301, 299, 200, 100].map(|wanted| trial.keeps(wanted, START.plus_hours(48.0)).is_some());
        assert_eq!(kept, [true, true, true, false, false, false]);
        assert_eq!(trial.keeps(400, START.plus_hours(24.0 * 31.0)), None);
        assert!(trial.in_words().unwrap().starts_with("400 ppm instead of 200 ppm was taken back on"));
        // Not even by a detour.
        let at = START.plus_hours(72.0);
        let detour = Trial::begin(at, (Ppm(200), Ppm(280)), (START, 0.3), Some(&trial)).unwrap();
        assert!(detour.keeps(400, at).is_some() && detour.due(at.plus_hours(26.0)).is_some());
    }

    /// Changes that cost nothing: the same revenue from fewer or more payments.
    #[test]
    fn chance_takes_back_at_most_one_harmless_change_in_twenty() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for (old, new, a_day) in [(200, 400, 12.0), (400, 200, 5.0), (300, 330, 60.0)] {
            let expected = a_day * f64::from(old) / f64::from(new);
            let (mut before, mut after) = (Poisson::new(14.0 * a_day).unwrap(), Poisson::new(expected).unwrap());
            let mut draw = |of: &mut Poisson<f64>, ppm| takings(to_u64_rounded(of.sample(&mut rng)), ppm);
            let wrong = (0..1_000).filter(|_| {
                let days: Vec<Takings> = (0..16).map(|_| draw(&mut after, new)).collect();
                taken_back(&mut trial(old, new, 0.0), draw(&mut before, old), &days).is_some()
            });
            let wrong = wrong.count();
            assert!(wrong <= 50, "{old} -> {new}: {wrong} of 1000");
        }
    }
}
