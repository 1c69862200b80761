//! `simulate tape`: a tape for the simulator from a file of the public network. Asks no node and no network; the file stays where it
//! is.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context;
use comfy_table::Table;

use super::crew;
use super::draw::{grouped, table};
use super::outfile::Outfile;
use crate::sim::graph::{self, Drawn, Gossmap, Place, Plan};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The network, as gossmap-compress writes it, gzipped.
    #[arg(long, value_name = "FILE")]
    graph: PathBuf,
    /// Which node is ours: 1 has the most channels.
    #[arg(long, value_name = "DEGREE_RANK", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    node: u32,
    /// Payments on the whole network. Most of them have no reason to come through one node.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    payments: u32,
    /// Days over which they are spread.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// The same seed gives the same tape.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How much of the assumed lack of money on other people's channels there is, in percent; 0: none.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=110))]
    drained: u32,
    /// Where the tape is written; without it only the figures are shown.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Channels in the table of demand.
const SHOWN: usize = 10;

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let out = args.out.as_deref().map(Outfile::at).transpose()?;
    let file = File::open(&args.graph).with_context(|| args.graph.display().to_string())?;
    let map = Gossmap::read(BufReader::new(file)).with_context(|| args.graph.display().to_string())?;
    let plan = Plan {
        rank: args.node,
        payments: args.payments,
        days: args.days,
        seed: args.seed,
        drained_percent: args.drained,
    };
    let bar = crew::bar(args.payments.into(), "{pos:>9}/{len} payments {bar:40} {eta}");
    let drawn = graph::draw(&map, &plan, |done| bar.set_position(done.into()))?;
    bar.finish_and_clear();
    if let Some(out) = out {
        out.fill(|out| graph::write(&drawn, out))?;
    }
    super::print(screen(&map, &drawn))
}

fn screen(map: &Gossmap, drawn: &Drawn) -> String {
    let survey = &drawn.survey;
    let places = &drawn.ground.channels;
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1)) * 100.0;
    let quantiles = |values: &[f64; 5]| values.map(|ppm| format!("{ppm:>8.1}")).join("");
    let capacity: u64 = places.iter().map(|place| place.capacity_msat / 1_000).sum();
    let used = places.iter().filter(|place| place.outward > 0).count();
    let peers = places.iter().map(|place| place.peer + 1).max().unwrap_or(0);
    format!(
        "{} channels, {} nodes in the graph; ours has {} channels with {} peers, {} sat\n\
         {} payments drawn, {:.2} % find no way at all, {} ({:.2} %) would pay us, {:.0} % of them by more than one channel\n\
         what they would pay, ppm        p10     p25     p50     p75     p90\n  by count               {}\n  \
         by volume              {}\n{} of {} channels are somebody's best way out; the most wanted:\n{}",
        grouped(map.channels.len() as u64),
        grouped(map.nodes.into()),
        places.len(),
        peers,
        grouped(capacity),
        grouped(survey.drawn.into()),
        share(survey.cut_off, survey.drawn),
        grouped(survey.wanted.into()),
        share(survey.wanted, survey.drawn),
        survey.with_choice * 100.0,
        quantiles(&survey.by_count),
        quantiles(&survey.by_volume),
        used,
        places.len(),
        demand(places, drawn.ground.days),
    )
}

fn demand(places: &[Place], days: u32) -> Table {
    let mut table = table(["channel", "capacity sat", "out a day", "in a day", "median ppm", "median sat"], []);
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(places[*place].outward));
    for place in order.into_iter().take(SHOWN) {
        let Place { capacity_msat, outward, inward, level, median_msat, .. } = places[place];
        let per_day = |count: u32| format!("{:.2}", f64::from(count) / f64::from(days));
        table.add_row([
            place.to_string(),
            grouped(capacity_msat / 1_000),
            per_day(outward),
            per_day(inward),
            format!("{:.1}", f64::from(level) / 1_000.0),
            grouped(median_msat / 1_000),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_graph_is_named() {
        let args = Args { graph: "/dev/null".into(), node: 1, payments: 1, days: 1, seed: 1, drained: 100, out: None };
        assert!(format!("{:#}", run(&args).unwrap_err()).starts_with("/dev/null: unpacking the graph"));
    }

    /// For a look at the public graph: `GRAPH=FILE NODE=RANK cargo test --release --lib -- --ignored public_graph --nocapture`.
    #[test]
    #[ignore = "a measurement, not a test"]
    fn public_graph() {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let began = std::time::Instant::now();
        let args = Args {
            graph: std::env::var("GRAPH").unwrap().into(),
            node: number("NODE").unwrap_or(100),
            payments: number("PAYMENTS").unwrap_or(20_000),
            days: 30,
            seed: number("SEED").unwrap_or(1).into(),
            drained: number("DRAINED").unwrap_or(100),
            out: std::env::var("OUT").ok().map(Into::into),
        };
        run(&args).unwrap();
        eprintln!("{:.1} s", began.elapsed().as_secs_f64());
    }
}
