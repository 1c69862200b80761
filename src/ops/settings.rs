//! The options in force: which source says what, who is told of changes, and which of them the ledger keeps.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use super::{Ops, OrderError};
use crate::ledger::OverrideRow;
use crate::options::{self, Layers, OptionError, Options, Scope, Source, Spec, TABLE, find};

/// The same settings for all who hold a clone.
#[derive(Clone)]
pub struct Settings(Arc<Shared>);

struct Shared {
    layers: Mutex<Layers>,
    current: watch::Sender<Arc<Options>>,
    /// Rows of the ledger that are not in force, and why.
    ignored: Mutex<Vec<String>>,
    /// Held from the check of a change to its row in the ledger, so that both tell the same story.
    writing: tokio::sync::Mutex<()>,
}

/// One line of `revenue-config list`.
#[derive(Clone, Debug)]
pub struct SettingRow {
    pub spec: &'static Spec,
    pub value: Value,
    pub source: Source,
}

/// What became of an option that was set or reset.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingChange {
    pub key: &'static str,
    pub old: Value,
    pub new: Value,
    pub source: Source,
    pub version: i64,
    /// The feature that will read it, where that feature does not exist yet.
    pub later: Option<&'static str>,
}

impl Settings {
    /// Starts from what lightningd's configuration says.
    pub fn new(layers: Layers) -> Result<Settings, OptionError> {
        let current = watch::Sender::new(Arc::new(layers.resolve()?));
        let (layers, ignored, writing) = (Mutex::new(layers), Mutex::default(), tokio::sync::Mutex::default());
        Ok(Settings(Arc::new(Shared { layers, current, ignored, writing })))
    }

    pub fn watch(&self) -> watch::Receiver<Arc<Options>> {
        self.0.current.subscribe()
    }

    pub fn now(&self) -> Arc<Options> {
        self.0.current.borrow().clone()
    }

    pub fn rows(&self) -> Vec<SettingRow> {
        TABLE.iter().map(|spec| self.row(spec)).collect()
    }

    pub fn row(&self, spec: &'static Spec) -> SettingRow {
        SettingRow { spec, value: self.now().get(spec), source: self.layers().source_of(spec) }
    }

    /// What an operator should know: rows that are not in force, and configured values that others mask.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.0.ignored.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let layers = self.layers();
        for spec in TABLE {
            let masked = layers.setconfig.get(spec.key).or_else(|| layers.config.get(spec.key));
            if let (Some(kept), Some(configured)) = (layers.overrides.get(spec.key), masked) {
                warnings.push(format!(
                    "'{}' is {kept} by 'revenue-config set', which masks {configured} of the node's configuration; \
                     'revenue-config reset {}' brings that back",
                    spec.key, spec.key
                ));
            }
        }
        warnings
    }

    fn layers(&self) -> Layers {
        self.0.layers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tries a change on a copy; it is in force only if all rules hold. Returns what was in force before.
    fn change(&self, change: impl FnOnce(&mut Layers)) -> Result<Layers, OptionError> {
        let mut layers = self.0.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tried = layers.clone();
        change(&mut tried);
        let options = Arc::new(tried.resolve()?);
        let before = std::mem::replace(&mut *layers, tried);
        self.0.current.send_if_modified(|current| {
            let changed = **current != *options;
            *current = options;
            changed
        });
        Ok(before)
    }

    /// Puts the kept rows in force. One that no longer fits is left out and stays in the ledger; the others count.
    fn take_overrides(&self, rows: Vec<OverrideRow>) {
        let take = |row: &OverrideRow| -> Result<(), OrderError> {
            let spec = tunable(&row.key)?;
            self.change(|layers| drop(layers.overrides.insert(spec.key, row.value.clone())))?;
            Ok(())
        };
        // A row may fit only together with another that comes later.
        let (mut waiting, mut before) = (rows, usize::MAX);
        while waiting.len() < before {
            before = waiting.len();
            waiting.retain(|row| take(row).is_err());
        }
        let tell = |row: &OverrideRow| {
            let error = take(row).err()?;
            Some(format!("what 'revenue-config set' kept for '{}' ({}) is not in force: {error}", row.key, row.value))
        };
        let ignored: Vec<_> = waiting.iter().filter_map(tell).collect();
        for warning in &ignored {
            tracing::warn!("{warning}");
        }
        *self.0.ignored.lock().unwrap_or_else(PoisonError::into_inner) = ignored;
    }

    /// Would lightningd's own values do without the kept ones? It is with them alone that it starts us the next time.
    fn does_alone(&self, spec: &'static Spec, text: &str) -> Result<(), OrderError> {
        let mut alone = Layers { overrides: options::Settings::new(), ..self.layers() };
        alone.setconfig.insert(spec.key, text.to_owned());
        let refusal = |error| {
            OrderError::Caller(format!(
                "{error}; what 'revenue-config set' keeps does not count here, because the plugin would not start \
                 with this: change both with setconfig"
            ))
        };
        alone.resolve().map(drop).map_err(refusal)
    }

    /// A row that was not in force is gone: nothing to warn of any more.
    fn forget_ignored(&self, key: &str) {
        let mut ignored = self.0.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        ignored.retain(|warning| !warning.contains(&format!("'{key}'")));
    }
}

impl Ops {
    /// At the start: what `revenue-config set` kept.
    pub async fn load_overrides(&self) -> anyhow::Result<()> {
        let rows = self.ledger.overrides().await?;
        self.settings.take_overrides(rows);
        Ok(())
    }

    /// `revenue-config set`: in force from the next step on, and kept.
    pub async fn set_option(&self, name: &str, text: &str) -> Result<SettingChange, OrderError> {
        let spec = tunable(name)?;
        let text = text.trim();
        self.must_be_readable(spec, text)?;
        let _writing = self.settings.0.writing.lock().await;
        let old = self.settings.row(spec).value;
        let before = self.settings.change(|layers| drop(layers.overrides.insert(spec.key, text.to_owned())))?;
        match self.ledger.set_override(self.now(), spec.key, text).await {
            Ok(version) => Ok(self.changed(spec, old, version)),
            Err(error) => Err(self.take_back(before, error)),
        }
    }

    /// `revenue-config reset`: what the node's configuration says is in force again.
    pub async fn reset_option(&self, name: &str) -> Result<SettingChange, OrderError> {
        let spec = tunable(name)?;
        let _writing = self.settings.0.writing.lock().await;
        let row = self.settings.row(spec);
        let before = self.settings.change(|layers| drop(layers.overrides.remove(spec.key)))?;
        match self.ledger.clear_override(self.now(), spec.key).await {
            Ok(Some(version)) => Ok(self.changed(spec, row.value, version)),
            Ok(None) => Err(OrderError::Caller(format!(
                "nothing is kept for '{}' by 'revenue-config set': it is {} by {}",
                spec.key,
                row.value,
                row.source.name()
            ))),
            Err(error) => Err(self.take_back(before, error)),
        }
    }

    /// lightningd's `setconfig`: in force at once; what `revenue-config set` kept for this option is forgotten.
    pub async fn set_from_node(&self, name: &str, text: &str) -> Result<SettingChange, OrderError> {
        let spec = find(name)?;
        if !spec.is_dynamic() {
            let how = "change it in the node's configuration and start the plugin again";
            return Err(OptionError::Immutable { key: spec.key, how }.into());
        }
        let text = text.trim();
        self.must_be_readable(spec, text)?;
        let _writing = self.settings.0.writing.lock().await;
        let old = self.settings.row(spec).value;
        self.settings.does_alone(spec, text)?;
        let before = self.settings.change(|layers| {
            layers.overrides.remove(spec.key);
            layers.setconfig.insert(spec.key, text.to_owned());
        })?;
        match self.ledger.clear_override(self.now(), spec.key).await {
            Ok(version) => Ok(self.changed(spec, old, version.unwrap_or_default())),
            Err(error) => Err(self.take_back(before, error)),
        }
    }

    /// Grows with every change that `revenue-config` makes.
    pub async fn config_version(&self) -> anyhow::Result<i64> {
        self.ledger.config_version().await
    }

    fn changed(&self, spec: &'static Spec, old: Value, version: i64) -> SettingChange {
        self.settings.forget_ignored(spec.key);
        let row = self.settings.row(spec);
        tracing::info!("option '{}': {old} -> {} (by {})", spec.key, row.value, row.source.name());
        SettingChange { key: spec.key, old, new: row.value, source: row.source, version, later: spec.later }
    }

    /// The ledger did not take it: nothing has changed.
    fn take_back(&self, before: Layers, error: anyhow::Error) -> OrderError {
        match self.settings.change(|layers| *layers = before) {
            Ok(_) => OrderError::Broken(error.context("the ledger did not keep the option; it stays as it was")),
            Err(rule) => OrderError::Broken(error.context(format!("the option could not be taken back: {rule}"))),
        }
    }
}

/// An option that `revenue-config` changes.
fn tunable(name: &str) -> Result<&'static Spec, OrderError> {
    let spec = find(name)?;
    match spec.scope {
        Scope::Live | Scope::Tune | Scope::TuneAtStart => Ok(spec),
        Scope::Start => {
            let how = "change it in the node's configuration and start the plugin again";
            Err(OptionError::Immutable { key: spec.key, how }.into())
        }
        Scope::Node => Err(OrderError::Caller(format!(
            "option '{0}' is not changed by revenue-config; use 'lightning-cli setconfig {0} VALUE' or the node's \
             configuration",
            spec.option_name()
        ))),
    }
}

impl From<OptionError> for OrderError {
    fn from(error: OptionError) -> OrderError {
        OrderError::Caller(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Time;

    fn settings(config: &[(&'static str, &str)]) -> Settings {
        let config = config.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        Settings::new(Layers { config, ..Layers::default() }).unwrap()
    }

    fn kept(key: &str, value: &str) -> OverrideRow {
        OverrideRow { key: key.to_owned(), value: value.to_owned(), version: 1, updated_at: Time::default() }
    }

    #[test]
    fn a_change_that_breaks_a_rule_changes_nothing() {
        let settings = settings(&[]);
        let error = settings.change(|layers| drop(layers.overrides.insert("min_fee_ppm", "6000".to_owned())));
        assert!(error.unwrap_err().to_string().contains("contradict"));
        assert_eq!(settings.now().min_fee_ppm, 10);
        assert_eq!(settings.row(find("min_fee_ppm").unwrap()).source, Source::Default);
    }

    #[test]
    fn kept_rows_that_no_longer_fit_are_left_out_and_told() {
        let settings = settings(&[("max_fee_ppm", "100")]);
        settings.take_overrides(vec![
            kept("fee_interval", "600"),
            kept("min_fee_ppm", "200"),
            kept("gone_with_an_older_version", "1"),
            kept("dry_run", "true"),
        ]);
        assert_eq!((settings.now().fee_interval, settings.now().min_fee_ppm), (600, 10));
        assert!(!settings.now().dry_run);
        let warnings = settings.warnings();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[0].contains("'min_fee_ppm' (200) is not in force"), "{warnings:?}");
    }

    #[test]
    fn kept_rows_that_fit_only_together_are_all_taken() {
        for (config, rows) in [
            ([("min_fee_ppm", "100"), ("max_fee_ppm", "5000")], [kept("max_fee_ppm", "50"), kept("min_fee_ppm", "5")]),
            ([("min_fee_ppm", "10"), ("max_fee_ppm", "40")], [kept("min_fee_ppm", "45"), kept("max_fee_ppm", "50")]),
        ] {
            let settings = settings(&config);
            settings.take_overrides(rows.to_vec());
            assert_eq!(settings.now().max_fee_ppm, 50);
            assert_eq!(settings.warnings().len(), 2, "both mask the configuration: {:?}", settings.warnings());
        }
    }

    #[test]
    fn lightningd_keeps_nothing_that_it_could_not_start_us_with() {
        let settings = settings(&[]);
        settings.take_overrides(vec![kept("max_fee_ppm", "7000")]);
        let min = find("min_fee_ppm").unwrap();
        assert!(settings.does_alone(min, "4000").is_ok());
        let error = settings.does_alone(min, "6000").unwrap_err().to_string();
        assert!(error.contains("(5000) contradict") && error.contains("change both with setconfig"), "{error}");
    }

    #[test]
    fn a_masked_configuration_is_told() {
        let settings = settings(&[("min_fee_ppm", "20")]);
        settings.take_overrides(vec![kept("min_fee_ppm", "30")]);
        assert_eq!(settings.now().min_fee_ppm, 30);
        assert_eq!(
            settings.warnings(),
            ["'min_fee_ppm' is 30 by 'revenue-config set', which masks 20 of the node's configuration; \
              'revenue-config reset min_fee_ppm' brings that back"]
        );
    }

    #[tokio::test]
    async fn who_watches_hears_of_changes_only() {
        let settings = settings(&[]);
        let mut watch = settings.watch();
        watch.mark_unchanged();
        settings.change(|layers| drop(layers.overrides.insert("fee_interval", "1800".to_owned()))).unwrap();
        assert!(!watch.has_changed().unwrap());
        settings.change(|layers| drop(layers.overrides.insert("fee_interval", "600".to_owned()))).unwrap();
        assert!(watch.has_changed().unwrap());
    }

    #[test]
    fn what_revenue_config_does_not_change_says_how_to() {
        for (name, hint) in [("db_path", "start the plugin again"), ("revenue-ops-dry-run", "lightning-cli setconfig")]
        {
            let error = tunable(name).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
