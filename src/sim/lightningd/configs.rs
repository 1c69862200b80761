//! Options: what plugins declared, what was set where, and how that reads in `init` and `listconfigs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::wire::{RpcError, as_text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Bool,
    Flag,
}

/// One option, as its plugin declared it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    pub name: String,
    pub kind: Kind,
    pub default: Option<Value>,
    pub dynamic: bool,
    pub multi: bool,
    pub plugin: Option<PathBuf>,
}

impl Declared {
    pub(super) fn read(option: &Value, plugin: &Path) -> Option<Declared> {
        let kind = match option["type"].as_str().unwrap_or("string") {
            "int" => Kind::Int,
            "bool" => Kind::Bool,
            "flag" => Kind::Flag,
            _ => Kind::Text,
        };
        Some(Declared {
            name: option["name"].as_str()?.to_owned(),
            kind,
            default: option.get("default").filter(|default| !default.is_null()).cloned(),
            dynamic: option["dynamic"].as_bool().unwrap_or(false),
            multi: option["multi"].as_bool().unwrap_or(false),
            plugin: Some(plugin.to_owned()),
        })
    }

    fn parse(&self, text: &str) -> Result<Value, String> {
        match self.kind {
            Kind::Text => Ok(json!(text)),
            Kind::Int => text.parse::<i64>().map(Value::from).map_err(|_| format!("'{text}' is not a number")),
            Kind::Bool | Kind::Flag => match text {
                "true" | "1" | "yes" | "on" | "" => Ok(json!(true)),
                "false" | "0" | "no" | "off" => Ok(json!(false)),
                _ => Err(format!("'{text}' is not a bool")),
            },
        }
    }
}

/// Options of lightningd itself that anybody might look for.
fn builtin() -> Vec<Declared> {
    let row = |name: &str, kind, default: Value| Declared {
        name: name.to_owned(),
        kind,
        default: Some(default),
        dynamic: false,
        multi: false,
        plugin: None,
    };
    let mut rows = vec![
        row("network", Kind::Text, json!("regtest")),
        row("rpc-file", Kind::Text, json!("lightning-rpc")),
        row("allow-deprecated-apis", Kind::Bool, json!(true)),
        row("alias", Kind::Text, json!("SIM")),
        row("log-level", Kind::Text, json!("info")),
        row("ignore-fee-limits", Kind::Bool, json!(true)),
        row("fee-base", Kind::Int, json!(1)),
        row("fee-per-satoshi", Kind::Int, json!(10)),
        row("cltv-delta", Kind::Int, json!(6)),
        row("cltv-final", Kind::Int, json!(10)),
        row("max-concurrent-htlcs", Kind::Int, json!(483)),
        row("min-capacity-sat", Kind::Int, json!(10_000)),
        row("offline", Kind::Flag, json!(false)),
    ];
    rows.iter_mut().filter(|row| row.name == "min-capacity-sat").for_each(|row| row.dynamic = true);
    rows
}

#[derive(Debug)]
pub(super) struct Configs {
    network_dir: PathBuf,
    declared: BTreeMap<String, Declared>,
    /// Also by plugins that are gone: as at lightningd's start, one that disables itself has claimed its options.
    claimed: BTreeSet<String>,
    cmdline: Vec<(String, String)>,
    /// The lines of `config.setconfig`.
    kept: Vec<(String, String)>,
    transient: BTreeMap<String, String>,
    /// From `plugin start`.
    started: BTreeMap<String, Vec<String>>,
}

const HEADER: &str = "# Created and update by setconfig, but you can edit this manually when node is stopped.";

impl Configs {
    /// Takes in what earlier `setconfig`s left.
    pub(super) fn open(network_dir: &Path, cmdline: Vec<(String, String)>) -> std::io::Result<Configs> {
        let text = match std::fs::read_to_string(network_dir.join("config.setconfig")) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        Ok(Configs {
            claimed: BTreeSet::new(),
            network_dir: network_dir.to_owned(),
            declared: builtin().into_iter().map(|row| (row.name.clone(), row)).collect(),
            cmdline,
            kept: lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            transient: BTreeMap::new(),
            started: BTreeMap::new(),
        })
    }

    pub(super) fn declare(&mut self, option: Declared) -> Result<(), String> {
        if self.declared.contains_key(&option.name) {
            return Err(format!("Option \"{}\" already registered", option.name));
        }
        self.claimed.insert(option.name.clone());
        self.declared.insert(option.name.clone(), option);
        Ok(())
    }

    /// What `plugin start` was given; an option that the plugin does not have is refused.
    pub(super) fn start_with(&mut self, plugin: &Path, given: &Map<String, Value>) -> Result<(), String> {
        for (name, value) in given {
            let known = self.declared.get(name).is_some_and(|option| option.plugin.as_deref() == Some(plugin));
            if !known {
                return Err(format!("unknown parameter {name}"));
            }
            let values = match value {
                Value::Array(values) => values.iter().map(as_text).collect(),
                value => vec![as_text(value)],
            };
            self.started.insert(name.clone(), values);
        }
        Ok(())
    }

    /// The options of a plugin that is gone are unknown again.
    pub(super) fn forget(&mut self, plugin: &Path) {
        let started = &mut self.started;
        self.declared.retain(|name, option| {
            let gone = option.plugin.as_deref() == Some(plugin);
            if gone {
                started.remove(name);
            }
            !gone
        });
    }

    /// Settings of options that nobody declared.
    pub(super) fn unclaimed(&self) -> Option<String> {
        let path = self.network_dir.join("config.setconfig");
        let kept = (2..).zip(&self.kept).find(|(_, (name, _))| !self.claimed.contains(name));
        if let Some((line, (name, value))) = kept {
            return Some(format!("Config file {} line {line}: {name}={value}: unknown option", path.display()));
        }
        let given = self.cmdline.iter().find(|(name, _)| !self.claimed.contains(name));
        given.map(|(name, value)| format!("--{name}={value}: unknown option"))
    }

    /// Texts and their sources; the strongest source alone.
    fn values(&self, name: &str) -> Option<Vec<(String, String)>> {
        if let Some(values) = self.started.get(name) {
            return Some(values.iter().map(|value| (value.clone(), "pluginstart".to_owned())).collect());
        }
        if let Some(value) = self.transient.get(name) {
            return Some(vec![(value.clone(), "setconfig transient".to_owned())]);
        }
        let file = self.network_dir.join("config.setconfig");
        let kept = (2..).zip(&self.kept).find(|(_, (kept, _))| kept == name);
        if let Some((line, (_, value))) = kept {
            return Some(vec![(value.clone(), format!("{}:{line}", file.display()))]);
        }
        let given = self.cmdline.iter().filter(|(given, _)| given == name);
        let given: Vec<_> = given.map(|(_, value)| (value.clone(), "cmdline".to_owned())).collect();
        (!given.is_empty()).then_some(given)
    }

    /// `options` of a plugin's `init`: absent if unset and without default, and an unset flag is absent.
    pub(super) fn init_options(&self, plugin: &Path) -> Result<Value, String> {
        let mut options = Map::new();
        for option in self.declared.values().filter(|option| option.plugin.as_deref() == Some(plugin)) {
            if let Some(value) = self.init_value(option)? {
                options.insert(option.name.clone(), value);
            }
        }
        Ok(Value::Object(options))
    }

    fn init_value(&self, option: &Declared) -> Result<Option<Value>, String> {
        let Some(values) = self.values(&option.name) else {
            let default = option.default.clone().filter(|_| option.kind != Kind::Flag);
            return Ok(default.map(|value| if option.multi && !value.is_array() { json!([value]) } else { value }));
        };
        let values = values.iter().map(|(text, _)| option.parse(text)).collect::<Result<Vec<_>, _>>()?;
        if option.multi {
            return Ok(Some(Value::Array(values)));
        }
        let value = values.into_iter().next_back();
        Ok(value.filter(|value| option.kind != Kind::Flag || *value == json!(true)))
    }

    /// One or all, as `listconfigs` shows them.
    pub(super) fn list(&self, wanted: Option<&str>) -> Result<Value, RpcError> {
        let known = wanted.is_none_or(|name| self.declared.contains_key(name));
        if !known {
            return Err(RpcError::token("config", "Unknown config option"));
        }
        let mut shown = Map::new();
        for option in self.declared.values().filter(|option| wanted.is_none_or(|name| name == option.name)) {
            if let Some(line) = self.line(option) {
                shown.insert(option.name.clone(), line);
            }
        }
        Ok(json!({ "configs": shown }))
    }

    fn line(&self, option: &Declared) -> Option<Value> {
        let values = self.values(&option.name);
        let mut line = if option.multi {
            let values = values.unwrap_or_default();
            let (texts, sources): (Vec<_>, Vec<_>) = values.into_iter().unzip();
            json!({"values_str": texts, "sources": sources})
        } else {
            let (value, source) = match values.and_then(|mut values| values.pop()) {
                // A text that lightningd cannot read shows as false or 0.
                Some((text, source)) => (option.parse(&text).unwrap_or(json!(false)), source),
                None => (option.default.clone()?, "default".to_owned()),
            };
            let name = match option.kind {
                Kind::Text => "value_str",
                Kind::Int => "value_int",
                Kind::Bool => "value_bool",
                Kind::Flag => "set",
            };
            json!({name: value, "source": source})
        };
        if let Some(plugin) = &option.plugin {
            line["plugin"] = json!(plugin);
        }
        if option.dynamic {
            line["dynamic"] = json!(true);
        }
        Some(line)
    }

    /// The option that `setconfig` may change.
    pub(super) fn dynamic(&self, name: &str) -> Result<&Declared, RpcError> {
        let option = self.declared.get(name).ok_or_else(|| RpcError::token("config", "Unknown config option"))?;
        if !option.dynamic {
            return Err(RpcError::token("config", "Not a dynamic config option"));
        }
        Ok(option)
    }

    /// Keeps a value that the plugin accepted, and answers as `setconfig` does. An accepted number that is none kills
    /// lightningd, so it comes back as what it dies of.
    pub(super) fn keep(&mut self, name: &str, value: &str, transient: bool) -> Result<Value, Fatal> {
        self.started.remove(name);
        if transient {
            self.transient.insert(name.to_owned(), value.to_owned());
        } else {
            self.transient.remove(name);
            match self.kept.iter_mut().find(|(kept, _)| kept == name) {
                Some(row) => value.clone_into(&mut row.1),
                None => self.kept.push((name.to_owned(), value.to_owned())),
            }
            self.write().map_err(|error| Fatal(format!("Could not write config.setconfig: {error}")))?;
        }
        let option = self.declared.get(name).ok_or_else(|| Fatal(format!("{name} vanished")))?;
        if option.kind == Kind::Int && option.parse(value).is_err() {
            return Err(Fatal(format!("Bad literal for --{name}: {value}")));
        }
        let mut line = json!({ "config": name });
        if let (Value::Object(line), Some(Value::Object(fields))) = (&mut line, self.line(option)) {
            line.extend(fields);
        }
        Ok(json!({ "config": line }))
    }

    fn write(&self) -> std::io::Result<()> {
        let mut text = format!("{HEADER}\n");
        for (name, value) in &self.kept {
            text.push_str(&format!("{name}={value}\n"));
        }
        std::fs::write(self.network_dir.join("config.setconfig"), text)
    }
}

/// What lightningd would die of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fatal(pub String);
