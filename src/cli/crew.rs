//! Many jobs on all cores, and a bar that tells how far they are. Knows nothing of what a job does.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

/// What a bar says of tapes that are played.
const TAPES: &str = "{pos:>4}/{len} tapes {bar:40} {eta}";

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

pub(super) fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What came of each job, in the order of the jobs; whoever is free takes the next one.
pub(super) fn each<J: Sync, T: Send>(jobs: &[J], threads: usize, work: impl Fn(&J) -> T + Sync) -> Vec<T> {
    let bar = bar(jobs.len() as u64, TAPES);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(jobs.len())));
    let turn = || {
        while let Some((place, job)) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            jobs.get(place).map(|job| (place, job))
        } {
            let made = work(job);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, made));
            bar.inc(1);
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(turn))));
    bar.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_answers_in_its_place() {
        for (count, threads) in [(0_u32, 3), (1, 3), (100, 1), (100, 7)] {
            let jobs: Vec<u32> = (0..count).collect();
            let squares: Vec<u32> = jobs.iter().map(|job| job * job).collect();
            assert_eq!(each(&jobs, threads, |job| job * job), squares, "{count} jobs, {threads} threads");
        }
    }
}
