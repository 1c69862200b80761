//! The simulated node of the crash test, and plugins on it whose process is known, so that it can be killed. Never looks into a
//! ledger.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cl_revenue_ops::domain::Identity;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cl-revenue-ops");
/// With it, a fee cycle comes every 60 ms.
const TIME_SCALE: &str = "1000";
const PATIENCE: Duration = Duration::from_secs(120);

/// A running node that ends with the test.
pub(crate) struct Sim {
    process: Child,
    /// A shell that kills whatever process it is told of: quicker than starting one when the moment has come.
    killer: Child,
    dir: tempfile::TempDir,
}

/// How much the node has listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

/// Fee rates by channel id.
pub(crate) type Fees = BTreeMap<String, u32>;

impl Sim {
    pub(crate) fn start(args: &[String]) -> Sim {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("#!/bin/sh\necho $$ > '{}/pid'\nexec '{PROGRAM}'\n", dir.path().display());
        std::fs::write(dir.path().join("plugin.sh"), script).unwrap();
        std::fs::set_permissions(dir.path().join("plugin.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let process = Command::new(PROGRAM)
            .args(["simnode", "--quiet", "--lightning-dir"])
            .arg(dir.path())
            .args(args)
            .env_remove("LIGHTNINGD_PLUGIN")
            .env("CL_REVENUE_OPS_TIME_SCALE", TIME_SCALE)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let killer = Command::new("sh")
            .args(["-c", "while read -r pid; do kill -9 \"$pid\"; done"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let sim = Sim { process, killer, dir };
        wait_for("the simulated node", || UnixStream::connect(sim.socket()).ok());
        sim
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("regtest/lightning-rpc")
    }

    pub(crate) fn call(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = json!({"jsonrpc": "2.0", "id": "crash:1", "method": method, "params": params});
        stream.write_all(request.to_string().as_bytes()).unwrap();
        let (mut answer, mut piece) = (Vec::new(), [0; 65_536]);
        while !answer.ends_with(b"\n\n") {
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "{method}: the node closed before it answered");
            answer.extend_from_slice(&piece[..length]);
        }
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].take()),
        }
    }

    pub(crate) fn must(&self, method: &str, params: &Value) -> Value {
        self.call(method, params).unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }

    pub(crate) fn identity(&self) -> Identity {
        let info = self.must("getinfo", &json!({}));
        Identity { node: info["id"].as_str().unwrap().parse().unwrap(), network: "regtest".to_owned() }
    }

    pub(crate) fn listed(&self) -> Listed {
        let count = |index: &str| {
            let params = json!({"subsystem": "forwards", "indexname": index, "nextvalue": 0});
            self.must("wait", &params)[index].as_i64().unwrap()
        };
        Listed { created: count("created"), updated: count("updated") }
    }

    pub(crate) fn fees(&self) -> Fees {
        let answer = self.must("listpeerchannels", &json!({}));
        let fee = |channel: &Value| {
            let ppm = channel["fee_proportional_millionths"].as_u64().unwrap();
            (channel["channel_id"].as_str().unwrap().to_owned(), u32::try_from(ppm).unwrap())
        };
        answer["channels"].as_array().unwrap().iter().map(fee).collect()
    }

    /// Answers when `init` is answered: before the plugin has asked the node anything.
    pub(crate) fn start_plugin(&self, ledger: &Path, fee_ppm: u32) -> Plugin<'_> {
        self.start_plugin_with(&json!({
            "revenue-ops-db-path": ledger,
            // Every life wants another fee, so that there is always something to set.
            "revenue-ops-min-fee-ppm": fee_ppm.to_string(),
            "revenue-ops-max-fee-ppm": fee_ppm.to_string(),
            "revenue-ops-max-fee-updates-per-day": "48",
            "revenue-ops-fee-interval": "60",
            "revenue-ops-flow-interval": "60",
            // Then a peer's record is a plain count, which does not depend on how often it was added up.
            "revenue-ops-reputation-decay": "1",
        }))
    }

    /// The same with these options.
    pub(crate) fn start_plugin_with(&self, options: &Value) -> Plugin<'_> {
        let mut params = json!({ "subcommand": "start", "plugin": self.dir.path().join("plugin.sh") });
        params.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        self.must("plugin", &params);
        let pid = std::fs::read_to_string(self.dir.path().join("pid")).unwrap().trim().to_owned();
        Plugin { sim: self, pid }
    }

    fn plugins(&self) -> usize {
        self.must("plugin", &json!(["list"]))["plugins"].as_array().unwrap().len()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        drop(self.killer.stdin.take());
        let _ = self.killer.wait();
    }
}

/// One life of the plugin.
pub(crate) struct Plugin<'a> {
    sim: &'a Sim,
    pid: String,
}

impl Plugin<'_> {
    /// Waits until `revenue-status` is like that.
    pub(crate) fn until(&self, what: &str, is: impl Fn(&Value) -> bool) {
        wait_for(what, || self.sim.call("revenue-status", &json!({})).ok().filter(|status| is(status)));
    }

    /// Waits until something is written beside the ledger, which is when a transaction ends, or for a third of a second.
    pub(crate) fn until_written(&self, ledger: &Path) {
        let log = ledger.with_extension("db-wal");
        let seen = || log.metadata().ok().map(|file| (file.len(), file.mtime(), file.mtime_nsec()));
        let (began, before) = (Instant::now(), seen());
        while seen() == before && began.elapsed() < Duration::from_millis(300) {
            sleep(Duration::from_micros(100));
        }
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(crate) fn kill(self) {
        writeln!(self.sim.killer.stdin.as_ref().unwrap(), "{}", self.pid).unwrap();
        wait_for("the node to notice", || (self.sim.plugins() == 0).then_some(()));
    }

    /// As an operator stops it.
    pub(crate) fn stop(self) {
        self.sim.must("plugin", &json!(["stop", "plugin.sh"]));
    }
}

pub(crate) fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited too long for {what}");
        sleep(Duration::from_millis(3));
    }
}
