//! A `lightning-rpc` socket that answers as it is told, in the framing that Core Lightning uses. Knows nothing of a node.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// What the socket does with a request.
pub(crate) enum Answer {
    /// The text of a result, digit by digit.
    Result(String),
    /// The text of an error object.
    Error(String),
    /// Exactly these bytes, then the end of the connection.
    Bytes(String),
    /// Nothing, and the connection stays.
    Silence,
}

type Serve = dyn Fn(&str, &Value) -> Answer + Send + Sync;

pub(crate) struct Socket {
    _dir: tempfile::TempDir,
    path: PathBuf,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Socket {
    pub(crate) fn serve(serve: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Socket {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lightning-rpc");
        let listener = UnixListener::bind(&path).unwrap();
        let seen = Arc::default();
        let (serve, log): (Arc<Serve>, _) = (Arc::new(serve), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, Arc::clone(&serve), Arc::clone(&log)));
            }
        });
        Socket { _dir: dir, path, seen }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Methods and parameters of all requests so far.
    pub(crate) fn seen(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn talk(mut stream: UnixStream, serve: Arc<Serve>, seen: Arc<Mutex<Vec<(String, Value)>>>) {
    while let Some(request) = next_request(&mut stream).await {
        let method = request["method"].as_str().unwrap().to_owned();
        assert_eq!(request["jsonrpc"], "2.0");
        assert!(request["params"].is_object(), "only objects name their parameters");
        seen.lock().unwrap().push((method.clone(), request["params"].clone()));
        let id = &request["id"];
        let bytes = match serve(&method, &request["params"]) {
            Answer::Result(text) => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{}}}\n\n", text.trim()),
            Answer::Error(text) => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{}}}\n\n", text.trim()),
            Answer::Bytes(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                return;
            }
            Answer::Silence => continue,
        };
        if stream.write_all(bytes.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn next_request(stream: &mut UnixStream) -> Option<Value> {
    let mut text = Vec::new();
    while !text.ends_with(b"\n\n") {
        text.push(stream.read_u8().await.ok()?);
    }
    Some(serde_json::from_slice(&text).unwrap())
}
