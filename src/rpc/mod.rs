//! The revenue-* commands: one table, one file each. A handler reads its arguments, asks [`crate::ops`], and shapes the answer.

mod analyze;
mod args;
mod books_shape;
mod capacity_report;
mod clboss_status;
mod cleanup_closed;
mod clear_reservations;
mod config;
mod dashboard;
mod error;
mod fee_debug;
mod history;
mod ignore;
mod ignored;
mod policy;
mod policy_file;
mod policy_shape;
mod profitability;
mod rebalance;
mod rebalance_debug;
mod remanage;
mod report;
mod set_fee;
mod snapshots;
mod status;
mod test_channel;
mod unignore;
mod wake_all;

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

pub use args::Args;
pub use error::{Answer, RpcError};

use crate::domain::Time;
use crate::ops::{Ops, Settings};

/// How long a command waits for a plugin that is starting.
const PATIENCE: Duration = Duration::from_secs(3);

/// Every command. The plugin, the terminal and the manual read this table.
pub const COMMANDS: &[Command] = &[
    status::COMMAND,
    config::COMMAND,
    analyze::COMMAND,
    set_fee::COMMAND,
    fee_debug::COMMAND,
    wake_all::COMMAND,
    rebalance::COMMAND,
    rebalance_debug::COMMAND,
    clear_reservations::COMMAND,
    policy::COMMAND,
    policy_file::COMMAND,
    test_channel::COMMAND,
    ignore::COMMAND,
    unignore::COMMAND,
    ignored::COMMAND,
    clboss_status::COMMAND,
    remanage::COMMAND,
    dashboard::COMMAND,
    report::COMMAND,
    history::COMMAND,
    profitability::COMMAND,
    capacity_report::COMMAND,
    snapshots::COMMAND,
    cleanup_closed::COMMAND,
];

/// One row of the table.
pub struct Command {
    pub name: &'static str,
    /// The parameters in their positional order; those in brackets may be missing.
    pub usage: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What each parameter of the usage means.
    pub parameters: &'static [(&'static str, &'static str)],
    pub example: &'static str,
    /// The fields of the answer.
    pub answer: &'static [(&'static str, &'static str)],
    /// What it refuses, besides what every command refuses.
    pub refuses: &'static [&'static str],
    pub run: fn(Arc<Ops>, Args) -> Pending,
    /// What it answers while there is no ledger, under which status; most commands wait for the ledger instead, or answer with the
    /// reason as an error.
    pub early: Option<fn(&Settings, Absent) -> Value>,
}

pub type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Whether there are steps to be asked yet.
#[derive(Clone)]
pub enum Stage {
    Starting {
        settings: Settings,
        doing: String,
    },
    /// There will be none: nothing is done until the operator has removed the reason and starts the plugin again.
    Disabled {
        settings: Settings,
        reason: String,
    },
    Ready(Arc<Ops>),
}

/// Why there is no ledger.
#[derive(Clone, Copy)]
pub enum Absent<'a> {
    Yet(&'a str),
    Ever(&'a str),
}

/// From what a caller gave to what the caller gets.
pub async fn answer(command: &Command, params: &Value, stage: watch::Receiver<Stage>) -> Answer {
    let args = Args::read(command.name, command.usage, params)?;
    let now = stage.borrow().clone();
    match (&now, command.early) {
        (Stage::Starting { settings, doing }, Some(early)) => return Ok(early(settings, Absent::Yet(doing))),
        (Stage::Disabled { settings, reason }, Some(early)) => return Ok(early(settings, Absent::Ever(reason))),
        _ => {}
    }
    (command.run)(ready(stage).await?, args).await
}

/// The steps, as soon as there are any; an error if that takes too long.
pub async fn ready(mut stage: watch::Receiver<Stage>) -> Result<Arc<Ops>, RpcError> {
    let is_decided = |stage: &Stage| !matches!(stage, Stage::Starting { .. });
    let in_time = tokio::time::timeout(PATIENCE, stage.wait_for(is_decided)).await.is_ok();
    let now = stage.borrow().clone();
    match now {
        Stage::Ready(ops) => Ok(ops),
        Stage::Disabled { reason, .. } => Err(RpcError::disabled(&reason)),
        Stage::Starting { doing, .. } if in_time => {
            Err(RpcError::starting(&format!("{doing}; the plugin is stopping")))
        }
        Stage::Starting { doing, .. } => Err(RpcError::starting(&doing)),
    }
}

/// The manual page, `docs/commands.md`.
pub fn manual() -> String {
    let mut page = String::from(
        "# Commands\n\n<!-- Made from the table in src/rpc; `UPDATE_EXPECT=1 cargo test` rewrites it. -->\n\n\
         Parameters are given by position (`lightning-cli revenue-set-fee 800000x12x1 250`), by keyword\n\
         (`lightning-cli -k revenue-set-fee channel_id=800000x12x1 fee_ppm=250`), or mixed: `key=value` is understood in any\n\
         position. Parameters in brackets may be missing. Numbers and true/false may be written as text; `1`, `yes` and `on`\n\
         mean true. An unknown parameter is refused, never ignored.\n\n\
         Every answer is an object. Advice is in fields that begin with `warning`. Amounts end in their unit; times are\n\
         seconds since 1970 (`timestamp`, `updated_at`) or dates in UTC.\n\n\
         ## Errors\n\nFailures are JSON-RPC errors.\n\n| Code | Meaning |\n|---|---|\n",
    );
    for (code, meaning) in error::CODES {
        let _ = writeln!(page, "| {code} | {meaning} |");
    }
    for command in COMMANDS {
        let _ = writeln!(page, "\n## {}\n\n{}\n", command.name, command.about);
        let _ = writeln!(page, "    {}", format!("{} {}", command.name, command.usage).trim_end());
        rows(&mut page, "Parameter", command.parameters);
        let _ = writeln!(page, "\nExample: `lightning-cli {}`", command.example);
        rows(&mut page, "Field", command.answer);
        if !command.refuses.is_empty() {
            let _ = writeln!(page, "\nRefused:\n");
        }
        for refused in command.refuses {
            let _ = writeln!(page, "* {refused}");
        }
    }
    page
}

fn rows(page: &mut String, title: &str, rows: &[(&str, &str)]) {
    if !rows.is_empty() {
        let _ = writeln!(page, "\n| {title} | Meaning |\n|---|---|");
    }
    for (name, meaning) in rows {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
}

/// A moment as people read it, if there was one.
fn date(time: Option<Time>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// Four digits behind the point are enough for a share or a rate.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Layers;
    use serde_json::json;

    fn starting() -> (watch::Sender<Stage>, watch::Receiver<Stage>) {
        let settings = Settings::new(Layers::default()).unwrap();
        watch::channel(Stage::Starting { settings, doing: "waiting for the node".to_owned() })
    }

    fn command(name: &str) -> &'static Command {
        COMMANDS.iter().find(|command| command.name == name).unwrap()
    }

    #[test]
    fn every_parameter_is_explained_in_its_order() {
        for command in COMMANDS {
            let usage: Vec<_> = args::parameters(command.usage).map(|(name, _)| name).collect();
            let explained: Vec<_> = command.parameters.iter().map(|(name, _)| *name).collect();
            assert_eq!(usage, explained, "{}", command.name);
            assert!(command.example.starts_with(command.name), "{}", command.name);
            assert!(command.about.ends_with('.'), "{}", command.name);
        }
    }

    #[tokio::test]
    async fn status_answers_while_the_plugin_starts() {
        let (_stage, seen) = starting();
        let answer = answer(command("revenue-status"), &json!([]), seen).await.unwrap();
        assert_eq!((&answer["status"], &answer["warnings"][0]), (&json!("starting"), &json!("waiting for the node")));
        assert_eq!(answer["config"]["fee_range_ppm"], json!([10, 5000]));
    }

    #[tokio::test]
    async fn a_disabled_plugin_gives_its_reason_to_everybody() {
        let settings = Settings::new(Layers::default()).unwrap();
        let (_stage, seen) = watch::channel(Stage::Disabled { settings, reason: "not our file".to_owned() });
        for command in COMMANDS {
            let needed: Vec<_> = args::parameters(command.usage).filter(|(_, must)| *must).map(|_| json!(5)).collect();
            let given = answer(command, &json!(needed), seen.clone()).await;
            match given {
                Ok(status) => assert_eq!(
                    (&status["status"], &status["warnings"][0]),
                    (&json!("disabled"), &json!("not our file"))
                ),
                Err(error) => {
                    assert_eq!((error.code, error.message.as_str()), (error::DISABLED, "disabled: not our file"))
                }
            }
        }
    }

    #[tokio::test]
    async fn wrong_arguments_are_refused_while_the_plugin_starts() {
        let (_stage, seen) = starting();
        let error = answer(command("revenue-set-fee"), &json!(["1x1x1"]), seen).await.unwrap_err();
        assert_eq!(error.code, error::CALLER);
    }

    #[tokio::test]
    async fn other_commands_say_what_the_plugin_waits_for() {
        let (stage, seen) = starting();
        drop(stage);
        let error = answer(command("revenue-wake-all"), &json!([]), seen).await.unwrap_err();
        assert_eq!(error.code, error::STARTING);
        assert!(error.message.starts_with("still starting: waiting for the node"), "{}", error.message);
    }
}
