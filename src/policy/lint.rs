//! What a careful reader would say of a rule file: bad values, unknown words, keys without effect, sections that nothing reaches.

use std::collections::BTreeSet;

use super::change::{Capabilities, Inbound};
use super::finding::{Finding, Severity, in_order, nearest};
use super::ini::{Document, Read};
use super::matchers::{Kind as Bound, MATCHERS, Matcher, Number};
use super::peer::MOST_PPM;
use super::rules::{DEFAULT, Notes, Rule, RuleFile};
use super::words::{Kind, PARAMETERS, Parameter, STRATEGIES, Strategy};
use super::{Reading, coherence, value};

/// Above this base fee somebody has taken sat for msat, or slipped.
const MOST_BASE_MSAT: i64 = 1_000_000;

/// Notes all that the criteria have not noted themselves.
pub(super) fn file(document: &Document, rules: &[Rule], reading: Reading, notes: &mut Notes) {
    comments(document, notes);
    let referred = document.referred();
    for rule in rules {
        notes.section = Some(rule.name.clone());
        for read in &rule.reads {
            key(rule, read, (reading, &referred), notes);
            swallowed(read, notes);
        }
        strategy(rule, reading, notes);
        if rule.name == DEFAULT {
            default(rule, notes);
        }
    }
    let mut order: Vec<&Rule> = rules.iter().filter(|rule| rule.is_walked()).collect();
    order.sort_by_key(|rule| (rule.name == DEFAULT, rule.priority()));
    coherence::file(&order, reading, notes);
    unreachable(&order, notes);
}

fn comments(document: &Document, notes: &mut Notes) {
    for section in document.sections.iter().filter(|section| section.behind) {
        notes.section = Some(section.name.clone());
        notes.note(Severity::Warning, section.line, None, "has words behind its bracket, which are dropped");
    }
    for (section, entry) in document.entries() {
        notes.section = Some(section.to_owned());
        for line in &entry.cut {
            let what =
                "has a comment behind its value: it is left out here, but charge-lnd takes it for a part of the value";
            notes.note(Severity::Warning, *line, Some(&entry.key), what);
        }
    }
}

/// A parameter's name and value. The criteria note their own, except in `[default]`, where they do not count.
fn key(rule: &Rule, read: &Read, (reading, referred): (Reading, &BTreeSet<String>), notes: &mut Notes) {
    if read.key.contains('.') {
        let known = MATCHERS.iter().any(|matcher| matcher.key == read.key);
        if rule.name == DEFAULT && !known {
            notes.error(read, "is no key by which channels are chosen", nearest(&read.key, words(reading)));
        }
        if rule.name != DEFAULT {
            bound(read, reading, notes);
        }
        return;
    }
    let text = match &read.value {
        Ok(text) => text,
        Err(what) => return notes.error(read, what, None),
    };
    match Parameter::find(&read.key).filter(|parameter| parameter.origin.known_to(reading)) {
        Some(parameter) => match parameter.kind.fault(text, reading) {
            Some((Severity::Error, what)) => notes.error(read, &what, None),
            Some((Severity::Warning, what)) => notes.warning(read, &what),
            None => dear(read, text, notes),
        },
        // A name for a value that others refer to.
        None if referred.contains(&read.key) => {}
        None => notes.error(read, "is no key", nearest(&read.key, words(reading))),
    }
}

/// Keys that have become a part of the value above them.
fn swallowed(read: &Read, notes: &mut Notes) {
    for line in read.value.iter().flat_map(|value| value.split('\n').skip(1)) {
        let key = line.split(['=', ':']).next().unwrap_or_default().trim().to_lowercase();
        if line.contains(['=', ':']) && (Parameter::find(&key).is_some() || Matcher::find(&key).is_some()) {
            let what = format!(
                "goes on in the indented line '{line}', which is no key of its own: begin it where '{}' begins",
                read.key
            );
            notes.warning(read, &what);
        }
    }
}

/// Bounds that hold always or never.
fn bound(read: &Read, reading: Reading, notes: &mut Notes) {
    let kind = Matcher::find(&read.key).filter(|matcher| matcher.origin.known_to(reading)).map(|matcher| matcher.kind);
    let (Some(Bound::Min(of, Number::Real) | Bound::Max(of, Number::Real)), Ok(text)) = (kind, &read.value) else {
        return;
    };
    let Ok(number) = value::float(text) else { return };
    if number.is_nan() {
        let what = format!("is '{text}', which is no number: the section never matches");
        return if reading == Reading::Ours { notes.error(read, &what, None) } else { notes.warning(read, &what) };
    }
    if !of.is_share() || (0.0..=1.0).contains(&number) {
        return;
    }
    let is_least = matches!(kind, Some(Bound::Min(..)));
    let holds = if is_least == (number < 0.0) { "it holds for every channel" } else { "the section never matches" };
    let percent = if (1.0..=100.0).contains(&number) {
        format!("; {number} % are written {}", number / 100.0)
    } else {
        String::new()
    };
    notes.warning(read, &format!("is {number}, and a share lies between 0 and 1: {holds}{percent}"));
}

/// A fee that was probably meant otherwise.
fn dear(read: &Read, text: &str, notes: &mut Notes) {
    let (most, means) = match read.key.as_str() {
        "fee_ppm" | "min_fee_ppm" | "max_fee_ppm" => (i64::from(MOST_PPM), "ppm, a tenth of what is forwarded,"),
        "base_fee_msat" => (MOST_BASE_MSAT, "msat, 1000 sat for each payment,"),
        _ => return,
    };
    if let Some(fee) = value::int(text).ok().filter(|fee| *fee > most) {
        notes.warning(read, &format!("is {fee}: more than {most} {means} nobody pays"));
    }
}

fn words(reading: Reading) -> impl Iterator<Item = &'static str> {
    let matchers = MATCHERS.iter().filter(move |matcher| matcher.origin.known_to(reading)).map(|matcher| matcher.key);
    matchers.chain(PARAMETERS.iter().filter(move |row| row.origin.known_to(reading)).map(|row| row.key))
}

/// The strategy's name, what it lacks, and what it does not heed.
fn strategy(rule: &Rule, reading: Reading, notes: &mut Notes) {
    let find = |key: &str| rule.reads.iter().find(|read| read.key == key);
    let Some(name) = &rule.strategy else { return without(rule, notes) };
    let Some(read) = find("strategy") else { return };
    let known = || STRATEGIES.iter().filter(|strategy| strategy.origin.known_to(reading)).map(|strategy| strategy.name);
    let Some(strategy) = Strategy::find(name).filter(|strategy| strategy.origin.known_to(reading)) else {
        return notes.error(read, &format!("is '{name}', which is no strategy"), nearest(name, known()));
    };
    if !rule.ends {
        return;
    }
    for read in rule.reads.iter().filter(|read| !read.inherited) {
        let parameter = Parameter::find(&read.key);
        if parameter.is_some_and(|parameter| !strategy.heeds(parameter) && parameter.kind != Kind::Strategy) {
            notes.warning(read, &format!("has no effect with the strategy '{name}'"));
        }
    }
}

/// A section without a strategy gives defaults; without those it does nothing.
fn without(rule: &Rule, notes: &mut Notes) {
    let gives = |read: &&Read| {
        !read.key.contains('.') && !["strategy", "priority", "enabled", "final"].contains(&read.key.as_str())
    };
    if rule.ends {
        let what =
            "ends the walk without a strategy of its own: unless a section before gave one, the channel is left alone";
        notes.note(Severity::Warning, rule.line, None, what);
    } else if !rule.reads.iter().any(|read| gives(&read)) && rule.name != DEFAULT {
        let what = "has neither a strategy nor defaults for the sections behind it: it has no effect";
        notes.note(Severity::Warning, rule.line, None, what);
    }
}

fn default(rule: &Rule, notes: &mut Notes) {
    for read in rule.reads.iter().filter(|read| !read.inherited) {
        if read.key.contains('.') {
            notes.warning(read, "has no effect: [default] is for every channel that no other section decides");
        }
        if read.key == "priority" {
            notes.warning(read, "has no effect: [default] comes last");
        }
    }
    if rule.strategy.is_none() {
        let what = "has no strategy: channels that come here are left alone, and its keys have no effect";
        notes.note(Severity::Warning, rule.line, None, what);
    }
}

/// Sections behind one that takes every channel.
fn unreachable(order: &[&Rule], notes: &mut Notes) {
    let Some(last) = order.iter().position(|rule| rule.ends && rule.groups.is_empty()) else { return };
    for rule in &order[last + 1..] {
        let by = order[last];
        notes.section = Some(rule.name.clone());
        let what = format!("is never reached: [{}] in line {} takes every channel", by.name, by.line);
        notes.note(Severity::Warning, rule.line, None, &what);
    }
}

impl RuleFile {
    /// What the rules ask for and this node cannot do.
    pub fn unsupported(&self, can: Capabilities) -> Vec<Finding> {
        let mut notes = Notes { file: &self.name, section: None, findings: Vec::new() };
        for rule in &self.rules {
            notes.section = Some(rule.name.clone());
            for read in &rule.reads {
                if let Some(what) = beyond(read, can) {
                    notes.warning(read, what);
                }
            }
        }
        let inner = self.inner.values().flatten().flat_map(|inner| inner.unsupported(can));
        let mut findings: Vec<Finding> = notes.findings.into_iter().chain(inner).collect();
        in_order(&mut findings);
        findings
    }
}

fn beyond(read: &Read, can: Capabilities) -> Option<&'static str> {
    let value = read.value.as_deref().unwrap_or_default();
    let positive = || value::int(value).is_ok_and(|fee| fee > 0);
    match (read.key.as_str(), value, can.inbound) {
        (
            "inbound_base_fee_msat" | "inbound_fee_ppm" | "inbound_level_ppm",
            _,
            Inbound::None | Inbound::Disregarded,
        ) => Some("has no effect: this node has no inbound fees"),
        ("min_inbound_fee_ppm" | "max_inbound_fee_ppm" | "min_inbound_fee_ppm_delta", _, Inbound::None) => {
            Some("has no effect: this node has no inbound fees")
        }
        ("strategy", "inbound_discount" | "inbound_premium", Inbound::None | Inbound::Disregarded) => {
            Some("sets nothing but the outbound fee: this node has no inbound fees")
        }
        ("strategy", "balance_based" | "flow_based", Inbound::None | Inbound::Disregarded) => {
            Some("sets the outbound fee only: this node has no inbound fees")
        }
        ("strategy", "inbound_premium", Inbound::Discounts) => {
            Some("has no effect: LND refuses inbound surcharges unless it runs with accept-positive-inbound-fees")
        }
        ("inbound_base_fee_msat" | "inbound_fee_ppm", _, Inbound::Discounts) if positive() => {
            Some("is a surcharge, which LND refuses unless it runs with accept-positive-inbound-fees: it becomes 0")
        }
        ("time_lock_delta", ..) if !can.time_lock_delta => {
            Some("has no effect: Core Lightning has one for all channels, its option cltv-delta")
        }
        ("strategy", "disable", _) if !can.disable => {
            Some("has no effect: Core Lightning cannot disable a channel; a max_htlc_msat of 1 lets nothing through")
        }
        _ => None,
    }
}

/// Are there errors among them?
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
