//! Does a fee that a rule has set earn less than the one before? Judged by counts of payments and by the two fees, at a few moments that are
//! fixed in advance, so that chance alone takes back at most one good change in twenty. "Revenue fell by a quarter" would not do: with
//! thirty payments a day it falls that much within three days one time in five.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

use crate::domain::{Ppm, Time};

/// The share of revenue that must be lost where a section does not say.
pub const USUAL_THRESHOLD: f64 = 0.3;
/// A change is looked at so many days after it. Whole days, because the hours of a day are not alike.
const LOOKS: [u32; 5] = [1, 2, 4, 8, 16];
/// How often all looks together may err about a change that costs nothing.
const CHANCE: f64 = 0.05;
/// So many days before the change are compared at most.
const MOST_DAYS_BEFORE: i64 = 16;
/// What was taken back is tried again after so many days: demand changes.
const KEPT_BACK_DAYS: f64 = 30.0;
const DAY_HOURS: i64 = 24;

/// A change of a channel's fee rate on trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub at: Time,
    pub old: Ppm,
    pub new: Ppm,
    /// From when on the old rate had been in force, as far as we know.
    pub since: Time,
    /// The share of revenue that must be lost, by the rule that made the change.
    pub threshold: f64,
    /// Days after the change of the last look.
    pub looked: u32,
    /// When it was taken back, and why.
    pub taken_back: Option<(Time, Loss)>,
}

/// The hours that a look compares: `[from, to)` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    pub days: u32,
    pub before: (i64, i64),
    pub after: (i64, i64),
}

/// What a change has cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Share of the revenue.
    pub share: f64,
    /// How likely it would be to see so few payments if nothing was lost.
    pub chance: f64,
    pub payments_before: u64,
    pub days_before: u32,
    pub payments_after: u64,
    pub days_after: u32,
}

impl Trial {
    /// The trial of a change; `None` where the old rate was not in force for a day, so that there is nothing to compare with.
    pub fn begin(at: Time, (old, new): (Ppm, Ppm), since: Time, threshold: f64) -> Option<Trial> {
        let comparable = at.hour() - since.hour() > DAY_HOURS && old != new;
        comparable.then_some(Trial { at, old, new, since, threshold, looked: 0, taken_back: None })
    }

    /// The look that is due, if one is: the latest, because it knows what the earlier ones would have known.
    pub fn due(&self, now: Time) -> Option<Look> {
        let first = self.at.hour() + 1;
        let is_over = |days: &&u32| **days > self.looked && first + i64::from(**days) * DAY_HOURS <= now.hour();
        let days = *LOOKS.iter().rev().find(is_over).filter(|_| self.taken_back.is_none())?;
        let known = (self.at.hour() - self.since.hour() - 1) / DAY_HOURS;
        let before = known.clamp(1, MOST_DAYS_BEFORE) * DAY_HOURS;
        let after = (first, first + i64::from(days) * DAY_HOURS);
        Some(Look { days, before: (self.at.hour() - before, self.at.hour()), after })
    }

    /// The last look is over, or somebody has changed the rate again: nothing is to be judged any more.
    pub fn closed(self) -> Trial {
        Trial { looked: LOOKS.last().copied().unwrap_or_default(), ..self }
    }

    /// What the payments within the two spans say against the change; `None`: not enough.
    pub fn loss(&self, look: Look, (before, after): (u64, u64)) -> Option<Loss> {
        let hours = |(from, to): (i64, i64)| (to - from) as f64;
        let (hours_before, hours_after) = (hours(look.before), hours(look.after));
        let worth = |payments: u64, hours: f64, fee: Ppm| payments as f64 / hours * fee.as_f64();
        let had = worth(before, hours_before, self.old);
        if had <= 0.0 {
            return None;
        }
        let share = 1.0 - worth(after, hours_after, self.new) / had;
        // If both fees earned the same, this share of all payments would have come after the change.
        let weights = (hours_after * self.old.as_f64(), hours_before * self.new.as_f64());
        let expected = weights.0 / (weights.0 + weights.1);
        let chance = Binomial::new(expected, before.checked_add(after)?).ok()?.cdf(after);
        let days_before = u32::try_from((look.before.1 - look.before.0) / DAY_HOURS).ok()?;
        let loss =
            Loss { share, chance, payments_before: before, days_before, payments_after: after, days_after: look.days };
        (share > self.threshold && chance <= CHANCE / LOOKS.len() as f64).then_some(loss)
    }

    /// The rate that stays although a rule wants another one: what it wants is as far off as what was taken back.
    pub fn keeps(&self, wanted: i64, now: Time) -> Option<Ppm> {
        let (at, _) = self.taken_back.as_ref()?;
        let (old, new) = (i64::from(self.old.0), i64::from(self.new.0));
        let same_way = (wanted - old).signum() == (new - old).signum();
        let as_far = 2 * (wanted - old).abs() > (new - old).abs();
        (same_way && as_far && now.hours_since(*at) < KEPT_BACK_DAYS * DAY_HOURS as f64).then_some(self.old)
    }

    /// Why the old rate is kept, in words.
    pub fn in_words(&self) -> Option<String> {
        let (at, loss) = self.taken_back.as_ref()?;
        Some(format!(
            "{} instead of {} was taken back on {at}: {} payments in {} days before, {} in {} days after, {:.0} % of the revenue lost",
            self.new,
            self.old,
            loss.payments_before,
            loss.days_before,
            loss.payments_after,
            loss.days_after,
            100.0 * loss.share
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::to_u64_rounded;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution as _, Poisson};

    const START: Time = Time::from_secs(1_704_067_200);

    fn trial(old: u32, new: u32, threshold: f64) -> Trial {
        let since = START.plus_hours(-24.0 * 14.1);
        Trial::begin(START.plus_hours(0.5), (Ppm(old), Ppm(new)), since, threshold).unwrap()
    }

    /// Goes through all looks with so many payments a day; the day on which the change is taken back.
    fn taken_back(trial: &mut Trial, before: u64, per_day: &[u64]) -> Option<u32> {
        for hour in 0..24 * 20 {
            let now = trial.at.plus_hours(f64::from(hour));
            let Some(look) = trial.due(now) else { continue };
            let after = per_day.iter().take(usize::try_from(look.days).unwrap()).sum();
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
            let found = taken_back(&mut trial(old, new, threshold), before, &[a_day; 16]);
            assert_eq!(found, day, "{old} -> {new}, {before} before, {a_day} a day after, {threshold}");
        }
    }

    #[test]
    fn without_a_day_to_compare_with_there_is_no_trial() {
        let begin = |hours: f64, old, new| Trial::begin(START, (Ppm(old), Ppm(new)), START.plus_hours(-hours), 0.3);
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
    fn the_old_rate_is_kept_against_the_same_wish_and_not_for_ever() {
        let loss =
            Loss { share: 0.6, chance: 0.001, payments_before: 90, days_before: 7, payments_after: 4, days_after: 2 };
        let mut trial = trial(200, 400, 0.3);
        assert_eq!(trial.keeps(400, START), None);
        trial.taken_back = Some((START, loss));
        let kept = [400, 900, 301, 299, 200, 100].map(|wanted| trial.keeps(wanted, START.plus_hours(48.0)).is_some());
        assert_eq!(kept, [true, true, true, false, false, false]);
        assert_eq!(trial.keeps(400, START.plus_hours(24.0 * 31.0)), None);
        assert!(trial.in_words().unwrap().starts_with("400 ppm instead of 200 ppm was taken back on"));
    }

    /// Changes that cost nothing: the same revenue from fewer or more payments.
    #[test]
    fn chance_takes_back_at_most_one_harmless_change_in_twenty() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for (old, new, a_day) in [(200, 400, 12.0), (400, 200, 5.0), (300, 330, 60.0)] {
            let expected = a_day * f64::from(old) / f64::from(new);
            let (mut before, mut after) = (Poisson::new(14.0 * a_day).unwrap(), Poisson::new(expected).unwrap());
            let mut draw = |of: &mut Poisson<f64>| to_u64_rounded(of.sample(&mut rng));
            let wrong = (0..1_000).filter(|_| {
                let days: Vec<u64> = (0..16).map(|_| draw(&mut after)).collect();
                taken_back(&mut trial(old, new, 0.0), draw(&mut before), &days).is_some()
            });
            let wrong = wrong.count();
            assert!(wrong <= 50, "{old} -> {new}: {wrong} of 1000");
        }
    }
}
