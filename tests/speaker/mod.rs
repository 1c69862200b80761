//! The real program, spoken to as lightningd speaks to a plugin.
#![expect(clippy::unwrap_used, reason = "a plugin that does not speak fails the test")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub(crate) struct Plugin {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) said: Receiver<Value>,
    /// Log lines that came before an answer.
    pub(crate) log: Vec<Value>,
    pub(crate) home: TempDir,
    /// Where the node's `lightning-rpc` is.
    pub(crate) network_dir: PathBuf,
}

impl Plugin {
    pub(crate) fn start() -> Plugin {
        Plugin::start_with(&[])
    }

    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Plugin {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_cl-revenue-ops"))
            .env("LIGHTNINGD_PLUGIN", "1")
            .env("HOME", home.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, said) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let stdin = child.stdin.take();
        let network_dir = home.path().join("regtest");
        Plugin { child, stdin, said, log: Vec::new(), home, network_dir }
    }

    pub(crate) fn send(&mut self, message: &Value) {
        write!(self.stdin.as_mut().unwrap(), "{message}\n\n").unwrap();
    }

    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.send(&json!({ "jsonrpc": "2.0", "id": format!("cln:{method}#1"), "method": method, "params": params }));
        loop {
            let message = self.said.recv_timeout(Duration::from_secs(20)).expect("an answer");
            if message["id"] == format!("cln:{method}#1") {
                return message;
            }
            self.log.push(message);
        }
    }

    /// As lightningd sends it: every option that has a default is there.
    pub(crate) fn init(&mut self, given: &[(&str, &str)]) -> Value {
        self.init_on("regtest", given)
    }

    pub(crate) fn init_on(&mut self, network: &str, given: &[(&str, &str)]) -> Value {
        let manifest = self.call("getmanifest", json!({ "allow-deprecated-apis": true }))["result"].clone();
        let mut values = Map::new();
        for option in manifest["options"].as_array().unwrap() {
            values.insert(option["name"].as_str().unwrap().to_owned(), option["default"].clone());
        }
        for (key, value) in given {
            values.insert(format!("revenue-ops-{}", key.replace('_', "-")), json!(value));
        }
        let configuration = json!({
            "lightning-dir": self.network_dir, "rpc-file": "lightning-rpc", "startup": false, "network": network,
            "feature_set": { "init": "", "node": "", "channel": "", "invoice": "" },
        });
        self.call("init", json!({ "options": values, "configuration": configuration }))
    }

    /// Milliseconds until the process is gone.
    pub(crate) fn ends(&mut self) -> u128 {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if self.child.try_wait().unwrap().is_some() {
                return start.elapsed().as_millis();
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the plugin does not end");
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
