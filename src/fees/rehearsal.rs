//! The rehearsal: the fees of the plan, played against payments drawn from what is believed of payers, and corrected by what that
//! teaches. Pure arithmetic over rates and a seed; knows nothing of time, of memories or of nodes.
//!
//! The plan looks at rates. It does not know that a balance has run out by noon and is back at night, that a large payment finds no
//! room where small ones do, nor that scarcity will raise the fee before the balance is gone. Here each payment comes by itself: by one
//! peer and for another, of an amount that was seen lately, willing to pay up to a fee by the believed curve. So many as come in some
//! weeks make a play, and what is left at its end counts by the potentials of the plan.
//!
//! How the earnings of a play depend on each fee follows from one walk back through its forwards (the pathwise derivative; P. Glasserman,
//! "Gradient Estimation via Perturbation Analysis", 1991), if small changes make small differences: so a payer near the limit
//! sends a part, and so does one for whom there is just enough balance or room. What one more unit of each balance would have earned
//! falls out of the same walk. The fees go up that slope by small steps, each on new payments, so that no chance is learned by heart
//! (H. Robbins and S. Monro, "A Stochastic Approximation Method", 1951); the mean of the later half is the answer.

#[cfg(test)]
mod tests;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::scarcity;
use super::shadow_price::RESERVE;
use crate::domain::units::to_u64_rounded;

/// Plays, and how far the first step goes where a fee has all to do with what its channel earns, in ln.
const PLAYS: u32 = 40;
const FIRST_STEP: f64 = 0.05;
/// Plays after which a step has shrunk to the square root of a half.
const STEPS_SHRINK: f64 = 10.0;
/// Days that a play lasts, if they do not bring too many payments.
const DAYS: f64 = 20.0;
/// Most payments of a play: so many for each peer, within bounds.
const PAYMENTS_PER_PEER: usize = 300;
const PAYMENTS: (usize, usize) = (4_000, 50_000);
/// Who would pay no more than this share of the fee is left out.
const CHEAPEST: f64 = 0.4;
/// How gradually payers give way about the highest fee that they would pay, in ln. What demand gains by it is under 3 %.
const SOFT: f64 = 0.1;
/// A payment is sent whole where there is this much more balance or room than it takes, as a multiple of it; a part of it otherwise.
const AMPLE: f64 = 1.5;
/// No fee is taken further from the plan's than this, in ln.
const FURTHEST: f64 = 3.0;
/// Beside what a channel earns, this part of what the mean channel earns stands for what it does for others.
const FOR_OTHERS: f64 = 0.1;
/// Who would have to pay more than the limit by this many times `SOFT` sends nothing.
const NEAR: f64 = 4.0;

/// One peer's channels as the rehearsal sees them. Amounts in msat, rates in msat a day, fees in ppm.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part<'a> {
    /// Fees (rising) and what would be wanted at them.
    pub(super) ladder: &'a [(f64, f64)],
    /// The share of what forwards bring in that comes by this peer.
    pub(super) share: f64,
    /// What comes in by other ways; negative: what leaves by such ways.
    pub(super) inflow: f64,
    pub(super) local: f64,
    pub(super) capacity: f64,
    /// What the plan asks, and what it takes one more unit of local balance to be worth.
    pub(super) fee: f64,
    pub(super) mu: f64,
    /// The share of local balance below which scarcity raises the fee, where it does.
    pub(super) scarce_below: Option<f64>,
    /// ln of what the last rehearsal has made of the plan's fee.
    pub(super) before: f64,
    /// Does the fee follow the plan?
    pub(super) holds: bool,
}

/// ln of what to make of each fee; 0 where the plan's price does not hold, and everywhere if there is nothing to play.
pub(super) fn rehearse(parts: &[Part], amounts: &[f64], forwarded: f64, seed: u64) -> Vec<f64> {
    let Some(stage) = Stage::new(parts, amounts, forwarded) else { return vec![0.0; parts.len()] };
    let mut at: Vec<f64> = parts.iter().map(|part| if part.holds { part.before } else { 0.0 }).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut forwards = Vec::new();
    let (mut earns, mut sum) = (Vec::new(), vec![0.0; parts.len()]);
    for play in 0..PLAYS {
        let earned = stage.play(&at, &mut rng, &mut forwards);
        let usual = |(usual, now): (&f64, f64)| 0.8 * usual + 0.2 * now;
        earns = if earns.is_empty() { earned } else { earns.iter().zip(earned).map(usual).collect() };
        let step = FIRST_STEP / (1.0 + f64::from(play) / STEPS_SHRINK).sqrt();
        let for_others = FOR_OTHERS * earns.iter().sum::<f64>() / earns.len() as f64;
        for (place, slope) in stage.slopes(&forwards).into_iter().enumerate().filter(|(place, _)| parts[*place].holds) {
            let uphill = slope / (earns[place] + for_others).max(f64::MIN_POSITIVE);
            at[place] = (at[place] + step * uphill.clamp(-1.0, 1.0)).clamp(-FURTHEST, FURTHEST);
        }
        if play >= PLAYS / 2 {
            sum.iter_mut().zip(&at).for_each(|(sum, at)| *sum += at);
        }
    }
    sum.into_iter().map(|sum| sum / f64::from(PLAYS - PLAYS / 2)).collect()
}

struct Stage<'a> {
    parts: &'a [Part<'a>],
    amounts: &'a [f64],
    /// The share of what leaves that came in by another peer.
    forwarded: f64,
    /// Payments a day that are drawn for each peer, and for it and all before it.
    wishes: Vec<f64>,
    wishes_to: Vec<f64>,
    /// The shares of inflow of each peer and all before it.
    shares_to: Vec<f64>,
    mean_amount: f64,
    payments: usize,
}

/// What somebody would have us forward.
struct Wish {
    out: usize,
    /// `None`: it comes in by none of our peers.
    into: Option<usize>,
    amount: f64,
    /// ln of the highest fee that is paid for it, ppm.
    limit: f64,
}

/// What became of a wish, with all that the walk back needs to know.
struct Forward {
    out: usize,
    into: Option<usize>,
    fee: f64,
    sent: f64,
    /// The part of it that the fee let through.
    willing: f64,
    /// What one more unit of balance there would have let through, and one more of balance on the way in.
    by_local: f64,
    by_room: f64,
    /// By how much ln of the fee falls with each unit of balance.
    by_scarcity: f64,
    /// Neither at the floor nor at the ceiling.
    free: bool,
}

impl Stage<'_> {
    /// `None`: there is nothing to play.
    fn new<'a>(parts: &'a [Part], amounts: &'a [f64], forwarded: f64) -> Option<Stage<'a>> {
        if parts.len() < 2 {
            return None;
        }
        let mean_amount = amounts.iter().sum::<f64>() / amounts.len() as f64;
        let wishes: Vec<f64> = parts.iter().map(|part| part.wanted_at_all() / mean_amount).collect();
        let summed = |sum: &mut f64, next: f64| {
            *sum += next;
            Some(*sum)
        };
        let wishes_to: Vec<f64> = wishes.iter().copied().scan(0.0, summed).collect();
        let shares_to = parts.iter().map(|part| part.share).scan(0.0, summed).collect();
        let a_day = wishes_to.last().copied().filter(|a_day| *a_day > 0.0 && a_day.is_finite())?;
        let most = (PAYMENTS_PER_PEER * parts.len()).clamp(PAYMENTS.0, PAYMENTS.1);
        let payments = to_u64_rounded(a_day * DAYS);
        let payments = usize::try_from(payments).unwrap_or(usize::MAX).min(most);
        Some(Stage { parts, amounts, forwarded, wishes, wishes_to, shares_to, mean_amount, payments })
    }

    fn draw(&self, rng: &mut impl Rng) -> Wish {
        let chance = rng.random_range(0.0..1.0) * self.wishes_to.last().copied().unwrap_or_default();
        let out = self.wishes_to.partition_point(|wishes| *wishes <= chance).min(self.parts.len() - 1);
        let ladder = self.parts[out].ladder;
        // So many want to pay at least as much.
        let dearer = rng.random_range(0.0..1.0) * self.wishes[out] * self.mean_amount;
        let rung = ladder.partition_point(|rung| rung.1 >= dearer);
        let (low, high) = (ladder[rung.saturating_sub(1)].0, ladder[rung.min(ladder.len() - 1)].0);
        let limit = low.ln() + rng.random_range(0.0..1.0) * (high / low).ln();
        let limit = if self.parts[out].is_pinned() { f64::INFINITY } else { limit };
        let into = (rng.random_range(0.0..1.0) < self.forwarded).then(|| self.entrance(out, rng)).flatten();
        Wish { out, into, amount: self.amounts[rng.random_range(0..self.amounts.len())], limit }
    }

    /// Another peer than the one by which it leaves.
    fn entrance(&self, out: usize, rng: &mut impl Rng) -> Option<usize> {
        let (own, before) = (self.parts[out].share, self.shares_to[out] - self.parts[out].share);
        let chance = rng.random_range(0.0..1.0) * (1.0 - own);
        let chance = if chance < before { chance } else { chance + own };
        let into = self.shares_to.partition_point(|shares| *shares <= chance).min(self.parts.len() - 1);
        Some(into).filter(|into| *into != out)
    }

    /// Some weeks of payments at fees that are that far from the plan's: what each peer earns, and all forwards in their order.
    fn play(&self, at: &[f64], rng: &mut impl Rng, forwards: &mut Vec<Forward>) -> Vec<f64> {
        let mut local: Vec<f64> = self.parts.iter().map(|part| part.local).collect();
        let mut earned = vec![0.0; self.parts.len()];
        forwards.clear();
        for _ in 0..self.payments {
            let wish = self.draw(rng);
            let part = &self.parts[wish.out];
            let by_other_ways = part.inflow / self.wishes[wish.out];
            local[wish.out] = (local[wish.out] + by_other_ways).clamp(0.0, part.capacity);
            let Some(forward) = self.forward(&wish, at[wish.out], &local) else { continue };
            earned[wish.out] += forward.fee * forward.sent;
            local[wish.out] -= forward.sent;
            if let Some(into) = wish.into {
                local[into] += forward.sent;
            }
            forwards.push(forward);
        }
        earned
    }

    fn forward(&self, wish: &Wish, at: f64, local: &[f64]) -> Option<Forward> {
        let part = &self.parts[wish.out];
        let (fee, free) = part.asked(at);
        let (scarce, steepness) = part.scarcity(local[wish.out]);
        let fee = fee + scarce;
        let within = (wish.limit - fee) / SOFT;
        let there = Fitting::of((local[wish.out] - RESERVE * part.capacity) / wish.amount);
        let room = |into: usize| (1.0 - RESERVE) * self.parts[into].capacity - local[into];
        let here = wish.into.map_or(Fitting::WHOLE, |into| Fitting::of(room(into) / wish.amount));
        if within < -NEAR || there.part == 0.0 || here.part == 0.0 {
            return None;
        }
        let willing = 1.0 / (1.0 + (-within).exp());
        Some(Forward {
            out: wish.out,
            into: wish.into,
            fee: fee.exp(),
            sent: wish.amount * willing * there.part * here.part,
            willing,
            by_local: willing * here.part * there.slope,
            by_room: -willing * there.part * here.slope,
            by_scarcity: steepness / part.capacity,
            free,
        })
    }

    /// How all that was earned depends on ln of each fee: back through the forwards, with what one more unit of each balance would have
    /// earned from there on.
    fn slopes(&self, forwards: &[Forward]) -> Vec<f64> {
        let mut worth: Vec<f64> = self.parts.iter().map(|part| part.mu).collect();
        let mut slopes = vec![0.0; self.parts.len()];
        for forward in forwards.iter().rev() {
            let Forward { out, into, fee, sent, willing, .. } = *forward;
            let margin = fee - worth[out] + into.map_or(0.0, |into| worth[into]);
            let by_fee = fee * sent - margin * sent * (1.0 - willing) / SOFT;
            slopes[out] += if forward.free { by_fee } else { 0.0 };
            worth[out] += margin * forward.by_local + by_fee * forward.by_scarcity;
            if let Some(into) = into {
                worth[into] += margin * forward.by_room;
            }
        }
        slopes
    }
}

impl Part<'_> {
    /// By all who would pay a fee that is not much below what was asked the last time.
    fn wanted_at_all(&self) -> f64 {
        let cheapest = CHEAPEST * self.fee * if self.holds { self.before.exp() } else { 1.0 };
        let rung = self.ladder.iter().find(|rung| rung.0 >= cheapest).or(self.ladder.last());
        rung.map_or(0.0, |rung| rung.1)
    }

    /// Is there no other fee than this? Then it is not known what its payers would pay at most, and nothing is added to it.
    fn is_pinned(&self) -> bool {
        self.ladder.len() < 2
    }

    /// ln of the fee before scarcity, and whether it may follow.
    fn asked(&self, at: f64) -> (f64, bool) {
        let (low, high) = (self.ladder.first(), self.ladder.last());
        let (low, high) = (low.map_or(0.0, |rung| rung.0.ln()), high.map_or(0.0, |rung| rung.0.ln()));
        let wished = self.fee.ln() + at;
        (wished.clamp(low, high), low < wished && wished < high)
    }

    /// ln of what scarcity makes of the fee, and how that changes with the share of local balance.
    fn scarcity(&self, local: f64) -> (f64, f64) {
        let share = local / self.capacity;
        let threshold = self.scarce_below.filter(|_| !self.is_pinned());
        threshold.map_or((0.0, 0.0), |threshold| scarcity::steepness(share, threshold))
    }
}

/// The part of a payment that fits, and what one more unit of balance adds to it, in units of the payment.
struct Fitting {
    part: f64,
    slope: f64,
}

impl Fitting {
    const WHOLE: Fitting = Fitting { part: 1.0, slope: 0.0 };

    /// With so many times the balance that the payment takes.
    fn of(times: f64) -> Fitting {
        match (times - 1.0) / AMPLE {
            part if part <= 0.0 => Fitting { part: 0.0, slope: 0.0 },
            part if part < 1.0 => Fitting { part, slope: 1.0 / AMPLE },
            _ => Fitting::WHOLE,
        }
    }
}
