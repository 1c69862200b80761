//! A resolution as people read it: section by section what matched or what did not, what masked what, and what is to be sent.

use std::fmt;

use serde_json::{Value, json};

use super::cascade::{Resolution, Step, StepVerdict};
use super::change::{Capabilities, Inbound, Update, changes};
use super::wanted::{Outcome, Wanted};
use crate::domain::{Facts, Msat, OurTerms, Ppm};

/// One channel's resolution beside what is in force.
#[derive(Debug)]
pub struct Report<'a> {
    pub resolution: &'a Resolution,
    pub facts: &'a Facts,
    pub can: Capabilities,
}

/// Where values begin.
const COLUMN: usize = 28;

impl Report<'_> {
    /// What is to be sent to the node; nothing where the fee controller or nobody decides.
    pub fn update(&self) -> Update {
        match &self.resolution.outcome {
            Outcome::Wanted(wanted) | Outcome::Controller { rest: wanted, .. } => {
                changes(&self.facts.ours, self.facts.active, wanted, self.can)
            }
            Outcome::Unruled | Outcome::Untouched | Outcome::Skipped(_) => Update::default(),
        }
    }

    pub fn json(&self) -> Value {
        let mut told = serde_json::to_value(self.resolution).unwrap_or_default();
        let update = self.update();
        told["peer"] = json!(self.facts.peer);
        told["alias"] = json!(self.facts.alias);
        told["in_force"] = json!(self.facts.ours);
        told["update"] = json!({ "terms": update.terms, "disable": update.disable });
        told["unsupported"] = json!(update.unsupported);
        told
    }

    fn verdict(&self) -> String {
        match &self.resolution.outcome {
            Outcome::Unruled => "no section decides: the rules leave the channel alone".to_owned(),
            Outcome::Untouched => "the channel is not touched".to_owned(),
            Outcome::Skipped(why) => format!("the channel is left as it is: {why}"),
            Outcome::Wanted(_) if self.update().is_empty() => "nothing changes".to_owned(),
            Outcome::Wanted(_) => "to be changed".to_owned(),
            Outcome::Controller { prior, limits, .. } => {
                let start = prior.map_or(String::new(), |prior| format!(", starting from {prior}"));
                let bound = |name: &str, bound: Option<Ppm>| bound.map(|ppm| format!(", {name} {ppm}"));
                let bounds = [
                    bound("at least", limits.min),
                    bound("at most", limits.max),
                    bound("steps up to", limits.max_step),
                ];
                format!(
                    "the fee controller finds the fee rate{start}{}",
                    bounds.into_iter().flatten().collect::<String>()
                )
            }
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (facts, resolution) = (self.facts, self.resolution);
        write!(f, "{:<14} [{}", facts.scid.to_string(), facts.alias.as_deref().unwrap_or_default())?;
        writeln!(f, "{}{}]", if facts.alias.is_some() { "|" } else { "" }, facts.peer)?;
        writeln!(f)?;
        for step in &resolution.trail {
            told(f, step)?;
        }
        writeln!(f)?;
        if let (Some(section), Some(strategy)) = (&resolution.section, &resolution.strategy) {
            line(f, "policy", section)?;
            line(f, "strategy", strategy)?;
        }
        let can_say = |name: &str| self.can.inbound != Inbound::None || !name.starts_with("inbound");
        for held in resolution.held_back.iter().filter(|held| can_say(held.key)) {
            line(f, held.key, &format!("{} instead of {}: {}", held.to, held.from, held.why))?;
        }
        let update = self.update();
        for (name, current, new) in members(&facts.ours, &update, &resolution.outcome) {
            if !can_say(name) {
                continue;
            }
            let current = current.map_or("?".to_owned(), |current| current.to_string());
            let changes = new.as_ref().filter(|new| **new != current);
            line(f, name, &changes.map_or(current.clone(), |new| format!("{current} ➜ {new}")))?;
        }
        if let Some(disable) = update.disable {
            line(f, "channel status", if disable { "enabled ➜ disabled" } else { "disabled ➜ enabled" })?;
        }
        for what in &update.unsupported {
            line(f, "not on this node", what)?;
        }
        line(f, "result", &self.verdict())
    }
}

fn line(f: &mut fmt::Formatter, label: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {:<width$}{value}", format!("{label}:"), width = COLUMN - 2)
}

fn told(f: &mut fmt::Formatter, step: &Step) -> fmt::Result {
    let file = step.file.as_ref().map_or(String::new(), |file| format!("{file}, "));
    write!(f, "  [{}] {file}line {}: ", step.section, step.line)?;
    match &step.verdict {
        StepVerdict::Defaults => writeln!(f, "matches and gives defaults")?,
        StepVerdict::Decides => writeln!(f, "matches and decides")?,
        StepVerdict::Failed { key, wanted, found, .. } => {
            writeln!(f, "no, {key} = {}, and here it is {found}", short(wanted))?;
        }
        StepVerdict::Broke { key, line, what } => writeln!(f, "cannot be judged, line {line}: {key} {what}")?,
    }
    for mask in &step.masks {
        let new = if mask.new.is_empty() { "(empty)" } else { &mask.new };
        let value = match &mask.old {
            Some(old) => format!("{old} ➜ {new}"),
            None => new.to_owned(),
        };
        writeln!(f, "      {:<width$}{value}", mask.key, width = COLUMN - 6)?;
    }
    Ok(())
}

/// On one line, and no longer than that.
fn short(wanted: &str) -> String {
    const LONGEST: usize = 72;
    let line = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST { line } else { line.chars().take(LONGEST).chain("…".chars()).collect() }
}

/// A member's name, what is in force, and what is to be sent.
type Member = (&'static str, Option<i64>, Option<String>);

/// The members that the rules define, and the fee rate.
fn members(ours: &OurTerms, update: &Update, outcome: &Outcome) -> Vec<Member> {
    let (Outcome::Wanted(defined) | Outcome::Controller { rest: defined, .. }) = outcome else { return Vec::new() };
    let to = update.terms.unwrap_or_default();
    let whole = |amount: Msat| i64::try_from(amount.0).unwrap_or(i64::MAX);
    let level = Wanted { inbound_ppm: defined.inbound_ppm.or(defined.inbound_level), ..*defined };
    let now = Wanted {
        base_msat: Some(whole(ours.base)),
        ppm: Some(i64::from(ours.ppm.0)),
        inbound_base_msat: Some(i64::from(ours.inbound_base_msat)),
        inbound_ppm: Some(i64::from(ours.inbound_ppm)),
        htlc_min_msat: ours.htlc_min.map(whole),
        htlc_max_msat: ours.htlc_max.map(whole),
        time_lock_delta: ours.time_lock_delta.map(i64::from),
        ..Wanted::default()
    };
    let named = named(&level).into_iter().zip(named(&now)).zip(named(&to));
    let shown = named.filter(|(((name, defined), _), _)| *name == "fee_ppm" || defined.is_some());
    shown.map(|(((name, _), (_, now)), (_, new))| (name, now, new.map(|new| new.to_string()))).collect()
}

/// The members by the names that the rules have for them.
fn named(wanted: &Wanted) -> [(&'static str, Option<i64>); 7] {
    [
        ("base_fee_msat", wanted.base_msat),
        ("fee_ppm", wanted.ppm),
        ("inbound_base_fee_msat", wanted.inbound_base_msat),
        ("inbound_fee_ppm", wanted.inbound_ppm),
        ("min_htlc_msat", wanted.htlc_min_msat),
        ("max_htlc_msat", wanted.htlc_max_msat),
        ("time_lock_delta", wanted.time_lock_delta),
    ]
}
