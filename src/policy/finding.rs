//! What is wrong with a rule file, and where.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong or odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub file: String,
    /// `None`: it is said of the file as a whole.
    pub line: Option<u32>,
    pub section: Option<String>,
    pub key: Option<String>,
    pub what: String,
    /// The word that was probably meant.
    pub nearest: Option<String>,
}

/// A file with errors is never applied; warnings name what probably is not what was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

impl Finding {
    /// An error of the file as a whole.
    pub fn of_whole(file: &str, what: String) -> Finding {
        let (file, severity) = (file.to_owned(), Severity::Error);
        Finding { severity, file, line: None, section: None, key: None, what, nearest: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let line = self.line.map_or(String::new(), |line| format!(":{line}"));
        write!(f, "{}{line}: {severity}: ", self.file)?;
        if let Some(section) = &self.section {
            write!(f, "[{section}] ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key} ")?;
        }
        f.write_str(&self.what)?;
        self.nearest.as_ref().map_or(Ok(()), |word| write!(f, "; did you mean '{word}'?"))
    }
}

/// By file and line, each once.
pub(super) fn in_order(findings: &mut Vec<Finding>) {
    let place = |f: &Finding| (f.file.clone(), f.line, f.severity, f.section.clone(), f.key.clone(), f.what.clone());
    findings.sort_by_cached_key(place);
    findings.dedup();
}

/// The one of `words` that is most like `word`, unless none is alike.
pub(super) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<String> {
    /// Of two words as different as this nobody meant the one by the other (Jaro-Winkler similarity).
    const ALIKE: f64 = 0.8;
    let word = word.to_lowercase();
    let rated = words.map(|candidate| (strsim::jaro_winkler(&word, candidate), candidate));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(alike, _)| *alike >= ALIKE).map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_what_and_what_instead() {
        let finding = Finding {
            severity: Severity::Error,
            file: "rules.conf".to_owned(),
            line: Some(12),
            section: Some("hubs".to_owned()),
            key: Some("fee_pmm".to_owned()),
            what: "is no key".to_owned(),
            nearest: nearest("fee_pmm", ["fee_ppm", "strategy"].into_iter()),
        };
        assert_eq!(finding.to_string(), "rules.conf:12: error: [hubs] fee_pmm is no key; did you mean 'fee_ppm'?");
        assert_eq!(nearest("zzz", ["fee_ppm"].into_iter()), None);
    }
}
