//! Which of our prices payers may still go by, and what those teach who were refused because of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Climb, Seen};
use crate::domain::{Ppm, Time};
use crate::fees::FeeInputs;
use crate::fees::belief::Raise;

/// Prices that are remembered. Older ones nobody goes by any more.
const KEPT: usize = 4;
/// News of a price reaches nearly everybody within hours; who comes with an older one says nothing of the raise.
const OLD_NEWS_HOURS: f64 = 24.0;

/// Published fees of late and since when, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Prices(Vec<(Time, Ppm)>);

impl Prices {
    fn note(&mut self, since: Time, ppm: Ppm) {
        if self.0.last().is_some_and(|(_, last)| *last == ppm) {
            return;
        }
        self.0.push((since, ppm));
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }

    /// For people: since when, and ppm.
    pub(super) fn told(&self) -> Vec<Value> {
        self.0.iter().map(|(since, ppm)| json!({ "since": since.to_string(), "ppm": ppm })).collect()
    }
}

/// The raise for which somebody was refused then, by prices and since when they were asked: since when the price of then was asked, the
/// newest lower one before it, and itself.
pub fn raise<P: Copy + PartialOrd>(prices: &[(Time, P)], at: Time) -> Option<(Time, P, P)> {
    let current = prices.iter().rposition(|(since, _)| *since <= at)?;
    let (since, price) = prices[current];
    let lower = prices[..current].iter().rposition(|(_, before)| *before < price)?;
    let ended = prices[lower + 1].0;
    (at.hours_since(ended) <= OLD_NEWS_HOURS).then(|| (since, prices[lower].1, price))
}

impl Climb {
    /// Takes in what payers did who came with an older, lower price.
    pub(super) fn hear(&mut self, seen: &Seen, i: &FeeInputs) {
        self.prices.note(seen.until, i.published());
        self.belief.expect_patience(i.market.patience);
        for refused in &i.observed.refused {
            if let Some((since, from, to)) = raise(&self.prices.0, refused.at) {
                let raise = Raise::new(since, from.as_f64() + self.base, to.as_f64() + self.base);
                self.belief.refuse(&raise, refused.came_back);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_704_067_200);

    /// Since when the price of then was asked, the old one and itself.
    type Found = (f64, u32, u32);
    type Case = (&'static [(f64, u32)], f64, Option<Found>);

    #[test]
    fn who_is_refused_came_with_the_newest_price_that_was_lower() {
        // Prices from hour to hour; the hour at which somebody is refused; the raise.
        let cases: [Case; 9] = [
            (&[(0.0, 100)], 5.0, None),
            (&[(0.0, 100), (12.0, 150)], 13.0, Some((12.0, 100, 150))),
            // Before the raise nobody could be refused for it.
            (&[(0.0, 100), (12.0, 150)], 11.9, None),
            // A cut: whoever comes with the old price pays more than is asked.
            (&[(0.0, 150), (12.0, 100)], 13.0, None),
            // Up and a little down again: those who never heard of the raise are still too low.
            (&[(0.0, 100), (12.0, 150), (18.0, 130)], 19.0, Some((18.0, 100, 130))),
            (&[(0.0, 100), (12.0, 150), (18.0, 90)], 19.0, None),
            // Two raises: most come with the newer of the old prices.
            (&[(0.0, 100), (12.0, 150), (18.0, 200)], 19.0, Some((18.0, 150, 200))),
            // News a day old is nobody's any more.
            (&[(0.0, 100), (12.0, 150)], 36.0, Some((12.0, 100, 150))),
            (&[(0.0, 100), (12.0, 150)], 36.1, None),
        ];
        for (told, at, expected) in cases {
            let mut prices = Prices::default();
            for (hour, ppm) in told {
                prices.note(START.plus_hours(*hour), Ppm(*ppm));
                prices.note(START.plus_hours(hour + 0.5), Ppm(*ppm));
            }
            let expected = expected.map(|(since, from, to)| (START.plus_hours(since), Ppm(from), Ppm(to)));
            assert_eq!(raise(&prices.0, START.plus_hours(at)), expected, "{told:?} at {at} h");
        }
    }

    #[test]
    fn the_last_prices_are_enough() {
        let mut prices = Prices::default();
        (0..100).for_each(|hour| prices.note(START.plus_hours(f64::from(hour)), Ppm(100 + hour)));
        assert_eq!(prices.0.len(), KEPT);
        assert_eq!(
            raise(&prices.0, START.plus_hours(99.5)).map(|(_, from, to)| (from, to)),
            Some((Ppm(198), Ppm(199)))
        );
    }
}
