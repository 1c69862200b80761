//! What the timers do: when each job ran last, when it runs next, what went wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    Sync,
    Flow,
    Fees,
    Rebalance,
    /// Ends policies when their time is over.
    Policies,
    /// Reads the node's books, and notes the day.
    Books,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobReport {
    pub runs: u64,
    pub failures: u64,
    pub last_run: Option<Time>,
    pub next_run: Option<Time>,
    /// Of the last run, if it failed.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
pub struct Jobs(Mutex<BTreeMap<Job, JobReport>>);

impl Job {
    pub const ALL: [Job; 6] = [Job::Sync, Job::Flow, Job::Fees, Job::Policies, Job::Rebalance, Job::Books];

    pub fn name(self) -> &'static str {
        match self {
            Job::Sync => "sync",
            Job::Flow => "flow",
            Job::Fees => "fees",
            Job::Rebalance => "rebalance",
            Job::Policies => "policies",
            Job::Books => "books",
        }
    }
}

impl Jobs {
    pub fn ran(&self, job: Job, at: Time, error: Option<String>) {
        self.change(job, |report| {
            report.runs += 1;
            report.failures += u64::from(error.is_some());
            report.last_run = Some(at);
            report.last_error = error;
        });
    }

    pub fn scheduled(&self, job: Job, at: Time) {
        self.change(job, |report| report.next_run = Some(at));
    }

    /// All jobs, also those that have not run yet.
    pub fn reports(&self) -> BTreeMap<Job, JobReport> {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for job in Job::ALL {
            reports.entry(job).or_default();
        }
        reports
    }

    fn change(&self, job: Job, change: impl FnOnce(&mut JobReport)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(job).or_default());
    }
}
