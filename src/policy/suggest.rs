//! Which peers deserve another policy, by what they have earned: those that give balance away, and those that nobody uses. Only
//! suggests; what refilling cost does not weigh here, because the rebalancing weighs it itself.

use super::peer::{PeerPolicy, Strategy};
use crate::domain::{Msat, PeerId, Ppm, RebalanceMode, Time};

/// How far back earnings are looked at.
pub const WINDOW_DAYS: u32 = 30;
/// Less than this share of the capacity sent in the window is no reason to worry.
const LEAST_SENT: f64 = 0.1;
/// A peer that is silent for so many windows may go.
const LONG_SILENCE: f64 = 3.0;

/// What one peer's channels did in the window.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub peer: PeerId,
    pub capacity: Msat,
    pub local: Msat,
    /// What we ask now.
    pub fee: Ppm,
    pub out: Msat,
    pub incoming: Msat,
    /// Forwards in and out.
    pub forwards: u64,
    /// Fees of forwards out by the peer's channels, and of those that they brought.
    pub earned: Msat,
    pub brought: Msat,
    /// `None`: there was none yet.
    pub last_forward: Option<Time>,
    /// Since when we know the channels.
    pub known_since: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Balance leaves for less than the least that the operator asks.
    Bleeder,
    /// Nobody uses the channel.
    Zombie,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    pub kind: Kind,
    /// `high` or `medium`.
    pub severity: &'static str,
    pub reason: String,
    /// `None` leaves what is there.
    pub strategy: Option<Strategy>,
    pub rebalance: RebalanceMode,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bleeder => "bleeder",
            Kind::Zombie => "zombie",
        }
    }
}

/// What to do about the peer, whose own policy is `policy`; `None`: nothing, or it is done already. `least` is the lowest fee that the
/// controller sets.
pub fn suggest(record: &Record, policy: Option<&PeerPolicy>, least: Ppm, now: Time) -> Option<Suggestion> {
    let suggestion = zombie(record, now).or_else(|| bleeder(record, policy, least))?;
    let says = |policy: &&PeerPolicy| {
        policy.rebalance == Some(suggestion.rebalance)
            && suggestion.strategy.is_none_or(|strategy| policy.strategy == Some(strategy))
    };
    policy.filter(says).is_none().then_some(suggestion)
}

fn zombie(record: &Record, now: Time) -> Option<Suggestion> {
    let window = f64::from(WINDOW_DAYS);
    let since = record.last_forward.or(record.known_since)?;
    let days = now.hours_since(since) / 24.0;
    if days < window {
        return None;
    }
    let silence = match record.last_forward {
        Some(_) => format!("no forward for {days:.0} days"),
        None => format!("no forward since the channel was first seen {days:.0} days ago"),
    };
    let reason = format!(
        "{silence}; {} sat of {} are tied up there: not worth refilling, consider closing",
        record.local.sat_floor().0,
        record.capacity.sat_floor().0
    );
    let severity = if days >= LONG_SILENCE * window { "high" } else { "medium" };
    Some(Suggestion { kind: Kind::Zombie, severity, reason, strategy: None, rebalance: RebalanceMode::Disabled })
}

fn bleeder(record: &Record, policy: Option<&PeerPolicy>, least: Ppm) -> Option<Suggestion> {
    let own = policy.and_then(|policy| policy.strategy);
    // Members of a fleet are served cheaply on purpose.
    let wanted = own == Some(Strategy::Hive);
    let sent = record.out.as_f64() >= LEAST_SENT * record.capacity.as_f64() && record.out > record.incoming;
    let rate = rate(record.earned.checked_add(record.brought)?, record.out)?;
    if wanted || !sent || rate >= least.as_f64() {
        return None;
    }
    let reason = format!(
        "{} sat left in {WINDOW_DAYS} days and brought {rate:.1} ppm, less than min_fee_ppm ({least}); what rebalancing cost is \
         not known",
        record.out.sat_floor().0
    );
    let fixed = own == Some(Strategy::Static);
    let severity = if record.earned.0 == 0 { "high" } else { "medium" };
    let (strategy, rebalance) = match fixed {
        true => (Some(Strategy::Dynamic), policy.and_then(|policy| policy.rebalance).unwrap_or_default()),
        false => (None, RebalanceMode::Disabled),
    };
    Some(Suggestion { kind: Kind::Bleeder, severity, reason, strategy, rebalance })
}

/// Parts per million of what was sent.
fn rate(fees: Msat, sent: Msat) -> Option<f64> {
    (sent.0 > 0).then(|| fees.as_f64() * 1e6 / sent.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::peer::{self, Change};

    const NOW: Time = Time::from_secs(1_704_067_200);

    fn record(days_silent: f64, out_sat: u64, earned_sat: u64) -> Record {
        Record {
            peer: PeerId([2; 33]),
            capacity: Msat(5_000_000_000),
            local: Msat(2_000_000_000),
            fee: Ppm(10),
            out: Msat(out_sat * 1000),
            incoming: Msat(0),
            forwards: 5,
            earned: Msat(earned_sat * 1000),
            brought: Msat(0),
            last_forward: Some(NOW.plus_hours(-24.0 * days_silent)),
            known_since: Some(NOW.plus_hours(-24.0 * 365.0)),
        }
    }

    #[test]
    fn what_earns_and_what_is_young_is_left_alone() {
        for quiet in [
            record(1.0, 1_000_000, 100),
            record(29.0, 0, 0),
            record(1.0, 400_000, 0),
            Record { last_forward: None, known_since: Some(NOW.plus_hours(-24.0)), ..record(0.0, 0, 0) },
            Record { last_forward: None, known_since: None, ..record(0.0, 0, 0) },
            Record { incoming: Msat(2_000_000_000), ..record(1.0, 1_000_000, 0) },
            Record { brought: Msat(100_000), ..record(1.0, 1_000_000, 0) },
        ] {
            assert_eq!(suggest(&quiet, None, Ppm(10), NOW), None, "{quiet:?}");
        }
    }

    #[test]
    fn bleeders_and_zombies_are_named_with_their_numbers() {
        for (record, kind, severity, words) in [
            (record(1.0, 1_000_000, 0), "bleeder", "high", "1000000 sat left in 30 days and brought 0.0 ppm"),
            (record(1.0, 1_000_000, 9), "bleeder", "medium", "brought 9.0 ppm, less than min_fee_ppm (10 ppm)"),
            (record(45.0, 0, 0), "zombie", "medium", "no forward for 45 days; 2000000 sat of 5000000"),
            (record(100.0, 0, 0), "zombie", "high", "no forward for 100 days"),
            (Record { last_forward: None, ..record(0.0, 0, 0) }, "zombie", "high", "first seen 365 days ago"),
        ] {
            let found = suggest(&record, None, Ppm(10), NOW).unwrap();
            assert_eq!((found.kind.name(), found.severity), (kind, severity), "{found:?}");
            assert!(found.reason.contains(words), "{}", found.reason);
        }
    }

    #[test]
    fn what_is_done_already_is_not_suggested() {
        let of = |change: Change| peer::changed(None, PeerId([2; 33]), &change, NOW).unwrap();
        let disabled = of(Change { rebalance: Some(RebalanceMode::Disabled), ..Change::default() });
        for silent in [record(45.0, 0, 0), record(1.0, 1_000_000, 0)] {
            assert_eq!(suggest(&silent, Some(&disabled), Ppm(10), NOW), None);
        }
        let cheap = of(Change { strategy: Some(Strategy::Static), fee: Some(Some(Ppm(1))), ..Change::default() });
        let found = suggest(&record(1.0, 1_000_000, 1), Some(&cheap), Ppm(10), NOW).unwrap();
        assert_eq!(found.strategy, Some(Strategy::Dynamic));
        let fleet = of(Change { strategy: Some(Strategy::Hive), ..Change::default() });
        assert_eq!(suggest(&record(1.0, 1_000_000, 0), Some(&fleet), Ppm(10), NOW), None);
    }
}
