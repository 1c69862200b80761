//! The same program from a terminal. The one place that prints.

mod backtest;
mod books;
mod contest;
mod crew;
mod csv;
mod demo;
mod draw;
mod graph_tape;
mod labels;
mod outfile;
mod plot;
mod policy;
mod sheet;
mod simnode;
mod simulate;
mod tune;

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Prices a Lightning node's channels. lightningd starts it as a plugin; from a terminal it simulates.
#[derive(Debug, Parser)]
#[command(name = "cl-revenue-ops", version, about)]
struct Cli {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Run the plugin's own steps on a simulated node and market, then show the dashboard.
    Demo(demo::Args),
    /// Be a lightningd without a network: run plugins, serve lightning-rpc, let the market play.
    Simnode(simnode::Args),
    /// Play your own forwards, from the plugin's ledger, under other ways to price.
    Backtest(backtest::Args),
    /// Check rule files, and try them on.
    #[command(subcommand)]
    Policy(policy::Order),
    /// What the node is worth, earned and paid: asks the plugin. Parameters as for revenue-dashboard.
    Dashboard(books::Ask),
    /// One report: summary, peer, hive, policies, costs, or the journal (as CSV: the books for an accountant).
    Report(books::Ask),
    /// Everything since the books begin.
    History(books::Ask),
    /// Which channels pay.
    Profitability(books::Ask),
    /// Where more money would earn, and where it is wasted.
    CapacityReport(books::Ask),
    /// Day by day.
    Snapshots(books::Ask),
    /// Archive channels that the node has closed and forgotten now, not within the hour; their books stay.
    CleanupClosed(books::Ask),
    /// Play ways to price against each other and against an oracle.
    #[command(subcommand)]
    Simulate(simulate::Order),
}

/// Reads the command line and does what it says.
pub async fn run() -> ExitCode {
    let done = match Cli::parse().order {
        Order::Demo(args) => demo::run(&args),
        Order::Simnode(args) => simnode::run(args).await,
        Order::Backtest(args) => backtest::run(args).await,
        Order::Simulate(order) => simulate::run(order),
        Order::Policy(order) => policy::run(order),
        Order::Dashboard(ask) => books::run("revenue-dashboard", ask).await,
        Order::Report(ask) => books::run("revenue-report", ask).await,
        Order::History(ask) => books::run("revenue-history", ask).await,
        Order::Profitability(ask) => books::run("revenue-profitability", ask).await,
        Order::CapacityReport(ask) => books::run("revenue-capacity-report", ask).await,
        Order::Snapshots(ask) => books::run("revenue-snapshots", ask).await,
        Order::CleanupClosed(ask) => books::run("revenue-cleanup-closed", ask).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cl-revenue-ops: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Text and a line's end for whoever reads our output. A reader who has left (`| head`) has seen what he wanted: that is no failure.
fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("writing what came of it"),
    }
}
