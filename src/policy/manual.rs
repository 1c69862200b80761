//! The manual page of rule files, `docs/policy-files.md`: prose around the tables that parser and lint read.

use std::fmt::Write as _;

use super::matchers::{MATCHERS, Origin};
use super::words::{For, PARAMETERS, Parameter, STRATEGIES};

const PROSE: &str = include_str!("manual.md");

pub fn manual() -> String {
    let made = "<!-- Made from src/policy/manual.md and the tables in src/policy; `UPDATE_EXPECT=1 cargo test` rewrites it. -->\n\n";
    let filled = PROSE
        .replace("{{matchers}}\n", &matchers())
        .replace("{{strategies}}\n", &strategies())
        .replace("{{parameters}}\n", &parameters());
    filled.replacen("\n\n", &format!("\n\n{made}"), 1)
}

fn whose(origin: Origin) -> &'static str {
    match origin {
        Origin::ChargeLnd => "charge-lnd",
        Origin::Ours => "ours",
    }
}

fn matchers() -> String {
    let mut table = "| Key | Example | Meaning | From |\n|---|---|---|---|\n".to_owned();
    for row in MATCHERS {
        let _ = writeln!(table, "| `{}` | `{}` | {} | {} |", row.key, row.example, row.about, whose(row.origin));
    }
    table
}

fn strategies() -> String {
    let mut table = "| Strategy | Meaning | Reads | From |\n|---|---|---|---|\n".to_owned();
    for row in STRATEGIES {
        let reads: Vec<String> = row.reads.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(table, "| `{}` | {} | {} | {} |", row.name, row.about, reads.join(", "), whose(row.origin));
    }
    table
}

fn parameters() -> String {
    let mut table = "| Key | Example | Meaning | For | From |\n|---|---|---|---|---|\n".to_owned();
    for row in PARAMETERS {
        let (example, about) = (row.example, row.about);
        let _ =
            writeln!(table, "| `{}` | `{example}` | {about} | {} | {} |", row.key, heeded_by(row), whose(row.origin));
    }
    table
}

fn heeded_by(parameter: &Parameter) -> String {
    match parameter.for_whom {
        For::Readers => {
            let readers = STRATEGIES.iter().filter(|strategy| strategy.heeds(parameter));
            readers.map(|strategy| format!("`{}`", strategy.name)).collect::<Vec<_>>().join(", ")
        }
        For::Terms => "all".to_owned(),
        For::Section => "section".to_owned(),
        For::Nobody => "nobody".to_owned(),
    }
}
