//! The contest: every policy on every tape, as many tapes at a time as there are threads. Plays and counts; shows nothing but how far
//! it is.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::crew;
use crate::domain::Ppm;
use crate::options::{Layers, Options};
use crate::sim::oracle::{Insider, Oracle};
use crate::sim::rules::ours::Ours;
use crate::sim::rules::{Named, RULES, Rule, by_name};
use crate::sim::score::Mark;
use crate::sim::{Asked, Kind, Network, Run, Simulation, Tape, graph, play, play_asked};

const PLUGIN: &str = "plugin";
const MOVING: &str = "plugin+sling";
const SAME_FEES: &str = "same-fees";
const INSIDER: &str = "insider";
/// Of rules that leave something to chance.
const RULE_SEED: u64 = 1;

/// Somebody who prices.
#[derive(Clone, Debug)]
pub(super) enum Policy {
    Rule(String),
    Ours(String, Box<Options>),
    /// The whole plugin, with or without somebody who moves liquidity.
    Plugin {
        moves: bool,
    },
    /// The fees that the plugin asked beside its moves, without the moves.
    SameFees,
    /// Knows all payers, but not which payment comes when.
    Insider,
}

/// What the plugin did on a tape with somebody who moves liquidity.
struct Moved {
    run: Run,
    asked: Vec<Asked>,
}

/// One tape to be played by everybody.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) days: u32,
    pub(super) seed: u64,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Kind(&'static Kind),
    /// Read from a file; too long to be read again by everybody.
    File(Arc<Tape>),
}

/// One policy's marks on all tapes of one name.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) days: u32,
    /// Do channels touch each other?
    pub(super) closed: bool,
    pub(super) policy: String,
    pub(super) marks: Vec<Mark>,
}

/// A rule by its name, which may carry the value of its knob.
pub(super) fn rule(name: &str) -> anyhow::Result<Box<dyn Rule>> {
    let (own, value) = name.split_once(':').map_or((name, None), |(own, value)| (own, Some(value)));
    let unknown = || format!("there is no rule '{own}'; `simulate list` shows them");
    let named = RULES.iter().find(|rule| rule.name == own).with_context(unknown)?;
    value.map(|value| knob(named, value)).transpose()?;
    by_name(name, RULE_SEED).with_context(unknown)
}

/// The value of a rule's knob.
pub(super) fn knob(rule: &Named, text: &str) -> anyhow::Result<f64> {
    let name = rule.name;
    anyhow::ensure!(rule.has_knob(), "'{name}' has no knob to set; write it without ':{text}'");
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
    let example = rule.knobs[rule.knobs.len() / 2];
    value.with_context(|| format!("the knob of '{name}' is a number from 0 on, as in '{name}:{example}', not '{text}'"))
}

impl Policy {
    pub(super) fn parse(name: &str) -> anyhow::Result<Policy> {
        match name.trim() {
            PLUGIN => Ok(Policy::Plugin { moves: false }),
            MOVING => Ok(Policy::Plugin { moves: true }),
            SAME_FEES => Ok(Policy::SameFees),
            INSIDER => Ok(Policy::Insider),
            name => rule(name).map(|_| Policy::Rule(name.to_owned())),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Policy::Rule(name) | Policy::Ours(name, _) => name,
            Policy::Plugin { moves: true } => MOVING,
            Policy::Plugin { moves: false } => PLUGIN,
            Policy::SameFees => SAME_FEES,
            Policy::Insider => INSIDER,
        }
    }

    /// `None`: it is no rule.
    pub(super) fn rule(&self) -> Option<Box<dyn Rule>> {
        match self {
            Policy::Rule(name) => rule(name).ok(),
            Policy::Ours(_, options) => Some(Box::new(Ours::new((**options).clone()))),
            Policy::Plugin { .. } | Policy::SameFees | Policy::Insider => None,
        }
    }

    /// `moved`: what the plugin did on this tape with its moves, once somebody needed to know.
    fn play(&self, tape: &Arc<Tape>, days: u32, moved: &mut Option<Moved>) -> anyhow::Result<Run> {
        if let Some(mut rule) = self.rule() {
            return Ok(play(tape, days, rule.as_mut()));
        }
        if let Policy::Plugin { moves: false } = self {
            return whole_plugin(tape, days, false).map(|still| still.run);
        }
        if let Policy::Insider = self {
            let known = Insider::of(tape, days).context("these payments were not drawn from a seed")?;
            return Ok(known.play(tape, days));
        }
        let moved = match moved {
            Some(moved) => moved,
            None => moved.insert(whole_plugin(tape, days, true)?),
        };
        match self {
            Policy::SameFees => Ok(play_asked(tape, days, &moved.asked)),
            _ => Ok(moved.run.clone()),
        }
    }
}

fn whole_plugin(tape: &Arc<Tape>, days: u32, moves: bool) -> anyhow::Result<Moved> {
    crew::on_one_core(|| async {
        let simulation = match moves {
            true => Simulation::moving(tape.clone(), hourly_moves()).await?,
            false => Simulation::on(tape.clone(), Layers::default()).await?,
        };
        simulation.node.set_all(Ppm(tape.network().scenario.start_ppm));
        let reports = simulation.run_days(days, |_| ()).await?;
        let changes: u64 = reports.iter().map(|day| day.fee_changes).sum();
        // The steps count changes of the whole node; by channel nobody asks.
        let updates = vec![u32::try_from(changes).unwrap_or(u32::MAX)];
        let mut run = Run::of(&simulation.node.market(), days, updates);
        if let Some(mover) = simulation.node.mover().as_ref() {
            let start = tape.network().scenario.start;
            run.spent = (0..days).map(|day| mover.spent_on(day, start).0).collect();
        }
        Ok(Moved { run, asked: simulation.node.asked() })
    })
}

/// Four times fewer looks than by default, and four times faster.
fn hourly_moves() -> Layers {
    let mut layers = Layers::default();
    layers.config.insert("rebalance_interval", "3600".to_owned());
    layers
}

impl Job {
    pub(super) fn of_kind(kind: &'static Kind, days: Option<u32>, seed: u64) -> Job {
        Job { name: kind.name.to_owned(), days: days.unwrap_or(kind.days), seed, source: Source::Kind(kind) }
    }

    /// A tape that `simulate tape` wrote; its days or fewer.
    pub(super) fn of_file(path: &Path, days: Option<u32>) -> anyhow::Result<Job> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let tape = graph::read(BufReader::new(file)).with_context(|| path.display().to_string())?;
        let length = tape.length().context("a tape of a file ends")?;
        Ok(Job {
            name: path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            days: days.unwrap_or(length).min(length),
            seed: tape.network().scenario.seed,
            source: Source::File(Arc::new(tape)),
        })
    }

    pub(super) fn tape(&self) -> Arc<Tape> {
        match &self.source {
            Source::Kind(kind) => Arc::new(Tape::new(Network::draw(kind.scenario(self.seed))).frozen(self.days)),
            Source::File(tape) => tape.clone(),
        }
    }

    /// What is known afterwards. On tapes of the public network O2 is searched for as well.
    pub(super) fn oracle(&self, tape: &Arc<Tape>) -> Oracle {
        let oracle = Oracle::of(tape, self.days);
        match self.source {
            Source::Kind(_) => oracle,
            Source::File(_) => oracle.bent(tape, self.days),
        }
    }

    fn marks(&self, policies: &[Policy]) -> anyhow::Result<Vec<Mark>> {
        let tape = self.tape();
        let oracle = self.oracle(&tape);
        let shock = tape.network().scenario.shock_day();
        let mut moved = None;
        let mark = |policy: &Policy| {
            let run = policy.play(&tape, self.days, &mut moved)?;
            Ok(Mark::of(self.seed, &run, &oracle.laws_run, shock).beside(&oracle.fixed_run))
        };
        policies.iter().map(mark).collect()
    }

    fn is_closed(&self) -> bool {
        match &self.source {
            Source::Kind(kind) => kind.is_closed(),
            Source::File(_) => true,
        }
    }
}

/// Every policy on every tape.
pub(super) fn score(jobs: &[Job], policies: &[Policy], threads: usize) -> anyhow::Result<Vec<Row>> {
    let done = crew::each(jobs, threads, |job| job.marks(policies));
    let mut rows: Vec<Row> = Vec::new();
    for (job, marks) in jobs.iter().zip(done) {
        for (policy, mark) in policies.iter().zip(marks?) {
            add(&mut rows, job, policy, mark);
        }
    }
    Ok(rows)
}

fn add(rows: &mut Vec<Row>, job: &Job, policy: &Policy, mark: Mark) {
    match rows.iter_mut().find(|row| row.name == job.name && row.policy == policy.name()) {
        Some(row) => row.marks.push(mark),
        None => rows.push(Row {
            name: job.name.clone(),
            days: job.days,
            closed: job.is_closed(),
            policy: policy.name().to_owned(),
            marks: vec![mark],
        }),
    }
}
