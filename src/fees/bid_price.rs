//! The fluid bid price: what a local millisatoshi on each channel is worth to the node as a whole, and the fee that follows.
//! Pure arithmetic over rates; knows nothing of time, of memories or of nodes.
//!
//! Every inflow of a routing node is somebody's forward, so channels cannot be priced one by one. With `x` the msat a day that
//! leave by each channel, `P_ij` the share of what leaves by j that came in by i, and `e` what comes in by other ways:
//!
//! ```text
//! maximise    sum_j f_j x_j              x_j = D_j(f_j), the demand at that fee
//! subject to  -room <= x - P x - e <= spare
//! ```
//!
//! Revenue is concave in `x` (the upper hull of the ladder is taken), so the potentials `mu` of the balance constraints decide
//! everything: a forward by j costs `c_j = mu_j - sum_i P_ij mu_i`, and each channel asks argmax (f - c_j) D_j(f) by itself. The
//! dual in `mu` is smooth but for a kink at 0 (inside the band a balance has no price), which a proximal step takes exactly.
//!
//! A channel that is full holds its inflow back by itself, and only its own: no reason to make all other ways out dear. So each peer
//! has a door, open as far as what leaves by it makes room. Doors change the mix of the inflow, and turn away a part of each peer's
//! payers; `mu` falls no lower than minus what the payments that a door lets in earn, because beyond that it is better shut. For
//! given doors the program is the one above: doors and prices are found in turns.
//!
//! The same curve read the other way tells whoever moves liquidity what more of it would earn: at the outflow that a balance
//! allows, the cost at which just that outflow is the best answer.

mod curve;

use curve::Curve;
pub(super) use curve::marginal_revenue;

/// Times that the doors are turned, and steps of the ascent before the first turn and after each: each begins where the one before
/// has ended. Ten turns earned the same in the market.
const TURNS: usize = 20;
const STEPS_FIRST: usize = 100;
const STEPS_BETWEEN: usize = 30;
/// Part of the way that a door goes at a turn: what the others answer is seen only after it.
const TURN: f64 = 0.5;
/// No door is shut for good: room comes back, and payers should find it.
const LEAST_OPEN: f64 = 0.02;
/// Potentials beyond these tell of a market that no fee can balance.
const MU_MIN: f64 = -2000.0;
const MU_MAX: f64 = 4500.0;
/// A slope that rises by less than this leaves the momentum alone.
const STEEPER: f64 = 1.2;

/// One peer's channels as the program sees them. All rates in msat a day.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stock<'a> {
    /// Fees (ppm, rising) and what would be wanted at them.
    pub(super) ladder: &'a [(f64, f64)],
    /// What comes in by other ways than forwards; negative: what leaves by such ways.
    pub(super) inflow: f64,
    /// By how much the balance may fall, and rise, for free.
    pub(super) spare: f64,
    pub(super) room: f64,
}

/// Where what leaves comes in. Which way brings to which is not told apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inflow {
    /// Each peer's share of the node's inflow by forwards if all doors were open; sums to 1.
    pub(super) shares: Vec<f64>,
    /// The share of what leaves that came in by another peer.
    pub(super) forwarded: f64,
}

/// What the program says of one peer, in ppm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Price {
    /// What one more unit of local balance is worth; negative where it only takes up room.
    pub(super) mu: f64,
    /// What a forward out of here costs the node: what it takes here less what it brings elsewhere.
    pub(super) cost: f64,
    /// The fee that earns most beyond that cost.
    pub(super) fee: f64,
}

/// Prices all peers together.
pub(super) fn solve(stocks: &[Stock], inflow: &Inflow) -> Vec<Price> {
    let mut program = Program::new(stocks, inflow);
    let first = program.ascend(&vec![0.0; stocks.len()], STEPS_FIRST);
    let mu = (0..TURNS).fold(first, |mu, _| {
        program.turn_doors(&mu);
        program.ascend(&mu, STEPS_BETWEEN)
    });
    let costs = program.costs(&mu);
    let price =
        |(place, curve): (usize, &Curve)| Price { mu: mu[place], cost: costs[place], fee: curve.fee(costs[place]) };
    program.curves.iter().enumerate().map(price).collect()
}

struct Program<'a> {
    stocks: &'a [Stock<'a>],
    inflow: &'a Inflow,
    curves: Vec<Curve>,
    /// How far each door is open, 0 to 1.
    open: Vec<f64>,
    /// The lowest that each potential may fall: minus what the payments that the door lets in earn. `None`: not known before the
    /// first turn.
    least: Option<Vec<f64>>,
    mix: Mix,
}

/// The inflow as the doors let it in.
struct Mix {
    /// Each peer's share of it.
    shares: Vec<f64>,
    /// The part of each peer's payers that find an open door.
    served: Vec<f64>,
    /// What leaves by a peer, spread over all others by their shares: the weight of a unit of share.
    spread: Vec<f64>,
}

impl Program<'_> {
    fn new<'a>(stocks: &'a [Stock], inflow: &'a Inflow) -> Program<'a> {
        let open = vec![1.0; stocks.len()];
        Program {
            stocks,
            inflow,
            curves: stocks.iter().map(|stock| Curve::new(stock.ladder)).collect(),
            mix: Mix::new(inflow, &open),
            open,
            least: None,
        }
    }

    /// Opens and shuts doors toward what the prices say.
    fn turn_doors(&mut self, mu: &[f64]) {
        let Responses { costs, out, .. } = Responses::at(self, mu);
        let margin = |i: usize| self.curves[i].fee(costs[i]) - mu[i];
        let earned: Vec<f64> = (0..mu.len()).map(|i| out[i] * margin(i)).collect();
        let (all_out, all_earned) = (out.iter().sum::<f64>(), earned.iter().sum::<f64>());
        // What comes in by a door leaves by one of the others.
        let worth = |i: usize| (all_earned - earned[i]) / (all_out - out[i]).max(f64::MIN_POSITIVE);
        let worths: Vec<f64> = (0..mu.len()).map(|i| (-worth(i)).clamp(MU_MIN, 0.0)).collect();
        self.least = Some(match self.least.take() {
            None => worths,
            Some(before) => before.iter().zip(&worths).map(|(before, now)| before + TURN * (now - before)).collect(),
        });
        let enters = self.mix.entering(&out);
        for (i, open) in self.open.iter_mut().enumerate() {
            let room = (out[i] + self.stocks[i].room - self.stocks[i].inflow).max(0.0);
            let wished = (*open * room / enters[i].max(f64::MIN_POSITIVE)).clamp(LEAST_OPEN, 1.0);
            *open += TURN * (wished - *open);
        }
        self.mix = Mix::new(self.inflow, &self.open);
    }

    /// c = mu - P' mu.
    fn costs(&self, mu: &[f64]) -> Vec<f64> {
        let Mix { shares, spread, .. } = &self.mix;
        let whole: f64 = shares.iter().zip(mu).map(|(share, mu)| share * mu).sum();
        (0..mu.len()).map(|i| mu[i] - spread[i] * (whole - shares[i] * mu[i])).collect()
    }

    /// x - P x - e.
    fn drains(&self, out: &[f64]) -> Vec<f64> {
        let drain = |(i, enters): (usize, f64)| out[i] - self.stocks[i].inflow - enters;
        self.mix.entering(out).into_iter().enumerate().map(drain).collect()
    }

    /// How far each potential may go per unit of imbalance, so that all of them together do not overshoot while each outflow
    /// falls by no more than its slope.
    fn paces(&self, slopes: &[f64]) -> Vec<f64> {
        let Mix { shares, spread, .. } = &self.mix;
        let weight = |i: usize| slopes[i] * (1.0 + self.inflow.forwarded);
        let whole: f64 = (0..slopes.len()).map(|i| weight(i) * spread[i]).sum();
        let stiffness = |i: usize| weight(i) * (1.0 - spread[i] * shares[i]) + shares[i] * whole;
        (0..slopes.len()).map(|i| 1.0 / stiffness(i).max(f64::MIN_POSITIVE)).collect()
    }

    /// Accelerated proximal ascent, begun anew whenever the momentum points downhill or an outflow turns out to be steeper.
    fn ascend(&self, from: &[f64], steps: usize) -> Vec<f64> {
        let n = self.stocks.len();
        let (mut mu, mut ahead, mut momentum) = (from.to_vec(), from.to_vec(), 1.0_f64);
        let mut at = Responses::at(self, &ahead);
        let slope = |(curve, served): (&Curve, &f64)| curve.first_slope() * served;
        let mut slopes: Vec<f64> = self.curves.iter().zip(&self.mix.served).map(slope).collect();
        let mut paces = self.paces(&slopes);
        for _ in 0..steps {
            let settle = |i: usize| self.stocks[i].settle(ahead[i], at.drains[i], paces[i]).max(self.least(i));
            let next: Vec<f64> = (0..n).map(settle).collect();
            let downhill: f64 = (0..n).map(|i| (ahead[i] - next[i]) * (next[i] - mu[i]) / paces[i]).sum();
            let faster =
                if downhill > 0.0 { 1.0 } else { f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt()) };
            let carry = if downhill > 0.0 { 0.0 } else { (momentum - 1.0) / faster };
            ahead = (0..n).map(|i| next[i] + carry * (next[i] - mu[i])).collect();
            (mu, momentum) = (next, faster);
            let now = Responses::at(self, &ahead);
            if now.steepen(&at, &mut slopes) {
                paces = self.paces(&slopes);
                momentum = 1.0;
            }
            at = now;
        }
        mu
    }

    fn least(&self, i: usize) -> f64 {
        self.least.as_ref().map_or(MU_MIN, |least| least[i])
    }
}

impl Mix {
    fn new(inflow: &Inflow, open: &[f64]) -> Mix {
        let Inflow { shares: whole, forwarded } = inflow;
        let let_in: Vec<f64> = whole.iter().zip(open).map(|(share, open)| share * open).collect();
        let came: f64 = let_in.iter().sum();
        // A peer's payers come in by the others.
        let served = |(share, let_in): (&f64, &f64)| if *share < 1.0 { (came - let_in) / (1.0 - share) } else { 1.0 };
        let served = whole.iter().zip(&let_in).map(served).collect();
        let shares: Vec<f64> = let_in.iter().map(|let_in| let_in / came.max(f64::MIN_POSITIVE)).collect();
        let spread = |share: &f64| if *share < 1.0 { forwarded / (1.0 - share) } else { 0.0 };
        Mix { served, spread: shares.iter().map(spread).collect(), shares }
    }

    /// P x: what comes in by each where so much leaves.
    fn entering(&self, out: &[f64]) -> Vec<f64> {
        let whole: f64 = out.iter().zip(&self.spread).map(|(out, spread)| out * spread).sum();
        (0..out.len()).map(|i| self.shares[i] * (whole - out[i] * self.spread[i])).collect()
    }
}

/// What all channels answer to some potentials.
struct Responses {
    costs: Vec<f64>,
    out: Vec<f64>,
    drains: Vec<f64>,
}

impl Responses {
    fn at(program: &Program<'_>, mu: &[f64]) -> Responses {
        let costs = program.costs(mu);
        let out = |i: usize| program.curves[i].outflow(costs[i]) * program.mix.served[i];
        let out: Vec<f64> = (0..costs.len()).map(out).collect();
        let drains = program.drains(&out);
        Responses { costs, out, drains }
    }

    /// Raises slopes to what was met on the way from `before`. Did any rise by much?
    fn steepen(&self, before: &Responses, slopes: &mut [f64]) -> bool {
        let mut steeper = false;
        for (place, slope) in slopes.iter_mut().enumerate() {
            let way = (self.costs[place] - before.costs[place]).abs();
            let met = if way > 1e-9 { (self.out[place] - before.out[place]).abs() / way } else { 0.0 };
            if met > *slope {
                steeper |= met > STEEPER * *slope;
                *slope = met;
            }
        }
        steeper
    }
}

impl Stock<'_> {
    /// The potential after one step: it follows the drain, less what the band lets pass for free.
    fn settle(&self, mu: f64, drain: f64, pace: f64) -> f64 {
        let wished = mu + pace * drain;
        let settled = if wished > pace * self.spare {
            wished - pace * self.spare
        } else if wished < -pace * self.room {
            wished + pace * self.room
        } else {
            0.0
        };
        settled.clamp(MU_MIN, MU_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn demand(fee: f64, theta: f64, kappa: f64, level: f64) -> f64 {
        level / (1.0 + (fee / theta).powf(kappa))
    }

    fn ladder(theta: f64, kappa: f64, level: f64) -> Vec<(f64, f64)> {
        (0..147).map(|k| 1.06_f64.powi(k)).map(|fee| (fee, demand(fee, theta, kappa, level))).collect()
    }

    /// Steps of one ascent with doors all open: on random networks they leave a few ten-thousandths of the dual's value, and one fee in
    /// hundreds more than 3 % away from where forty times as many end.
    const STEPS: usize = 500;

    /// The ascent from nothing, doors as they are.
    fn ascended(program: &Program<'_>, steps: usize) -> Vec<f64> {
        program.ascend(&vec![0.0; program.stocks.len()], steps)
    }

    /// What a program is made of.
    struct Network {
        ladders: Vec<Vec<(f64, f64)>>,
        /// Inflow by other ways, spare and room.
        bounds: Vec<(f64, f64, f64)>,
        inflow: Inflow,
    }

    impl Network {
        fn stocks(&self) -> Vec<Stock<'_>> {
            let stock = |(ladder, &(inflow, spare, room))| Stock { ladder, inflow, spare, room };
            self.ladders.iter().map(Vec::as_slice).zip(&self.bounds).map(stock).collect()
        }

        fn prices(&self) -> Vec<Price> {
            solve(&self.stocks(), &self.inflow)
        }

        /// One channel without any other.
        fn alone(ladder: Vec<(f64, f64)>, bounds: (f64, f64, f64)) -> Price {
            let inflow = Inflow { shares: vec![1.0], forwarded: 0.0 };
            Network { ladders: vec![ladder], bounds: vec![bounds], inflow }.prices()[0]
        }
    }

    /// `n` channels of a few million sat; some of them are nearly all the inflow, as on real nodes.
    fn network(seed: u64, n: usize) -> Network {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let weights: Vec<f64> = (0..n).map(|_| rng.random_range(0.05_f64..1.0).powi(3)).collect();
        let sum: f64 = weights.iter().sum();
        let forwarded = if n > 1 { rng.random_range(0.8..1.0) } else { 0.0 };
        let inflow = Inflow { shares: weights.iter().map(|w| w / sum).collect(), forwarded };
        let (mut ladders, mut bounds) = (vec![], vec![]);
        for _ in 0..n {
            let (capacity, local) = (rng.random_range(3e9..16e9), rng.random_range(0.0..1.0));
            let (theta, kappa) = (rng.random_range(3.0_f64..7.5).exp(), rng.random_range(1.3..6.0));
            ladders.push(ladder(theta, kappa, rng.random_range(1e9..3e10)));
            bounds.push((0.0, capacity * (local - 0.1) / 7.0, capacity * (0.9 - local) / 7.0));
        }
        Network { ladders, bounds, inflow }
    }

    /// What the ascent lowers: the best revenue at these potentials plus what the bands are worth.
    fn dual(program: &Program<'_>, mu: &[f64]) -> f64 {
        let costs = program.costs(mu);
        let best = |(curve, cost): (&Curve, &f64)| {
            curve.points.iter().map(|(_, fee, wanted)| (fee - cost) * wanted).fold(0.0, f64::max)
        };
        let revenue: f64 = program.curves.iter().zip(&costs).map(best).sum();
        let bands: f64 = (program.stocks.iter().zip(mu))
            .map(|(stock, mu)| mu * stock.inflow + (mu * stock.spare).max(-mu * stock.room))
            .sum();
        revenue + bands
    }

    /// The plain subgradient recipe: 250 shrinking steps of every potential toward balance, the last hundred averaged.
    fn recipe(program: &Program<'_>) -> Vec<f64> {
        let n = program.stocks.len();
        let (mut mu, mut mean) = (vec![0.0_f64; n], vec![0.0; n]);
        for step in 0..250 {
            let drains = Responses::at(program, &mu).drains;
            let eta = 120.0 / (1.0 + f64::from(step) / 25.0);
            for i in 0..n {
                let stock = &program.stocks[i];
                let excess =
                    if drains[i] > stock.spare { drains[i] - stock.spare } else { (drains[i] + stock.room).min(0.0) };
                let scale = stock.ladder.first().map_or(1.0, |first| first.1);
                mu[i] = if excess == 0.0 { 0.99 * mu[i] } else { mu[i] + eta * (excess / scale).clamp(-1.0, 1.0) };
                mu[i] = mu[i].clamp(MU_MIN, MU_MAX);
                if step >= 150 {
                    mean[i] += mu[i] / 100.0;
                }
            }
        }
        mean
    }

    #[test]
    fn the_ascent_comes_as_near_as_a_long_one_and_nearer_than_the_plain_recipe() {
        let (mut far, mut worst, mut gap, mut recipe_gap) = (0.0, 0.0_f64, 0.0, 0.0);
        let mut fees = 0.0;
        for seed in 0..60 {
            let network = network(seed, 2 + usize::try_from(seed % 29).unwrap());
            let stocks = network.stocks();
            let program = Program::new(&stocks, &network.inflow);
            let (short, long) = (ascended(&program, STEPS), ascended(&program, 20_000));
            let best = dual(&program, &long);
            gap += (dual(&program, &short) - best) / best / 60.0;
            recipe_gap += (dual(&program, &recipe(&program)) - best) / best / 60.0;
            for (a, b) in program
                .costs(&short)
                .iter()
                .zip(program.costs(&long))
                .enumerate()
                .map(|(k, (a, b))| (program.curves[k].fee(*a), program.curves[k].fee(b)))
            {
                let off = (a / b).ln().abs();
                far += f64::from(u8::from(off > 0.03));
                worst = worst.max(off);
                fees += 1.0;
            }
        }
        println!(
            "gap {gap:.2e}, of the recipe {recipe_gap:.2e}; {far} of {fees} fees off by 3 %, the worst by {worst:.3}"
        );
        assert!(gap < 3e-4 && gap < 0.1 * recipe_gap);
        assert!(far < 0.01 * fees);
    }

    /// What a solution must obey, whoever found it: a potential only where a band is exhausted, and of the right sign.
    #[test]
    fn balances_have_a_price_only_where_they_bind() {
        for seed in 0..40 {
            let network = network(seed, 12);
            let stocks = network.stocks();
            let program = Program::new(&stocks, &network.inflow);
            let mu = ascended(&program, 2_000);
            for (i, drain) in Responses::at(&program, &mu).drains.into_iter().enumerate() {
                let stock = &stocks[i];
                let near = 0.02 * (stock.spare + stock.room);
                let at_bound = mu[i] >= MU_MAX || mu[i] <= MU_MIN;
                assert!(at_bound || drain <= stock.spare + near && drain >= -stock.room - near, "seed {seed}: {i}");
                assert!(mu[i] <= 1.0 || drain >= stock.spare - near, "seed {seed}: {i} has a price but is not short");
                assert!(mu[i] >= -1.0 || drain <= near - stock.room, "seed {seed}: {i} is not full");
            }
        }
    }

    /// Two peers: what leaves by one comes in by the other.
    fn couple(local: f64) -> Vec<Price> {
        let bounds = |local: f64| (0.0, 5e9 * (local - 0.1) / 7.0, 5e9 * (0.9 - local) / 7.0);
        Network {
            ladders: vec![ladder(300.0, 2.2, 1e10), ladder(100.0, 2.2, 1e10)],
            bounds: vec![bounds(local), bounds(1.0 - local)],
            inflow: Inflow { shares: vec![0.5, 0.5], forwarded: 1.0 },
        }
        .prices()
    }

    #[test]
    fn an_empty_channel_is_dear_and_a_full_one_gives_way() {
        let empty = couple(0.02);
        assert!(empty[0].mu > 0.0 && empty[1].mu <= 0.0, "{empty:?}");
        let full = couple(0.98);
        assert!(full[0].mu <= 0.0 && full[1].mu > 0.0, "{full:?}");
        assert!(full[0].fee < empty[0].fee && full[1].fee > empty[1].fee);
    }

    /// One peer brings most and sells nothing; two sell to each other what they bring. In msat a day, with `room` for what the one
    /// brings.
    fn trio(room: f64) -> Network {
        Network {
            ladders: vec![ladder(300.0, 2.2, 1e3), ladder(300.0, 2.2, 1e10), ladder(300.0, 2.2, 1e10)],
            bounds: vec![(0.0, 1e12, room), (0.0, 5e8, 5e8), (0.0, 5e8, 5e8)],
            inflow: Inflow { shares: vec![0.6, 0.2, 0.2], forwarded: 1.0 },
        }
    }

    #[test]
    fn a_full_channel_does_not_make_the_others_dear() {
        let alone = Network::alone(ladder(300.0, 2.2, 1e10), (0.0, 1e12, 1e12)).fee;
        let network = trio(0.0);
        let stocks = network.stocks();
        let program = Program::new(&stocks, &network.inflow);
        let costs = program.costs(&ascended(&program, 2_000));
        let bound = program.curves[1].fee(costs[1]);
        assert!(bound > 3.0 * alone, "were the full one's balance a bound, the others would all but stop: {bound}");
        let [full, one, other] = network.prices()[..] else { panic!() };
        assert!(
            (one.fee / alone).ln().abs() < 0.1 && (other.fee / alone).ln().abs() < 0.1,
            "{one:?} {other:?} {alone}"
        );
        assert!(full.mu < 0.0 && full.mu > -2.0 * alone, "what more room would earn, and no more: {full:?}");
    }

    #[test]
    fn more_room_makes_no_other_channel_dearer() {
        let fees: Vec<f64> = (0..=12).map(|k| trio(1e9 * f64::from(k)).prices()[1].mu).collect();
        assert!(fees.windows(2).all(|w| w[1] > w[0] - 2.0), "what its door lets in drains the others: {fees:?}");
        assert!(trio(1e12).prices()[0].mu == 0.0, "with room for all, room is worth nothing");
    }

    /// What a solution with doors must obey.
    #[test]
    fn a_door_lets_in_what_there_is_room_for() {
        let (mut over, mut doors, mut shut) = (0, 0, 0);
        for seed in 0..40 {
            let network = network(seed, 12);
            let stocks = network.stocks();
            let mut program = Program::new(&stocks, &network.inflow);
            let mut mu = ascended(&program, STEPS_FIRST);
            for _ in 0..TURNS {
                program.turn_doors(&mu);
                mu = program.ascend(&mu, STEPS_BETWEEN);
            }
            let Responses { out, .. } = Responses::at(&program, &mu);
            let enters = program.mix.entering(&out);
            for (i, stock) in stocks.iter().enumerate() {
                assert!((LEAST_OPEN..=1.0).contains(&program.open[i]) && mu[i] >= program.least(i), "seed {seed}: {i}");
                let room = (out[i] + stock.room).max(0.0);
                doors += 1;
                shut += u32::from(program.open[i] < 0.9);
                over += u32::from(program.open[i] > 2.0 * LEAST_OPEN && enters[i] > 1.1 * room + 1e7);
            }
            assert!((program.mix.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "seed {seed}");
        }
        println!("{over} of {doors} doors let in too much, {shut} are partly shut");
        assert!(over * 20 < doors && shut > 0);
    }

    #[test]
    fn the_price_of_a_draining_channel_rises_as_its_balance_falls() {
        let price = |local: f64| {
            let (spare, room) = (5e9 * (local - 0.1) / 7.0, 5e9 * (0.9 - local) / 7.0);
            Network::alone(ladder(300.0, 2.2, 1e10), (0.0, spare, room)).fee
        };
        let fees: Vec<f64> = (0..=17).map(|k| price(1.0 - f64::from(k) / 20.0)).collect();
        assert!(fees.windows(2).all(|w| w[1] > w[0]), "{fees:?}");
        assert!(fees[17] > 2.0 * fees[0], "{fees:?}");
    }

    #[test]
    fn endless_refill_asks_what_earns_most() {
        let rungs = ladder(300.0, 2.2, 1e10);
        let best = rungs.iter().fold((0.0, 0.0), |a, b| if a.0 * a.1 > b.0 * b.1 { a } else { *b }).0;
        let price = Network::alone(rungs, (1e10, 1e9, 1e12));
        assert!(price.mu == 0.0 && (price.fee / best).ln().abs() < 0.04, "{price:?} {best}");
    }

    #[test]
    fn amounts_have_no_scale() {
        let mut network = network(5, 14);
        let before = network.prices();
        network.ladders.iter_mut().flatten().for_each(|rung| rung.1 *= 1000.0);
        network.bounds.iter_mut().for_each(|(_, spare, room)| (*spare, *room) = (*spare * 1000.0, *room * 1000.0));
        for (a, b) in before.iter().zip(network.prices()) {
            assert!((a.fee / b.fee).ln().abs() < 1e-6 && (a.mu - b.mu).abs() < 1e-3, "{a:?} {b:?}");
        }
    }

    #[test]
    fn the_order_of_the_peers_does_not_matter() {
        let network = network(6, 20);
        let before = network.prices();
        let mut order: Vec<usize> = (0..20).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
        let shares = order.iter().map(|old| network.inflow.shares[*old]).collect();
        let shuffled = Network {
            ladders: order.iter().map(|old| network.ladders[*old].clone()).collect(),
            bounds: order.iter().map(|old| network.bounds[*old]).collect(),
            inflow: Inflow { shares, ..network.inflow },
        };
        for (place, price) in shuffled.prices().into_iter().enumerate() {
            let old = before[order[place]];
            assert!((price.fee / old.fee).ln().abs() < 1e-3 && (price.mu - old.mu).abs() < 1.0, "{price:?} {old:?}");
        }
    }

    #[test]
    fn nothing_wanted_and_nothing_known_is_no_trouble() {
        let network = Network {
            ladders: vec![vec![], vec![(1.0, 0.0), (2.0, 0.0)]],
            bounds: vec![(0.0, 0.0, 0.0); 2],
            inflow: Inflow { shares: vec![1.0, 0.0], forwarded: 1.0 },
        };
        for price in network.prices() {
            assert!(price.fee.is_finite() && price.mu.is_finite() && price.cost.is_finite());
        }
        assert!(solve(&[], &Inflow { shares: vec![], forwarded: 0.0 }).is_empty());
    }

    /// cargo test --release --lib bid_price::tests::speed -- --ignored --nocapture
    #[test]
    #[ignore = "prints, proves nothing"]
    fn speed() {
        let network = network(1, 2000);
        let start = Instant::now();
        let prices = network.prices();
        println!("{:?} for {} peers", start.elapsed(), prices.len());
    }
}
