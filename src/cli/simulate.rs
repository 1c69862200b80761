//! `simulate`: rules of pricing against each other and against the oracle, on tapes drawn from seeds; settings of the plugin's
//! options likewise. Touches no node; writes only the files that it is told to write.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use comfy_table::Table;
use serde_json::{Value, json};

use super::contest::{Job, Policy, Row, score};
use super::crew;
use super::draw;
use super::graph_tape;
use super::outfile::Outfile;
use super::plot;
use super::tune;
use crate::options::{self, Layers};
use crate::sim::play::{Film, filmed};
use crate::sim::rules::RULES;
use crate::sim::scenario::{KINDS, QUICK};
use crate::sim::score::{Estimate, Score, paired};
use crate::sim::{Kind, Set};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Order {
    /// Compare ways to price.
    Run(RunArgs),
    /// Compare settings of one of the plugin's options with its default.
    Sweep(SweepArgs),
    /// Try the other rules' knobs on training seeds.
    Tune(tune::Args),
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
    /// with a ledger in memory, `plugin+sling` the same with somebody who moves liquidity for it, `same-fees`
    /// the fees that the latter asked, with nothing moved, `insider` one who knows all payers from the start, but not which payment
    /// comes when.
    #[arg(long, default_value = "ours,static")]
    policy: String,
    /// Play a tape that `simulate tape` has written, instead of scenarios; more than once for several.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "seeds", "set"])]
    tape: Vec<PathBuf>,
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

pub(super) fn run(order: Order) -> anyhow::Result<()> {
    match order {
        Order::Run(args) => compare(&args),
        Order::Sweep(args) => sweep(&args),
        Order::Tune(args) => tune::run(&args),
        Order::Tape(args) => graph_tape::run(&args),
        Order::List => super::print(list()),
    }
}

fn compare(args: &RunArgs) -> anyhow::Result<()> {
    let policies: Vec<Policy> = args.policy.split(',').map(Policy::parse).collect::<anyhow::Result<_>>()?;
    if !args.tape.is_empty() && policies.iter().any(|policy| matches!(policy, Policy::Insider)) {
        bail!(
            "'insider' knows payers that are drawn from a seed; of a --tape there are only payments. Give it a --scenario"
        );
    }
    let jobs = if args.tape.is_empty() {
        args.field.jobs()?
    } else {
        args.tape.iter().map(|path| Job::of_file(path, args.field.days)).collect::<anyhow::Result<_>>()?
    };
    let scores = args.field.outfile()?;
    if let (Some(path), Some(job)) = (&args.plot, jobs.first()) {
        draw(Outfile::at(path)?, job, &policies, args.channel)?;
    }
    report(&args.field, &score(&jobs, &policies, args.field.threads())?, scores)
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
    let (jobs, scores) = (args.field.jobs()?, args.field.outfile()?);
    report(&args.field, &score(&jobs, &policies, args.field.threads())?, scores)
}

impl Field {
    pub(super) fn jobs(&self) -> anyhow::Result<Vec<Job>> {
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
            jobs.extend(set.seeds(self.seeds).map(|seed| Job::of_kind(kind, self.days, seed)));
        }
        Ok(jobs)
    }

    /// Where scores go as JSON, unless that is the terminal.
    fn outfile(&self) -> anyhow::Result<Option<Outfile>> {
        self.json.as_deref().filter(|path| !is_terminal(path)).map(Outfile::at).transpose()
    }

    pub(super) fn is_training(&self) -> bool {
        self.set == "train"
    }

    pub(super) fn threads(&self) -> usize {
        let cores = crew::cores();
        self.threads.unwrap_or(cores).clamp(1, cores)
    }
}

impl Row {
    /// By how much it differs from the last policy of its scenario.
    fn against_last(&self, rows: &[Row]) -> Option<Estimate> {
        let last = rows.iter().rfind(|row| row.name == self.name)?;
        if last.policy == self.policy { None } else { paired(&self.marks, &last.marks) }
    }

    /// Share of O1, where that is another one.
    fn of_fixed(&self) -> Option<f64> {
        let shares: Vec<f64> = self.marks.iter().filter_map(|mark| mark.of_fixed).collect();
        (self.closed && !shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }

    fn json(&self, rows: &[Row]) -> Value {
        json!({
            "scenario": self.name,
            "days": self.days,
            "policy": self.policy,
            "oracle": if self.closed && self.of_fixed().is_none() { "O1" } else { "O2" },
            "share_of_fixed": self.of_fixed(),
            "score": Score::of(&self.marks, self.days),
            "against_last": self.against_last(rows),
            "tapes": self.marks,
        })
    }
}

fn is_terminal(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn report(field: &Field, rows: &[Row], scores: Option<Outfile>) -> anyhow::Result<()> {
    let json = || json!({ "set": field.set, "rows": rows.iter().map(|row| row.json(rows)).collect::<Vec<_>>() });
    if field.json.as_deref().is_some_and(is_terminal) {
        return super::print(format!("{:#}", json()));
    }
    super::print(table(rows))?;
    scores.map_or(Ok(()), |file| file.fill(|out| Ok(writeln!(out, "{:#}", json())?)))
}

fn table(rows: &[Row]) -> Table {
    let mut table = draw::table(
        [
            "scenario",
            "policy",
            "of oracle %",
            "of O1 %",
            "95 %",
            "worst (seed)",
            "against last %",
            "updates",
            "refused %",
            "spent %",
            "to 90 %",
            "after shock %",
        ],
        2..12,
    );
    for row in rows {
        let score = Score::of(&row.marks, row.days);
        let percent = |share: f64| format!("{:.1}", share * 100.0);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let range = |e: Estimate| format!("{}..{}", percent(e.low), percent(e.high));
        let against = row.against_last(rows).map(|e| format!("{:+.1} ({})", e.mean * 100.0, range(e)));
        table.add_row([
            row.name.clone(),
            row.policy.clone(),
            or_none(score.share.map(|e| percent(e.mean))),
            or_none(row.of_fixed().map(percent)),
            or_none(score.share.map(range)),
            or_none(score.worst.map(|(seed, share)| format!("{} ({seed})", percent(share)))),
            or_none(against),
            format!("{:.2}", score.updates_per_channel_day),
            percent(score.refused_share),
            if score.spent_share > 0.0 { percent(score.spent_share) } else { String::new() },
            or_none(score.days_to_90.map(|days| format!("{days:.0} d"))),
            or_none(score.after_shock.map(percent)),
        ]);
    }
    table
}

fn draw(file: Outfile, job: &Job, policies: &[Policy], channel: usize) -> anyhow::Result<()> {
    let tape = job.tape();
    if channel >= tape.network().seats.len() {
        bail!("the scenario has {} channels, counted from 0", tape.network().seats.len());
    }
    let policy = policies.iter().find_map(|policy| Some((policy.name(), policy.rule()?)));
    let (name, mut rule) = policy.context("only a rule can be drawn, not the whole plugin")?;
    let mut film = Film { channel, ..Film::default() };
    filmed(&tape, job.days, rule.as_mut(), Some(&mut film));
    let oracle = job.oracle(&tape);
    let title = format!("{name} on {}, seed {}, channel {channel}", job.name, job.seed);
    let drawing = plot::svg(&title, &film.frames, &oracle.laws[channel]);
    file.fill(|out| Ok(out.write_all(drawing.as_bytes())?))
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
    text + "  plugin         the whole plugin with a ledger in memory; some hundred times slower than `ours`\n  plugin+sling   the same, and it moves liquidity; what that costs is taken off\n  same-fees      the fees that plugin+sling asked on that tape, with nothing moved\n  insider        the prices that earned most on other tapes of the same payers: all that could ever be learned"
}
