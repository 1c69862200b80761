//! Strides by chance: where a climb of ever finer steps has ended on a ledge, steps of all lengths in one, two, three or all
//! places at once lead on. What earns more is kept. Knows nothing of what it moves.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The standard deviation of a step is between these, as often below their geometric mean as above.
const REACH: (f64, f64) = (0.02, 1.2);
/// In how many places a stride steps; 0: in all. Single channels count most, but cheap ones feed dear ones.
const WIDTHS: [usize; 6] = [1, 1, 2, 2, 3, 0];

/// The steps of one stride, by place; most are 0.
pub(super) fn steps(places: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut steps = vec![0.0; places];
    if places == 0 {
        return steps;
    }
    let reach = reach(rng);
    match WIDTHS[rng.random_range(0..WIDTHS.len())] {
        0 => steps.iter_mut().for_each(|step| *step = reach * normal(rng)),
        width => (0..width).for_each(|_| steps[rng.random_range(0..places)] = reach * normal(rng)),
    }
    steps
}

/// How far one stride reaches.
pub(super) fn reach(rng: &mut ChaCha8Rng) -> f64 {
    REACH.0 * (REACH.1 / REACH.0).powf(rng.random_range(0.0..1.0))
}

pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}
