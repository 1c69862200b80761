//! `simulate`: rules of pricing against each other and against the oracle, on tapes drawn from seeds; settings of the plugin's
//! options likewise. Touches no node; writes only the files that it is told to write.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::graph_tape;
use super::plot;
use crate::domain::Ppm;
use crate::options::{self, Layers, Options};
use crate::sim::oracle::Oracle;
use crate::sim::play::{Film, filmed};
use crate::sim::rules::ours::Ours;
use crate::sim::rules::{RULES, Rule, by_name};
use crate::sim::scenario::{KINDS, QUICK};
use crate::sim::score::{Estimate, Mark, Score, paired};
use crate::sim::{Kind, Network, Run, Set, Simulation, Tape, play};

/// Of rules that leave something to chance.
const RULE_SEED: u64 = 1;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Order {
    /// Compare ways to price.
    Run(RunArgs),
    /// Compare settings of one of the plugin's options with its default.
    Sweep(SweepArgs),
    /// Make a tape from a file of the public network and tell what payers would pay.
    Tape(graph_tape::Args),
    /// Show the scenarios and the rules.
    List,
}

#[derive(Debug, clap::Args)]
pub(super) struct Field {
    /// Scenarios by name, parted by commas; or `quick`, or `all`.
    #[arg(long, default_value = "quick")]
    scenario: String,
    /// Tapes of each scenario.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,
    /// Which seeds: those to tune on, those to check on, or those for the last table.
    #[arg(long, default_value = "train", value_parser = ["train", "validation", "holdout"])]
    set: String,
    /// Days to play, instead of what the scenario says.
    #[arg(long, value_parser = clap::value_parser!(u32).range(7..=365))]
    days: Option<u32>,
    /// Write the scores as JSON; `-`: to the terminal, instead of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Tapes played at a time; never more than there are cores.
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    field: Field,
    /// Rules by name, parted by commas; some take the value of their knob, as in `static:300`. `plugin` is the whole plugin
    /// with a ledger in memory.
    #[arg(long, default_value = "ours,static")]
    policy: String,
    /// Draw one channel's fee, balance and revenue, on the first tape of the first scenario, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Which channel is drawn.
    #[arg(long, default_value_t = 0)]
    channel: usize,
}

#[derive(Debug, clap::Args)]
pub(super) struct SweepArgs {
    #[command(flatten)]
    field: Field,
    /// An option and the values to try, as in `gossip-hysteresis=0.05,0.1`.
    #[arg(long, value_name = "NAME=VALUE,VALUE")]
    option: String,
}

/// Somebody who prices.
#[derive(Clone, Debug)]
enum Policy {
    Rule(String),
    Ours(String, Box<Options>),
    Plugin,
}

/// One tape to be played by everybody.
struct Job {
    kind: &'static Kind,
    days: u32,
    seed: u64,
}

/// One policy's marks on one kind of scenario.
struct Row {
    kind: &'static Kind,
    days: u32,
    policy: String,
    marks: Vec<Mark>,
}

pub(super) fn run(order: Order) -> anyhow::Result<()> {
    match order {
        Order::Run(args) => compare(&args),
        Order::Sweep(args) => sweep(&args),
        Order::Tape(args) => graph_tape::run(&args),
        Order::List => {
            println!("{}", list());
            Ok(())
        }
    }
}

fn compare(args: &RunArgs) -> anyhow::Result<()> {
    let policies: Vec<Policy> = args.policy.split(',').map(Policy::parse).collect::<anyhow::Result<_>>()?;
    let jobs = args.field.jobs()?;
    if let (Some(path), Some(job)) = (&args.plot, jobs.first()) {
        draw(path, job, &policies, args.channel)?;
    }
    report(&args.field, &score(&jobs, &policies, &args.field)?)
}

fn sweep(args: &SweepArgs) -> anyhow::Result<()> {
    let (name, values) = args.option.split_once('=').context("give --option NAME=VALUE,VALUE")?;
    let spec = options::find(name)?;
    let mut policies = Vec::new();
    for value in values.split(',') {
        let mut layers = Layers::default();
        layers.overrides.insert(spec.key, value.to_owned());
        policies.push(Policy::Ours(format!("{}={value}", spec.key), Box::new(layers.resolve()?)));
    }
    policies.push(Policy::Ours(format!("{}={} (default)", spec.key, spec.default), Box::default()));
    report(&args.field, &score(&args.field.jobs()?, &policies, &args.field)?)
}

impl Field {
    fn jobs(&self) -> anyhow::Result<Vec<Job>> {
        let names: Vec<&str> = match self.scenario.as_str() {
            "quick" => QUICK.to_vec(),
            "all" => KINDS.iter().map(|kind| kind.name).collect(),
            names => names.split(',').collect(),
        };
        let set = match self.set.as_str() {
            "train" => Set::Train,
            "validation" => Set::Validation,
            _ => Set::Holdout,
        };
        let mut jobs = Vec::new();
        for name in names {
            let kind = Kind::by_name(name.trim())
                .with_context(|| format!("there is no scenario '{name}'; `simulate list` shows them"))?;
            let days = self.days.unwrap_or(kind.days);
            jobs.extend(set.seeds(self.seeds).map(|seed| Job { kind, days, seed }));
        }
        Ok(jobs)
    }

    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.unwrap_or(cores).clamp(1, cores)
    }
}

impl Policy {
    fn parse(name: &str) -> anyhow::Result<Policy> {
        match name.trim() {
            "plugin" => Ok(Policy::Plugin),
            name if by_name(name, RULE_SEED).is_some() => Ok(Policy::Rule(name.to_owned())),
            name => bail!("there is no rule '{name}'; `simulate list` shows them"),
        }
    }

    fn name(&self) -> &str {
        match self {
            Policy::Rule(name) | Policy::Ours(name, _) => name,
            Policy::Plugin => "plugin",
        }
    }

    /// `None`: it is no rule.
    fn rule(&self) -> Option<Box<dyn Rule>> {
        match self {
            Policy::Rule(name) => by_name(name, RULE_SEED),
            Policy::Ours(_, options) => Some(Box::new(Ours::new((**options).clone()))),
            Policy::Plugin => None,
        }
    }

    fn play(&self, tape: &Arc<Tape>, days: u32) -> anyhow::Result<Run> {
        if let Some(mut rule) = self.rule() {
            return Ok(play(tape, days, rule.as_mut()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let simulation = Simulation::on(tape.clone(), Layers::default()).await?;
            simulation.node.set_all(Ppm(tape.network().scenario.start_ppm));
            let reports = simulation.run_days(days, |_| ()).await?;
            let changes: u64 = reports.iter().map(|day| day.fee_changes).sum();
            // The steps count changes of the whole node; by channel nobody asks.
            let updates = vec![u32::try_from(changes).unwrap_or(u32::MAX)];
            Ok(Run::of(&simulation.node.market(), days, updates))
        })
    }
}

impl Job {
    fn tape(&self) -> Arc<Tape> {
        Arc::new(Tape::new(Network::draw(self.kind.scenario(self.seed))).frozen(self.days))
    }

    fn marks(&self, policies: &[Policy]) -> anyhow::Result<Vec<Mark>> {
        let tape = self.tape();
        let oracle = Oracle::of(&tape, self.days);
        let shock = tape.network().scenario.shock_day();
        let mark = |policy: &Policy| {
            let run = policy.play(&tape, self.days)?;
            Ok(Mark::of(self.seed, &run, &oracle.laws_run, shock))
        };
        policies.iter().map(mark).collect()
    }
}

/// Every policy on every tape; whoever is free takes the next tape.
fn score(jobs: &[Job], policies: &[Policy], field: &Field) -> anyhow::Result<Vec<Row>> {
    let style = ProgressStyle::with_template("{pos:>4}/{len} tapes {bar:40} {eta}");
    let bar = ProgressBar::new(jobs.len() as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((place, job)) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            jobs.get(place).map(|job| (place, job))
        } {
            let marks = job.marks(policies);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, marks));
            bar.inc(1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..field.threads() {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    let mut rows: Vec<Row> = Vec::new();
    for (place, marks) in done {
        let job = &jobs[place];
        for (policy, mark) in policies.iter().zip(marks?) {
            match rows.iter_mut().find(|row| row.kind.name == job.kind.name && row.policy == policy.name()) {
                Some(row) => row.marks.push(mark),
                None => {
                    let policy = policy.name().to_owned();
                    rows.push(Row { kind: job.kind, days: job.days, policy, marks: vec![mark] });
                }
            }
        }
    }
    Ok(rows)
}

impl Row {
    /// By how much it differs from the last policy of its scenario.
    fn against_last(&self, rows: &[Row]) -> Option<Estimate> {
        let last = rows.iter().rfind(|row| row.kind.name == self.kind.name)?;
        if last.policy == self.policy { None } else { paired(&self.marks, &last.marks) }
    }

    fn json(&self, rows: &[Row]) -> Value {
        json!({
            "scenario": self.kind.name,
            "days": self.days,
            "policy": self.policy,
            "oracle": if self.kind.is_closed() { "O1" } else { "O2" },
            "score": Score::of(&self.marks, self.days),
            "against_last": self.against_last(rows),
            "tapes": self.marks,
        })
    }
}

fn report(field: &Field, rows: &[Row]) -> anyhow::Result<()> {
    let json = || json!({ "set": field.set, "rows": rows.iter().map(|row| row.json(rows)).collect::<Vec<_>>() });
    match &field.json {
        Some(path) if path.as_os_str() == "-" => println!("{:#}", json()),
        Some(path) => {
            std::fs::write(path, format!("{:#}\n", json())).with_context(|| format!("writing {}", path.display()))?;
            println!("{}", table(rows));
        }
        None => println!("{}", table(rows)),
    }
    Ok(())
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "scenario",
        "policy",
        "of oracle %",
        "95 %",
        "worst (seed)",
        "against last %",
        "updates",
        "refused %",
        "to 90 %",
        "after shock %",
    ]);
    for column in 2..10 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        let score = Score::of(&row.marks, row.days);
        let percent = |share: f64| format!("{:.1}", share * 100.0);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let range = |e: Estimate| format!("{}..{}", percent(e.low), percent(e.high));
        let against = row.against_last(rows).map(|e| format!("{:+.1} ({})", e.mean * 100.0, range(e)));
        table.add_row([
            row.kind.name.to_owned(),
            row.policy.clone(),
            or_none(score.share.map(|e| percent(e.mean))),
            or_none(score.share.map(range)),
            or_none(score.worst.map(|(seed, share)| format!("{} ({seed})", percent(share)))),
            or_none(against),
            format!("{:.2}", score.updates_per_channel_day),
            percent(score.refused_share),
            or_none(score.days_to_90.map(|days| format!("{days:.0} d"))),
            or_none(score.after_shock.map(percent)),
        ]);
    }
    table
}

fn draw(path: &PathBuf, job: &Job, policies: &[Policy], channel: usize) -> anyhow::Result<()> {
    let tape = job.tape();
    if channel >= tape.network().seats.len() {
        bail!("the scenario has {} channels, counted from 0", tape.network().seats.len());
    }
    let policy = policies.iter().find_map(|policy| Some((policy.name(), policy.rule()?)));
    let (name, mut rule) = policy.context("only a rule can be drawn, not the whole plugin")?;
    let mut film = Film { channel, ..Film::default() };
    filmed(&tape, job.days, rule.as_mut(), Some(&mut film));
    let oracle = Oracle::of(&tape, job.days);
    let title = format!("{name} on {}, seed {}, channel {channel}", job.kind.name, job.seed);
    let drawing = plot::svg(&title, &film.frames, &oracle.laws[channel]);
    std::fs::write(path, drawing).with_context(|| format!("writing {}", path.display()))
}

fn list() -> String {
    let mut text = String::from("scenarios\n");
    for kind in KINDS {
        text += &format!("  {:<4} {:>3} days  {}\n", kind.name, kind.days, kind.about);
    }
    text += "\nrules\n";
    for rule in RULES {
        text += &format!("  {:<14} {}\n", rule.name, rule.about);
    }
    text + "  plugin         the whole plugin with a ledger in memory; some hundred times slower than `ours`"
}
