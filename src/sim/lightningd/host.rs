//! One plugin's process: its pipes, what it declared, and the calls that wait for it.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::configs::Declared;
use super::wire::{Answer, RpcError, Splitter, framed};
use crate::domain::time::{TIME_SCALE, TimeScale};

/// The version that is played.
pub(super) const VERSION: &str = "v26.06.6";

/// What a plugin said of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Manifest {
    pub options: Vec<Declared>,
    /// Name and usage.
    pub methods: Vec<(String, String)>,
    pub subscriptions: Vec<String>,
    pub notifications: Vec<String>,
    pub dynamic: bool,
    pub disabled: Option<String>,
}

impl Manifest {
    pub(super) fn read(answer: &Value, plugin: &Path) -> Manifest {
        let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let method = |m: &Value| Some((text(&m["name"])?, text(&m["usage"]).unwrap_or_default()));
        Manifest {
            options: list("options").iter().filter_map(|option| Declared::read(option, plugin)).collect(),
            methods: list("rpcmethods").iter().filter_map(method).collect(),
            subscriptions: list("subscriptions").iter().filter_map(text).collect(),
            notifications: list("notifications").iter().filter_map(|n| text(&n["method"])).collect(),
            dynamic: answer["dynamic"].as_bool().unwrap_or(true),
            disabled: answer.get("disable").and_then(text),
        }
    }

    /// `*` is everything but `log`.
    pub(super) fn subscribes(&self, topic: &str) -> bool {
        self.subscriptions.iter().any(|s| s == topic || (s == "*" && topic != "log"))
    }
}

/// Where progress of a call goes: the caller's id, and the way to the caller.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub id: Value,
    pub out: mpsc::UnboundedSender<Vec<u8>>,
}

struct Pending {
    answer: oneshot::Sender<Answer>,
    caller: Option<Caller>,
}

pub(super) struct Plugin {
    pub path: PathBuf,
    /// File name, with its extension.
    pub name: String,
    /// Size and age of the file: another file is another plugin.
    pub stamp: Option<(u64, i64, i64)>,
    pub manifest: OnceLock<Manifest>,
    /// After `init`.
    pub active: AtomicBool,
    input: mpsc::UnboundedSender<Vec<u8>>,
    pending: Mutex<HashMap<String, Pending>>,
    gone: watch::Sender<bool>,
    kill: Notify,
}

pub(super) fn stamp(path: &Path) -> Option<(u64, i64, i64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.size(), file.mtime(), file.mtime_nsec()))
}

impl Plugin {
    /// Starts the process. Its notifications go to `heard`; that ends when the plugin does.
    pub(super) fn spawn(
        path: &Path,
        cwd: &Path,
        scale: Option<TimeScale>,
        heard: mpsc::UnboundedSender<Value>,
    ) -> std::io::Result<std::sync::Arc<Plugin>> {
        let mut child = Command::new(path)
            .envs(scale.map(|scale| (TIME_SCALE, scale.to_string())))
            .current_dir(cwd)
            .env("LIGHTNINGD_PLUGIN", "1")
            .env("LIGHTNINGD_VERSION", VERSION)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (input, bytes) = mpsc::unbounded_channel();
        let plugin = std::sync::Arc::new(Plugin {
            path: path.to_owned(),
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            stamp: stamp(path),
            manifest: OnceLock::new(),
            active: AtomicBool::new(false),
            input,
            pending: Mutex::default(),
            gone: watch::Sender::new(false),
            kill: Notify::new(),
        });
        if let (Some(stdin), Some(stdout)) = (stdin, stdout) {
            tokio::spawn(write(stdin, bytes));
            tokio::spawn(read(plugin.clone(), child, stdout, heard));
        }
        Ok(plugin)
    }

    pub(super) fn manifest(&self) -> &Manifest {
        static NONE: OnceLock<Manifest> = OnceLock::new();
        self.manifest.get().unwrap_or_else(|| NONE.get_or_init(Manifest::default))
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::SeqCst) && !self.is_gone()
    }

    pub(super) fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    pub(super) fn method_names(&self) -> Vec<&str> {
        self.manifest().methods.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<String, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn call(&self, id: String, method: &str, params: &Value, caller: Option<Caller>) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.pending().insert(id.clone(), Pending { answer, caller });
        if self.is_gone() {
            self.pending().clear();
        }
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let _ = self.input.send(framed(&request));
        answered.await.unwrap_or_else(|_| Err(RpcError::new(-4, "Plugin terminated before replying to RPC call.")))
    }

    pub(super) fn send(&self, message: &Value) {
        let _ = self.input.send(framed(message));
    }

    /// Without a word, at once.
    pub(super) async fn kill(&self) {
        self.kill.notify_one();
        self.ended().await;
    }

    /// Until the process has ended.
    pub(super) async fn ended(&self) {
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// Progress and messages of a call that is under way go to its caller under the caller's id.
    pub(super) fn pass_progress(&self, message: &Value) {
        let id = message["params"]["id"].as_str().unwrap_or_default();
        let caller = self.pending().get(id).and_then(|pending| pending.caller.clone());
        if let Some(caller) = caller {
            let mut message = message.clone();
            message["params"]["id"] = caller.id;
            let _ = caller.out.send(framed(&message));
        }
    }

    fn answered(&self, message: &Value) {
        let id = message["id"].as_str().map_or_else(|| message["id"].to_string(), str::to_owned);
        let Some(pending) = self.pending().remove(&id) else { return };
        let answer = match message.get("error") {
            Some(error) => Err(RpcError::from_json(error)),
            None => Ok(message["result"].clone()),
        };
        let _ = pending.answer.send(answer);
    }
}

async fn write(mut stdin: ChildStdin, mut bytes: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(message) = bytes.recv().await {
        if stdin.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn read(
    plugin: std::sync::Arc<Plugin>,
    mut child: Child,
    stdout: ChildStdout,
    heard: mpsc::UnboundedSender<Value>,
) {
    tokio::select! {
        () = listen(&plugin, stdout, &heard) => {}
        () = plugin.kill.notified() => {}
    }
    let _ = child.kill().await;
    plugin.gone.send_replace(true);
    plugin.pending().clear();
}

/// Until the plugin closes its output or says something that is no JSON.
async fn listen(plugin: &Plugin, mut stdout: ChildStdout, heard: &mpsc::UnboundedSender<Value>) {
    let mut splitter = Splitter::default();
    let mut piece = vec![0; 65_536];
    loop {
        match stdout.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => splitter.push(&piece[..length]),
        }
        while let Some(message) = splitter.next() {
            let Ok(message) = message else { return };
            if message.get("method").is_some() {
                let _ = heard.send(message);
            } else {
                plugin.answered(&message);
            }
        }
    }
}
