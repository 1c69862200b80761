//! `simulate tune`: the main knob of other tools' rules, tried on training seeds and on no others, so that a comparison with them is
//! fair. Changes nothing: what is best belongs into the rule's `TUNED`.

use anyhow::{Context, bail};
use comfy_table::Table;

use super::contest::{Policy, Row, knob, score};
use super::draw;
use super::simulate::Field;
use crate::sim::rules::{Named, RULES};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Rules by name, parted by commas; or `all`.
    #[arg(long, default_value = "all")]
    policy: String,
    /// Values of the knob, parted by commas, instead of the rule's own ladder.
    #[arg(long, value_name = "VALUE,VALUE")]
    knob: Option<String>,
    #[command(flatten)]
    field: Field,
}

/// Mean shares of the oracle at one value of a knob.
struct Step {
    knob: f64,
    all: f64,
    closed: Option<f64>,
    single: Option<f64>,
    worst: (f64, String),
    updates: f64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.field.is_training() {
        bail!("knobs are tuned on training seeds only");
    }
    let mut tried = Vec::new();
    for rule in rules(&args.policy)? {
        let knobs = match &args.knob {
            Some(list) => list
                .split(',')
                .map(|text| knob(rule, text.trim()))
                .collect::<anyhow::Result<Vec<f64>>>()
                .context("--knob")?,
            None => rule.knobs.to_vec(),
        };
        tried.extend(knobs.into_iter().map(|knob| (rule, knob)));
    }
    let named = |(rule, knob): &(&Named, f64)| format!("{}:{knob}", rule.name);
    let policies = tried.iter().map(|step| Policy::parse(&named(step))).collect::<anyhow::Result<Vec<_>>>()?;
    let rows = score(&args.field.jobs()?, &policies, args.field.threads())?;
    let header = ["rule", "knob", "of oracle %", "closed %", "single %", "worst scenario %", "updates", ""];
    let mut table = draw::table(header, 1..7);
    for rule in tried.chunk_by(|a, b| a.0.name == b.0.name) {
        let steps: Vec<Step> = rule.iter().filter_map(|step| Step::of(step.1, &named(step), &rows)).collect();
        let best = steps.iter().map(|step| step.all).fold(0.0, f64::max);
        steps.iter().for_each(|step| step.show(rule[0].0.name, step.all >= best, &mut table));
    }
    super::print(table)
}

fn rules(names: &str) -> anyhow::Result<Vec<&'static Named>> {
    if names == "all" {
        return Ok(RULES.iter().filter(|rule| rule.has_knob()).collect());
    }
    let find = |name: &str| RULES.iter().find(|rule| rule.name == name && rule.has_knob());
    names.split(',').map(|name| find(name.trim()).with_context(|| format!("'{name}' is no rule with a knob"))).collect()
}

impl Step {
    /// Every scenario counts as much as every other, however many tapes of it there are.
    fn of(knob: f64, policy: &str, rows: &[Row]) -> Option<Step> {
        let own: Vec<(&Row, f64)> =
            rows.iter().filter(|row| row.policy == policy).filter_map(|row| Some((row, mean_share(row)?))).collect();
        let mean = |closed: Option<bool>| {
            let shares: Vec<f64> =
                own.iter().filter(|(row, _)| closed.is_none_or(|c| c == row.closed)).map(|(_, share)| *share).collect();
            (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
        };
        let worst = own.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let updates = own.iter().flat_map(|(row, _)| &row.marks).map(|mark| mark.updates_per_channel_day);
        Some(Step {
            knob,
            all: mean(None)?,
            closed: mean(Some(true)),
            single: mean(Some(false)),
            worst: (worst.1, worst.0.name.clone()),
            updates: updates.sum::<f64>() / own.iter().map(|(row, _)| row.marks.len()).sum::<usize>().max(1) as f64,
        })
    }

    fn show(&self, rule: &str, best: bool, table: &mut Table) {
        let percent = |share: f64| format!("{:.1}", share * 100.0);
        let or_none = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent);
        table.add_row([
            rule.to_owned(),
            self.knob.to_string(),
            percent(self.all),
            or_none(self.closed),
            or_none(self.single),
            format!("{} ({})", percent(self.worst.0), self.worst.1),
            format!("{:.2}", self.updates),
            if best { "best" } else { "" }.to_owned(),
        ]);
    }
}

fn mean_share(row: &Row) -> Option<f64> {
    let shares: Vec<f64> = row.marks.iter().filter_map(|mark| mark.share).collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}
