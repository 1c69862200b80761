//! The walk through the sections: what matches, what masks what, who decides, and what comes of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bounds::{self, Held as HeldBack};
use super::matcher::Verdict;
use super::params::{Held, Params};
use super::rollback;
use super::rules::{DEFAULT, Rule, RuleFile, path_of};
use super::strategy::{self, Ask};
use super::wanted::{Outcome, Rollback, Wanted};
use super::words::Strategy;
use crate::domain::{Facts, Limits, NodeFacts, Policy, Pricing, Ruling, Scid, Source};

/// What the rules say of one channel, and how they came to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resolution {
    pub scid: Scid,
    /// The section that decides; `NAME (from FILE)` if it is in another file.
    pub section: Option<String>,
    pub line: Option<u32>,
    pub strategy: Option<String>,
    pub outcome: Outcome,
    /// What was wanted and brought within bounds.
    pub held_back: Vec<HeldBack>,
    pub rollback: Rollback,
    /// Section by section; only those that matched, unless it was asked why.
    pub trail: Vec<Step>,
}

/// One section on the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub section: String,
    pub line: u32,
    /// Where the section is, if not in the file that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    pub verdict: StepVerdict,
    /// Keys that it left behind, with what they were before.
    pub masks: Vec<Mask>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepVerdict {
    /// It matched, and the walk went on.
    Defaults,
    /// It matched and decided.
    Decides,
    Failed {
        key: String,
        line: u32,
        wanted: String,
        found: String,
    },
    /// It could not be judged: the channel is left alone.
    Broke {
        key: String,
        line: u32,
        what: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mask {
    pub key: String,
    pub old: Option<String>,
    pub new: String,
}

/// How one walk went.
struct Walk<'a> {
    facts: &'a Facts,
    node: &'a NodeFacts,
    asked_why: bool,
    trail: Vec<Step>,
}

impl RuleFile {
    /// What the rules say of a channel.
    pub fn resolve(&self, facts: &Facts, node: &NodeFacts) -> Resolution {
        self.walk(Walk { facts, node, asked_why: false, trail: Vec::new() })
    }

    /// The same, with the sections that did not match, and why they did not.
    pub fn explain(&self, facts: &Facts, node: &NodeFacts) -> Resolution {
        self.walk(Walk { facts, node, asked_why: true, trail: Vec::new() })
    }

    fn walk(&self, mut walk: Walk) -> Resolution {
        let mut held = BTreeMap::new();
        let mut decider = None;
        for (at, rule) in self.rules.iter().enumerate() {
            let last = rule.name == DEFAULT;
            let verdict = if last { Ok(true) } else { walk.judges(rule) };
            let matches = verdict.and_then(|matches| if matches { walk.takes(rule, at, &mut held) } else { Ok(false) });
            match matches {
                Err(what) => return Resolution::skipped(walk, rule, what),
                Ok(false) => continue,
                Ok(true) => {}
            }
            if rule.ends || (last && rule.strategy.is_some()) {
                decider = Some(at);
                walk.decides();
                break;
            }
        }
        // A strategy that a section with `final = false` left behind decides if nothing else does.
        let decider = decider.or_else(|| self.left_behind(&held));
        let Some(at) = decider else { return Resolution::unruled(walk) };
        self.decided(at, held, walk)
    }

    fn left_behind(&self, held: &BTreeMap<&str, Held>) -> Option<usize> {
        let strategy = held.get("strategy").filter(|held| self.is_ours() && !held.value.is_empty())?;
        Some(strategy.from)
    }

    fn decided(&self, at: usize, held: BTreeMap<&str, Held>, mut walk: Walk) -> Resolution {
        let rule = &self.rules[at];
        let params = Params { held, reading: self.reading, decider: at };
        let name = match &rule.strategy {
            Some(name) => Some(name.as_str()),
            None => params.text("strategy").filter(|name| !name.is_empty()),
        };
        let Some(name) = name else { return Resolution::unruled(walk) };
        let ask = Ask { params: &params, facts: walk.facts, node: walk.node };
        let mut resolution = Resolution {
            section: Some(rule.name.clone()),
            line: Some(rule.line),
            strategy: Some(name.to_owned()),
            rollback: said_of_rollback(&params),
            ..Resolution::unruled(Walk { trail: std::mem::take(&mut walk.trail), ..walk })
        };
        let done = match Strategy::find(name).filter(|strategy| strategy.origin.known_to(self.reading)) {
            None => Err(format!("there is no strategy '{name}'")),
            Some(strategy) if strategy.name == "use_config" => {
                self.as_another_says(ask, walk.asked_why, &mut resolution)
            }
            Some(strategy) => by(strategy, ask, &mut resolution),
        };
        if let Err(what) = done {
            resolution.outcome = Outcome::Skipped(what);
        }
        resolution
    }

    /// What another file says counts; where it says nothing, sizes and time lock of this one do.
    fn as_another_says(&self, ask: Ask, asked_why: bool, to: &mut Resolution) -> Result<(), String> {
        let path = path_of(ask.params.text("config_file").ok_or("config_file is missing")?);
        let inner = self.inner.get(path).ok_or_else(|| format!("'{path}' has not been read"))?;
        let inner = inner.as_ref().map_err(Clone::clone)?;
        let walk = Walk { facts: ask.facts, node: ask.node, asked_why, trail: Vec::new() };
        let mut found = inner.walk(walk);
        let named = |file: Option<String>| file.or_else(|| Some(path.to_owned()));
        to.trail.extend(found.trail.drain(..).map(|step| Step { file: named(step.file.clone()), ..step }));
        let deltas = (ask.params.int("min_fee_ppm_delta")?, ask.params.int("min_inbound_fee_ppm_delta")?);
        let over =
            |wanted: Wanted| Wanted { min_delta: wanted.min_delta.or(deltas.0), min_inbound_delta: deltas.1, ..wanted };
        to.outcome = match found.outcome {
            Outcome::Unruled => {
                to.outcome = Outcome::Wanted(strategy::common(ask, Wanted::default())?);
                return Ok(());
            }
            Outcome::Skipped(what) => return Err(what),
            Outcome::Wanted(wanted) => Outcome::Wanted(over(wanted)),
            Outcome::Controller { prior, limits, rest } => Outcome::Controller { prior, limits, rest: over(rest) },
            Outcome::Untouched => Outcome::Untouched,
        };
        to.section = found.section.map(|section| format!("{section} (from {path})"));
        (to.line, to.strategy) = (found.line, found.strategy);
        to.held_back = found.held_back;
        to.rollback = Rollback {
            enabled: found.rollback.enabled.or(to.rollback.enabled),
            threshold: found.rollback.threshold.or(to.rollback.threshold),
            ..found.rollback
        };
        Ok(())
    }
}

fn by(strategy: &Strategy, ask: Ask, to: &mut Resolution) -> Result<(), String> {
    to.outcome = strategy::decide(strategy.name, ask)?;
    match &mut to.outcome {
        Outcome::Wanted(wanted) | Outcome::Controller { rest: wanted, .. } => {
            to.held_back = bounds::hold(ask, strategy, wanted)?;
        }
        Outcome::Unruled | Outcome::Untouched | Outcome::Skipped(_) => {}
    }
    Ok(())
}

fn said_of_rollback(params: &Params) -> Rollback {
    match params.reading {
        super::Reading::ChargeLnd => Rollback::default(),
        super::Reading::Ours => Rollback {
            enabled: params.switch("enable_auto_rollback").unwrap_or_default(),
            threshold: params.float("rollback_threshold").unwrap_or_default(),
            bounds: (params.int("min_fee_ppm").unwrap_or_default(), params.int("max_fee_ppm").unwrap_or_default()),
        },
    }
}

impl Walk<'_> {
    /// Does the section match?
    fn judges(&mut self, rule: &Rule) -> Result<bool, String> {
        for group in &rule.groups {
            match group.judge(self.facts, self.node) {
                Verdict::Matches => {}
                Verdict::Fails(criterion, found) => {
                    if self.asked_why {
                        let found = criterion.found(found, self.facts);
                        let (key, wanted) = (criterion.key.clone(), criterion.wanted.clone());
                        self.step(rule, StepVerdict::Failed { key, line: criterion.line, wanted, found });
                    }
                    return Ok(false);
                }
                Verdict::Breaks(criterion, what) => {
                    let (key, what) = (criterion.key.clone(), what.to_owned());
                    let told = format!("line {}, [{}] {key}: {what}", criterion.line, rule.name);
                    self.step(rule, StepVerdict::Broke { key, line: criterion.line, what });
                    return Err(told);
                }
            }
        }
        Ok(true)
    }

    /// Puts the section's keys over those of the sections before.
    fn takes<'a>(&mut self, rule: &'a Rule, at: usize, held: &mut BTreeMap<&'a str, Held<'a>>) -> Result<bool, String> {
        let mut masks = Vec::new();
        for read in &rule.reads {
            let value = match &read.value {
                Ok(value) => value.as_str(),
                Err(what) => {
                    let (key, what) = (read.key.clone(), what.clone());
                    let told = format!("line {}, [{}] {key} {what}", read.line, rule.name);
                    self.step(rule, StepVerdict::Broke { key, line: read.line, what });
                    return Err(told);
                }
            };
            let before = held.insert(&read.key, Held { value, from: at });
            if !read.key.contains('.') {
                let old = before.map(|held| held.value.to_owned());
                masks.push(Mask { key: read.key.clone(), old, new: value.to_owned() });
            }
        }
        self.step(rule, StepVerdict::Defaults);
        if let Some(step) = self.trail.last_mut() {
            step.masks = masks;
        }
        Ok(true)
    }

    fn decides(&mut self) {
        if let Some(step) = self.trail.last_mut() {
            step.verdict = StepVerdict::Decides;
        }
    }

    fn step(&mut self, rule: &Rule, verdict: StepVerdict) {
        let (section, line) = (rule.name.clone(), rule.line);
        self.trail.push(Step { section, line, file: None, verdict, masks: Vec::new() });
    }
}

impl Resolution {
    fn unruled(walk: Walk) -> Resolution {
        Resolution {
            scid: walk.facts.scid,
            section: None,
            line: None,
            strategy: None,
            outcome: Outcome::Unruled,
            held_back: Vec::new(),
            rollback: Rollback::default(),
            trail: walk.trail,
        }
    }

    fn skipped(walk: Walk, rule: &Rule, what: String) -> Resolution {
        let outcome = Outcome::Skipped(what);
        Resolution { outcome, line: Some(rule.line), ..Resolution::unruled(walk) }
    }

    /// What the rules ask for was not told: the channel is left as it is, whatever they would make of it without.
    pub fn unheard(mut self, what: &str) -> Resolution {
        self.trail.retain(|step| step.verdict != StepVerdict::Decides);
        let outcome = Outcome::Skipped(format!(
            "the rules ask for {what}, which the node did not tell; nothing is changed until it does"
        ));
        let (held_back, rollback) = (Vec::new(), Rollback::default());
        Resolution { section: None, line: None, strategy: None, outcome, held_back, rollback, ..self }
    }

    /// The same in the words of the house; `None` where the rules say nothing of the channel. What could not be decided leaves the
    /// channel untouched.
    pub fn policy(&self) -> Option<Policy> {
        let (pricing, terms, limits) = match &self.outcome {
            Outcome::Unruled => return None,
            Outcome::Untouched | Outcome::Skipped(_) => (Pricing::Untouched, None, Limits::default()),
            Outcome::Wanted(wanted) => match wanted.terms() {
                Ok(terms) => (Pricing::Exact, Some(terms), Limits::default()),
                Err(_) => (Pricing::Untouched, None, Limits::default()),
            },
            Outcome::Controller { prior, limits, rest } => match rest.terms() {
                Ok(terms) => (prior.map_or(Pricing::Controller, Pricing::ControllerFrom), Some(terms), *limits),
                Err(_) => (Pricing::Untouched, None, Limits::default()),
            },
        };
        let rollback = self.rollback_threshold().filter(|_| pricing == Pricing::Exact);
        let (terms, trail) = (terms.unwrap_or_default(), self.rulings());
        Some(Policy { pricing, terms, limits, rollback, trail, ..Policy::default() })
    }

    /// Whoever writes rules gets what is written, unless the section says that it is on trial.
    fn rollback_threshold(&self) -> Option<f64> {
        let wanted = self.rollback.enabled == Some(true);
        wanted.then(|| self.rollback.threshold.unwrap_or(rollback::USUAL_THRESHOLD))
    }

    /// Which section gave each member last, in the order of the sections.
    fn rulings(&self) -> Vec<Ruling> {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, step) in self.trail.iter().enumerate() {
            last.extend(step.masks.iter().map(|mask| (mask.key.as_str(), at)));
        }
        let ruling = |step: &Step, mask: &Mask| Ruling {
            source: Source::Section { name: step.section.clone(), line: step.line },
            member: mask.key.clone(),
            value: mask.new.clone(),
        };
        let of = |(at, step): (usize, &'_ Step)| -> Vec<Ruling> {
            let still = step.masks.iter().filter(|mask| last.get(mask.key.as_str()) == Some(&at));
            still.map(|mask| ruling(step, mask)).collect()
        };
        self.trail.iter().enumerate().flat_map(of).collect()
    }
}
