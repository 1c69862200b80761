//! Many jobs on all cores, one job that stays on one, and a bar that tells how far they are. Knows nothing of what a job does.

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

/// Does the work on a thread of its own that stays on one core together with all that it starts, such as the ledger's. Work that
/// is handed to and fro between two threads thousands of times a second and never done by both at once takes a quarter of the time
/// so: waking another core costs more than most of what is asked of it. Where a thread cannot be told where to stay it may go anywhere.
pub(super) fn on_one_core<T: Send, F: Future<Output = anyhow::Result<T>>>(
    work: impl FnOnce() -> F + Send,
) -> anyhow::Result<T> {
    let alone = || {
        let _place = Place::take();
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work())
    };
    std::thread::scope(|scope| scope.spawn(alone).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Cores on which somebody stays, once for each who does.
static TAKEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// A core to stay on; free for others again when it is dropped.
struct Place(Option<usize>);

impl Place {
    /// For the thread that asks: of the cores that it may use the one on which the fewest stay.
    fn take() -> Place {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let core = emptiest(&affinity::allowed(), &taken).filter(|core| affinity::keep_to(*core));
        taken.extend(core);
        Place(core)
    }
}

fn emptiest(allowed: &[usize], taken: &[usize]) -> Option<usize> {
    allowed.iter().copied().min_by_key(|core| taken.iter().filter(|place| *place == core).count())
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = taken.iter().position(|core| Some(*core) == self.0) {
            taken.swap_remove(place);
        }
    }
}

#[cfg(target_os = "linux")]
mod affinity {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// Cores that the thread that asks may use.
    pub(super) fn allowed() -> Vec<usize> {
        let set = sched_getaffinity(None).unwrap_or_default();
        (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
    }

    pub(super) fn keep_to(core: usize) -> bool {
        let mut one = CpuSet::new();
        one.set(core);
        sched_setaffinity(None, &one).is_ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod affinity {
    pub(super) fn allowed() -> Vec<usize> {
        Vec::new()
    }

    pub(super) fn keep_to(_: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn work_and_all_that_it_starts_stays_on_one_core_and_whoever_asked_for_it_does_not() {
        let before = affinity::allowed();
        let (mine, of_what_i_start) = on_one_core(|| async {
            let started = tokio::task::spawn_blocking(affinity::allowed).await?;
            Ok((affinity::allowed(), started))
        })
        .unwrap();
        assert_eq!((mine.len(), &mine), (1, &of_what_i_start));
        assert!(before.contains(&mine[0]));
        assert_eq!(affinity::allowed(), before);
    }

    #[test]
    fn whoever_comes_stays_where_the_fewest_are() {
        for (allowed, taken, place) in [
            (&[0, 1][..], &[][..], Some(0)),
            (&[0, 1], &[0], Some(1)),
            (&[0, 1], &[0, 1, 0], Some(1)),
            (&[2, 5], &[0, 1], Some(2)),
            (&[], &[], None),
        ] {
            assert_eq!(emptiest(allowed, taken), place, "{allowed:?} {taken:?}");
        }
    }

    #[test]
    fn every_job_is_done_once_and_answers_in_its_place() {
        for (count, threads) in [(0_u32, 3), (1, 3), (100, 1), (100, 7)] {
            let jobs: Vec<u32> = (0..count).collect();
            let squares: Vec<u32> = jobs.iter().map(|job| job * job).collect();
            assert_eq!(each(&jobs, threads, |job| job * job), squares, "{count} jobs, {threads} threads");
        }
    }
}
