//! What the keys of a file say together: a key that a strategy needs and nobody gives, and bounds with nothing between them.

use super::finding::Severity;
use super::ini::Read;
use super::rules::{DEFAULT, Notes, Rule};
use super::words::{Parameter, Strategy};
use super::{Origin, Reading, value};

/// The least and the most of one thing.
const BOUNDS: [(&str, &str); 3] = [
    ("min_fee_ppm", "max_fee_ppm"),
    ("min_inbound_fee_ppm", "max_inbound_fee_ppm"),
    ("min_htlc_msat", "max_htlc_msat"),
];

/// The sections in the order in which they are walked.
pub(super) fn file(order: &[&Rule], reading: Reading, notes: &mut Notes) {
    for (at, rule) in order.iter().enumerate() {
        let strategy = rule.strategy.as_deref().and_then(Strategy::find);
        if let Some(strategy) = strategy.filter(|strategy| strategy.origin.known_to(reading)) {
            notes.section = Some(rule.name.clone());
            needs(strategy, order, at, notes);
            bounds((strategy, reading), order, at, notes);
        }
    }
}

/// What the strategy needs must stand in its section, or in one before it that gives defaults.
fn needs(strategy: &Strategy, order: &[&Rule], at: usize, notes: &mut Notes) {
    let rule = order[at];
    let before = order[..at].iter().filter(|rule| !rule.ends);
    // One that does not end the walk decides with what all the others have given.
    let givers: Vec<&&Rule> = if rule.decides() { before.chain([&rule]).collect() } else { order.iter().collect() };
    for key in strategy.needs.iter().filter(|key| givers.iter().all(|giver| giver.given(key).is_none())) {
        let own = rule.given("strategy").filter(|read| !read.inherited);
        let what = format!(
            "is '{}', which needs {key}: give it in this section, or in one before it that has no strategy",
            strategy.name
        );
        notes.note(Severity::Error, own.map_or(rule.line, |read| read.line), Some("strategy"), &what);
    }
}

/// Bounds that bind this strategy for certain. charge-lnd finds out channel by channel.
fn bounds((strategy, reading): (&Strategy, Reading), order: &[&Rule], at: usize, notes: &mut Notes) {
    let rule = order[at];
    let severity = if reading == Reading::Ours { Severity::Error } else { Severity::Warning };
    let binds = |key: &str| {
        // A slope has ends, not bounds: it may fall.
        Parameter::find(key).is_some_and(|parameter| strategy.heeds(parameter)) && !strategy.needs.contains(&key)
    };
    for (least, most) in BOUNDS.iter().filter(|(least, most)| binds(least) && binds(most)) {
        let own_only = strategy.origin == Origin::ChargeLnd && *least == "min_fee_ppm";
        let given = |key| rule.given(key).or_else(|| given_before(order, at, key).filter(|_| !own_only));
        let (Some(low), Some(high)) = (given(least), given(most)) else { continue };
        let (Some(from), Some(to)) = (number(low), number(high)) else { continue };
        if from > to {
            let what = format!(
                "is {from} in line {}, and {most} is {to} in line {}: nothing lies between them",
                low.line, high.line
            );
            let own = rule.given(least).or(rule.given(most)).filter(|read| !read.inherited);
            notes.note(severity, own.map_or(rule.line, |read| read.line), Some(least), &what);
        }
    }
}

/// What every channel that comes to a section brings along: the nearest word on it before, unless that is not for all of them.
fn given_before<'a>(order: &[&'a Rule], at: usize, key: &str) -> Option<&'a Read> {
    let decides = order[at].decides();
    let nearest = order[..at].iter().rev().find(|rule| !rule.ends && rule.given(key).is_some())?;
    nearest.given(key).filter(|_| decides && nearest.groups.is_empty())
}

fn number(read: &Read) -> Option<i64> {
    value::int(read.value.as_deref().ok()?).ok()
}

impl Rule {
    fn given(&self, key: &str) -> Option<&Read> {
        self.reads.iter().find(|read| read.key == key)
    }

    /// Does the walk end here, at the latest?
    fn decides(&self) -> bool {
        self.ends || self.name == DEFAULT
    }
}
