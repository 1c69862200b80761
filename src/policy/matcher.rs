//! Does a section apply to a channel? Criteria are prepared once; judging one channel allocates nothing unless somebody asks why.

use std::fmt;

use super::finding::{Severity, nearest};
use super::ini::Read;
use super::lists::{Files, List};
use super::matchers::{Kind, MATCHERS, Matcher, Number, Question};
use super::quantity::{Look, Measured, Quantity};
use super::rules::Notes;
use super::{Reading, value};
use crate::domain::{Facts, FlowClass, Graph, NodeFacts, PeerId, Scid};

/// An estimate for the very next block is not to be had.
const NEAREST_TARGET: i64 = 2;
const USUAL_TARGET: u32 = 6;
const SECONDS_A_BLOCK: i64 = 600;

/// The criteria of one namespace; all must hold.
#[derive(Debug)]
pub(super) struct Group {
    space: Space,
    criteria: Vec<Criterion>,
    pub(super) period: Option<i64>,
    conf_target: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    /// Cannot be judged for a channel that the graph does not have.
    Chan,
    /// Cannot be judged for a peer that the graph does not have, beyond its id.
    Node,
    Other,
    Unknown,
}

#[derive(Debug)]
pub(super) struct Criterion {
    pub(super) key: String,
    pub(super) line: u32,
    /// As the file has it.
    pub(super) wanted: String,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// Cannot be judged: whoever comes here is left alone.
    Broken(String),
    Nowhere,
    Min(Quantity, f64),
    Max(Quantity, f64),
    Is(Question, bool),
    Channels(Vec<Scid>),
    Nodes(Vec<PeerId>),
    Alias(Vec<String>),
    Levels(Vec<Level>),
    Classes(Vec<FlowClass>),
    Tags(Vec<String>),
    OlderThan(i64),
    /// Says how others are to be judged.
    Parameter,
}

/// How much of its capacity a channel moved in seven days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Inactive,
    Low,
    Medium,
    High,
}

pub(super) enum Verdict<'a> {
    Matches,
    Fails(&'a Criterion, Found),
    Breaks(&'a Criterion, &'a str),
}

/// What there was instead of what was wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    Number(f64),
    Answer(bool),
    /// The thing itself, to be looked up if anybody asks.
    Itself,
    Unknown(&'static str),
}

impl Group {
    /// The groups of a section, in the order in which their namespaces appear.
    pub(super) fn all(reads: &[Read], files: &mut Files, reading: Reading, notes: &mut Notes) -> Vec<Group> {
        let dotted: Vec<(&str, &Read)> =
            reads.iter().filter_map(|read| Some((read.key.split_once('.')?.0, read))).collect();
        let mut spaces: Vec<&str> = Vec::new();
        for (space, _) in &dotted {
            if !spaces.contains(space) {
                spaces.push(space);
            }
        }
        let of = |space: &str| dotted.iter().filter(|(of, _)| *of == space).map(|(_, read)| *read).collect::<Vec<_>>();
        spaces.iter().map(|space| Group::new(space, &of(space), files, (reading, notes))).collect()
    }

    fn new(name: &str, reads: &[&Read], files: &mut Files, (reading, notes): (Reading, &mut Notes)) -> Group {
        let known = || MATCHERS.iter().filter(|matcher| matcher.origin.known_to(reading));
        let space = match name {
            "chan" => Space::Chan,
            "node" => Space::Node,
            _ if known().any(|matcher| matcher.namespace() == name) => Space::Other,
            _ => Space::Unknown,
        };
        let mut group = Group { space, criteria: Vec::new(), period: None, conf_target: USUAL_TARGET };
        for read in reads.iter().filter(|read| known().all(|matcher| matcher.key != read.key)) {
            let check = match space {
                Space::Unknown => Check::Nowhere,
                _ => Check::Broken("is not known".to_owned()),
            };
            notes.error(read, "is no key by which channels are chosen", nearest(&read.key, known().map(|m| m.key)));
            group.criteria.push(Criterion::of(read, check));
        }
        let find = |matcher: &Matcher| reads.iter().find(|read| read.key == matcher.key);
        let youth = find_kind(reads, Kind::Youth).is_some_and(says_no);
        group.period = find_kind(reads, Kind::Period).and_then(|read| value::span(read.value.as_ref().ok()?).ok());
        let counts = find_kind(reads, Kind::Period).is_some();
        for (matcher, read) in known().filter_map(|matcher| Some((matcher, *find(matcher)?))) {
            if matcher.needs_period() && !counts {
                notes.warning(read, "has no effect without chan.activity_period");
                continue;
            }
            match Check::of(matcher.kind, read, files, notes) {
                Ok(Check::OlderThan(_)) if youth => {}
                Ok(Check::Parameter) => {}
                Ok(check) => group.criteria.push(Criterion::of(read, check)),
                Err(what) => {
                    notes.error(read, &what, None);
                    group.criteria.push(Criterion::of(read, Check::Broken(what)));
                }
            }
            if let (Kind::ConfTarget, Ok(text)) = (matcher.kind, &read.value) {
                group.conf_target = value::int(text).map_or(USUAL_TARGET, target);
            }
        }
        group.contradictions(reading, notes);
        group
    }

    /// Lower bounds above upper ones of the same measure.
    fn contradictions(&self, reading: Reading, notes: &mut Notes) {
        let severity = if reading == Reading::Ours { Severity::Error } else { Severity::Warning };
        let pairs = self.criteria.iter().flat_map(|low| self.criteria.iter().map(move |high| (low, high)));
        for (low, high) in pairs {
            let (Check::Min(x, least), Check::Max(y, most)) = (&low.check, &high.check) else { continue };
            if x == y && least > most {
                let what = format!(
                    "is {}, and {} in line {} is {}: the section never matches",
                    low.wanted, high.key, high.line, high.wanted
                );
                notes.note(severity, low.line, Some(&low.key), &what);
            }
        }
    }

    /// Nothing is looked at behind the first criterion that fails.
    pub(super) fn judge<'a>(&'a self, facts: &Facts, node: &NodeFacts) -> Verdict<'a> {
        let look = Look { facts, node, period: self.period.unwrap_or_default(), conf_target: self.conf_target };
        let mut peer_is_known = self.space != Space::Node;
        if let (Space::Chan, false, Some(first)) = (self.space, facts.in_graph, self.criteria.first()) {
            return Verdict::Fails(first, Found::Unknown("the graph does not have the channel"));
        }
        for criterion in &self.criteria {
            if !peer_is_known && !matches!(criterion.check, Check::Nodes(_)) {
                peer_is_known = true;
                if facts.peer_in_graph == Graph::Missing {
                    return Verdict::Breaks(criterion, NO_PEER);
                }
            }
            match criterion.check.judge(&look) {
                Ok(true) => {}
                Ok(false) => return Verdict::Fails(criterion, criterion.check.found(&look)),
                Err(what) => return Verdict::Breaks(criterion, what),
            }
        }
        match self.criteria.last() {
            Some(last) if !peer_is_known && facts.peer_in_graph == Graph::Missing => Verdict::Breaks(last, NO_PEER),
            _ => Verdict::Matches,
        }
    }
}

const NO_PEER: &str = "cannot be judged: the graph does not have the peer";

fn target(blocks: i64) -> u32 {
    u32::try_from(blocks.max(NEAREST_TARGET)).unwrap_or(u32::MAX)
}

fn find_kind<'a>(reads: &[&'a Read], kind: Kind) -> Option<&'a Read> {
    let key = MATCHERS.iter().find(|matcher| matcher.kind == kind)?.key;
    reads.iter().find(|read| read.key == key).copied()
}

fn says_no(read: &Read) -> bool {
    read.value.as_deref().ok().and_then(|text| value::switch(text).ok()) == Some(false)
}

impl Criterion {
    fn of(read: &Read, check: Check) -> Criterion {
        let wanted = read.value.clone().unwrap_or_default();
        Criterion { key: read.key.clone(), line: read.line, wanted, check }
    }

    /// What the channel has of what the criterion asks.
    pub(super) fn found(&self, found: Found, facts: &Facts) -> String {
        match (&self.check, found) {
            (_, Found::Number(number)) => Plain(number).to_string(),
            (_, Found::Answer(answer)) => answer.to_string(),
            (_, Found::Unknown(why)) => why.to_owned(),
            (Check::Channels(_), Found::Itself) => facts.scid.to_string(),
            (Check::Nodes(_), Found::Itself) => facts.peer.to_string(),
            (Check::Alias(_), Found::Itself) => facts.alias.clone().unwrap_or_else(|| "no name".to_owned()),
            (Check::Levels(_), Found::Itself) => level(facts).map_or("not known", Level::name).to_owned(),
            (Check::Classes(_), Found::Itself) => facts.flow.map_or("not known", FlowClass::name).to_owned(),
            (Check::Tags(_), Found::Itself) if facts.tags.is_empty() => "no tag".to_owned(),
            (Check::Tags(_), Found::Itself) => facts.tags.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            (_, Found::Itself) => "is known to no one".to_owned(),
        }
    }
}

/// Whole numbers without a point, others with as many digits as tell them apart.
struct Plain(f64);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.fract() == 0.0 || !self.0.is_finite() {
            true => write!(f, "{}", self.0),
            false => f.write_str(format!("{:.6}", self.0).trim_end_matches('0')),
        }
    }
}

impl Check {
    fn of(kind: Kind, read: &Read, files: &mut Files, notes: &mut Notes) -> Result<Check, String> {
        let text = read.value.as_deref().map_err(Clone::clone)?;
        let bound = |number| match number {
            Number::Whole => value::int(text).map(|bound| bound as f64),
            Number::Real => value::float(text),
        };
        let mut odd = |list: &[String]| list.iter().for_each(|what| notes.warning(read, what));
        Ok(match kind {
            Kind::Min(of, number) => Check::Min(of, bound(number)?),
            Kind::Max(of, number) => Check::Max(of, bound(number)?),
            Kind::Is(question) => Check::Is(question, value::switch(text)?),
            Kind::Channels => {
                let List { ids, odd: what } = files.channels(text)?;
                odd(&what);
                Check::Channels(ids)
            }
            Kind::Nodes => {
                let List { ids, odd: what } = files.nodes(text)?;
                odd(&what);
                Check::Nodes(ids)
            }
            Kind::Alias => Check::Alias(words(text)),
            Kind::Tags => Check::Tags(words(text)),
            Kind::Levels => Check::Levels(each(text, Level::parse, Level::ALL.map(Level::name))?),
            Kind::Classes => Check::Classes(each(text, |word| word.parse().ok(), FlowClass::ALL.map(FlowClass::name))?),
            Kind::Period => Check::OlderThan(value::span(text)?),
            Kind::Youth => value::switch(text).map(|_| Check::Parameter)?,
            Kind::ConfTarget => value::int(text).map(|_| Check::Parameter)?,
        })
    }

    fn judge(&self, look: &Look) -> Result<bool, &str> {
        let facts = look.facts;
        Ok(match self {
            Check::Broken(what) => return Err(what),
            Check::Nowhere => false,
            Check::Min(of, bound) => match of.of(look) {
                Measured::Value(value) => value >= *bound,
                Measured::Unknown(_) => false,
                Measured::Absurd(what) => return Err(what),
            },
            Check::Max(of, bound) => match of.of(look) {
                Measured::Value(value) => value <= *bound,
                Measured::Unknown(_) => false,
                Measured::Absurd(what) => return Err(what),
            },
            Check::Is(question, wanted) => question.answer(look) == Some(*wanted),
            Check::Channels(ids) => ids.binary_search(&facts.scid).is_ok(),
            Check::Nodes(ids) => ids.binary_search(&facts.peer).is_ok(),
            Check::Alias(patterns) => {
                facts.alias.as_ref().is_some_and(|alias| patterns.iter().any(|pattern| value::glob(pattern, alias)))
            }
            Check::Levels(levels) => level(facts).is_some_and(|level| levels.contains(&level)),
            Check::Classes(classes) => facts.flow.is_some_and(|class| classes.contains(&class)),
            Check::Tags(tags) => tags.iter().any(|tag| facts.tags.contains(tag)),
            Check::OlderThan(period) => seconds_old(look) >= *period,
            Check::Parameter => true,
        })
    }

    /// What made it fail.
    fn found(&self, look: &Look) -> Found {
        match self {
            Check::Min(of, _) | Check::Max(of, _) => match of.of(look) {
                Measured::Value(value) => Found::Number(value),
                Measured::Unknown(why) | Measured::Absurd(why) => Found::Unknown(why),
            },
            Check::Is(question, _) => question.answer(look).map_or(Found::Unknown("not known"), Found::Answer),
            Check::OlderThan(_) => Found::Unknown("the channel is younger"),
            Check::Nowhere => Found::Unknown("nothing is called so"),
            _ => Found::Itself,
        }
    }
}

fn seconds_old(look: &Look) -> i64 {
    look.facts.age(look.node).saturating_mul(SECONDS_A_BLOCK)
}

fn words(text: &str) -> Vec<String> {
    value::items(text).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn each<T, const N: usize>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    all: [&'static str; N],
) -> Result<Vec<T>, String> {
    let one = |word: String| {
        let better =
            || nearest(&word, all.into_iter()).map_or(String::new(), |near| format!("; did you mean '{near}'?"));
        parse(&word).ok_or_else(|| format!("has '{word}', which is none of {}{}", all.join(", "), better()))
    };
    words(text).into_iter().map(one).collect()
}

impl Question {
    fn answer(self, look: &Look) -> Option<bool> {
        match self {
            Question::OpenedByUs => look.facts.opened_by_us,
            Question::Private => Some(look.facts.private),
            Question::PeerDisabled => look.facts.theirs.and_then(|theirs| theirs.disabled),
            Question::Synced => look.node.synced,
        }
    }
}

impl Level {
    const ALL: [Level; 4] = [Level::Inactive, Level::Low, Level::Medium, Level::High];

    fn name(self) -> &'static str {
        match self {
            Level::Inactive => "inactive",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
        }
    }

    fn parse(word: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == word)
    }
}

fn level(facts: &Facts) -> Option<Level> {
    let week = facts.week?;
    let moved = week.in_sat as f64 + week.out_sat as f64;
    let share = moved / facts.capacity.as_f64();
    Some(match share {
        _ if moved == 0.0 => Level::Inactive,
        share if share > 0.1 => Level::High,
        share if share > 0.01 => Level::Medium,
        _ => Level::Low,
    })
}
