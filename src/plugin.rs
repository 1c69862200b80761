//! Beside Core Lightning: register, wire, subscribe, disable with one reason. `init` is answered before anything slow begins:
//! the node is asked and the ledger opened afterwards.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use cln_plugin::messages::Configuration;
use cln_plugin::options::{DefaultStringConfigOption, Value as Given};
use cln_plugin::{Builder, ConfiguredPlugin, Plugin, RpcMethodBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::domain::time::{TIME_SCALE, TimeScale};
use crate::domain::{Clock, ScaledClock, SystemClock};
use crate::ledger::{Ledger, OpenError};
use crate::live::{self, Backoff, Event, Inbox, Pace};
use crate::node::cln::CoreLightning;
use crate::node::guard::{Guarded, Patience};
use crate::node::sling::Sling;
use crate::node::{Node, Rebalancer, at_home};
use crate::ops::{Ops, Settings};
use crate::options::{self, Layers, Options, TABLE};
use crate::rpc::{self, RpcError, Stage};

/// What handlers of commands hold.
type State = watch::Receiver<Stage>;

/// All that we hear of. No hooks: a payment must never wait for us.
const TOPICS: [&str; 6] =
    ["forward_event", "channel_state_changed", "channel_opened", "connect", "disconnect", "shutdown"];
/// Longest wait for the node's first answer, and for the ledger when we stop; lightningd grants more.
const FIRST_ANSWER: Duration = Duration::from_secs(15);
const CLOSING: Duration = Duration::from_millis(1500);

/// Speaks with lightningd until it says stop, or is gone.
pub async fn run() -> ExitCode {
    match serve(tokio::io::stdin(), tokio::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cl-revenue-ops: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve<I, O>(input: I, output: O) -> anyhow::Result<()>
where
    I: AsyncRead + Send + Unpin + 'static,
    O: AsyncWrite + Send + Unpin + 'static,
{
    // The handlers hold the only sender: when lightningd is gone, so are they, and the channel tells.
    let (stop, mut stopped) = watch::channel(false);
    let (inbox, events) = live::inbox();
    let builder = subscriptions(manifest(Builder::new(input, output)), inbox, stop);
    let Some(configured) = builder.configure().await? else { return Ok(()) };
    let wiring = match setup(&configured) {
        Ok(wiring) => wiring,
        Err(reason) => {
            // When lightningd itself starts us, it tells the reason to those only who read its log at level debug.
            tracing::warn!("does not run: {reason:#}");
            live::last_words().await;
            return configured.disable(&format!("{reason:#}")).await;
        }
    };
    let starting = Stage::Starting { settings: wiring.settings.clone(), doing: "waiting for the node".to_owned() };
    let (stage, seen) = watch::channel(starting);
    let plugin = configured.start(seen).await?;
    tracing::info!("version {} starts; its ledger is '{}'", env!("CARGO_PKG_VERSION"), wiring.path.display());
    tokio::select! {
        () = work(&wiring, &stage, events) => {}
        _ = stopped.wait_for(|stop| *stop) => {}
        _ = plugin.join() => {}
    }
    finish(&stage).await;
    Ok(())
}

/// Every option and every command, from their tables. All options are texts, so that we hear whatever the operator wrote.
fn manifest<I, O>(mut builder: Builder<State, I, O>) -> Builder<State, I, O>
where
    I: AsyncRead + Send + Unpin + 'static,
    O: AsyncWrite + Send + Unpin + 'static,
{
    for spec in TABLE.iter().filter(|spec| spec.in_manifest()) {
        let name = spec.option_name();
        let option = DefaultStringConfigOption::new_str_with_default(&name, spec.default, spec.doc);
        builder = builder.option(if spec.is_dynamic() { option.dynamic() } else { option });
    }
    for command in rpc::COMMANDS {
        let answer = move |plugin: Plugin<State>, params: Value| {
            let stage = plugin.state().clone();
            async move { rpc::answer(command, &params, stage).await.map_err(anyhow::Error::from) }
        };
        let method = RpcMethodBuilder::new(command.name, answer).description(command.about).usage(command.usage);
        builder = builder.rpcmethod_from_builder(method);
    }
    builder.dynamic().setconfig_callback(|plugin: Plugin<State>, params: Value| async move {
        setconfig(&params, plugin.state().clone()).await.map_err(anyhow::Error::from)
    })
}

/// cln-plugin runs each handler as a task of its own: only what happens before that task is in order.
fn subscriptions<I, O>(
    mut builder: Builder<State, I, O>,
    inbox: Inbox,
    stop: watch::Sender<bool>,
) -> Builder<State, I, O>
where
    I: AsyncRead + Send + Unpin + 'static,
    O: AsyncWrite + Send + Unpin + 'static,
{
    for topic in TOPICS {
        let (inbox, stop) = (inbox.clone(), stop.clone());
        builder = builder.subscribe(topic, move |_, params| {
            match topic {
                "shutdown" => drop(stop.send_replace(true)),
                _ => inbox.take(topic, &params),
            }
            std::future::ready(Ok(()))
        });
    }
    builder
}

/// lightningd believes whatever we accept, and does not start again with a value that we refuse then.
async fn setconfig(params: &Value, stage: State) -> Result<Value, RpcError> {
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    let (Some(name), Some(value)) = (text("config"), text("val")) else {
        return Err(RpcError::caller("setconfig needs a config and a val"));
    };
    // What is wrong by itself is said at once, also while the plugin starts.
    let tried = options::find(name).and_then(|spec| Options::default().set(spec, value));
    tried.map_err(|error| RpcError::caller(error.to_string()))?;
    rpc::ready(stage).await?.set_from_node(name, value).await?;
    Ok(json!({}))
}

/// Everything that can be said before the node is asked.
struct Wiring {
    settings: Settings,
    path: PathBuf,
    rpc_path: PathBuf,
    node: Arc<Guarded<CoreLightning>>,
    rebalancer: Arc<dyn Rebalancer>,
    clock: Arc<dyn Clock>,
    pace: Pace,
}

/// The cheap checks, and the wiring. An error is the one reason why the plugin disables itself.
fn setup<I, O>(configured: &ConfiguredPlugin<State, I, O>) -> anyhow::Result<Wiring>
where
    I: AsyncRead + Send + Unpin + 'static,
    O: AsyncWrite + Send + Unpin + 'static,
{
    let Configuration { lightning_dir, rpc_file, network, .. } = configured.configuration();
    let mut config = options::Settings::new();
    for spec in TABLE.iter().filter(|spec| spec.in_manifest()) {
        let text = configured.option_str(&spec.option_name())?.map(written).unwrap_or_default();
        if text.trim() != spec.default {
            config.insert(spec.key, text);
        }
    }
    let settings = Settings::new(Layers { config, ..Layers::default() })?;
    let path = ledger_path(&settings.now().db_path)?;
    let scale = time_scale(std::env::var(TIME_SCALE).ok().as_deref(), &network)?;
    // The last check, because it makes a file where there is none.
    crate::ledger::peek(&path)?;
    let clock: Arc<dyn Clock> = match scale {
        None => Arc::new(SystemClock),
        Some(TimeScale { factor, origin }) => Arc::new(ScaledClock::new(factor, origin)),
    };
    let rpc_path = Path::new(&lightning_dir).join(rpc_file);
    let watch = settings.watch();
    let patience = move || {
        let options = watch.borrow();
        Patience { timeout_secs: options.rpc_timeout_seconds, rest_secs: options.rpc_circuit_breaker_seconds }
    };
    let node = Guarded::new(CoreLightning::with_clock(&rpc_path, clock.clone()), clock.clone(), patience.clone());
    let sling = Guarded::new(Sling::new(&rpc_path), clock.clone(), patience);
    Ok(Wiring {
        settings,
        path,
        rpc_path,
        node: Arc::new(node),
        rebalancer: Arc::new(sling),
        clock,
        pace: Pace::new(scale.map(|scale| scale.factor)),
    })
}

/// From the node's first answer to its last: what runs as long as the plugin does.
async fn work(wiring: &Wiring, stage: &watch::Sender<Stage>, events: mpsc::Receiver<Event>) {
    let mut backoff = Backoff::new(wiring.pace);
    let ops = loop {
        match open(wiring, stage).await {
            Ok(ops) => break Arc::new(ops),
            Err(Trouble::Lasting(error)) => {
                drop(events);
                return disable(stage, wiring, &error).await;
            }
            Err(Trouble::Passing(error)) => {
                tracing::warn!("not ready yet, trying again: {error:#}");
                say(stage, wiring, format!("{error:#}"));
                backoff.wait().await;
            }
        }
    };
    stage.send_replace(Stage::Ready(ops.clone()));
    live::run(ops, wiring.pace, events).await;
}

/// Whose ledger it is we know only after `init`, when it is too late to decline; and lightningd takes it for a crash if we leave, and
/// goes down with us if we are important to it. So we stay, do nothing, and tell everybody who asks.
async fn disable(stage: &watch::Sender<Stage>, wiring: &Wiring, error: &OpenError) {
    let reason = format!("{error}; then start the plugin again");
    tracing::error!("does nothing: {reason}");
    stage.send_replace(Stage::Disabled { settings: wiring.settings.clone(), reason });
    std::future::pending().await
}

/// Why the steps cannot begin.
enum Trouble {
    /// It may be over soon: ask again.
    Passing(anyhow::Error),
    /// Only the operator can help.
    Lasting(OpenError),
}

async fn open(wiring: &Wiring, stage: &watch::Sender<Stage>) -> Result<Ops, Trouble> {
    // Not by way of the breakers: they would rest for a minute, while the node is just starting as well.
    let node = CoreLightning::new(&wiring.rpc_path);
    let answer = tokio::time::timeout(FIRST_ANSWER, node.identity()).await;
    let identity = answer
        .map_err(|_| anyhow!("the node does not answer"))
        .and_then(|identity| identity.map_err(anyhow::Error::from))
        .map_err(Trouble::Passing)?;
    say(stage, wiring, "opening the ledger".to_owned());
    let ledger = Ledger::open(&wiring.path, &identity, wiring.clock.now()).await.map_err(|error| match error {
        OpenError::Broken { .. } => Trouble::Passing(error.into()),
        _ => Trouble::Lasting(error),
    })?;
    let ops = Ops::new(identity, wiring.node.clone(), ledger, wiring.clock.clone(), wiring.settings.clone())
        .with_rebalancer(wiring.rebalancer.clone())
        .beside(wiring.node.clone())
        .with_books(wiring.node.clone());
    let loaded = async {
        ops.load_overrides().await.context("reading the options that the ledger keeps")?;
        ops.load_policies().await
    };
    match loaded.await {
        Ok(()) => Ok(ops),
        Err(error) => {
            ops.close().await;
            Err(OpenError::damage(&wiring.path, &error).map_or(Trouble::Passing(error), Trouble::Lasting))
        }
    }
}

fn say(stage: &watch::Sender<Stage>, wiring: &Wiring, doing: String) {
    stage.send_replace(Stage::Starting { settings: wiring.settings.clone(), doing });
}

/// Waits for the step that runs, if it ends soon; whatever is abandoned, the next start does again.
async fn finish(stage: &watch::Sender<Stage>) {
    let now = stage.borrow().clone();
    if let Stage::Ready(ops) = now
        && tokio::time::timeout(CLOSING, ops.close()).await.is_err()
    {
        tracing::warn!("stopped in the middle of a step; the next start goes on from there");
    }
    live::last_words().await;
}

/// As the operator wrote it, whatever type it came in.
fn written(value: Given) -> String {
    match value {
        Given::String(text) => text,
        Given::Integer(number) => number.to_string(),
        Given::Boolean(yes) => yes.to_string(),
        Given::StringArray(texts) => texts.last().cloned().unwrap_or_default(),
        Given::IntegerArray(numbers) => numbers.last().map(i64::to_string).unwrap_or_default(),
    }
}

/// Where the ledger is.
fn ledger_path(given: &str) -> anyhow::Result<PathBuf> {
    at_home(given, std::env::home_dir()).with_context(|| {
        format!("option 'revenue-ops-db-path': the home directory in '{given}' is not known; give the whole path")
    })
}

/// How many times as fast as usual time passes.
fn time_scale(given: Option<&str>, network: &str) -> anyhow::Result<Option<TimeScale>> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    if network == "bitcoin" {
        bail!("{TIME_SCALE} is for test networks; unset it on '{network}'");
    }
    match text.parse() {
        Ok(scale) => Ok(Some(scale)),
        Err(_) => bail!("{TIME_SCALE}: '{text}' is not allowed; give a number from 1 to 1000000"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_scaled_on_test_networks_only() {
        assert_eq!(time_scale(None, "bitcoin").unwrap(), None);
        let factor = |text| time_scale(Some(text), "regtest").unwrap().map(|scale| scale.factor);
        assert_eq!((factor("60"), factor("60@5:7")), (Some(60.0), Some(60.0)));
        let bad = ["0.5", "NaN", "fast", "60@", "60@5", "60@5:x", "1000001"].map(|text| (text, "signet"));
        for (text, network) in bad.into_iter().chain([("60", "bitcoin")]) {
            assert!(time_scale(Some(text), network).is_err(), "{text} on {network}");
        }
    }
}
