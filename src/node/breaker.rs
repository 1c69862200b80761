//! One circuit breaker as a state machine. Time is told to it; it never waits and never calls.

use super::BreakerReport;
use crate::domain::Time;

/// Closed, calls pass. After a failure they are refused for a while; then one is let through to try, and its outcome decides.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    last_error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        since: Time,
    },
    /// As open, while one call is under way that tries.
    Trying {
        since: Time,
    },
}

/// Leave to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Free,
    /// The one call that tries whether the node answers again.
    Try,
}

impl Breaker {
    /// May a call be made now? If not: in how many seconds to ask again.
    pub(super) fn ask(&mut self, now: Time, rest_secs: u64) -> Result<Pass, u64> {
        match self.state {
            _ if rest_secs == 0 => Ok(Pass::Free),
            State::Closed => Ok(Pass::Free),
            State::Trying { .. } => Err(1),
            State::Open { since } => match remaining_secs(since, now, rest_secs) {
                Some(secs) => Err(secs),
                None => {
                    self.state = State::Trying { since };
                    Ok(Pass::Try)
                }
            },
        }
    }

    /// The node answered, if only to refuse. Also when the call began before the failure: it is the later news.
    pub(super) fn answered(&mut self) {
        *self = Breaker::default();
    }

    /// No answer.
    pub(super) fn failed(&mut self, pass: Pass, now: Time, rest_secs: u64, error: String) {
        self.last_error = Some(error);
        self.state = match self.state {
            _ if rest_secs == 0 => State::Closed,
            // A call from before the rest, that ends now, says nothing about the one that tries.
            State::Trying { since } if pass == Pass::Free => State::Trying { since },
            _ => State::Open { since: now },
        };
    }

    /// The call was dropped before its end; the next one may try.
    pub(super) fn abandoned(&mut self, pass: Pass) {
        if let (Pass::Try, State::Trying { since }) = (pass, self.state) {
            self.state = State::Open { since };
        }
    }

    pub(super) fn report(&self, group: &'static str, now: Time, rest_secs: u64) -> BreakerReport {
        let (state, retry_in_secs) = match self.state {
            _ if rest_secs == 0 => ("closed", None),
            State::Closed => ("closed", None),
            State::Trying { .. } => ("half-open", None),
            State::Open { since } => match remaining_secs(since, now, rest_secs) {
                Some(secs) => ("open", Some(secs)),
                None => ("half-open", None),
            },
        };
        BreakerReport { group, state, last_error: self.last_error.clone(), retry_in_secs }
    }
}

/// Seconds of rest that are left, rounded up; `None` when it is over. It is over, too, when the clock was set back.
fn remaining_secs(since: Time, now: Time, rest_secs: u64) -> Option<u64> {
    let rested = u64::try_from(now.0 - since.0).ok()?;
    let left = rest_secs.saturating_mul(1000).checked_sub(rested)?;
    (left > 0).then(|| left.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to a breaker, at a second of its life.
    enum Step {
        Ask(Result<Pass, u64>),
        Answered,
        Failed(Pass),
        Abandoned(Pass),
        Is(&'static str, Option<u64>),
    }
    use Step::{Abandoned, Answered, Ask, Failed, Is};

    fn play(rest_secs: u64, steps: &[(i64, Step)]) {
        let mut breaker = Breaker::default();
        for (number, (secs, step)) in steps.iter().enumerate() {
            let now = Time::from_secs(*secs);
            match step {
                Ask(expected) => assert_eq!(breaker.ask(now, rest_secs), *expected, "step {number}"),
                Answered => breaker.answered(),
                Failed(pass) => breaker.failed(*pass, now, rest_secs, "no answer".to_owned()),
                Abandoned(pass) => breaker.abandoned(*pass),
                Is(state, retry) => {
                    let report = breaker.report("info", now, rest_secs);
                    assert_eq!((report.state, report.retry_in_secs), (*state, *retry), "step {number}");
                }
            }
        }
    }

    const FREE: Result<Pass, u64> = Ok(Pass::Free);
    const TRY: Result<Pass, u64> = Ok(Pass::Try);

    #[test]
    fn calls_pass_until_one_fails_and_then_rest() {
        play(
            60,
            &[
                (0, Ask(FREE)),
                (0, Ask(FREE)),
                (1, Answered),
                (5, Failed(Pass::Free)),
                (5, Is("open", Some(60))),
                (5, Ask(Err(60))),
                (64, Ask(Err(1))),
                (64, Is("open", Some(1))),
            ],
        );
    }

    #[test]
    fn exactly_one_call_tries_and_its_answer_closes() {
        play(
            60,
            &[
                (0, Failed(Pass::Free)),
                (60, Is("half-open", None)),
                (60, Ask(TRY)),
                (60, Ask(Err(1))),
                (70, Ask(Err(1))),
                (71, Answered),
                (71, Is("closed", None)),
                (71, Ask(FREE)),
                (71, Ask(FREE)),
            ],
        );
    }

    #[test]
    fn a_try_that_fails_rests_the_whole_time_again() {
        play(
            60,
            &[
                (0, Failed(Pass::Free)),
                (60, Ask(TRY)),
                (75, Failed(Pass::Try)),
                (75, Ask(Err(60))),
                (134, Ask(Err(1))),
                (135, Ask(TRY)),
            ],
        );
    }

    #[test]
    fn a_try_that_was_dropped_leaves_the_try_to_the_next() {
        play(60, &[(0, Failed(Pass::Free)), (60, Ask(TRY)), (61, Abandoned(Pass::Try)), (61, Ask(TRY))]);
        play(60, &[(0, Ask(FREE)), (1, Abandoned(Pass::Free)), (1, Is("closed", None))]);
    }

    #[test]
    fn late_news_of_older_calls() {
        // A failure does not disturb the try that is under way.
        play(60, &[(0, Failed(Pass::Free)), (60, Ask(TRY)), (61, Failed(Pass::Free)), (61, Ask(Err(1)))]);
        // An answer that came after all closes.
        play(60, &[(0, Failed(Pass::Free)), (1, Answered), (1, Ask(FREE))]);
    }

    #[test]
    fn without_a_rest_it_never_opens() {
        play(0, &[(0, Failed(Pass::Free)), (0, Is("closed", None)), (0, Ask(FREE))]);
    }

    #[test]
    fn the_rest_follows_the_option_and_a_clock_set_back_ends_it() {
        let mut breaker = Breaker::default();
        breaker.failed(Pass::Free, Time::from_secs(1000), 3600, "no answer".to_owned());
        assert_eq!(breaker.ask(Time::from_secs(1010), 3600), Err(3590));
        assert_eq!(breaker.ask(Time::from_secs(1010), 20), Err(10));
        assert_eq!(breaker.ask(Time::from_secs(1010), 0), FREE);
        assert_eq!(breaker.ask(Time::from_secs(10), 3600), TRY);
    }

    #[test]
    fn the_last_error_is_told_until_an_answer_comes() {
        let mut breaker = Breaker::default();
        breaker.failed(Pass::Free, Time::from_secs(0), 60, "no answer".to_owned());
        let told = |breaker: &Breaker| breaker.report("info", Time::from_secs(1), 60).last_error;
        assert_eq!(told(&breaker), Some("no answer".to_owned()));
        breaker.answered();
        assert_eq!(told(&breaker), None);
    }
}
