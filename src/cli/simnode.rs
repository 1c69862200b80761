//! `cl-revenue-ops simnode`: a lightningd without a network, for plugins to run beside.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use crate::domain::{Clock, Ppm, SystemClock, Time};
use crate::sim::lightningd::{Config, serve};
use crate::sim::network::{LARGEST, SMALLEST};
use crate::sim::{Kind, Scenario, SimNode};

#[derive(clap::Args, Clone, Debug)]
pub(super) struct Args {
    /// Directory of the node; the socket is DIR/regtest/lightning-rpc, the log is DIR/log.
    #[arg(long, value_name = "DIR")]
    lightning_dir: PathBuf,
    /// Executable to run as a plugin; may be given several times.
    #[arg(long, value_name = "PATH")]
    plugin: Vec<PathBuf>,
    /// An option for a plugin, as it would stand in lightningd's configuration file; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = option)]
    option: Vec<(String, String)>,
    /// Seconds of the market in one second; 0: time moves by `sim-advance` only. Above 1 this plugin runs as fast, if it is one of
    /// those that are started here.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// The same seed gives the same market.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A scenario of `simulate list` instead of the usual market; it begins at that scenario's time unless --start is given.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["channels", "steady"])]
    scenario: Option<String>,
    /// How many channels the node has.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(i64::from(SMALLEST)..=i64::from(LARGEST)))]
    channels: u32,
    /// How many days the market has run already; their forwards are listed.
    #[arg(long, value_name = "DAYS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=730))]
    history_days: u32,
    /// Fee rate of all channels at the start (ppm).
    #[arg(long, value_name = "PPM", default_value_t = 10)]
    fee_ppm: u32,
    /// Time of the market at its start, in seconds since 1970, instead of now.
    #[arg(long, value_name = "SECONDS")]
    start: Option<i64>,
    /// Peers never go offline by themselves.
    #[arg(long)]
    steady: bool,
    /// Write the log to its file only.
    #[arg(long)]
    quiet: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let named = args.scenario.as_deref().map(named).transpose()?;
    let usual_start = named.map_or_else(|| SystemClock.now(), |kind| kind.scenario(args.seed).start);
    let now = args.start.map_or(usual_start, Time::from_secs);
    let start = now.plus_secs(-i64::from(args.history_days) * 86_400);
    let scenario = match named {
        Some(kind) => Scenario { start, ..kind.scenario(args.seed) },
        None => {
            let usual = Scenario { seed: args.seed, channels: args.channels, start, ..Scenario::default() };
            Scenario { offline: if args.steady { 0.0 } else { usual.offline }, ..usual }
        }
    };
    let node = SimNode::new(scenario);
    node.set_all(Ppm(args.fee_ppm));
    node.advance(now);
    let config = Config {
        lightning_dir: args.lightning_dir,
        plugins: args.plugin,
        options: args.option,
        speed: args.speed,
        quiet: args.quiet,
    };
    serve(Arc::new(node), config).await
}

fn named(name: &str) -> anyhow::Result<&'static Kind> {
    Kind::by_name(name).with_context(|| format!("there is no scenario '{name}'; `simulate list` shows them"))
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, "true"));
    let name = name.trim_start_matches('-');
    if name.is_empty() { Err("give NAME=VALUE".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    if (0.0..=1e6).contains(&speed) { Ok(speed) } else { Err("give a number from 0 to 1000000".to_owned()) }
}
