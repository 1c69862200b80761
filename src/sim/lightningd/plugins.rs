//! Starting and stopping plugins as `plugin start` and `plugin stop` do, and listening to what they say unasked.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::host::{Manifest, Plugin, stamp};
use super::wire::{Answer, Params, RpcError, as_text};
use super::{Ending, Lightningd, commands};

/// How long a plugin has between `shutdown` and its end.
const GRACE: Duration = Duration::from_secs(30);
/// How long a plugin may think over `getmanifest` and `init`.
const PATIENCE: Duration = Duration::from_secs(60);
/// What lightningd says of a plugin that did not come up.
const PLUGIN_ERROR: i64 = -3;

impl Lightningd {
    pub(super) fn plugins(&self) -> MutexGuard<'_, Vec<Arc<Plugin>>> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plugin that answers a command.
    pub(super) fn plugin_for(&self, method: &str) -> Option<Arc<Plugin>> {
        self.plugins().iter().find(|p| p.is_active() && p.method_names().contains(&method)).cloned()
    }

    /// `plugin start|stop|list`.
    pub(super) async fn manage(self: &Arc<Self>, params: &Value) -> Answer {
        let first = if params.is_array() { params.get(0) } else { params.get("subcommand") };
        let subcommand =
            first.map(as_text).ok_or_else(|| RpcError::params("missing required parameter: subcommand"))?;
        match subcommand.as_str() {
            "list" => Ok(self.listing("list")),
            "start" => {
                let (path, options) = start_params(params)?;
                self.start_plugin(&path, &options, false).await?;
                Ok(self.listing("start"))
            }
            "stop" => {
                let params = Params::read(params, &["subcommand", "plugin"])?;
                self.stop_plugin(&params.required_text("plugin")?).await
            }
            "startdir" | "rescan" => Err(RpcError::params(format!("'{subcommand}' is not simulated"))),
            _ => Err(RpcError::token("subcommand", &format!("unknown subcommand {subcommand}"))),
        }
    }

    fn listing(&self, command: &str) -> Value {
        let plugins = self.plugins();
        let line = |p: &Arc<Plugin>| json!({"name": p.path, "active": p.is_active(), "dynamic": p.manifest().dynamic});
        json!({"command": command, "plugins": plugins.iter().map(line).collect::<Vec<_>>()})
    }

    pub(super) async fn start_plugin(
        self: &Arc<Self>,
        given: &Path,
        options: &Map<String, Value>,
        startup: bool,
    ) -> Result<(), RpcError> {
        let _one_at_a_time = self.managing.lock().await;
        let missing = |_| format!("{} is not executable: No such file or directory", given.display());
        let path = given.canonicalize().map_err(missing).map_err(RpcError::params)?;
        let same = self.plugins().iter().find(|p| p.path == path).cloned();
        if let Some(old) = same {
            if old.stamp == stamp(&path) {
                return Err(RpcError::params(format!("{}: Invalid argument", given.display())));
            }
            self.finish(&old).await;
        }
        let (heard, hears) = mpsc::unbounded_channel();
        let plugin = Plugin::spawn(&path, self.socket_dir(), self.time_scale(), heard)
            .map_err(|error| RpcError::params(format!("{} is not executable: {error}", given.display())))?;
        self.plugins().push(plugin.clone());
        tokio::spawn(listen(self.clone(), plugin.clone(), hears));
        if let Err(why) = self.introduce(&plugin, options, startup).await {
            plugin.kill().await;
            self.forget(&plugin);
            return Err(RpcError::new(PLUGIN_ERROR, format!("{}: {why}", given.display())));
        }
        plugin.active.store(true, Ordering::SeqCst);
        self.log("INFO", &format!("plugin-{}", plugin.name), "started");
        self.notify("plugin_started", &about(&plugin));
        Ok(())
    }

    /// `getmanifest`, the checks, `init`.
    async fn introduce(&self, plugin: &Plugin, given: &Map<String, Value>, startup: bool) -> Result<(), String> {
        let id = format!("cln:getmanifest#{}", self.next_id());
        let params = json!({"allow-deprecated-apis": true});
        let manifest = ask(plugin, id, "getmanifest", &params).await?;
        let manifest = Manifest::read(&manifest, &plugin.path);
        if let Some(why) = &manifest.disabled {
            return Err(format!("disabled itself: {why}"));
        }
        if !startup && !manifest.dynamic {
            return Err("Not a dynamic plugin".to_owned());
        }
        if let Some((method, _)) = manifest.methods.iter().find(|(method, _)| self.is_taken(method)) {
            return Err(format!("Method \"{method}\" already registered"));
        }
        let options = manifest.options.clone();
        let _ = plugin.manifest.set(manifest);
        let options = {
            let mut configs = self.configs();
            options.into_iter().try_for_each(|option| configs.declare(option))?;
            configs.start_with(&plugin.path, given)?;
            configs.init_options(&plugin.path)?
        };
        let id = format!("cln:init#{}", self.next_id());
        let answer = ask(plugin, id, "init", &self.init_params(&options, startup)).await?;
        match answer["disable"].as_str() {
            Some(why) => Err(format!("disabled itself at init: {why}")),
            None => Ok(()),
        }
    }

    fn is_taken(&self, method: &str) -> bool {
        commands::BUILTIN.iter().any(|(name, _)| *name == method) || self.plugin_for(method).is_some()
    }

    fn init_params(&self, options: &Value, startup: bool) -> Value {
        json!({
            "options": options,
            "configuration": {
                "lightning-dir": self.socket_dir(),
                "rpc-file": "lightning-rpc",
                "startup": startup,
                "network": super::NETWORK,
                "feature_set": {
                    "init": super::channels::FEATURES,
                    "node": "808898880a8a59a1",
                    "channel": "",
                    "invoice": "02000002024100",
                    "bolt12_offer": "",
                    "bolt12_invreq": "",
                    "bolt12_invoice": "020000",
                    "channel_type": "08800000800000",
                },
            },
        })
    }

    async fn stop_plugin(&self, name: &str) -> Answer {
        let _one_at_a_time = self.managing.lock().await;
        let found = self.plugins().iter().find(|p| p.name == name || p.path == Path::new(name)).cloned();
        let Some(plugin) = found.filter(|p| p.is_active()) else {
            return Err(RpcError::params(format!("Could not find plugin {name}")));
        };
        if !plugin.manifest().dynamic {
            return Err(RpcError::params(format!("{} cannot be managed when lightningd is up", plugin.name)));
        }
        self.finish(&plugin).await;
        Ok(json!({"command": "stop", "result": format!("Successfully stopped {}.", plugin.name)}))
    }

    /// Who asked for `shutdown` is told and has its grace; all others are killed at once.
    async fn finish(&self, plugin: &Arc<Plugin>) {
        if plugin.is_active() && plugin.manifest().subscribes("shutdown") {
            plugin.send(&json!({"jsonrpc": "2.0", "method": "shutdown", "params": {"shutdown": {}}}));
            let _ = tokio::time::timeout(GRACE, plugin.ended()).await;
        }
        plugin.kill().await;
        self.forget(plugin);
    }

    pub(super) async fn stop_all(self: &Arc<Self>) {
        let plugins = self.plugins().clone();
        let mut stopping = tokio::task::JoinSet::new();
        for plugin in plugins {
            let lightningd = self.clone();
            stopping.spawn(async move { lightningd.finish(&plugin).await });
        }
        stopping.join_all().await;
    }

    /// Its commands and options are unknown from now on.
    fn forget(&self, plugin: &Arc<Plugin>) {
        let before = self.plugins().len();
        self.plugins().retain(|other| !Arc::ptr_eq(other, plugin));
        if self.plugins().len() < before {
            self.configs().forget(&plugin.path);
            self.notify("plugin_stopped", &about(plugin));
        }
    }

    /// A notification of a plugin: for the log, for a caller, or for other plugins.
    fn heard(&self, plugin: &Plugin, message: &Value) {
        let topic = message["method"].as_str().unwrap_or_default();
        let source = format!("plugin-{}", plugin.name);
        match topic {
            "log" => {
                let level = message["params"]["level"].as_str().unwrap_or("info");
                let text = message["params"]["message"].as_str().unwrap_or_default();
                self.log(&level.to_uppercase(), &source, text);
                self.warn(level, &source, text);
            }
            "message" | "progress" => plugin.pass_progress(message),
            _ if plugin.manifest().notifications.iter().any(|known| known == topic) => {
                let mut message = message.clone();
                message["origin"] = json!(plugin.name);
                message["jsonrpc"] = json!("2.0");
                self.publish(topic, &message);
            }
            _ => self.log("UNUSUAL", &source, &format!("sent a notification on an unregistered topic \"{topic}\"")),
        }
    }

    /// Grave lines of the log are notifications too.
    fn warn(&self, level: &str, source: &str, text: &str) {
        let level = match level {
            "warn" | "unusual" => "warn",
            "error" | "broken" => "error",
            _ => return,
        };
        let now = self.node.now();
        let time = format!("{}.{:03}000000", now.secs(), now.0.rem_euclid(1000));
        let timestamp = super::channels::timestamp(now);
        let warning = json!({"level": level, "time": time, "timestamp": timestamp, "source": source, "log": text});
        self.notify("warning", &warning);
    }

    /// `setconfig config val [transient]`.
    pub(super) async fn setconfig(&self, params: &Params, id: &Value) -> Answer {
        let name = params.required_text("config")?;
        let value = params.text("val").unwrap_or_else(|| "true".to_owned());
        let transient = params.boolean("transient")?.unwrap_or(false);
        let owner = self.configs().dynamic(&name)?.plugin.clone();
        let plugin = owner.and_then(|path| self.plugins().iter().find(|p| p.path == path).cloned());
        if let Some(plugin) = plugin {
            let id = self.plugin_id(id, "setconfig");
            plugin.call(id, "setconfig", &json!({"config": name, "val": value}), None).await?;
        }
        let kept = self.configs().keep(&name, &value, transient);
        kept.map_err(|fatal| {
            self.end(Ending::Died(fatal.0.clone()));
            RpcError::new(-32603, fatal.0)
        })
    }

    /// The id of a request that is passed on: the caller's, if it is text, and ours.
    pub(super) fn plugin_id(&self, id: &Value, method: &str) -> String {
        let ours = format!("cln:{method}#{}", self.next_id());
        id.as_str().map_or(ours.clone(), |theirs| format!("{theirs}/{ours}"))
    }
}

/// The plugin's path and the options that it is started with.
fn start_params(params: &Value) -> Result<(PathBuf, Map<String, Value>), RpcError> {
    let mut options = Map::new();
    let path = match params {
        Value::Array(values) => {
            for option in values.iter().skip(2).map(as_text) {
                let (name, value) = option.split_once('=').unwrap_or((&option, "true"));
                options.insert(name.to_owned(), json!(value));
            }
            values.get(1).map(as_text)
        }
        _ => {
            let known = ["subcommand", "plugin"];
            let given = params.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str()));
            options.extend(given.map(|(name, value)| (name.clone(), value.clone())));
            params.get("plugin").map(as_text)
        }
    };
    let path = path.ok_or_else(|| RpcError::params("missing required parameter: plugin"))?;
    Ok((PathBuf::from(path), options))
}

async fn ask(plugin: &Plugin, id: String, method: &str, params: &Value) -> Result<Value, String> {
    match tokio::time::timeout(PATIENCE, plugin.call(id, method, params, None)).await {
        Err(_) => Err(format!("did not reply to {method} within {} s", PATIENCE.as_secs())),
        Ok(Err(_)) if plugin.is_gone() => Err(format!("exited before replying to {method}")),
        Ok(Err(error)) => Err(format!("replied to {method} with an error: {}", error.message)),
        Ok(Ok(answer)) => Ok(answer),
    }
}

fn about(plugin: &Plugin) -> Value {
    json!({"plugin_name": plugin.name, "plugin_path": plugin.path, "methods": plugin.method_names()})
}

/// Until the plugin's end, which may be a crash.
async fn listen(lightningd: Arc<Lightningd>, plugin: Arc<Plugin>, mut hears: mpsc::UnboundedReceiver<Value>) {
    while let Some(message) = hears.recv().await {
        lightningd.heard(&plugin, &message);
    }
    plugin.ended().await;
    let source = format!("plugin-{}", plugin.name);
    let known = lightningd.plugins().iter().any(|other| Arc::ptr_eq(other, &plugin));
    if known {
        lightningd.log("INFO", &source, "Killing plugin: exited");
        lightningd.forget(&plugin);
    }
}
