//! The rule file in force: read when it or a file that it names has changed, kept as it was while the new text has errors, and kept over
//! restarts. Never half applied.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::policies::Rules;
use super::rulings::Rulings;
use super::{Ops, OrderError};
use crate::domain::{Channel, Facts, NodeView, Policy, Ppm, Time};
use crate::node::at_home;
use crate::node::rule_text::{self, Stamp, beside};
use crate::options::{Options, Spec};
use crate::policy::{self, Capabilities, Finding, Resolution, RuleFile, Severity, has_errors};

/// The value of the option that means that there is no rule file.
const NO_FILE: &str = "none";

/// The option that names the rule file.
const OPTION: &str = "policy_file";

/// Name of the last text without errors in the ledger.
const NOTE: &str = OPTION;

/// What came of the last reading of the rule file.
#[derive(Debug, Default)]
pub struct RuleBook {
    /// `None`: none is configured, and the rules say nothing of any channel.
    pub path: Option<PathBuf>,
    /// `None` although one is configured: none was ever without errors, so that nobody knows what the operator wants.
    pub file: Option<RuleFile>,
    /// What is wrong or odd about the text as it is now.
    pub findings: Vec<Finding>,
    /// The text as it is now could not be used: the rules in force are older than it.
    pub refused: bool,
    /// Its files as they were when they were read.
    stamps: BTreeMap<PathBuf, Stamp>,
}

/// A text without errors, with the files that it names.
#[derive(Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    text: String,
    files: BTreeMap<String, String>,
}

/// How the sources of policies come to their word on a channel.
#[derive(Debug)]
pub struct Tested {
    pub channel: Channel,
    /// `None`: there is no rule file in force.
    pub rules: Option<(Resolution, Facts)>,
    pub policy: Policy,
    pub warnings: Vec<String>,
}

/// A check of a text that nothing is done with.
#[derive(Debug)]
pub struct RuleCheck {
    pub path: PathBuf,
    pub findings: Vec<Finding>,
    pub sections: usize,
}

impl RuleCheck {
    pub fn is_usable(&self) -> bool {
        !has_errors(&self.findings)
    }
}

impl RuleBook {
    fn is_current(&self, path: Option<&Path>) -> bool {
        let as_it_was = |(path, stamp): (&PathBuf, &Stamp)| rule_text::stamp(path) == *stamp;
        self.path.as_deref() == path && self.stamps.iter().all(as_it_was)
    }

    /// What an operator should know of it.
    pub fn warnings(&self) -> Vec<String> {
        let Some(path) = &self.path else { return Vec::new() };
        let errors = self.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let first: Vec<String> = errors.clone().take(3).map(Finding::to_string).collect();
        let more = match errors.count().saturating_sub(first.len()) {
            0 => String::new(),
            more => format!(" (and {more} more; revenue-policy-file check lists all)"),
        };
        let wrong = format!("the rule file {} has errors: {}{more}", path.display(), first.join("; "));
        let stop = if wrong.ends_with('?') { "" } else { "." };
        match (&self.file, self.refused) {
            (Some(_), true) => vec![format!("{wrong}{stop} The last rules without errors stay in force")],
            (None, _) => vec![format!(
                "{wrong}{stop} No channel is touched until they are mended, but for peers with a policy of their own"
            )],
            (Some(_), false) => Vec::new(),
        }
    }
}

impl Ops {
    /// The rules of a step with what the rule file says of the channels that it looks at.
    pub(super) async fn ruled(&self, rules: Rules, view: &NodeView, options: &Options) -> anyhow::Result<Rules> {
        let book = self.rule_book(view.now, options).await?;
        let rulings = Arc::new(self.rulings(view, &book, Ppm(options.hive_fee_ppm)).await?);
        self.seen.change(|seen| seen.rulings = rulings.clone());
        Ok(rules.with(rulings))
    }

    /// What the rule file said in the last step.
    pub(super) fn last_rulings(&self) -> Arc<Rulings> {
        self.seen.read(|seen| seen.rulings.clone())
    }

    /// All channels were decided by the rules as they were read last.
    pub(super) fn rules_are_applied(&self) {
        self.seen.change(|seen| seen.rules_applied.clone_from(&seen.rules));
    }

    /// Has the rule file, or one that it names, changed since all channels were decided by it?
    pub fn rules_have_changed(&self) -> bool {
        let path = configured(&self.settings.now());
        let (read, applied) = self.seen.read(|seen| (seen.rules.clone(), seen.rules_applied.clone()));
        let is_behind = |read: Arc<RuleBook>| applied.as_ref().is_some_and(|applied| !Arc::ptr_eq(applied, &read));
        applied.as_ref().is_some_and(|book| !book.is_current(path.as_deref())) || read.is_some_and(is_behind)
    }

    /// The rules in force; read anew if a file has changed.
    pub(super) async fn rule_book(&self, now: Time, options: &Options) -> anyhow::Result<Arc<RuleBook>> {
        let path = configured(options);
        let seen = self.seen.read(|seen| seen.rules.clone());
        if let Some(book) = seen.as_ref().filter(|book| book.is_current(path.as_deref())) {
            return Ok(book.clone());
        }
        let book = match path {
            None => RuleBook::default(),
            Some(path) => self.read_rules(now, path).await?,
        };
        let book = Arc::new(book);
        self.seen.change(|seen| seen.rules = Some(book.clone()));
        Ok(book)
    }

    /// How all sources come to their word on one channel, as of now.
    pub async fn test_channel(&self, name: &str) -> Result<Tested, OrderError> {
        let (now, options) = (self.clock.now(), self.settings.now());
        let channels = self.node.channels().await.context("asking the node for its channels")?;
        let view = NodeView { now, channels, feerate: None };
        let id = self.channel_by_name(&view, name).await?;
        let known = view.channels.iter().find(|channel| channel.channel_id == id && channel.routes());
        let channel = known.ok_or_else(|| {
            OrderError::Caller(format!(
                "channel '{name}' does not route now; lightning-cli listpeerchannels shows its state"
            ))
        })?;
        let book = self.rule_book(now, &options).await?;
        let (rulings, rules) = self.rulings_of(&view, &book, Ppm(options.hive_fee_ppm), Some(id)).await?;
        let rules_of_all = Rules::new(self.policies().await?, &options, now).with(Arc::new(rulings));
        let policy = rules_of_all.of(channel).into_owned();
        Ok(Tested { channel: channel.clone(), rules, policy, warnings: book.warnings() })
    }

    /// The rule file as it was read last; nothing is read now.
    pub fn last_rules(&self) -> Option<Arc<RuleBook>> {
        self.seen.read(|seen| seen.rules.clone())
    }

    async fn read_rules(&self, now: Time, path: PathBuf) -> anyhow::Result<RuleBook> {
        let Reading { result, stamps, kept } = Reading::of(&path);
        match result {
            Ok((file, findings)) => {
                let sections = file.sections().count();
                let plural = if sections == 1 { "" } else { "s" };
                tracing::info!("the rule file {} is in force: {sections} section{plural}", path.display());
                findings.iter().for_each(|finding| tracing::warn!("{finding}"));
                self.ledger.save_note(now, NOTE, &serde_json::to_string(&kept)?).await?;
                Ok(RuleBook { path: Some(path), file: Some(file), findings, refused: false, stamps })
            }
            Err(findings) => {
                findings.iter().for_each(|finding| tracing::warn!("{finding}"));
                let file = self.last_good(&path).await?;
                let book = RuleBook { path: Some(path), file, findings, refused: true, stamps };
                book.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
                Ok(book)
            }
        }
    }

    /// The rules of the last text of that file that had no errors, now or in an earlier life.
    async fn last_good(&self, path: &Path) -> anyhow::Result<Option<RuleFile>> {
        let Some(text) = self.ledger.note(NOTE).await? else { return Ok(None) };
        let kept: Kept = serde_json::from_str(&text).context("the rules that were kept")?;
        if kept.path != path {
            return Ok(None);
        }
        let read = |name: &str| kept.files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
        Ok(RuleFile::load(&kept.text, &path.display().to_string(), &read).ok().map(|(file, _)| file))
    }

    /// Nobody means a rule file that cannot be read: the rules that hold would be dropped for none at all.
    pub(super) fn must_be_readable(&self, spec: &Spec, text: &str) -> Result<(), OrderError> {
        let Some(path) = place_of(text).filter(|_| spec.key == OPTION) else { return Ok(()) };
        let Err(error) = rule_text::read(&path) else { return Ok(()) };
        let holds = match configured(&self.settings.now()) {
            Some(path) => format!("{} stays the rule file", path.display()),
            None => "there is no rule file, as before".to_owned(),
        };
        Err(OrderError::Caller(format!(
            "{OPTION}: '{}' cannot be read: {error}; {holds}. Give the whole path of a rule file, or '{NO_FILE}' to have none",
            path.display()
        )))
    }

    /// What an operator should know of the rule file that is configured now.
    pub async fn rule_warnings(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.rule_book(self.clock.now(), &self.settings.now()).await?.warnings())
    }

    /// What is wrong or odd about a rule file: the configured one, unless another is named.
    pub fn check_rules(&self, path: Option<&str>) -> Result<RuleCheck, OrderError> {
        let configured = configured(&self.settings.now());
        let path = path.map(PathBuf::from).or(configured).ok_or_else(|| {
            let text = "no rule file is configured (policy_file); name one: revenue-policy-file check PATH";
            OrderError::Caller(text.to_owned())
        })?;
        Ok(match Reading::of(&path).result {
            Ok((file, findings)) => RuleCheck { path, findings, sections: file.sections().count() },
            Err(findings) => RuleCheck { path, findings, sections: 0 },
        })
    }
}

/// One reading of a file, and of those that it names.
struct Reading {
    result: Result<(RuleFile, Vec<Finding>), Vec<Finding>>,
    stamps: BTreeMap<PathBuf, Stamp>,
    kept: Kept,
}

impl Reading {
    fn of(path: &Path) -> Reading {
        // Looked at before they are read: what changes meanwhile is read again the next time.
        let stamps = RefCell::new(BTreeMap::from([(path.to_owned(), rule_text::stamp(path))]));
        let files = RefCell::new(BTreeMap::new());
        let name = path.display().to_string();
        let read = |named: &str| {
            let place = beside(path, named);
            stamps.borrow_mut().insert(place.clone(), rule_text::stamp(&place));
            let text = rule_text::read(&place)?;
            files.borrow_mut().insert(named.to_owned(), text.clone());
            Ok(text)
        };
        let (text, result) = match rule_text::read(path) {
            Ok(text) => {
                // Whoever writes a file empties it first, and what is half written is not what he means.
                let as_before = stamps.borrow().iter().all(|(path, stamp)| rule_text::stamp(path) == *stamp);
                let how = (policy::Reading::Ours, Capabilities::CORE_LIGHTNING);
                let (file, findings) = RuleFile::check(&text, &name, how, &read);
                let mut findings = findings;
                if !as_before && !has_errors(&findings) {
                    findings.push(Finding::of_whole(&name, "is being written".to_owned()));
                }
                let result = match file.filter(|_| !has_errors(&findings)) {
                    Some(file) => Ok((file, findings)),
                    None => Err(findings),
                };
                (text, result)
            }
            Err(error) => (String::new(), Err(vec![Finding::of_whole(&name, format!("cannot be read: {error}"))])),
        };
        let kept = Kept { path: path.to_owned(), text, files: files.into_inner() };
        Reading { result, stamps: stamps.into_inner(), kept }
    }
}

fn configured(options: &Options) -> Option<PathBuf> {
    place_of(options.policy_file.trim())
}

fn place_of(path: &str) -> Option<PathBuf> {
    // What cannot be found from home is looked for as it stands, and told as not found.
    (path != NO_FILE).then(|| at_home(path, std::env::home_dir()).unwrap_or_else(|| PathBuf::from(path)))
}
