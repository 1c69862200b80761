//! `demo`: the plugin's own steps on a simulated node and market, and a dashboard of what came of it. Touches no node and no
//! file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use comfy_table::{Cell, Table};

use super::crew;
use super::draw::{grouped, sparkline, table};
use crate::domain::{Channel, ChannelId, Flow, Msat, Ppm};
use crate::ledger::FeeOutcomeKind;
use crate::node::Node;
use crate::options::Layers;
use crate::sim::{DayReport, Network, Scenario, Simulation, Tape, play_static};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Simulated days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Channels of the simulated node.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=500))]
    channels: u16,
    /// The same seed gives the same days, to the last millisatoshi.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The fixed fee (ppm) to compare with; every channel also starts at it.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5000))]
    fixed: u32,
}

/// What the dashboard shows.
struct Outcome {
    days: Vec<DayReport>,
    channels: Vec<Channel>,
    flows: HashMap<ChannelId, Flow>,
    earned: HashMap<ChannelId, Msat>,
    why: HashMap<ChannelId, String>,
    fixed: Vec<Msat>,
    best: (Ppm, Vec<Msat>),
    changes: u64,
}

/// Columns of the dashboard where there is no terminal to ask, and at most: longer lines are hard to read.
const WIDTH: usize = 120;
/// What a terminal may be narrowed to before lines are longer than it is.
const NARROWEST: usize = 60;
/// Columns of a line of revenue besides its bars.
const BESIDE_BARS: usize = 49;
/// Fees (ppm) among which the best single one is looked for in hindsight.
const LADDER: [u32; 14] = [10, 25, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1_200, 1_800, 2_700];

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let began = Instant::now();
    let outcome = crew::on_one_core(|| play(args))?;
    super::print(screen(args, &outcome, began.elapsed().as_secs_f64(), width()))
}

async fn play(args: &Args) -> anyhow::Result<Outcome> {
    let scenario = Scenario { channels: args.channels.into(), seed: args.seed, ..Scenario::default() };
    let simulation = Simulation::new(scenario.clone(), Layers::default()).await?;
    simulation.node.set_all(Ppm(args.fixed));
    let bar = crew::bar(args.days.into(), "day {pos:>3}/{len} {bar:40} {msg}");
    let days = simulation
        .run_days(args.days, |day| {
            bar.set_message(format!("{} sat", grouped(day.earned.sat_floor().0)));
            bar.inc(1);
        })
        .await
        .context("simulating")?;
    bar.set_message("comparing with fixed fees");
    let flows = simulation.ops.flow_cycle().await?.into_iter().collect();
    let channels = simulation.node.channels().await?;
    let earned = simulation.node.market().channels.iter().map(|c| (c.seat.channel_id, Msat(c.earned))).collect();
    let last = days.last().context("at least one day")?;
    let why = last.fees.iter().map(|outcome| (outcome.channel, waiting(outcome.kind, &outcome.summary))).collect();
    let tape = Arc::new(Tape::new(Network::draw(scenario)).frozen(args.days));
    let fixed = play_static(&tape, args.days, Ppm(args.fixed));
    let best = LADDER
        .iter()
        .map(|ppm| (Ppm(*ppm), play_static(&tape, args.days, Ppm(*ppm))))
        .max_by_key(|(_, days)| total(days))
        .context("the ladder has steps")?;
    bar.finish_and_clear();
    let changes = days.iter().map(|day| day.fee_changes).sum();
    Ok(Outcome { days, channels, flows, earned, why, fixed, best, changes })
}

fn waiting(kind: FeeOutcomeKind, summary: &str) -> String {
    match kind {
        FeeOutcomeKind::Failed => format!("not set: {summary}"),
        _ => summary.to_owned(),
    }
}

fn total(days: &[Msat]) -> Msat {
    days.iter().copied().sum()
}

/// Columns of the terminal.
fn width() -> usize {
    Table::new().width().map_or(WIDTH, usize::from).clamp(NARROWEST, WIDTH)
}

fn screen(args: &Args, outcome: &Outcome, seconds: f64, width: usize) -> String {
    let ours: Vec<Msat> = outcome.days.iter().map(|day| day.earned).collect();
    let settled: u64 = outcome.days.iter().map(|day| day.settled).sum();
    let capacity: Msat = outcome.channels.iter().map(|channel| channel.capacity).sum();
    let per_day = outcome.changes as f64 / f64::from(args.days) / outcome.channels.len().max(1) as f64;
    format!(
        "{} simulated days, {} channels with {} sat, {} forwards, seed {}; {seconds:.1} s\n\n{}\n{}\n\n{}\n{} fee changes told to the network: {per_day:.1} a day and channel",
        args.days,
        outcome.channels.len(),
        grouped(capacity.sat_floor().0),
        grouped(settled),
        args.seed,
        revenue(args, &ours, outcome, width),
        channel_table(outcome),
        decisions(outcome, width),
        grouped(outcome.changes),
    )
}

/// Revenue a day, ours and with fixed fees on the same payments.
fn revenue(args: &Args, ours: &[Msat], outcome: &Outcome, width: usize) -> String {
    let lines = [
        ("cl-revenue-ops".to_owned(), ours),
        (format!("fixed {} ppm", args.fixed), &outcome.fixed),
        (format!("best fixed, {} ppm*", outcome.best.0.0), &outcome.best.1),
    ];
    let top = lines.iter().flat_map(|(_, days)| days.iter()).map(|day| day.as_f64()).fold(0.0, f64::max);
    let reference = total(&outcome.fixed).as_f64();
    let mut text = String::from("revenue a day\n");
    for (name, days) in lines {
        let sum = total(days);
        let relative = if reference > 0.0 {
            format!("{:+.0} %", (sum.as_f64() / reference - 1.0) * 100.0)
        } else {
            String::from("n/a")
        };
        let values: Vec<f64> = days.iter().map(|day| day.as_f64()).collect();
        let bars = sparkline(&condensed(&values, (width - BESIDE_BARS).min(60)), top);
        text += &format!("  {name:<22} {bars}  {:>10} sat  {relative:>6}\n", grouped(sum.sat_floor().0));
    }
    text + "  * one fee for all channels, known in hindsight only\n"
}

/// Means of neighbouring days, so that a long run fits into a line.
fn condensed(values: &[f64], width: usize) -> Vec<f64> {
    let size = values.len().div_ceil(width).max(1);
    values.chunks(size).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect()
}

fn channel_table(outcome: &Outcome) -> Table {
    let mut table = table(["channel", "fee ppm", "flow", "local", "earned sat"], [1, 3, 4]);
    for channel in &outcome.channels {
        let id = channel.channel_id;
        let earned = outcome.earned.get(&id).copied().unwrap_or_default();
        table.add_row([
            Cell::new(name(channel)),
            Cell::new(channel.ours.ppm.0),
            Cell::new(outcome.flows.get(&id).map_or("-", |flow| flow.class.name())),
            Cell::new(channel.local_share()),
            Cell::new(grouped(earned.sat_floor().0)),
        ]);
    }
    table
}

fn name(channel: &Channel) -> String {
    channel.scid.map_or_else(|| channel.channel_id.to_string(), |scid| scid.to_string())
}

/// Each channel's last decision, below each other: reasons are too long for a column.
fn decisions(outcome: &Outcome, width: usize) -> String {
    let mut text = String::from("last decisions\n");
    let indent = outcome.channels.iter().map(|channel| name(channel).len()).max().unwrap_or_default() + 4;
    for channel in &outcome.channels {
        let why = outcome.why.get(&channel.channel_id).map_or("-", String::as_str);
        let mut start = format!("  {}", name(channel));
        for line in wrapped(why, width.saturating_sub(indent)) {
            text += &format!("{start:<indent$}{line}\n");
            start.clear();
        }
    }
    text
}

/// Lines of so many characters, broken between words; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => *line += &format!(" {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_fits_into_a_line() {
        assert_eq!(condensed(&[1.0, 2.0, 3.0], 60), vec![1.0, 2.0, 3.0]);
        assert_eq!(condensed(&[1.0, 3.0, 5.0, 7.0], 2), vec![2.0, 6.0]);
        assert!(condensed(&[], 60).is_empty());
    }

    #[test]
    fn a_reason_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a hippopotamus is", 5), ["a", "hippopotamus", "is"]);
    }

    #[tokio::test]
    async fn the_dashboard_fits_into_a_terminal() {
        let args = Args { days: 70, channels: 4, seed: 1, fixed: 200 };
        let mut outcome = play(&Args { days: 2, ..args }).await.unwrap();
        outcome.days = outcome.days.iter().cycle().take(70).cloned().collect();
        for fixed in [&mut outcome.fixed, &mut outcome.best.1] {
            *fixed = fixed.iter().cycle().take(70).copied().collect();
        }
        for width in [60, 80, 120] {
            let screen = screen(&args, &outcome, 1.0, width);
            let beside = |line: &str| line.contains("simulated days") || line.contains("fee changes told");
            let long = screen.lines().find(|line| line.chars().count() > width && !beside(line));
            assert_eq!(long, None, "{width}\n{screen}");
        }
    }
}
