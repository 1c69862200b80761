//! The market as a process that behaves as lightningd: serves `lightning-rpc` and hosts plugins over the real protocol. It knows
//! nothing of our own plugin.

mod askrene;
mod channels;
mod coins;
mod commands;
mod configs;
mod forwards;
mod host;
mod neighbours;
mod plugins;
mod setchannel;
mod sling;
mod tricks;
mod wire;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use self::configs::Configs;
use self::host::{Caller, Plugin};
use self::wire::{INVALID_REQUEST, Request, RpcError, Splitter, filtered, framed, reply};
use super::market::News;
use super::node::SimNode;
use crate::domain::time::TimeScale;
use crate::domain::{Clock as _, SystemClock, Time};

/// How often the market is brought up to the clock.
const TICK: Duration = Duration::from_millis(50);
/// How long a market that runs faster waits for its plugins: at 60,000 times a second of starting would be most of a day.
const WARM_UP: Duration = Duration::from_secs(3);
const GOSSIP_STORE_VERSION: u8 = 16;
/// All that is played here is this network.
pub const NETWORK: &str = "regtest";

#[derive(Clone, Debug)]
pub struct Config {
    /// As `--lightning-dir`; the socket is in its subdirectory of the network's name.
    pub lightning_dir: PathBuf,
    pub plugins: Vec<PathBuf>,
    /// As in lightningd's configuration file.
    pub options: Vec<(String, String)>,
    /// Seconds of the market in one of ours; 0: time moves by `sim-advance` alone.
    pub speed: f64,
    /// The log goes to the file only.
    pub quiet: bool,
}

/// The running process. All handlers share it.
struct Lightningd {
    config: Config,
    network_dir: PathBuf,
    node: Arc<SimNode>,
    /// Of the clock and of the market; and on the machine's clock, for plugins.
    began: (Instant, Time),
    began_at: Time,
    /// What `sim-advance` added (ms).
    skipped: AtomicU64,
    configs: Mutex<Configs>,
    plugins: Mutex<Vec<Arc<Plugin>>>,
    /// One plugin starts or stops at a time.
    managing: tokio::sync::Mutex<()>,
    tricks: Mutex<tricks::Tricks>,
    ids: AtomicU64,
    /// Changes with every tick that brought news.
    ticks: watch::Sender<u64>,
    /// Why the process ends.
    ending: watch::Sender<Option<Ending>>,
    log: Mutex<std::fs::File>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    Stopped,
    Died(String),
}

/// Serves until it is stopped by `stop`, a signal, or what would kill lightningd. The market goes on from where it stands.
pub async fn serve(node: Arc<SimNode>, config: Config) -> anyhow::Result<()> {
    let network_dir = config.lightning_dir.join(NETWORK);
    std::fs::create_dir_all(&network_dir).with_context(|| format!("cannot make {}", network_dir.display()))?;
    let network_dir = network_dir.canonicalize()?;
    let socket = network_dir.join("lightning-rpc");
    if UnixStream::connect(&socket).await.is_ok() {
        anyhow::bail!("somebody serves {} already", socket.display());
    }
    let _ = std::fs::remove_file(&socket);
    // Plugins that read the gossip from its file find an empty one.
    std::fs::write(network_dir.join("gossip_store"), [GOSSIP_STORE_VERSION])?;
    let lightningd = Arc::new(Lightningd::new(node, config, network_dir)?);
    let listener = UnixListener::bind(&socket).with_context(|| format!("cannot serve {}", socket.display()))?;
    tokio::spawn(accept(lightningd.clone(), listener));
    let ticking = tokio::spawn(tick(lightningd.clone()));
    let ending = lightningd.run().await;
    ticking.abort();
    let _ = std::fs::remove_file(&socket);
    match ending? {
        Ending::Stopped => Ok(()),
        Ending::Died(why) => anyhow::bail!("{why}"),
    }
}

impl Lightningd {
    fn new(node: Arc<SimNode>, config: Config, network_dir: PathBuf) -> anyhow::Result<Lightningd> {
        let log = config.lightning_dir.join("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let configs = Configs::open(&network_dir, config.options.clone())?;
        let now = node.now();
        let warm_up = if config.speed > 1.0 { WARM_UP } else { Duration::ZERO };
        node.market().tell_news();
        Ok(Lightningd {
            config,
            network_dir,
            began: (Instant::now() + warm_up, now),
            began_at: SystemClock.now().plus_hours(warm_up.as_secs_f64() / 3600.0),
            node,
            skipped: AtomicU64::new(0),
            configs: Mutex::new(configs),
            plugins: Mutex::default(),
            managing: tokio::sync::Mutex::default(),
            tricks: Mutex::default(),
            ids: AtomicU64::new(1),
            ticks: watch::Sender::new(0),
            ending: watch::Sender::new(None),
            log: Mutex::new(log),
        })
    }

    /// Boot, wait for an end, shut down.
    async fn run(self: &Arc<Self>) -> anyhow::Result<Ending> {
        let booted = self.boot().await;
        let ending = match booted {
            Ok(()) => self.wait_for_the_end().await?,
            Err(why) => Ending::Died(why),
        };
        if let Ending::Died(why) = &ending {
            self.log("BROKEN", "lightningd", why);
        }
        self.stop_all().await;
        Ok(ending)
    }

    async fn boot(self: &Arc<Self>) -> Result<(), String> {
        for path in self.config.plugins.clone() {
            let path = std::path::absolute(&path).map_err(|error| error.to_string())?;
            let started = self.start_plugin(&path, &serde_json::Map::new(), true).await;
            // As at lightningd's start: a plugin that is not there is fatal, one that disables itself is not.
            match started {
                Err(error) if error.code == wire::INVALID_PARAMS => return Err(error.message),
                Err(error) => self.log("INFO", "lightningd", &error.message),
                Ok(()) => {}
            }
        }
        let unclaimed = self.configs().unclaimed();
        unclaimed.map_or(Ok(()), Err)
    }

    async fn wait_for_the_end(&self) -> anyhow::Result<Ending> {
        let mut ending = self.ending.subscribe();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let ending = tokio::select! {
            ended = ending.wait_for(Option::is_some) => ended?.clone(),
            _ = terminate.recv() => None,
            interrupted = tokio::signal::ctrl_c() => { interrupted?; None }
        };
        Ok(ending.unwrap_or(Ending::Stopped))
    }

    fn end(&self, ending: Ending) {
        self.ending.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(ending);
            }
            first
        });
    }

    fn configs(&self) -> MutexGuard<'_, Configs> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tricks(&self) -> MutexGuard<'_, tricks::Tricks> {
        self.tricks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// To the file, and to people unless they want quiet.
    fn log(&self, level: &str, source: &str, text: &str) {
        let line = format!("{} {level:<7} {source}: {text}\n", channels::timestamp(self.node.now()));
        let mut file = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = file.write_all(line.as_bytes());
        if !self.config.quiet {
            eprint!("{line}");
        }
    }

    /// Where the market's time should be.
    fn time_now(&self) -> Time {
        let passed = self.began.0.elapsed().as_secs_f64() * self.config.speed;
        let skipped = i64::try_from(self.skipped.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
        self.began.1.plus_hours(passed / 3600.0 + skipped as f64 / 3_600_000.0)
    }

    /// What a plugin needs to have the market's time; `None`: time passes as usual, or stands still. What `sim-advance` skips it
    /// does not hear of.
    fn time_scale(&self) -> Option<TimeScale> {
        let factor = self.config.speed;
        (factor > 1.0).then_some(TimeScale { factor, origin: Some((self.began_at, self.began.1)) })
    }

    /// Plays the market up to now and tells plugins and waiters what happened.
    fn catch_up(&self) {
        let now = self.time_now();
        let due = self.tricks().due(now);
        for errand in due {
            self.node.advance(errand.at);
            self.carry_out(&errand);
        }
        self.node.advance(now);
        let news = self.node.market().news();
        if news.is_empty() {
            return;
        }
        for item in &news {
            self.tell(item);
        }
        self.ticks.send_modify(|tick| *tick += 1);
    }

    fn tell(&self, news: &News) {
        match news {
            News::Forward(entry) => self.notify("forward_event", &forwards::event(entry)),
            News::Peer { peer, online: true } => {
                let address = json!({"type": "ipv4", "address": "127.0.0.1", "port": 19735});
                self.notify("connect", &json!({"id": peer, "direction": "out", "address": address}));
            }
            News::Peer { peer, online: false } => self.notify("disconnect", &json!({ "id": peer })),
            News::Stage { channel, old, new } => {
                for event in self.state_changes(*channel, *old, *new) {
                    self.notify("channel_state_changed", &event);
                }
            }
        }
    }

    /// To every plugin that subscribed.
    fn notify(&self, topic: &str, payload: &Value) {
        let message = json!({"jsonrpc": "2.0", "method": topic, "params": {topic: payload}});
        self.publish(topic, &message);
    }

    fn publish(&self, topic: &str, message: &Value) {
        for plugin in self.plugins().iter().filter(|p| p.is_active() && p.manifest().subscribes(topic)) {
            plugin.send(message);
        }
    }

    fn socket_dir(&self) -> &Path {
        &self.network_dir
    }
}

/// Between two looks at the clock it only waits for the end.
async fn tick(lightningd: Arc<Lightningd>) {
    let mut ending = lightningd.ending.subscribe();
    while tokio::time::timeout(TICK, ending.wait_for(Option::is_some)).await.is_err() {
        lightningd.catch_up();
    }
}

async fn accept(lightningd: Arc<Lightningd>, listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(lightningd.clone(), stream));
    }
}

/// One client: its requests are answered in their order.
async fn converse(lightningd: Arc<Lightningd>, stream: UnixStream) {
    let (mut input, mut output) = stream.into_split();
    let (out, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
    let (requests, mut queue) = mpsc::unbounded_channel::<Result<Value, String>>();
    let writing = tokio::spawn(async move {
        while let Some(bytes) = outgoing.recv().await {
            if output.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    let answering = tokio::spawn(async move {
        let mut wants_progress = false;
        while let Some(message) = queue.recv().await {
            let last = message.is_err();
            lightningd.answer(message, &out, &mut wants_progress).await;
            if last {
                break;
            }
        }
    });
    let mut splitter = Splitter::default();
    let mut piece = vec![0; 65_536];
    while let Ok(length) = input.read(&mut piece).await {
        if length == 0 {
            break;
        }
        splitter.push(&piece[..length]);
        while let Some(message) = splitter.next() {
            let _ = requests.send(message);
        }
    }
    // Half-closed clients still get what they asked for; a call that hangs ends with its writer.
    drop(requests);
    let _ = answering.await;
    let _ = writing.await;
}

impl Lightningd {
    async fn answer(
        self: &Arc<Self>,
        message: Result<Value, String>,
        out: &mpsc::UnboundedSender<Vec<u8>>,
        wants_progress: &mut bool,
    ) {
        let request = message.map_err(|text| {
            let wrong = format!("Failed to parse RPC JSON response '{text}'");
            (Value::Null, RpcError::new(INVALID_REQUEST, wrong))
        });
        let request = match request.and_then(|message| Request::read(&message)) {
            Ok(request) => request,
            Err((id, error)) => {
                let _ = out.send(framed(&reply(&id, &Err(error))));
                return;
            }
        };
        if request.method == "notifications" {
            *wants_progress = request.params["enable"].as_bool().or(request.params[0].as_bool()).unwrap_or(false);
        }
        let caller = wants_progress.then(|| Caller { id: request.id.clone(), out: out.clone() });
        let mut answer = self.call(&request, caller).await;
        if let (Ok(result), Some(filter)) = (&mut answer, &request.filter) {
            *result = filtered(result.take(), filter);
        }
        let _ = out.send(framed(&reply(&request.id, &answer)));
        if request.method == "stop" && answer.is_ok() {
            self.end(Ending::Stopped);
        }
    }
}
