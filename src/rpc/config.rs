//! `revenue-config`: read, set and reset options while the plugin runs.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Answer, Args, Command, RpcError};
use crate::ops::{Ops, SettingChange, SettingRow};
use crate::options::{self, Options, TABLE};

pub(super) const COMMAND: Command = Command {
    name: "revenue-config",
    usage: "[action] [key] [value]",
    about: "Reads, sets and resets options while the plugin runs; a change holds from the next step on and is kept.",
    parameters: &[
        ("action", "`get` (also when nothing is given), `set`, `reset`, `list` or `list-mutable`."),
        ("key", "The option: its full name, its short key, or an older spelling."),
        ("value", "For `set`: the new value."),
    ],
    example: "revenue-config set min_fee_ppm 25",
    answer: &[
        ("config", "`get` without key: every option with its value."),
        ("key, value, source", "`get` with key: the value in force, and which source it comes from."),
        (
            "status, key, old_value, new_value, source",
            "`set` and `reset`: `success`, and what changed. After `reset` the node's configuration holds again.",
        ),
        ("message", "`reset`: the same in words."),
        (
            "options[]",
            "`list`: `key`, `option`, `value`, `default`, `source` (`default`, `config`, `setconfig`, `override`), `live` \
             (does a change count before the plugin starts again? `list-mutable` says what is changed here), `allowed`, `doc`, `not_in_use_yet` (the feature that it waits for, or null).",
        ),
        ("mutable_keys[], count", "`list-mutable`: the keys that `set` takes."),
        ("version", "Grows with every change that is made here."),
        ("warning_not_in_use", "`set`: nothing reads this option yet."),
        ("warning_rules", "`set` of `policy_file`: what is wrong with the file, and what holds until it is mended."),
    ],
    refuses: &[
        "an unknown action or key (the error names the nearest key), a value out of range (the error names the range)",
        "a change after which the lowest fee would be above the highest",
        "`db_path`, which is changed in the node's configuration only, and `dry_run`, which is also changed by `setconfig`",
        "`reset` of an option that was not set here",
        "a `policy_file` that cannot be read now (`none` ends the rules)",
    ],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let (action, key, value) = (args.text("action")?, args.text("key")?, args.text("value")?);
    let action = action.unwrap_or_else(|| "get".to_owned());
    let most = match action.as_str() {
        "set" => 2,
        "get" | "reset" => 1,
        "list" | "list-mutable" => 0,
        other => {
            let text = format!("unknown action '{other}'; give get, set, reset, list or list-mutable");
            return Err(RpcError::caller(text));
        }
    };
    if [&key, &value].into_iter().skip(most).any(Option::is_some) {
        return Err(RpcError::caller(format!("too many parameters for '{action}'; usage: {}", usage(&action))));
    }
    let missing = |name: &str| RpcError::caller(format!("'{name}' is missing; usage: {}", usage(&action)));
    match action.as_str() {
        "set" => {
            let (key, value) = (key.ok_or_else(|| missing("key"))?, value.ok_or_else(|| missing("value"))?);
            let mut answer = set(ops.set_option(&key, &value).await?);
            if answer["key"] == "policy_file" {
                let warnings = ops.rule_warnings().await?;
                if !warnings.is_empty() {
                    answer["warning_rules"] = json!(warnings.join("; "));
                }
            }
            Ok(answer)
        }
        "reset" => Ok(reset(ops.reset_option(&key.ok_or_else(|| missing("key"))?).await?)),
        "list" => Ok(list(&ops.settings().rows(), ops.config_version().await?)),
        "list-mutable" => Ok(list_mutable()),
        _ => get(&ops, key.as_deref()).await,
    }
}

fn usage(action: &str) -> String {
    let parameters = match action {
        "set" => " key value",
        "reset" => " key",
        "get" => " [key]",
        _ => "",
    };
    format!("{} {action}{parameters}", COMMAND.name)
}

async fn get(ops: &Ops, key: Option<&str>) -> Answer {
    let version = ops.config_version().await?;
    let Some(key) = key else {
        let values = ops.settings().rows().into_iter().map(|row| (row.spec.key.to_owned(), row.value));
        return Ok(json!({ "config": values.collect::<Map<_, _>>(), "version": version }));
    };
    let spec = options::find(key).map_err(|error| RpcError::caller(error.to_string()))?;
    let row = ops.settings().row(spec);
    Ok(json!({ "key": spec.key, "value": row.value, "source": row.source.name(), "version": version }))
}

fn set(change: SettingChange) -> Value {
    let mut answer = changed(&change);
    if let Some(feature) = change.later {
        answer["warning_not_in_use"] = json!(format!("kept, but nothing reads it yet: it belongs to {feature}"));
    }
    answer
}

fn reset(change: SettingChange) -> Value {
    let mut answer = changed(&change);
    let (key, value, source) = (change.key, change.new, change.source.name());
    answer["message"] = json!(format!("'{key}' is {value} again, by {source}"));
    answer
}

fn changed(change: &SettingChange) -> Value {
    json!({
        "status": "success",
        "key": change.key,
        "old_value": change.old,
        "new_value": change.new,
        "source": change.source.name(),
        "version": change.version,
    })
}

fn list(rows: &[SettingRow], version: i64) -> Value {
    let defaults = Options::default();
    let row = |row: &SettingRow| {
        let spec = row.spec;
        json!({
            "key": spec.key,
            "option": spec.in_manifest().then(|| spec.option_name()),
            "value": row.value,
            "default": defaults.get(spec),
            "source": row.source.name(),
            "live": spec.is_live(),
            "allowed": spec.allowed.describe(),
            "doc": spec.doc,
            "not_in_use_yet": spec.later,
        })
    };
    json!({ "options": rows.iter().map(row).collect::<Vec<_>>(), "count": rows.len(), "version": version })
}

fn list_mutable() -> Value {
    let mut keys: Vec<_> = TABLE.iter().filter(|spec| spec.is_tunable()).map(|spec| spec.key).collect();
    keys.sort_unstable();
    json!({ "count": keys.len(), "mutable_keys": keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Settings;
    use crate::options::{Layers, Source};

    #[test]
    fn the_list_says_where_each_value_comes_from() {
        let config = [("min_fee_ppm", "20".to_owned())].into();
        let settings = Settings::new(Layers { config, ..Layers::default() }).unwrap();
        let answer = list(&settings.rows(), 7);
        let rows = answer["options"].as_array().unwrap();
        let row = |key: &str| rows.iter().find(|row| row["key"] == key).unwrap();
        assert_eq!((answer["count"].as_u64(), answer["version"].as_i64()), (Some(TABLE.len() as u64), Some(7)));
        assert_eq!(
            (&row("min_fee_ppm")["value"], &row("min_fee_ppm")["default"], &row("min_fee_ppm")["source"]),
            (&json!(20), &json!(10), &json!("config"))
        );
        assert_eq!(row("base_fee_msat")["option"], Value::Null);
        assert_eq!(
            (&row("base_fee_msat")["value"], &row("base_fee_msat")["default"]),
            (&json!("keep"), &json!("keep"))
        );
        let live = |key: &str| row(key)["live"].as_bool().unwrap();
        assert!(live("dry_run") && live("min_fee_ppm") && live("gossip_hysteresis"), "setconfig counts at once, too");
        assert!(!live("db_path") && !live("seed"), "both are read at the start");
    }

    #[test]
    fn what_is_set_here_is_what_is_listed_as_mutable() {
        let answer = list_mutable();
        let keys = answer["mutable_keys"].as_array().unwrap();
        assert!(keys.contains(&json!("gossip_hysteresis")));
        assert!(!keys.contains(&json!("db_path")) && !keys.contains(&json!("dry_run")));
        assert!(keys.is_sorted_by_key(|key| key.as_str()));
    }

    #[test]
    fn a_change_is_told_with_advice_where_nothing_reads_it() {
        let change = SettingChange {
            key: "daily_budget_sats",
            old: json!(5000),
            new: json!(6000),
            source: Source::Override,
            version: 3,
            later: Some("rebalancing"),
        };
        let answer = set(change.clone());
        assert_eq!(
            (&answer["old_value"], &answer["new_value"], &answer["version"]),
            (&json!(5000), &json!(6000), &json!(3))
        );
        assert_eq!(answer["warning_not_in_use"], "kept, but nothing reads it yet: it belongs to rebalancing");
        assert_eq!(reset(change)["message"], "'daily_budget_sats' is 6000 again, by override");
    }
}
