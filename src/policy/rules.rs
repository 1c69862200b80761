//! From the sections of a text to rules that can be judged: keys are read, criteria prepared, files brought in. Everything odd is noted.

use std::collections::BTreeMap;
use std::io;

use super::change::Capabilities;
use super::finding::{self, Finding, Severity};
use super::ini::{self, Document, INHERITED, Read, Section};
use super::lists::{FILE, Files};
use super::matcher::Group;
use super::{Reading, lint, value};

/// A file may name another that names another: so deep.
const DEEPEST: u32 = 8;

/// The section for what no other decides.
pub(super) const DEFAULT: &str = "default";

const USUAL_PRIORITY: i64 = 100;

/// A rule file that can be judged.
#[derive(Debug)]
pub struct RuleFile {
    pub(super) name: String,
    pub(super) reading: Reading,
    /// In the order in which they are walked; the last is `[default]`, if there is one.
    pub(super) rules: Vec<Rule>,
    /// Rule files that `config_file` names.
    pub(super) inner: BTreeMap<String, Result<RuleFile, String>>,
    sources: BTreeMap<String, u64>,
    sum: u64,
    /// There is no section in it, not even one that is switched off.
    is_blank: bool,
}

/// One section.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) groups: Vec<Group>,
    /// All that it leaves behind when it matches.
    pub(super) reads: Vec<Read>,
    pub(super) strategy: Option<String>,
    pub(super) ends: bool,
    enabled: bool,
    priority: i64,
}

/// What is odd about a section's keys.
pub(super) struct Notes<'a> {
    pub(super) file: &'a str,
    pub(super) section: Option<String>,
    pub(super) findings: Vec<Finding>,
}

impl Notes<'_> {
    pub(super) fn error(&mut self, read: &Read, what: &str, nearest: Option<String>) {
        self.at(read, Severity::Error, what);
        if let Some(finding) = self.findings.last_mut() {
            finding.nearest = nearest;
        }
    }

    pub(super) fn warning(&mut self, read: &Read, what: &str) {
        self.at(read, Severity::Warning, what);
    }

    /// What every section inherits is wrong in one place.
    fn at(&mut self, read: &Read, severity: Severity, what: &str) {
        self.note(severity, read.line, Some(&read.key), what);
        if let Some(finding) = self.findings.last_mut().filter(|_| read.inherited) {
            finding.section = Some(INHERITED.to_owned());
        }
    }

    /// A value of several lines is told in one.
    pub(super) fn note(&mut self, severity: Severity, line: u32, key: Option<&str>, what: &str) {
        let what = what.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        self.findings.push(Finding {
            severity,
            file: self.file.to_owned(),
            line: Some(line),
            section: self.section.clone(),
            key: key.map(str::to_owned),
            what,
            nearest: None,
        });
    }
}

impl RuleFile {
    /// The rules of a text, and all that is wrong or odd about it. There are rules also where there are errors: what is wrong then
    /// leaves the channels alone that come to it, as charge-lnd does. Whoever applies rules asks [`RuleFile::load`].
    ///
    /// `read_file` is given paths as the file has them.
    pub fn parse(
        text: &str,
        name: &str,
        reading: Reading,
        read_file: &dyn Fn(&str) -> io::Result<String>,
    ) -> (Option<RuleFile>, Vec<Finding>) {
        let mut files = Files::new(read_file);
        let (file, mut findings) = parse(text, name, reading, &mut files, 0);
        findings.extend(file.as_ref().filter(|file| file.is_blank).map(|_| Finding {
            severity: if reading == Reading::Ours { Severity::Error } else { Severity::Warning },
            ..Finding::of_whole(name, "has no section yet".to_owned())
        }));
        finding::in_order(&mut findings);
        (file, findings)
    }

    /// The same for a node: what it cannot do is told too.
    pub fn check(
        text: &str,
        name: &str,
        (reading, can): (Reading, Capabilities),
        read_file: &dyn Fn(&str) -> io::Result<String>,
    ) -> (Option<RuleFile>, Vec<Finding>) {
        let (file, mut findings) = RuleFile::parse(text, name, reading, read_file);
        findings.extend(file.iter().flat_map(|file| file.unsupported(can)));
        finding::in_order(&mut findings);
        (file, findings)
    }

    /// The rules of a text without errors, with the warnings; otherwise all that is wrong.
    pub fn load(
        text: &str,
        name: &str,
        read_file: &dyn Fn(&str) -> io::Result<String>,
    ) -> Result<(RuleFile, Vec<Finding>), Vec<Finding>> {
        let (file, findings) = RuleFile::parse(text, name, Reading::Ours, read_file);
        match file {
            Some(file) if findings.iter().all(|finding| finding.severity != Severity::Error) => Ok((file, findings)),
            _ => Err(findings),
        }
    }

    /// Seconds of activity that some section asks for: what `Facts::activity` must have.
    pub fn periods(&self) -> Vec<i64> {
        let own = self.rules.iter().flat_map(|rule| &rule.groups).filter_map(|group| group.period);
        let inner = self.inner.values().flatten().flat_map(RuleFile::periods);
        let mut periods: Vec<i64> = own.chain(inner).collect();
        periods.sort_unstable();
        periods.dedup();
        periods
    }

    /// The files that were read besides this one, as they are named in it.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    /// Another number when this text or a file that it names has changed. Stays the same in one build of the program only.
    pub fn fingerprint(&self) -> u64 {
        let all: Vec<u8> = self.sources.values().flat_map(|sum| sum.to_le_bytes()).collect();
        checksum(&all) ^ self.sum
    }

    pub fn is_ours(&self) -> bool {
        self.reading == Reading::Ours
    }

    /// The names of the sections in the order in which they are walked, and their lines.
    pub fn sections(&self) -> impl Iterator<Item = (&str, u32)> {
        self.rules.iter().map(|rule| (rule.name.as_str(), rule.line))
    }
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn parse(text: &str, name: &str, reading: Reading, files: &mut Files, depth: u32) -> (Option<RuleFile>, Vec<Finding>) {
    let mut notes = Notes { file: name, section: None, findings: Vec::new() };
    let document = match ini::parse(text, reading) {
        Ok(document) => document,
        Err(faults) => {
            for fault in faults {
                notes.section = fault.section;
                notes.note(Severity::Error, fault.line, fault.key.as_deref(), &fault.what);
            }
            return (None, notes.findings);
        }
    };
    let mut rules: Vec<Rule> =
        document.sections.iter().map(|section| rule(&document, section, reading, files, &mut notes)).collect();
    lint::file(&document, &rules, reading, &mut notes);
    let is_blank = rules.is_empty();
    rules.retain(|rule| rule.enabled);
    rules.sort_by_key(|rule| (rule.name == DEFAULT, rule.priority));
    let (inner, sources, sum) = (BTreeMap::new(), BTreeMap::new(), checksum(text.as_bytes()));
    let mut file = RuleFile { name: name.to_owned(), reading, rules, inner, sources, sum, is_blank };
    let Notes { mut findings, .. } = notes;
    findings.extend(file.bring_in(files, depth));
    let sums = files.texts.iter().map(|(path, text)| {
        let text = text.as_deref().unwrap_or_default();
        (path.clone(), checksum(text.as_bytes()))
    });
    file.sources = sums.collect();
    (Some(file), findings)
}

fn rule(document: &Document, section: &Section, reading: Reading, files: &mut Files, notes: &mut Notes) -> Rule {
    notes.section = Some(section.name.clone());
    let reads = document.read(section);
    let text = |key: &str| {
        let read = reads.iter().find(|read| read.key == key)?;
        read.value.as_deref().ok()
    };
    let strategy = text("strategy").filter(|name| !name.is_empty()).map(str::to_owned);
    let ours = |key: &str| text(key).filter(|_| reading == Reading::Ours);
    let switch = |key: &str| ours(key).and_then(|text| value::switch(text).ok());
    // Nobody judges the criteria of [default].
    let judged = if section.name == DEFAULT { &[][..] } else { &reads[..] };
    Rule {
        name: section.name.clone(),
        line: section.line,
        groups: Group::all(judged, files, reading, notes),
        ends: switch("final").unwrap_or(strategy.is_some()),
        enabled: switch("enabled").unwrap_or(true),
        priority: ours("priority").and_then(|text| value::int(text).ok()).unwrap_or(USUAL_PRIORITY),
        strategy,
        reads,
    }
}

impl Rule {
    pub(super) fn is_walked(&self) -> bool {
        self.enabled
    }

    pub(super) fn priority(&self) -> i64 {
        self.priority
    }
}

impl RuleFile {
    /// Reads the rule files that this one names.
    fn bring_in(&mut self, files: &mut Files, depth: u32) -> Vec<Finding> {
        let mut findings = Vec::new();
        for rule in &self.rules {
            let mut notes = Notes { file: &self.name, section: Some(rule.name.clone()), findings: Vec::new() };
            for read in rule.reads.iter().filter(|read| read.key == "config_file") {
                let Ok(path) = read.value.as_deref().map(path_of) else { continue };
                if !self.inner.contains_key(path) {
                    let (inner, found) = inner(path, self.reading, files, depth);
                    findings.extend(found);
                    self.inner.insert(path.to_owned(), inner);
                }
                if let Some(Err(what)) = self.inner.get(path) {
                    notes.error(read, what, None);
                }
            }
            findings.append(&mut notes.findings);
        }
        findings
    }
}

pub(super) fn path_of(value: &str) -> &str {
    value.strip_prefix(FILE).unwrap_or(value)
}

fn inner(path: &str, reading: Reading, files: &mut Files, depth: u32) -> (Result<RuleFile, String>, Vec<Finding>) {
    if depth >= DEEPEST {
        return (Err(format!("is one of more than {DEEPEST} files that name each other")), Vec::new());
    }
    let text = match files.text(path) {
        Ok(text) => text.to_owned(),
        Err(what) => return (Err(what), Vec::new()),
    };
    let (file, findings) = parse(&text, path, reading, files, depth + 1);
    (file.ok_or_else(|| format!("names '{path}', which is no rule file")), findings)
}
