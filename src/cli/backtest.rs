//! `backtest`: the operator's own forwards under other ways to price. Opens the ledger to read only; touches no node.

use std::path::PathBuf;

use comfy_table::Table;
use serde_json::{Value, json};

use super::contest::rule;
use super::crew;
use super::draw::{grouped, table};
use crate::ledger::History;
use crate::sim::backtest::{Believed, Lot, Played, Record, Spread, Thin, Verdict, play_lot};
use crate::sim::rules::Rule;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin's ledger; it may be running.
    #[arg(long, value_name = "LEDGER")]
    db: PathBuf,
    /// Rules by name, parted by commas; some take the value of their knob, as in `static:300`. `simulate list` shows them.
    #[arg(long, default_value = "ours,static")]
    policy: String,
    /// Sets of parameters that are drawn from what is believed of the payers; two tapes are played with each.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(5..=1000))]
    seeds: u32,
    /// How many of the last days are played.
    #[arg(long, value_name = "DAYS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(7..=400))]
    days: u32,
    /// Also search the best fixed fee of each channel in hindsight. Slow on large nodes.
    #[arg(long)]
    oracle: bool,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Fewer of the recorded forwards passing again means that money moved by ways that the ledger does not know.
const PASSED: f64 = 0.9;

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let names: Vec<&str> = args.policy.split(',').map(str::trim).collect();
    rules(&names)?;
    let history = History::read(&args.db, args.days).await?;
    let record = Record::of(&history)?;
    drop(history);
    let believed = Believed::of(&record);
    let thin = Thin::of(&record, &believed);
    let played = if thin.is_none() { play_all(&args, &names, &record, &believed)? } else { Vec::new() };
    let report = Report { names, record: &record, thin, played };
    super::print(if args.json { format!("{:#}", report.json()) } else { report.screen() })
}

fn rules(names: &[&str]) -> anyhow::Result<Vec<Box<dyn Rule>>> {
    names.iter().map(|name| rule(name)).collect()
}

fn play_all(args: &Args, names: &[&str], record: &Record, believed: &Believed) -> anyhow::Result<Vec<Played>> {
    let play = |lot: &Lot| {
        let mut rules = rules(names)?;
        Ok(play_lot(record, believed, *lot, &mut rules, args.oracle && lot.tape == 0))
    };
    crew::each(&Lot::all(args.seeds), crew::cores(), play).into_iter().collect()
}

struct Report<'a> {
    names: Vec<&'a str>,
    record: &'a Record,
    thin: Option<Thin>,
    played: Vec<Played>,
}

impl Report<'_> {
    fn mean(&self, of: impl Fn(&Played) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.played.iter().filter_map(of).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    fn passed(&self) -> f64 {
        self.mean(|played| Some(played.passed.min(1.0))).unwrap_or(0.0)
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.played.is_empty() && self.passed() < PASSED {
            warnings.push(format!(
                "only {:.0} % of the recorded forwards pass again at the prices that were asked: balances moved by ways that the \
                 ledger does not know, and the figures are less sure than their intervals say",
                self.passed() * 100.0
            ));
        }
        if self.record.strays > 0 {
            warnings.push(format!(
                "{} forwards to peers without a channel today are left out",
                grouped(self.record.strays)
            ));
        }
        let outside = |place: usize| self.mean(|played| played.untried.get(place).copied()).unwrap_or(0.0);
        for (place, name) in self.names.iter().enumerate().filter(|(place, _)| outside(*place) > 0.25) {
            let share = outside(place) * 100.0;
            warnings.push(format!(
                "{name} asks fees that were never tried {share:.0} % of the time: what payers do there is assumed, not observed"
            ));
        }
        warnings
    }

    fn json(&self) -> Value {
        let policy = |(place, name): (usize, &&str)| {
            let spread = Spread::of(&self.played, place);
            json!({
                "policy": name,
                "percent_more_than_recorded": spread,
                "verdict": spread.map(|spread| spread.verdict()),
                "updates_per_channel_day": self.mean(|played| Some(played.marks.get(place)?.updates_per_channel_day)),
                "refused_share": self.mean(|played| Some(played.marks.get(place)?.refused_share)),
                "untried_share": self.mean(|played| played.untried.get(place).copied()),
            })
        };
        let record = self.record;
        let played = !self.played.is_empty();
        json!({
            "from": record.start.to_string(),
            "days": record.days,
            "peers": record.places.len(),
            "payers": record.payers.len(),
            "earned_msat": record.earned,
            "replayed_at_recorded_prices_msat": self.mean(|played| Some(played.as_recorded as f64)),
            "recorded_forwards_passed_share": played.then(|| self.passed()),
            "interval": 0.8,
            "sets_of_parameters": self.played.iter().map(|played| played.lot.set).max().map(|last| last + 1),
            "tapes": self.played.len(),
            "best_fixed_fees_percent": self.mean(|played| played.oracle.map(|share| (share - 1.0) * 100.0)),
            "too_thin": self.thin,
            "policies": if played { self.names.iter().enumerate().map(policy).collect() } else { Vec::new() },
            "warnings": self.warnings(),
        })
    }

    fn screen(&self) -> String {
        let record = self.record;
        let mut text = format!(
            "{} days from {}, {} peers, {} payers, {} sat earned\n",
            record.days,
            record.start,
            record.places.len(),
            grouped(record.payers.len() as u64),
            grouped(record.earned / 1000),
        );
        if let Some(Thin(why)) = &self.thin {
            text += "The history is too thin to say anything:\n";
            why.iter().for_each(|why| text += &format!("  {why}\n"));
            return text;
        }
        let again = self.mean(|played| Some(played.as_recorded as f64)).unwrap_or(0.0) / 1000.0;
        text += &format!(
            "{} tapes; at the prices that were asked they earn {:.0} sat, and {:.0} % of the recorded forwards pass again\n{}",
            self.played.len(),
            again,
            self.passed() * 100.0,
            self.table(),
        );
        if let Some(best) = self.mean(|played| played.oracle.map(|share| (share - 1.0) * 100.0)) {
            text += &format!("\nthe best fixed fee of each peer, in hindsight: {best:+.0} %");
        }
        for warning in self.warnings() {
            text += &format!("\n! {warning}");
        }
        text
    }

    fn table(&self) -> Table {
        let mut table =
            table(["policy", "against asked %", "80 %", "updates", "refused %", "by parameters %", ""], 1..6);
        for (place, name) in self.names.iter().enumerate() {
            let mark =
                |of: fn(&crate::sim::score::Mark) -> f64| self.mean(|p| p.marks.get(place).map(of)).unwrap_or(0.0);
            let Some(spread) = Spread::of(&self.played, place) else { continue };
            table.add_row([
                (*name).to_owned(),
                format!("{:+.0}", spread.middle),
                format!("{:+.0} to {:+.0}", spread.low, spread.high),
                format!("{:.2}", mark(|mark| mark.updates_per_channel_day)),
                format!("{:.1}", mark(|mark| mark.refused_share) * 100.0),
                format!("{:.0}", spread.from_parameters * 100.0),
                match spread.verdict() {
                    Verdict::More => "earns more".to_owned(),
                    Verdict::Less => "earns less".to_owned(),
                    Verdict::Undecided => "cannot be told apart".to_owned(),
                },
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(db: PathBuf) -> String {
        let args = Args { db, policy: "ours".into(), seeds: 5, days: 60, oracle: false, json: false };
        format!("{:#}", run(args).await.unwrap_err())
    }

    #[tokio::test]
    async fn what_is_no_ledger_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let cases = [
            (folder.path().join("nowhere.db"), "there is no file"),
            (file("empty.db", ""), "is empty"),
            (file("notes.txt", &"not a database ".repeat(20)), "is no ledger"),
        ];
        for (path, expected) in cases {
            let said = said(path.clone()).await;
            assert!(said.contains(expected), "{said}");
        }
        let mut left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["empty.db", "notes.txt"]);
    }

    #[test]
    fn rules_are_known_by_name() {
        assert!(rules(&["ours", "static:300"]).is_ok());
        assert!(rules(&["magic"]).is_err_and(|error| error.to_string().contains("'magic'")));
    }
}
