//! The keys that the matching sections have left behind, later ones in place of earlier ones: what a strategy reads.

use std::collections::BTreeMap;

use super::{Reading, value};

/// One key's value, and which section gave it last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held<'a> {
    pub(super) value: &'a str,
    pub(super) from: usize,
}

#[derive(Debug)]
pub(super) struct Params<'a> {
    pub(super) held: BTreeMap<&'a str, Held<'a>>,
    pub(super) reading: Reading,
    /// The section that decides.
    pub(super) decider: usize,
}

impl<'a> Params<'a> {
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.held.get(key).map(|held| held.value)
    }

    pub(super) fn int(&self, key: &str) -> Result<Option<i64>, String> {
        self.read(key, value::int)
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>, String> {
        self.read(key, value::float)
    }

    /// charge-lnd takes any word for yes, also `false`.
    pub(super) fn switch(&self, key: &str) -> Result<Option<bool>, String> {
        match self.reading {
            Reading::ChargeLnd => Ok(self.text(key).map(|text| !text.is_empty())),
            Reading::Ours => self.read(key, value::switch),
        }
    }

    pub(super) fn needed(&self, key: &str) -> Result<i64, String> {
        self.int(key)?.ok_or_else(|| format!("{key} is missing"))
    }

    /// A number of the deciding section itself, not of one that gave defaults.
    pub(super) fn own_int(&self, key: &str) -> Result<Option<i64>, String> {
        let own = self.held.get(key).is_some_and(|held| held.from == self.decider);
        if own { self.int(key) } else { Ok(None) }
    }

    fn read<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        self.text(key).map(read).transpose().map_err(|what| format!("{key}: {what}"))
    }
}
