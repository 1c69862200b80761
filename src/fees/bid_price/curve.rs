//! What one channel answers to a cost, and what more outflow of it would earn. Arithmetic over the rungs of a ladder.

/// A demand that ignores the fee has no slope; the steps need one.
const LEAST_SLOPE: f64 = 1e-4;
/// Half of the span (ppm) over which a slope is first taken; the ascent corrects it where it meets a steeper one.
const FIRST_STEP: f64 = 20.0;

/// Best responses to a cost: piecewise linear, so that small changes of a cost make small changes of the outflow.
pub(super) struct Curve {
    /// Cost, fee, outflow: costs and fees rising, outflow falling.
    pub(super) points: Vec<(f64, f64, f64)>,
    least_slope: f64,
}

/// What the next unit of outflow earns, by the outflow that there is: rising outflow, falling ppm, straight lines between. Where more
/// could only be sold by earning less it is nothing.
pub(in crate::fees) fn marginal_revenue(ladder: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let curve = Curve::new(ladder);
    // Up to what is sold at the dearest fee, or at the only one, each unit earns the whole of it.
    let dearest = curve.points.last().map(|(_, fee, outflow)| [(0.0, *fee), (*outflow, *fee)]);
    let rungs = curve.points.iter().rev().map(|(cost, _, outflow)| (*outflow, cost.max(0.0)));
    dearest.into_iter().flatten().chain(rungs).collect()
}

impl Curve {
    pub(super) fn new(ladder: &[(f64, f64)]) -> Curve {
        let hull = hull(ladder);
        // From this cost on the next rung earns more than the one before it.
        let turns: Vec<f64> =
            hull.windows(2).map(|w| (w[0].0 * w[0].1 - w[1].0 * w[1].1) / (w[0].1 - w[1].1)).collect();
        let cost = |k: usize| match (k.checked_sub(1).and_then(|k| turns.get(k)), turns.get(k)) {
            (Some(from), Some(to)) => f64::midpoint(*from, *to),
            (Some(only), None) | (None, Some(only)) => *only,
            (None, None) => 0.0,
        };
        let points: Vec<_> = hull.iter().enumerate().map(|(k, (fee, wanted))| (cost(k), *fee, *wanted)).collect();
        let (most, top) = hull.first().map_or((0.0, 1.0), |first| (first.1, hull.last().map_or(1.0, |last| last.0)));
        Curve { points, least_slope: LEAST_SLOPE * most / top.max(1.0) }
    }

    /// How steeply the outflow falls about where it costs nothing.
    pub(super) fn first_slope(&self) -> f64 {
        ((self.outflow(-FIRST_STEP) - self.outflow(FIRST_STEP)) / (2.0 * FIRST_STEP)).max(self.least_slope)
    }

    /// Fee and outflow.
    fn at(&self, cost: f64) -> (f64, f64) {
        let next = self.points.partition_point(|point| point.0 <= cost);
        match (next.checked_sub(1).and_then(|k| self.points.get(k)), self.points.get(next)) {
            (Some(a), Some(b)) => {
                let part = (cost - a.0) / (b.0 - a.0);
                (a.1 + part * (b.1 - a.1), a.2 + part * (b.2 - a.2))
            }
            (Some(only), None) | (None, Some(only)) => (only.1, only.2),
            (None, None) => (0.0, 0.0),
        }
    }

    pub(super) fn fee(&self, cost: f64) -> f64 {
        self.at(cost).0
    }

    pub(super) fn outflow(&self, cost: f64) -> f64 {
        self.at(cost).1
    }
}

/// The rungs that are the best answer to some cost: the upper hull of revenue over outflow.
fn hull(ladder: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut hull: Vec<(f64, f64)> = Vec::with_capacity(ladder.len());
    for &(fee, wanted) in ladder {
        // Where a dearer rung sells as much, the cheaper one is never the answer.
        while hull.last().is_some_and(|last| last.1 <= wanted) {
            hull.pop();
        }
        while let [.., a, b] = hull[..] {
            let turn = |p: (f64, f64), q: (f64, f64)| (p.0 * p.1 - q.0 * q.1) / (p.1 - q.1);
            if turn(a, b) < turn(b, (fee, wanted)) {
                break;
            }
            hull.pop();
        }
        hull.push((fee, wanted));
    }
    hull
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fee_that_never_changes_is_earned_whole_by_all_that_is_sold_at_it() {
        assert_eq!(super::marginal_revenue(&[(2000.0, 5e8)]), [(0.0, 2000.0), (5e8, 2000.0), (5e8, 0.0)]);
        assert_eq!(super::marginal_revenue(&[]), []);
    }
}
