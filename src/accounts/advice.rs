//! What to do with each channel: enlarge, close, or keep, with the numbers behind it. Advice only: nobody acts on it but the operator.

use super::channel::{Class, marginal_roi_percent, roi_percent};
use super::{Statement, Sums, classify};
use crate::domain::{Share, Time};

/// Virtual bytes of a splice, of an opening, and of a mutual close.
const SPLICE_VB: u64 = 400;
const OPENING_VB: u64 = 160;
const CLOSE_VB: u64 = 180;
/// A year's share that a channel must turn over, and what it must return, to be worth enlarging.
const WINNER_MARGINAL_PERCENT: f64 = 20.0;
const WINNER_TURNOVER_A_DAY: f64 = 0.5;
const WINNER_FLOW: f64 = 0.8;
/// A channel is young before; a close is not advised then.
const YOUNG_DAYS: f64 = 90.0;
const LOSER_ROI_PERCENT: f64 = -50.0;
const LOSER_TURNOVER_A_DAY: f64 = 0.0015;
const LOSER_MARGINAL_PERCENT: f64 = 10.0;

/// What one channel is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct AdviceInputs {
    pub statement: Statement,
    /// Of the window that is looked at.
    pub window: Sums,
    pub window_days: f64,
    pub local_share: Share,
    /// (out - in) / (out + in) of the flow window; `None`: not analysed yet.
    pub flow_ratio: Option<f64>,
    /// Share of the capacity that moves in a day.
    pub turnover: Option<f64>,
    /// Does the peer take splices? `None`: it has not said.
    pub peer_splices: Option<bool>,
    /// Today's price of block space; `None`: unknown.
    pub sat_per_kvb: Option<u64>,
    pub now: Time,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Advice {
    /// More room here would earn: a splice costs so much today, and pays for itself in so many days (`None`: unknown).
    Splice {
        cost_sat: Option<u64>,
        pays_in_days: Option<f64>,
    },
    /// The same, with a peer that takes no splices: a second channel beside this one.
    Open {
        cost_sat: Option<u64>,
        pays_in_days: Option<f64>,
    },
    /// The money would be better elsewhere.
    Close {
        cost_sat: Option<u64>,
        why: &'static str,
    },
    Keep {
        why: &'static str,
    },
}

impl Advice {
    pub fn name(&self) -> &'static str {
        match self {
            Advice::Splice { .. } => "splice",
            Advice::Open { .. } => "open",
            Advice::Close { .. } => "close",
            Advice::Keep { .. } => "keep",
        }
    }
}

pub fn advise(i: &AdviceInputs) -> Advice {
    let life = &i.statement.life;
    let class = classify(&i.statement, i.now);
    let (roi, marginal) = (roi_percent(&i.statement.lifetime), marginal_roi_percent(&i.statement.lifetime));
    let old = life.days_open(i.now).is_some_and(|days| days > YOUNG_DAYS);
    let cost = |vbytes: u64| i.sat_per_kvb.map(|rate| rate.saturating_mul(vbytes).div_ceil(1000));
    let turnover = i.turnover.unwrap_or_default();
    if marginal > WINNER_MARGINAL_PERCENT
        && turnover > WINNER_TURNOVER_A_DAY
        && i.flow_ratio.is_some_and(|ratio| ratio.abs() > WINNER_FLOW)
    {
        return enlarge(i, cost);
    }
    if old && (class == Class::Zombie || (class == Class::Underwater && roi < LOSER_ROI_PERCENT)) {
        let why = if class == Class::Zombie {
            "no forward for a month, at a loss"
        } else {
            "it has not earned half of what it cost"
        };
        return Advice::Close { cost_sat: cost(CLOSE_VB), why };
    }
    let balanced = (0.4..=0.6).contains(&i.local_share.get());
    if old && balanced && i.turnover.is_some_and(|t| t < LOSER_TURNOVER_A_DAY) && marginal < LOSER_MARGINAL_PERCENT {
        return Advice::Close { cost_sat: cost(CLOSE_VB), why: "it could pay both ways, and hardly anybody asks" };
    }
    Advice::Keep { why: keep(class, old) }
}

/// More room, by the way that the peer knows.
fn enlarge(i: &AdviceInputs, cost: impl Fn(u64) -> Option<u64>) -> Advice {
    if i.peer_splices == Some(false) {
        let cost_sat = cost(OPENING_VB);
        return Advice::Open { cost_sat, pays_in_days: pays_in(i, cost_sat) };
    }
    let cost_sat = cost(SPLICE_VB);
    Advice::Splice { cost_sat, pays_in_days: pays_in(i, cost_sat) }
}

fn keep(class: Class, old: bool) -> &'static str {
    match class {
        Class::Profitable => "it pays",
        Class::BreakEven => "it pays for itself",
        _ if !old => "too young to judge",
        _ => "it does not pay yet, and closing would cost as well",
    }
}

/// Days until what the channel earns has paid for making it twice as large, if earnings grew with it.
fn pays_in(i: &AdviceInputs, cost_sat: Option<u64>) -> Option<f64> {
    let a_day = i.window.earned as f64 / i.window_days.max(1.0);
    (a_day > 0.0).then_some(cost_sat? as f64 * 1000.0 / a_day)
}
