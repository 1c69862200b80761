//! `dashboard`, `report`, `history`, …: what the plugin answers, as tables and small charts, JSON, or CSV. Asks the plugin through the node's
//! `lightning-rpc`, and works nothing out by itself.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::csv;
use super::sheet::sheet;
use crate::node::cln::CoreLightning;

#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// The node's folder; `~/.lightning` without it.
    #[arg(long, value_name = "FOLDER")]
    lightning_dir: Option<PathBuf>,
    /// Whose folder in it has the socket.
    #[arg(long, default_value = "bitcoin")]
    network: String,
    /// The socket itself, wherever it is.
    #[arg(long, value_name = "SOCKET")]
    rpc_file: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

/// What is asked, and how it is to be shown.
#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    /// The command's parameters in their order, or as key=value.
    #[arg(value_name = "PARAMETER", allow_negative_numbers = true)]
    parameters: Vec<String>,
    #[command(flatten)]
    how: How,
}

pub(super) async fn run(method: &str, ask: Ask) -> anyhow::Result<()> {
    let socket = ask.how.socket()?;
    let node = CoreLightning::new(socket);
    let answer = call(&node, method, &ask.parameters).await?;
    match ask.how.format {
        Format::Table => super::print(sheet(&answer)),
        Format::Json => super::print(serde_json::to_string_pretty(&answer)?),
        Format::Csv => match about(method, &answer) {
            Some(list) => rows(&node, method, &ask.parameters, (list, answer)).await,
            None => super::print(csv::pairs(&answer)),
        },
    }
}

async fn call(node: &CoreLightning, method: &str, parameters: &[String]) -> anyhow::Result<Value> {
    node.call(method, json!(parameters)).await.map_err(|error| anyhow!("{error}"))
}

/// The list that the answer is about, whatever else is in it; `None`: it is about single values.
fn about(method: &str, answer: &Value) -> Option<&'static str> {
    let list = match (method, answer["type"].as_str()) {
        ("revenue-snapshots", _) => "snapshots",
        ("revenue-history", _) => "closed_channels",
        ("revenue-profitability" | "revenue-capacity-report", _) | (_, Some("peer")) => "channels",
        (_, Some("journal")) => "entries",
        (_, Some("hive")) => "peers",
        _ => return None,
    };
    answer[list].is_array().then_some(list)
}

/// Row by row, and page after page as long as there are more.
async fn rows(
    node: &CoreLightning,
    method: &str,
    parameters: &[String],
    (list, mut answer): (&str, Value),
) -> anyhow::Result<()> {
    let columns = csv::columns(&answer[list]);
    if columns.is_empty() {
        return Ok(());
    }
    super::print(csv::header(&columns))?;
    loop {
        let lines: Vec<String> = csv::lines(&answer[list], &columns).collect();
        super::print(lines.join("\n"))?;
        let Some(next) = answer["next"].as_str() else { return Ok(()) };
        let after = format!("after={next}");
        let given = parameters.iter().filter(|parameter| !parameter.starts_with("after=")).cloned();
        let more: Vec<String> = given.chain([after]).collect();
        answer = call(node, method, &more).await?;
    }
}

impl How {
    fn socket(&self) -> anyhow::Result<PathBuf> {
        if let Some(socket) = &self.rpc_file {
            return Ok(socket.clone());
        }
        let folder = match &self.lightning_dir {
            Some(folder) => folder.clone(),
            None => {
                std::env::home_dir().context("there is no home directory; give --lightning-dir")?.join(".lightning")
            }
        };
        Ok(folder.join(&self.network).join("lightning-rpc"))
    }
}
