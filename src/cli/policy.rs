//! `policy`: rule files tried on from a terminal. Reads files only; touches no node.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::json;

use crate::domain::Facts;
use crate::policy::report::Report;
use crate::policy::snapshot::Snapshot;
use crate::policy::{Capabilities, Finding, Reading, RuleFile, Severity, channel_named, has_errors};

/// A commented file to begin with.
const STARTER: &str = include_str!("../../contrib/rules/starter.conf");

#[derive(Debug, clap::Subcommand)]
pub(super) enum Order {
    /// Say all that is wrong or odd about a rule file: line, key, what, and the word that was probably meant.
    Check(Check),
    /// Show section by section what a rule file makes of a channel, and why.
    TestChannel(TestChannel),
    /// Write a commented rule file to begin with.
    GenerateConfig {
        /// Where to; a file that is there is left alone.
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    file: PathBuf,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct TestChannel {
    file: PathBuf,
    /// A channel by its short channel id or the 64-bit number that it stands for; all of them if none is given.
    channel: Option<String>,
    /// The node's state as JSON: channels and forwards as docs/policy-files.md has them.
    #[arg(long, value_name = "FILE")]
    snapshot: PathBuf,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct How {
    /// For which node: what it cannot do is said.
    #[arg(long, value_enum, default_value_t = Node::Cln)]
    node: Node,
    /// Read the file to the letter as charge-lnd does.
    #[arg(long)]
    as_charge_lnd: bool,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Node {
    /// Core Lightning: no inbound fees, no disabling, no time lock per channel.
    Cln,
    Lnd,
    /// An LND that runs with accept-positive-inbound-fees.
    LndWithSurcharges,
}

impl How {
    fn reading(&self) -> Reading {
        if self.as_charge_lnd { Reading::ChargeLnd } else { Reading::Ours }
    }

    fn can(&self) -> Capabilities {
        match self.node {
            Node::Cln => Capabilities::CORE_LIGHTNING,
            Node::Lnd => Capabilities::LND,
            Node::LndWithSurcharges => Capabilities::LND_WITH_SURCHARGES,
        }
    }

    /// The rules of a file, if it is one, with all that is to be said of it.
    fn read(&self, path: &Path) -> anyhow::Result<(Option<RuleFile>, Vec<Finding>)> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.display().to_string();
        Ok(RuleFile::check(&text, &name, (self.reading(), self.can()), &beside_us))
    }
}

/// Files that rules name are looked for from the working directory, as charge-lnd does.
fn beside_us(path: &str) -> io::Result<String> {
    fs::read_to_string(path)
}

pub(super) fn run(order: Order) -> anyhow::Result<()> {
    match order {
        Order::Check(args) => check(&args),
        Order::TestChannel(args) => test_channel(&args),
        Order::GenerateConfig { file } => generate(&file),
    }
}

fn check(args: &Check) -> anyhow::Result<()> {
    let (rules, findings) = args.how.read(&args.file)?;
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    let sections = rules.as_ref().map_or(0, |rules| rules.sections().count());
    if args.how.json {
        let told = json!({
            "file": args.file, "ok": errors == 0, "sections": sections, "errors": errors, "warnings": warnings, "findings": findings,
        });
        super::print(format!("{told:#}"))?;
    } else {
        for finding in &findings {
            super::print(finding)?;
        }
        let verdict = if errors == 0 { "can be applied" } else { "is not applied as long as it has errors" };
        let all = format!("{}, {}, {}", count(sections, "section"), count(errors, "error"), count(warnings, "warning"));
        super::print(format!("{}: {all}: {verdict}", args.file.display()))?;
    }
    if errors > 0 {
        bail!("{} in {}", count(errors, "error"), args.file.display());
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn test_channel(args: &TestChannel) -> anyhow::Result<()> {
    let (rules, findings) = args.how.read(&args.file)?;
    // Errors may leave rules to look at; that they would not be applied is said on the other channel.
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
        eprintln!("{finding}");
    }
    let rules = rules.with_context(|| format!("{} is no rule file", args.file.display()))?;
    if has_errors(&findings) {
        eprintln!("{} has errors and would not be applied; this is what it says as it stands\n", args.file.display());
    }
    let text = fs::read_to_string(&args.snapshot).with_context(|| format!("reading {}", args.snapshot.display()))?;
    let snapshot = Snapshot::parse(&text, &rules.periods());
    let snapshot = snapshot.map_err(|what| anyhow::anyhow!("{} {what}", args.snapshot.display()))?;
    let chosen = chosen(&snapshot, args.channel.as_deref())?;
    let mut told = Vec::new();
    for facts in chosen {
        let resolution = rules.explain(facts, &snapshot.node);
        let report = Report { resolution: &resolution, facts, can: args.how.can() };
        match args.how.json {
            true => told.push(report.json()),
            false => super::print(report)?,
        }
    }
    match (args.how.json, args.channel.is_some(), told.pop()) {
        (true, true, Some(one)) => super::print(format!("{one:#}")),
        (true, _, last) => {
            super::print(format!("{:#}", json!({ "channels": told.into_iter().chain(last).collect::<Vec<_>>() })))
        }
        (false, ..) => Ok(()),
    }
}

fn chosen<'a>(snapshot: &'a Snapshot, channel: Option<&str>) -> anyhow::Result<Vec<&'a Facts>> {
    let Some(channel) = channel else { return Ok(snapshot.channels.iter().collect()) };
    let scid = channel_named(channel).map_err(anyhow::Error::msg)?;
    let found: Vec<&Facts> = snapshot.channels.iter().filter(|facts| facts.scid == scid).collect();
    if found.is_empty() {
        bail!("the snapshot has no channel {scid}");
    }
    Ok(found)
}

fn generate(file: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;

    let mut made = fs::File::create_new(file).with_context(|| format!("making {}", file.display()))?;
    made.write_all(STARTER.as_bytes()).with_context(|| format!("writing {}", file.display()))?;
    super::print(format!("{} is there; 'cl-revenue-ops policy check' reads it", file.display()))
}
