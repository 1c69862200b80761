//! How busy each hour of the week is, for the whole node. Pure.

use crate::domain::Time;

pub const HOURS_OF_WEEK: usize = 168;

/// Forwards that one hour of the week must have seen before its own rhythm counts as much as "like any other hour".
const PRIOR_FORWARDS: f64 = 20.0;

/// Relative traffic of each hour of the week: 1 is the mean, shrunk toward 1 where little was seen. `hours` are counts
/// of settled forwards per hour since 1970; hours without a row had none.
pub fn traffic_index(hours: &[(i64, u64)], from: Time, to: Time) -> Vec<f64> {
    let mut seen = vec![0.0; HOURS_OF_WEEK];
    for (hour, count) in hours {
        seen[slot(*hour)] += *count as f64;
    }
    let mut lengths = vec![0.0_f64; HOURS_OF_WEEK];
    for hour in from.hour()..to.hour() {
        lengths[slot(hour)] += 1.0;
    }
    let span: f64 = lengths.iter().sum();
    if span < 1.0 {
        return vec![1.0; HOURS_OF_WEEK];
    }
    let mean = seen.iter().sum::<f64>() / span;
    seen.iter().zip(&lengths).map(|(n, length)| (n + PRIOR_FORWARDS) / (mean * length + PRIOR_FORWARDS)).collect()
}

fn slot(hour: i64) -> usize {
    usize::try_from(Time(hour * 3_600_000).hour_of_week()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: Time = Time::from_secs(1_704_067_200);

    #[test]
    fn without_history_every_hour_is_alike() {
        assert_eq!(traffic_index(&[], MONDAY, MONDAY), vec![1.0; HOURS_OF_WEEK]);
        assert_eq!(traffic_index(&[], MONDAY, MONDAY.plus_hours(1000.0)), vec![1.0; HOURS_OF_WEEK]);
    }

    #[test]
    fn busy_hours_show_and_few_forwards_prove_little() {
        let weeks = 4;
        let busy: Vec<(i64, u64)> =
            (0..weeks * 168).map(|h| (MONDAY.hour() + h, if h % 24 < 12 { 300 } else { 100 })).collect();
        let index = traffic_index(&busy, MONDAY, MONDAY.plus_hours(weeks as f64 * 168.0));
        assert!((index[0] - 1.5).abs() < 0.05 && (index[13] - 0.5).abs() < 0.05, "{} {}", index[0], index[13]);
        let few: Vec<(i64, u64)> = (0..168).filter(|h| h % 24 < 12).map(|h| (MONDAY.hour() + h, 2)).collect();
        let index = traffic_index(&few, MONDAY, MONDAY.plus_hours(168.0));
        assert!(index.iter().all(|x| (0.9..1.1).contains(x)));
    }
}
