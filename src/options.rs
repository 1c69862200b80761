//! The table of options, and everything that follows from it: struct, parsing, ranges, precedence, manual. Never does I/O.

mod former;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

/// What every option's name starts with in lightningd's configuration.
pub const PREFIX: &str = "revenue-ops-";

/// One row of the table.
#[derive(Debug)]
pub struct Spec {
    /// Short key: the option's name without prefix, with `_` for `-`.
    pub key: &'static str,
    pub default: &'static str,
    pub scope: Scope,
    pub allowed: Allowed,
    pub doc: &'static str,
    /// Spellings of other versions that mean the same.
    pub aliases: &'static [&'static str],
    /// The feature that will read it, where that feature does not exist yet.
    pub later: Option<&'static str>,
}

/// Where an option can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Node configuration only; changes need a plugin restart.
    Start,
    /// Node configuration and `setconfig`, but not `revenue-config`: it decides whether we act at all.
    Node,
    /// Node configuration, `setconfig` and `revenue-config`; applied at the next step.
    Live,
    /// `revenue-config` only.
    Tune,
    /// The same, read when the plugin starts.
    TuneAtStart,
}

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowed {
    Whole(u64, u64),
    /// A whole number, or `keep` to leave what the operator set.
    WholeOrKeep(u64, u64),
    Number(f64, f64),
    Switch,
    Path,
    Word(&'static [&'static str]),
}

/// Where the value in force came from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Default,
    /// The node's configuration: file, command line, or an earlier `setconfig`.
    Config,
    /// `setconfig` in this run.
    Setconfig,
    /// `revenue-config set`.
    Override,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    #[error("unknown option '{given}'{}", nearest.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default())]
    Unknown { given: String, nearest: Option<&'static str> },
    #[error("option '{given}' of the earlier plugin has no effect here: {why}")]
    Former { given: String, why: &'static str },
    #[error("option '{}': '{given}' is not allowed; give {allowed}", written(key))]
    Bad { key: &'static str, given: String, allowed: String },
    #[error("option '{}' is fixed while the plugin runs; {how}", written(key))]
    Immutable { key: &'static str, how: &'static str },
    #[error(
        "options '{}' ({low_value}) and '{}' ({high_value}) contradict each other: the first must not be above the second",
        written(low),
        written(high)
    )]
    Order { low: &'static str, low_value: String, high: &'static str, high_value: String },
}

const fn first(features: &[&'static str]) -> Option<&'static str> {
    if features.is_empty() { None } else { Some(features[0]) }
}

macro_rules! options {
    ($($scope:ident $key:ident: $type:ty = $default:literal, $allowed:expr, $doc:literal
        $(, was $alias:literal)* $(, later $later:literal)?;)*) => {
        /// Every option with its value in force. Read once per step.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Options { $(#[doc = $doc] pub $key: $type,)* }

        pub const TABLE: &[Spec] = &[$(Spec {
            key: stringify!($key), default: $default, scope: Scope::$scope, allowed: $allowed, doc: $doc,
            aliases: &[$($alias),*], later: first(&[$($later)?]),
        }),*];

        impl Default for Options {
            fn default() -> Options {
                Options { $($key: <$type as FromText>::from_text($default).expect("a test parses every default"),)* }
            }
        }

        impl Options {
            /// The value of `spec`, as JSON.
            pub fn get(&self, spec: &Spec) -> Value {
                match spec.key { $(stringify!($key) => FromText::json(&self.$key),)* _ => Value::Null }
            }

            fn put(&mut self, spec: &Spec, text: &str) -> Option<()> {
                match spec.key { $(stringify!($key) => self.$key = <$type as FromText>::from_text(text)?,)* _ => return None }
                Some(())
            }
        }
    };
}

use Allowed::{Number, Path, Switch, Whole, WholeOrKeep, Word};

const SHARE: Allowed = Number(0.0, 1.0);
const DAY: u64 = 86_400;

options! {
    Start db_path: String = "~/.lightning/revenue_ops.db", Path, "File of the ledger (SQLite). `~` is the home directory; the folder is made if it is missing.";
    Node dry_run: bool = "false", Switch, "Decide, explain and record everything, but change nothing on the node.";
    Live flow_interval: u64 = "3600", Whole(60, DAY), "Seconds between flow analyses; each wait is varied by 20 % either way.";
    Live fee_interval: u64 = "1800", Whole(60, DAY), "Seconds between fee cycles; each wait is varied by 20 % either way.";
    Live rebalance_interval: u64 = "900", Whole(60, DAY), "Seconds between rebalance cycles; each wait is varied by 20 % either way.";
    Live flow_window_days: u64 = "7", Whole(1, 90), "Days of forwards that the flow analysis looks at.";
    Live target_flow: u64 = "100000", Whole(0, 100_000_000_000), "Sats a day that a channel should move; channels below are reported as below target. No fee depends on it.";
    Live min_fee_ppm: u32 = "10", Whole(0, 100_000), "Lowest outbound fee rate (ppm) that the controller sets.";
    Live max_fee_ppm: u32 = "5000", Whole(1, 100_000), "Highest outbound fee rate (ppm) that the controller sets.";
    Live max_fee_updates_per_day: u32 = "4", Whole(1, 48), "Fee changes a day and channel that the controller tells the network (rules and policies are carried out as they stand); from the third on each must differ by more, see `gossip_hysteresis`; urgent ones have a budget of their own, as large and at least 6.";
    Live forwards_retention_days: u64 = "400", Whole(30, 36_500), "Days after which single forwards are dropped from the ledger; hourly sums stay for ever.";
    Live rebalance_min_profit: u64 = "10", Whole(0, 100_000_000), "Least expected profit (sats) of a rebalance.";
    Live rebalancer: String = "sling", Word(&["sling"]), "The plugin that moves liquidity.", was "rebalancer_plugin";
    Live daily_budget_sats: u64 = "5000", Whole(0, 10_000_000), "Sats that rebalancing may spend in any 24 hours.";
    Live min_wallet_reserve: u64 = "1000000", Whole(0, 100_000_000), "Sats (on-chain and outbound) below which nothing is rebalanced.";
    Live proportional_budget: bool = "true", Switch, "Let the budget grow with the revenue of the last 24 hours.", was "enable_proportional_budget";
    Live proportional_budget_pct: f64 = "0.30", SHARE, "Share of the last 24 hours' revenue that rebalancing may spend.";
    Live clboss_enabled: bool = "true", Switch, "Take the fees of the channels we price out of CLBoss's hands.";
    Live policy_file: String = "none", Path, "File of rules for channels, in charge-lnd's syntax (docs/policy-files.md), or `none`. `~` is the home directory. Reread when it changes.";
    Live htlc_congestion_threshold: f64 = "0.8", SHARE, "Share of a channel's outgoing payment slots in use above which its fee is driven up.";
    Live enable_reputation: bool = "true", Switch, "Weigh demand by how often the incoming peer's payments succeed.";
    Live reputation_decay: f64 = "0.98", SHARE, "What is left of a peer's record after each flow analysis.";
    Live enable_kelly: bool = "false", Switch, "Size rebalances by the Kelly criterion.";
    Live kelly_fraction: f64 = "0.5", SHARE, "Fraction of the Kelly size that is used.";
    Live vegas_reflex: bool = "true", Switch, "Raise the fee floor while block space is suddenly dear.", was "enable_vegas_reflex";
    Live vegas_decay: f64 = "0.85", SHARE, "What is left of the reflex's intensity after 30 minutes.", was "vegas_decay_rate";
    Live scarcity_pricing: bool = "true", Switch, "Raise the fee of channels that run out of local balance.", was "enable_scarcity_pricing";
    Live scarcity_threshold: f64 = "0.35", SHARE, "Share of local balance below which scarcity pricing begins.";
    Live hive_fee_ppm: u32 = "0", Whole(0, 100_000), "Outbound fee rate (ppm) toward peers with the strategy `hive`, also outside the limits.";
    Live hive_rebalance_tolerance: u64 = "50", Whole(0, 100_000), "Sats that a rebalance toward a hive peer may lose.";
    Live hive_enabled: String = "auto", Word(&["auto", "true", "false"]), "Whether to tell cl-hive of channels that are opened and closed; `auto`: when it is there; `true`: and warn if it is not.";
    Live rpc_timeout_seconds: u64 = "15", Whole(1, 300), "Seconds after which a call to the node is given up.";
    Live rpc_circuit_breaker_seconds: u64 = "60", Whole(0, 3600), "Seconds that a group of calls rests after a timeout, before one of them is tried again.";
    Live reservation_timeout_hours: u64 = "4", Whole(1, 24), "Hours after which a budget reservation without a running job is released.";

    Tune base_fee_msat: Option<u64> = "keep", WholeOrKeep(0, 4_294_967_295), "Base fee (msat) that is set with each fee change; `keep` leaves the operator's.";
    Tune rebalance_min_profit_ppm: u32 = "0", Whole(0, 100_000), "Least expected profit of a rebalance as a share of its amount (ppm); 0: `rebalance_min_profit` counts.";
    Tune rebalance_min_amount: u64 = "50000", Whole(1, 1_000_000_000), "Smallest rebalance, sats.";
    Tune rebalance_max_amount: u64 = "5000000", Whole(1, 10_000_000_000), "Largest rebalance, sats.";
    Tune sling_chunk_size_sats: u64 = "500000", Whole(1, 50_000_000), "Larger rebalances are made in parts of at most so many sats.";
    Tune inbound_fee_estimate_ppm: u32 = "500", Whole(0, 100_000), "What a rebalance is taken to cost beside the last peer's fee, where nothing better is known (ppm).";
    Tune max_concurrent_jobs: u32 = "5", Whole(1, 100), "Rebalances that are under way at a time.";
    Tune sling_job_timeout_seconds: u64 = "7200", Whole(60, 604_800), "Seconds after which a rebalance is stopped.";
    Tune gossip_hysteresis: f64 = "0.12", Number(0.01, 0.5), "Relative change of the fee from which on it is worth telling the network at once; half as much more for the third change of a day, and for each after it.";
    TuneAtStart seed: u64 = "1", Whole(0, u64::MAX), "Seed of the generator that varies timers; read when the plugin starts.";
}

/// From the text of a configuration file or a command to the type of the field.
trait FromText: Sized + serde::Serialize {
    fn from_text(text: &str) -> Option<Self>;

    /// As operators see it.
    fn json(&self) -> Value {
        json!(self)
    }
}

impl FromText for u64 {
    fn from_text(text: &str) -> Option<u64> {
        text.parse().ok()
    }
}

impl FromText for u32 {
    fn from_text(text: &str) -> Option<u32> {
        text.parse().ok()
    }
}

impl FromText for f64 {
    fn from_text(text: &str) -> Option<f64> {
        // No zero below zero.
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(|number| number + 0.0)
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl FromText for Option<u64> {
    fn from_text(text: &str) -> Option<Option<u64>> {
        if text == "keep" { Some(None) } else { text.parse().ok().map(Some) }
    }

    fn json(&self) -> Value {
        self.map_or_else(|| json!("keep"), |number| json!(number))
    }
}

impl Allowed {
    fn permits(self, text: &str) -> bool {
        match self {
            Whole(low, high) => u64::from_text(text).is_some_and(|n| (low..=high).contains(&n)),
            WholeOrKeep(..) if text == "keep" => true,
            WholeOrKeep(low, high) => Whole(low, high).permits(text),
            Number(low, high) => f64::from_text(text).is_some_and(|n| (low..=high).contains(&n)),
            Switch => bool::from_text(text).is_some(),
            Path => !text.is_empty(),
            Word(words) => words.contains(&text),
        }
    }

    /// In words, for errors and the manual.
    pub fn describe(self) -> String {
        match self {
            Whole(low, u64::MAX) => format!("a whole number from {low}"),
            Whole(low, high) => format!("a whole number from {low} to {high}"),
            WholeOrKeep(low, high) => format!("'keep' or a whole number from {low} to {high}"),
            Number(low, high) => format!("a number from {low} to {high}"),
            Switch => "true or false".to_owned(),
            Path => "a path".to_owned(),
            Word(words) => format!("'{}'", words.join("' or '")),
        }
    }
}

impl Spec {
    /// Name in lightningd's configuration.
    pub fn option_name(&self) -> String {
        format!("{PREFIX}{}", self.key.replace('_', "-"))
    }

    /// Is it an option of the node, or known to `revenue-config` only?
    pub fn in_manifest(&self) -> bool {
        !matches!(self.scope, Scope::Tune | Scope::TuneAtStart)
    }

    /// Does `setconfig` change it?
    pub fn is_dynamic(&self) -> bool {
        matches!(self.scope, Scope::Node | Scope::Live)
    }

    /// Does `revenue-config set` change it?
    pub fn is_tunable(&self) -> bool {
        matches!(self.scope, Scope::Live | Scope::Tune | Scope::TuneAtStart)
    }

    /// Does a change count before the plugin starts again?
    pub fn is_live(&self) -> bool {
        !matches!(self.scope, Scope::Start | Scope::TuneAtStart)
    }
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Source::Default => "default",
            Source::Config => "config",
            Source::Setconfig => "setconfig",
            Source::Override => "override",
        }
    }
}

/// Finds an option by its full name, its short key or an old spelling.
pub fn find(name: &str) -> Result<&'static Spec, OptionError> {
    let key = name.strip_prefix(PREFIX).unwrap_or(name).replace('-', "_");
    TABLE.iter().find(|spec| spec.key == key || spec.aliases.contains(&key.as_str())).ok_or_else(|| {
        let key = key.to_ascii_lowercase();
        if let Some(why) = former::why(&key) {
            return OptionError::Former { given: name.to_owned(), why };
        }
        let spelled =
            |spec: &'static Spec| std::iter::once(&spec.key).chain(spec.aliases).map(move |known| (spec.key, *known));
        let nearest = TABLE.iter().flat_map(spelled).map(|(own, known)| (edits(known, &key), own)).min();
        // Of a short word nearly every letter must be right: "all" is no misspelt "seed".
        let near = nearest.filter(|(edits, _)| edits * 3 <= key.len());
        OptionError::Unknown { given: name.to_owned(), nearest: near.filter(|_| !key.is_empty()).map(|(_, own)| own) }
    })
}

/// An option as operators write it.
fn written(key: &str) -> String {
    let spec = TABLE.iter().find(|spec| spec.key == key);
    spec.filter(|spec| spec.in_manifest()).map_or_else(|| key.to_owned(), Spec::option_name)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Texts by short key: what one source says.
pub type Settings = BTreeMap<&'static str, String>;

/// What each source says, weakest first. The strongest that speaks wins; see [`Layers::resolve`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    pub config: Settings,
    pub setconfig: Settings,
    pub overrides: Settings,
}

impl Layers {
    /// The one place that knows the order of precedence.
    pub fn source_of(&self, spec: &Spec) -> Source {
        [(&self.overrides, Source::Override), (&self.setconfig, Source::Setconfig), (&self.config, Source::Config)]
            .into_iter()
            .find(|(layer, _)| layer.contains_key(spec.key))
            .map_or(Source::Default, |(_, source)| source)
    }

    /// All options as they are in force, or the first thing that is wrong.
    pub fn resolve(&self) -> Result<Options, OptionError> {
        let mut options = Options::default();
        for layer in [&self.config, &self.setconfig, &self.overrides] {
            for (key, text) in layer {
                options.set(find(key)?, text)?;
            }
        }
        options.check()?;
        Ok(options)
    }
}

impl Options {
    /// Sets one option from text, within its range. Rules between options are [`Options::check`]'s.
    pub fn set(&mut self, spec: &'static Spec, text: &str) -> Result<(), OptionError> {
        let text = text.trim();
        let bad = || OptionError::Bad { key: spec.key, given: text.to_owned(), allowed: spec.allowed.describe() };
        if !spec.allowed.permits(text) {
            return Err(bad());
        }
        self.put(spec, text).ok_or_else(bad)
    }

    /// The rules between options.
    pub fn check(&self) -> Result<(), OptionError> {
        let order =
            |low: &'static str, low_value: u64, high: &'static str, high_value: u64| match low_value > high_value {
                true => Err(OptionError::Order {
                    low,
                    low_value: low_value.to_string(),
                    high,
                    high_value: high_value.to_string(),
                }),
                false => Ok(()),
            };
        order("min_fee_ppm", self.min_fee_ppm.into(), "max_fee_ppm", self.max_fee_ppm.into())?;
        order("rebalance_min_amount", self.rebalance_min_amount, "rebalance_max_amount", self.rebalance_max_amount)?;
        Ok(())
    }
}

/// The manual page, `docs/options.md`.
pub fn manual() -> String {
    let mut page = String::from(
        "# Options\n\n<!-- Made from the table in src/options.rs; `UPDATE_EXPECT=1 cargo test` rewrites it. -->\n\n\
         Set them in Core Lightning's configuration file or on its command line (`revenue-ops-min-fee-ppm=25`), with\n\
         `lightning-cli setconfig` while the node runs, or with `lightning-cli revenue-config set KEY VALUE`. The option's\n\
         full name and its short key (`min_fee_ppm`) are both understood, and so are the older spellings in the last column.\n\n\
         If several places set an option, `revenue-config set` wins over `setconfig`, and that over the configuration file.\n\
         A later `setconfig` removes the value that `revenue-config set` had kept. `revenue-config list` says which won;\n\
         a configured value that equals the default counts as the default.\n\n\
         Use `setconfig` only if `plugin=` is in the node's configuration: Core Lightning keeps the value in a file of its own,\n\
         and refuses to start with an option whose plugin it does not start. `transient=true` keeps nothing. And Core Lightning v26.06.6 falls\n\
         over (signal 11) if an option was set with `setconfig`, its plugin was stopped, and then *another* plugin is started: start\n\
         this one again first, or use `revenue-config set`.\n\n\
         Changes: **start**: in the node's configuration only, takes effect when the plugin starts. **node**: also with\n\
         `setconfig`. **live**: also with `revenue-config`; takes effect at the next step. **tune**: with `revenue-config` only.\n\n\
         Options marked *not in use yet* are accepted and checked, and do nothing until the feature that they belong to exists.\n\n\
         | Option | Default | Allowed | Changes | Meaning | Also known as |\n|---|---|---|---|---|---|\n",
    );
    for spec in TABLE {
        let name = if spec.in_manifest() { spec.option_name() } else { spec.key.to_owned() };
        let scope = match spec.scope {
            Scope::Start => "start",
            Scope::Node => "node",
            Scope::Live => "live",
            Scope::Tune | Scope::TuneAtStart => "tune",
        };
        let later = spec.later.map(|feature| format!(" *Not in use yet: {feature}.*")).unwrap_or_default();
        let aliases = spec.aliases.iter().map(|a| format!("`{a}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            page,
            "| `{name}` | `{}` | {} | {scope} | {}{later} | {aliases} |",
            spec.default,
            spec.allowed.describe(),
            spec.doc
        );
    }
    page.push_str(
        "\n## Options of the earlier plugin that do nothing here\n\n\
         They are refused by name, so that nobody believes them to be set.\n\n| Option | Why |\n|---|---|\n",
    );
    for (keys, why) in former::FORMER {
        let _ = writeln!(page, "| `{}` | {why} |", keys.join("`, `"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(config: &[(&'static str, &str)], overrides: &[(&'static str, &str)]) -> Layers {
        let settings = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        Layers { config: settings(config), setconfig: Settings::new(), overrides: settings(overrides) }
    }

    #[test]
    fn every_default_is_allowed_and_read_back() {
        let mut options = Options::default();
        for spec in TABLE {
            options.set(spec, spec.default).unwrap_or_else(|e| panic!("{e}"));
        }
        assert_eq!(options, Options::default());
        options.check().unwrap();
    }

    #[test]
    fn an_option_is_found_by_every_spelling() {
        for name in
            ["revenue-ops-vegas-reflex", "vegas_reflex", "enable_vegas_reflex", "revenue-ops-enable-vegas-reflex"]
        {
            assert_eq!(find(name).unwrap().key, "vegas_reflex", "{name}");
        }
        let error = find("revenue-ops-min-fee-pm").unwrap_err().to_string();
        assert_eq!(error, "unknown option 'revenue-ops-min-fee-pm'; did you mean 'min_fee_ppm'?");
        let error = find("MIN_FEE_PPM").unwrap_err().to_string();
        assert_eq!(error, "unknown option 'MIN_FEE_PPM'; did you mean 'min_fee_ppm'?");
        let error = find("ENABLE_VEGAS_REFLEX").unwrap_err().to_string();
        assert_eq!(error, "unknown option 'ENABLE_VEGAS_REFLEX'; did you mean 'vegas_reflex'?");
        for far in ["all", "", "fee", "revenue-ops-", "something"] {
            assert_eq!(find(far).unwrap_err().to_string(), format!("unknown option '{far}'"));
        }
    }

    #[test]
    fn an_option_of_the_earlier_plugin_is_refused_with_the_reason() {
        let error = find("source_threshold").unwrap_err().to_string();
        let why = "a channel is a source or a sink where twice as much goes one way as the other, whatever its size";
        assert_eq!(error, format!("option 'source_threshold' of the earlier plugin has no effect here: {why}"));
        for name in ["sling-max-hops", "revenue-ops-ema-smoothing-alpha", "ENABLE_VELOCITY_GATE"] {
            let error = find(name).unwrap_err();
            assert!(matches!(&error, OptionError::Former { given, .. } if given == name), "{error}");
        }
        let twice = former::FORMER.iter().flat_map(|(keys, _)| *keys).find(|key| TABLE.iter().any(|s| s.key == **key));
        assert_eq!(twice, None, "an option is either here or not");
    }

    #[test]
    fn there_is_one_zero() {
        let mut options = Options::default();
        options.set(find("vegas_decay").unwrap(), "-0").unwrap();
        assert_eq!(options.get(find("vegas_decay").unwrap()).to_string(), "0.0");
    }

    #[test]
    fn bad_values_are_refused_in_one_sentence() {
        let cases = [
            (
                "min_fee_ppm",
                "abc",
                "option 'revenue-ops-min-fee-ppm': 'abc' is not allowed; give a whole number from 0 to 100000",
            ),
            (
                "min_fee_ppm",
                "-1",
                "option 'revenue-ops-min-fee-ppm': '-1' is not allowed; give a whole number from 0 to 100000",
            ),
            (
                "scarcity_threshold",
                "NaN",
                "option 'revenue-ops-scarcity-threshold': 'NaN' is not allowed; give a number from 0 to 1",
            ),
            ("dry_run", "maybe", "option 'revenue-ops-dry-run': 'maybe' is not allowed; give true or false"),
            (
                "fee_interval",
                "0",
                "option 'revenue-ops-fee-interval': '0' is not allowed; give a whole number from 60 to 86400",
            ),
            (
                "hive_enabled",
                "perhaps",
                "option 'revenue-ops-hive-enabled': 'perhaps' is not allowed; give 'auto' or 'true' or 'false'",
            ),
            (
                "gossip_hysteresis",
                "NaN",
                "option 'gossip_hysteresis': 'NaN' is not allowed; give a number from 0.01 to 0.5",
            ),
        ];
        for (key, text, expected) in cases {
            let error = Options::default().set(find(key).unwrap(), text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn the_strongest_source_wins_and_is_named() {
        let layers = layers(&[("min_fee_ppm", "20"), ("fee_interval", "600")], &[("min_fee_ppm", "30")]);
        let options = layers.resolve().unwrap();
        assert_eq!((options.min_fee_ppm, options.fee_interval), (30, 600));
        assert_eq!(layers.source_of(find("min_fee_ppm").unwrap()), Source::Override);
        assert_eq!(layers.source_of(find("fee_interval").unwrap()), Source::Config);
        assert_eq!(layers.source_of(find("max_fee_ppm").unwrap()), Source::Default);
    }

    #[test]
    fn a_minimum_above_the_maximum_is_refused() {
        let error = layers(&[("min_fee_ppm", "6000")], &[]).resolve().unwrap_err().to_string();
        assert!(error.contains("'revenue-ops-min-fee-ppm' (6000)"), "{error}");
        assert!(error.contains("'revenue-ops-max-fee-ppm' (5000)"), "{error}");
    }
}
