//! Why a fee is what it is: each stage's input and verdict, in types and in words. The numbers suffice to compute the fee
//! by hand.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gossip::USUAL_A_DAY;
use crate::domain::{Ppm, Time};

/// Names under which moments are kept.
const MOMENTS: [&str; 4] = ["at", "since", "stepped", "until"];

/// One stage's account of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Reason {
    FirstSeen {
        fee: Ppm,
    },
    /// An operator's order; no stage was asked.
    ByHand {
        fee: Ppm,
    },
    /// A policy names the fee; no stage was asked.
    Exact {
        fee: Ppm,
        strategy: String,
        by: String,
    },
    /// A policy leaves the channel alone.
    Untouched {
        by: String,
    },
    /// A policy had the word before: the climb goes on from the fee that it has left.
    Released {
        found: Ppm,
        fee: Ppm,
    },
    /// What a policy leaves to the controller.
    Limits {
        min: Ppm,
        max: Ppm,
        /// The fee that multiples are of.
        of: Option<Ppm>,
        by: String,
    },
    /// A policy bounds the change at once.
    Step {
        most: Ppm,
        before: Ppm,
        after: Ppm,
    },
    TakenOver {
        before: Ppm,
        found: Ppm,
        /// The same within the operator's limits; `None` in decisions of earlier versions.
        #[serde(default)]
        holds: Option<Ppm>,
    },
    Congestion {
        /// Share of outgoing slots; `None`: a channel does not tell its limit.
        used: Option<f64>,
        threshold: f64,
        slots: Slots,
    },
    /// The node-wide reflex on dear block space; the floor is multiplied with what it says.
    Vegas {
        enabled: bool,
        /// Sat per 1,000 virtual bytes; `None`: unknown.
        sat_per_kvb: Option<u64>,
        average_24h: Option<f64>,
        intensity: f64,
        multiplier: f64,
    },
    HillClimb {
        phase: Phase,
        centre: f64,
        /// ln of what the fee is above the centre.
        delta: f64,
        earns_most: Option<f64>,
        run_out: Option<f64>,
        /// ln of what the balance has made of the centre since the last pair.
        #[serde(default)]
        lean: f64,
        events: f64,
        exposure: f64,
        until: Time,
        fee: f64,
    },
    /// What the plan of the whole node says, and what the balance has added to it since.
    Bid {
        /// Worth of one more unit of local balance, ppm.
        mu: f64,
        /// What a forward out of here costs the node, ppm.
        cost: f64,
        /// The fee that earns most beyond that cost, as the rehearsal has put it right.
        bid: f64,
        /// ln of what the rehearsal has made of it.
        #[serde(default)]
        rehearsed: f64,
        local: f64,
        /// ln of what the balance makes of the learner's fee.
        tilt: f64,
    },
    Scarcity {
        enabled: bool,
        virgin: bool,
        local: f64,
        threshold: f64,
        factor: f64,
        before: f64,
        after: f64,
    },
    /// A channel has joined those with the peer: it gets their fee.
    Joined {
        fee: Ppm,
    },
    Floor {
        min: Ppm,
        /// On-chain cost over expected volume; `None`: the price of block space is unknown.
        chain: Option<f64>,
        /// What that was computed from: the price of block space, our channels with the peer, and what they carry in a year.
        #[serde(default)]
        sat_per_kvb: Option<u64>,
        #[serde(default)]
        opened: u32,
        #[serde(default)]
        msat_a_year: f64,
        multiplier: f64,
        floor: Ppm,
        before: f64,
        after: f64,
    },
    Ceiling {
        max: Ppm,
        before: f64,
        after: Ppm,
    },
    Gossip {
        /// In a dry run: what would be by now.
        published: Ppm,
        /// What the node charges, where a dry run is ahead of it.
        #[serde(default)]
        in_force: Option<Ppm>,
        target: Ppm,
        /// Relative to what is published.
        difference: f64,
        ordinary: u32,
        urgent: u32,
        per_day: u32,
        verdict: Verdict,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slots {
    Unknown,
    Free,
    Relieved,
    Congested { start: Ppm, fee: Ppm },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Trying fees above and below the centre in turn.
    Trying,
    /// Nobody pays: down once a day.
    Drifting,
    /// Somebody set the fee by hand.
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Publish,
    /// Small, but for long enough.
    PublishSmall,
    /// Channels with the peer have different fees.
    Align,
    Woken,
    Urgent,
    Same,
    TooSmall {
        since: Option<Time>,
    },
    OverBudget,
    Held,
}

impl Reason {
    /// Name of the stage, as in JSON.
    pub fn stage(&self) -> &'static str {
        match self {
            Reason::FirstSeen { .. } => "first_seen",
            Reason::ByHand { .. } => "by_hand",
            Reason::Exact { .. } => "exact",
            Reason::Untouched { .. } => "untouched",
            Reason::Released { .. } => "released",
            Reason::Limits { .. } => "limits",
            Reason::Step { .. } => "step",
            Reason::TakenOver { .. } => "taken_over",
            Reason::Congestion { .. } => "congestion",
            Reason::Vegas { .. } => "vegas",
            Reason::HillClimb { .. } => "hill_climb",
            Reason::Bid { .. } => "bid",
            Reason::Scarcity { .. } => "scarcity",
            Reason::Joined { .. } => "joined",
            Reason::Floor { .. } => "floor",
            Reason::Ceiling { .. } => "ceiling",
            Reason::Gossip { .. } => "gossip",
        }
    }

    /// Is there a change that only the budget holds back?
    pub fn waits_for_budget(&self) -> bool {
        matches!(self, Reason::Gossip { verdict: Verdict::OverBudget, .. })
    }

    /// How much it mattered for the number: 0 where a stage let its input pass.
    fn weight(&self) -> u8 {
        match self {
            Reason::TakenOver { .. } | Reason::Released { .. } => 7,
            Reason::Congestion { slots: Slots::Congested { .. }, .. } => 6,
            Reason::Joined { .. } => 6,
            Reason::Ceiling { max, before, .. } if *before > max.as_f64() + 0.5 => 5,
            Reason::Floor { before, after, .. } if after > before => 4,
            Reason::Scarcity { factor, .. } if *factor > 1.0 => 3,
            Reason::HillClimb { .. } => 2,
            Reason::FirstSeen { .. } => 1,
            Reason::Step { .. } => 8,
            Reason::ByHand { .. } | Reason::Exact { .. } | Reason::Untouched { .. } => 9,
            _ => 0,
        }
    }
}

/// One line for a log or a table: the reason that mattered most, and what came of it.
pub fn summary(why: &[Reason]) -> String {
    // Of equals the first: max_by_key would take the last.
    let main = why.iter().rev().max_by_key(|r| r.weight());
    let news = |r: &&Reason| matches!(r, Reason::Gossip { verdict, .. } if *verdict != Verdict::Same);
    let gossip = why.iter().find(news).filter(|gossip| main != Some(gossip));
    // Where the learner follows the plan, the plan is half of the answer.
    let learner = |r: &&Reason| matches!(r, Reason::HillClimb { .. });
    let plan = main.filter(learner).and_then(|_| why.iter().find(|r| matches!(r, Reason::Bid { .. })));
    let parts: Vec<String> = [main, plan, gossip].into_iter().flatten().map(Reason::to_string).collect();
    parts.join("; ")
}

/// Why nothing was set, in words, if something is to be set later; from what [`told`] wrote.
pub fn waits(told: &str) -> Option<String> {
    // The last stage alone: a large node has a thousand of these lists.
    let last = told.rfind(r#"{"stage":"#).and_then(|start| told[start..].strip_suffix(']'))?;
    let gossip = serde_json::from_str(last).ok()?;
    let later = |verdict| matches!(verdict, Verdict::TooSmall { .. } | Verdict::OverBudget | Verdict::Held);
    matches!(gossip, Reason::Gossip { verdict, .. } if later(verdict)).then(|| gossip.to_string())
}

/// All stages as JSON for the ledger: each with its numbers, from which [`in_words`] makes the sentences.
pub fn told(why: &[Reason]) -> serde_json::Result<String> {
    serde_json::to_string(why)
}

/// Moments as dates, where memories and stages keep milliseconds.
pub(super) fn dated(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(dated),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_i64().filter(|_| MOMENTS.contains(&name.as_str())) {
                    Some(moment) => *field = Time(moment).to_string().into(),
                    None => dated(field),
                }
            }
        }
        _ => {}
    }
}

/// What [`told`] wrote, with each stage also in words, as `text`. A stage of another version keeps its numbers and has no words.
pub fn in_words(told: &str) -> serde_json::Result<Vec<Value>> {
    let mut stages: Vec<Value> = serde_json::from_str(told)?;
    for stage in &mut stages {
        let text = Reason::deserialize(&*stage).map(|reason| reason.to_string());
        dated(stage);
        if let (Value::Object(numbers), Ok(text)) = (stage, text) {
            numbers.insert("text".to_owned(), text.into());
        }
    }
    Ok(stages)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::ByHand { fee } => write!(f, "set to {fee} by hand"),
            Reason::Exact { fee, strategy, by } => write!(f, "{fee} by {by} (strategy {strategy})"),
            Reason::Untouched { by } => write!(f, "not touched, by {by}"),
            Reason::Released { found, fee } if found == fee => {
                write!(f, "the controller has the word again and goes on from {fee}")
            }
            Reason::Released { found, fee } => {
                write!(f, "the controller has the word again: {found} is outside the limits, it goes on from {fee}")
            }
            Reason::Limits { min, max, of, by } => {
                write!(f, "from {min} to {max} by {by}")?;
                of.map_or(Ok(()), |fee| write!(f, ", in multiples of {fee}"))
            }
            Reason::Step { most, before, after } => {
                write!(f, "{after} instead of {before}: no change may be larger than {most}")
            }
            Reason::FirstSeen { fee } => write!(f, "priced for the first time: starts at {fee}"),
            Reason::TakenOver { before, found, holds } => match holds.filter(|holds| holds != found) {
                None => write!(f, "somebody changed {before} to {found}: it holds for a block and is the new centre"),
                Some(limit) => {
                    write!(f, "somebody changed {before} to {found}, outside the limits: {limit} holds for a block")
                }
            },
            Reason::Joined { fee } => write!(f, "a channel has joined: the others with the peer are at {fee}"),
            Reason::Congestion { used, threshold, slots } => congestion(f, *used, *threshold, *slots),
            Reason::Vegas { .. } => self.vegas(f),
            Reason::HillClimb { .. } => self.hill_climb(f),
            Reason::Bid { mu, cost, bid, rehearsed, local, tilt } => {
                let percent = |ln: &f64| (ln.exp() - 1.0) * 100.0;
                write!(f, "balance is worth {mu:.0} ppm, a forward costs {cost:.0}: the plan asks {bid:.0} ")?;
                write!(f, "({:+.0} % by its rehearsal); ", percent(rehearsed))?;
                write!(f, "{:.0} % local has added {:+.0} %", local * 100.0, percent(tilt))
            }
            Reason::Scarcity { enabled, virgin, local, threshold, factor, before, after } => {
                let (local, threshold) = (local * 100.0, threshold * 100.0);
                match (enabled, virgin) {
                    (false, _) => write!(f, "scarcity pricing is off"),
                    (_, true) => write!(f, "virgin channel amnesty: opened by the peer, nothing sent yet, no scarcity"),
                    _ if *factor == 1.0 => write!(f, "{local:.0} % local, not scarce (below {threshold:.0} %)"),
                    _ => write!(
                        f,
                        "{local:.0} % local, below {threshold:.0} %: {before:.0} x {factor:.2} = {after:.0} ppm"
                    ),
                }
            }
            Reason::Floor { .. } => self.floor(f),
            Reason::Ceiling { max, before, .. } if *before > max.as_f64() + 0.5 => {
                write!(f, "ceiling {max} cuts {before:.0} ppm")
            }
            Reason::Ceiling { max, before, .. } => write!(f, "{before:.0} ppm is within the ceiling of {max}"),
            Reason::Gossip { .. } => self.gossip(f),
        }
    }
}

fn congestion(f: &mut fmt::Formatter<'_>, used: Option<f64>, threshold: f64, slots: Slots) -> fmt::Result {
    let (used, threshold) = (used.unwrap_or(0.0) * 100.0, threshold * 100.0);
    match slots {
        Slots::Unknown => write!(f, "congestion skipped: a channel does not tell its limit of payments in flight"),
        Slots::Free => write!(f, "{used:.0} % of outgoing slots in use, not congested (above {threshold:.0} %)"),
        Slots::Relieved => write!(f, "congestion is over: {used:.0} % of outgoing slots in use"),
        Slots::Congested { start, fee } => {
            write!(f, "congested: {used:.0} % of outgoing slots in use (above {threshold:.0} %), from {start} to {fee}")
        }
    }
}

impl Reason {
    fn vegas(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason::Vegas { enabled, sat_per_kvb, average_24h, intensity, multiplier } = self else { return Ok(()) };
        if !enabled {
            return write!(f, "the Vegas reflex is off");
        }
        let known = |price: Option<f64>| price.map_or("unknown".to_owned(), |price| format!("{price:.0}"));
        let (now, average) = (known(sat_per_kvb.map(|price| price as f64)), known(*average_24h));
        write!(f, "block space costs {now} sat per 1,000 vbytes (average of 24 hours: {average}): ")?;
        write!(f, "intensity {intensity:.2}, floors x {multiplier:.2}")
    }

    fn floor(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason::Floor { min, chain, sat_per_kvb, opened, msat_a_year, multiplier, floor, before, after } = self
        else {
            return Ok(());
        };
        write!(f, "floor {floor} (minimum {min}, ")?;
        match (chain, sat_per_kvb) {
            (None, _) => write!(f, "on-chain cost unknown")?,
            (Some(chain), None) => write!(f, "on-chain cost {chain:.1} ppm")?,
            (Some(chain), Some(price)) => write!(
                f,
                "on-chain cost {chain:.1} ppm for {opened} opened by us at {price} sat per 1,000 vbytes and {:.0} sat a year",
                msat_a_year / 1000.0
            )?,
        }
        let verdict = if after > before { "raises" } else { "lets pass" };
        write!(f, ", x {multiplier:.2}) {verdict} {before:.0} ppm")
    }

    fn hill_climb(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason::HillClimb { phase, centre, delta, earns_most, run_out, lean, events, exposure, until, fee } = self
        else {
            return Ok(());
        };
        match phase {
            Phase::Held => return write!(f, "set by hand: {fee:.0} ppm stays until {until}"),
            Phase::Drifting => return write!(f, "nobody pays: down to {fee:.0} ppm, next look {until}"),
            Phase::Trying => {}
        }
        let percent = (delta.exp() - 1.0) * 100.0;
        write!(f, "learner asks {fee:.0} ppm: centre {centre:.0} {percent:+.0} % until {until}")?;
        write!(f, " ({events:.1} events in {exposure:.1} h so far")?;
        if let Some(best) = earns_most {
            write!(f, "; earns most at {best:.0}")?;
        }
        if let Some(price) = run_out {
            write!(f, ", its balance asked {price:.0}")?;
        }
        if *lean != 0.0 {
            write!(f, " and has moved it by {:+.0} % since", (lean.exp() - 1.0) * 100.0)?;
        }
        write!(f, ")")
    }

    fn gossip(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason::Gossip { published, in_force, target, difference, ordinary, urgent, per_day, verdict } = self
        else {
            return Ok(());
        };
        let percent = difference * 100.0;
        if let Some(real) = in_force {
            write!(f, "dry run (the node charges {real}): ")?;
        }
        match verdict {
            Verdict::Same => write!(f, "{published} is published already"),
            Verdict::Publish => write!(f, "publish {published} -> {target} ({percent:+.1} %)"),
            Verdict::PublishSmall => write!(f, "publish {published} -> {target} ({percent:+.1} %, lasting)"),
            Verdict::Align => write!(f, "publish {target} on all channels with the peer"),
            Verdict::Woken => write!(f, "publish {published} -> {target} ({percent:+.1} %, woken by hand)"),
            Verdict::Urgent => write!(f, "publish {published} -> {target} at once ({percent:+.1} %)"),
            Verdict::TooSmall { .. } => {
                write!(f, "keep {published}: {target} ({percent:+.1} %) is not worth gossip yet")?;
                if *ordinary < USUAL_A_DAY {
                    return Ok(());
                }
                write!(f, ", after {ordinary} changes in a day")
            }
            Verdict::OverBudget => write!(
                f,
                "keep {published}: {target} ({percent:+.1} %) waits, {ordinary} of {per_day} changes a day are used, and \
                 {urgent} urgent ones"
            ),
            Verdict::Held => write!(f, "keep {published}: it was set by hand"),
        }
    }
}
