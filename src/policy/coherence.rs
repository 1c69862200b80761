//! What the keys of a file say together: a key that a strategy needs and nobody gives.

use super::Reading;
use super::finding::Severity;
use super::ini::Read;
use super::rules::{Notes, Rule};
use super::words::Strategy;

/// The sections in the order in which they are walked.
pub(super) fn file(order: &[&Rule], reading: Reading, notes: &mut Notes) {
    for (at, rule) in order.iter().enumerate() {
        let strategy = rule.strategy.as_deref().and_then(Strategy::find);
        if let Some(strategy) = strategy.filter(|strategy| strategy.origin.known_to(reading)) {
            notes.section = Some(rule.name.clone());
            needs(strategy, order, at, notes);
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

impl Rule {
    fn given(&self, key: &str) -> Option<&Read> {
        self.reads.iter().find(|read| read.key == key)
    }

    /// Does the walk end here, at the latest?
    fn decides(&self) -> bool {
        self.ends || self.name == super::rules::DEFAULT
    }
}
