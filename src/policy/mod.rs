//! What may be done with a channel: peers' own policies and rule files come in, values go out. The sections of a rule file choose channels by
//! what they are, and say what is to be done with them; a superset of the files of charge-lnd. Pure: whoever asks brings the text, the
//! facts, and the files that the text names.

mod bounds;
mod cascade;
mod change;
mod coherence;
mod finding;
mod ini;
mod lint;
mod lists;
mod manual;
mod matcher;
mod matchers;
mod needs;
mod own;
mod params;
pub mod peer;
mod quantity;
pub mod report;
pub mod rollback;
mod rules;
pub mod snapshot;
mod sources;
mod strategy;
pub mod suggest;
#[cfg(test)]
mod tests;
mod value;
mod wanted;
mod words;

pub use bounds::Held;
pub use cascade::{Mask, Resolution, Step, StepVerdict};
pub use change::{Capabilities, Inbound, Update, changes};
pub use finding::{Finding, Severity};
pub use lint::has_errors;
pub use manual::manual;
pub use matchers::{MATCHERS, Matcher, Origin};
pub use needs::Needs;
pub use rules::RuleFile;
pub use sources::resolve;
pub use value::channel as channel_named;
pub use wanted::{Outcome, Rollback, Wanted};
pub use words::{For, PARAMETERS, Parameter, STRATEGIES, Strategy};

/// How a text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// With our own keys and strategies, and comments behind values.
    #[default]
    Ours,
    /// To the letter as charge-lnd 0.3 does: only its words, and any word is yes where a strategy asks. What it then disables by mistake
    /// is left alone.
    ChargeLnd,
}
