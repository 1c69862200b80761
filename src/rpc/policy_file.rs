//! `revenue-policy-file`: what is wrong or odd about a rule file, and which rules are in force. Changes nothing.

use std::sync::Arc;

use serde_json::json;

use super::error::RpcError;
use super::{Answer, Args, Command};
use crate::ops::Ops;
use crate::policy::{Finding, Severity};

pub(super) const COMMAND: Command = Command {
    name: "revenue-policy-file",
    usage: "[action] [path]",
    about: "Checks a rule file line by line and tells which rules are in force; nothing is changed.",
    parameters: &[
        ("action", "`check`, the only one there is."),
        ("path", "A file to check instead of the configured one (`policy_file`)."),
    ],
    example: "revenue-policy-file check /home/me/rules.conf",
    answer: &[
        ("path", "The file that was checked."),
        ("usable", "It has no errors: it could be in force."),
        ("sections", "How many sections it has; 0 if it has errors."),
        ("errors, warnings", "How many findings of each kind there are."),
        (
            "findings[]",
            "`severity`, `file`, `line` (null: the file as a whole), `section`, `key`, `what` is wrong, the `nearest` word that there is, and `text`: all in one line.",
        ),
        (
            "in_force",
            "The configured file (`path`), how many `sections` are in force, and whether they are `older` than the file is now; null: no rule file is configured or none has been read yet.",
        ),
        ("warning_rules", "Only if what is configured could not be used."),
    ],
    refuses: &["no path, where no rule file is configured"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    match args.text("action")?.as_deref() {
        None | Some("check") => {}
        Some(other) => return Err(RpcError::caller(format!("action '{other}' is not known; there is 'check'"))),
    }
    let check = ops.check_rules(args.text("path")?.as_deref())?;
    let count = |severity| check.findings.iter().filter(|finding| finding.severity == severity).count();
    let row = |finding: &Finding| {
        let mut row = json!(finding);
        row["text"] = json!(finding.to_string());
        row
    };
    let book = ops.last_rules();
    let in_force = book.as_ref().filter(|book| book.path.is_some()).map(|book| {
        let sections = book.file.as_ref().map_or(0, |file| file.sections().count());
        json!({ "path": book.path, "sections": sections, "older": book.refused && book.file.is_some() })
    });
    let mut answer = json!({
        "path": check.path,
        "usable": check.is_usable(),
        "sections": check.sections,
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "findings": check.findings.iter().map(row).collect::<Vec<_>>(),
        "in_force": in_force,
    });
    let warnings = book.map(|book| book.warnings()).unwrap_or_default();
    if !warnings.is_empty() {
        answer["warning_rules"] = json!(warnings.join("; "));
    }
    Ok(answer)
}
