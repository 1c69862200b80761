//! The options in force: which source says what, and who is told when it changes.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::options::{Layers, OptionError, Options, Source, Spec};

/// Held by [`super::Ops`]; the ledger rows of overrides are written by the steps in this file.
pub struct Settings {
    layers: Mutex<Layers>,
    current: watch::Sender<Arc<Options>>,
}

/// One line of `revenue-config list`.
#[derive(Clone, Debug)]
pub struct SettingRow {
    pub spec: &'static Spec,
    pub value: Value,
    pub source: Source,
}

impl Settings {
    /// Starts from what lightningd's configuration says.
    pub fn new(layers: Layers) -> Result<Settings, OptionError> {
        let options = layers.resolve()?;
        Ok(Settings { layers: Mutex::new(layers), current: watch::Sender::new(Arc::new(options)) })
    }

    pub fn watch(&self) -> watch::Receiver<Arc<Options>> {
        self.current.subscribe()
    }

    pub fn now(&self) -> Arc<Options> {
        self.current.borrow().clone()
    }

    /// Tries a change on a copy; it is in force only if all rules hold.
    pub(super) fn change(&self, change: impl FnOnce(&mut Layers)) -> Result<(), OptionError> {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tried = layers.clone();
        change(&mut tried);
        let options = tried.resolve()?;
        *layers = tried;
        self.current.send_replace(Arc::new(options));
        Ok(())
    }

    pub fn rows(&self) -> Vec<SettingRow> {
        let layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let options = self.now();
        crate::options::TABLE
            .iter()
            .map(|spec| SettingRow { spec, value: options.get(spec), source: layers.source_of(spec) })
            .collect()
    }
}
