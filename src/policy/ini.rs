//! The INI dialect of charge-lnd's users, as Python's configparser reads it. Text in, sections out; what the keys mean is not known here.

use std::collections::BTreeSet;

use super::Reading;

/// The section whose keys are in every other section.
pub(super) const INHERITED: &str = "DEFAULT";

/// A value may refer to values that refer to values: so deep.
const DEEPEST: u32 = 10;

/// More text than any value needs: whoever doubles a value ten times over meets an error, not the end of the memory.
const LONGEST: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Document {
    /// In the order of the file.
    pub(super) sections: Vec<Section>,
    inherited: Section,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) entries: Vec<Entry>,
    /// What stands behind the closing bracket; configparser drops it.
    pub(super) behind: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Folded to lower case.
    pub(super) key: String,
    pub(super) line: u32,
    /// As written, lines joined, references not yet followed.
    raw: String,
    /// Lines where a comment behind the value was cut off.
    pub(super) cut: Vec<u32>,
}

/// A value that can be read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) value: Result<String, String>,
    /// It came from the section that all inherit from.
    pub(super) inherited: bool,
}

/// Why a text is no rule file.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) line: u32,
    pub(super) section: Option<String>,
    pub(super) key: Option<String>,
    pub(super) what: String,
}

/// A document, or all that is wrong with the text.
pub(super) fn parse(text: &str, reading: Reading) -> Result<Document, Vec<Fault>> {
    let mut reader = Reader { reading, ..Reader::default() };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (number, line) in (1..).zip(text.split('\n')) {
        reader.line(number, line);
    }
    reader.close_entry();
    if reader.faults.is_empty() { Ok(reader.document) } else { Err(reader.faults) }
}

#[derive(Default)]
struct Reader {
    reading: Reading,
    document: Document,
    faults: Vec<Fault>,
    place: Option<Place>,
    /// The entry whose value may go on: its lines so far.
    open: Option<(Entry, Vec<String>)>,
    indent: usize,
    names: BTreeSet<String>,
    keys: BTreeSet<(String, String)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Inherited,
    Section(usize),
}

impl Reader {
    fn line(&mut self, number: u32, line: &str) {
        let said = line.trim();
        if said.starts_with(['#', ';']) {
            return;
        }
        if said.is_empty() {
            if let Some((_, lines)) = &mut self.open {
                lines.push(String::new());
            }
            return;
        }
        let indent = line.len() - line.trim_start().len();
        if indent > self.indent && self.open.is_some() {
            return self.goes_on(number, said);
        }
        self.indent = indent;
        self.close_entry();
        match header(said) {
            Some((name, behind)) => self.section(number, name, behind),
            None => self.entry(number, said),
        }
    }

    fn goes_on(&mut self, number: u32, said: &str) {
        let (said, cut) = self.without_comment(said);
        if let Some((entry, lines)) = &mut self.open {
            lines.push(said.to_owned());
            entry.cut.extend(cut.then_some(number));
        }
    }

    fn section(&mut self, line: u32, name: &str, behind: bool) {
        if name == INHERITED {
            self.place = Some(Place::Inherited);
            return;
        }
        if !self.names.insert(name.to_owned()) {
            self.fault(line, Some(name), None, "a section of this name is there already");
        }
        self.document.sections.push(Section { name: name.to_owned(), line, entries: Vec::new(), behind });
        self.place = Some(Place::Section(self.document.sections.len() - 1));
    }

    fn entry(&mut self, line: u32, said: &str) {
        let Some(place) = self.place else {
            return self.fault(line, None, None, "stands before the first [section]");
        };
        let name = self.name_of(place);
        let Some((key, value)) = said.split_once(['=', ':']) else {
            return self.fault(line, Some(&name), None, "is neither a [section] nor a key with '=' and a value");
        };
        let key = key.trim_end().to_lowercase();
        if key.is_empty() {
            return self.fault(line, Some(&name), None, "has a value, but no key");
        }
        if !self.keys.insert((name.clone(), key.clone())) {
            self.fault(line, Some(&name), Some(&key), "is in this section already");
        }
        let (value, cut) = self.without_comment(value.trim());
        let lines = vec![value.to_owned()];
        self.open =
            Some((Entry { key, line, raw: String::new(), cut: cut.then_some(line).into_iter().collect() }, lines));
    }

    /// charge-lnd takes a comment behind a value for a part of the value; many files have them all the same.
    fn without_comment<'a>(&self, value: &'a str) -> (&'a str, bool) {
        if self.reading == Reading::ChargeLnd {
            return (value, false);
        }
        let mut before = None;
        for (at, c) in value.char_indices() {
            if matches!(c, '#' | ';') && before.is_some_and(char::is_whitespace) {
                return (value[..at].trim_end(), true);
            }
            before = Some(c);
        }
        (value, false)
    }

    fn close_entry(&mut self) {
        let Some((mut entry, lines)) = self.open.take() else { return };
        entry.raw = lines.join("\n").trim_end().to_owned();
        match self.place {
            Some(Place::Section(at)) => self.document.sections[at].entries.push(entry),
            Some(Place::Inherited) => self.document.inherited.entries.push(entry),
            None => {}
        }
    }

    fn name_of(&self, place: Place) -> String {
        match place {
            Place::Inherited => INHERITED.to_owned(),
            Place::Section(at) => self.document.sections[at].name.clone(),
        }
    }

    fn fault(&mut self, line: u32, section: Option<&str>, key: Option<&str>, what: &str) {
        let (section, key) = (section.map(str::to_owned), key.map(str::to_owned));
        self.faults.push(Fault { line, section, key, what: what.to_owned() });
    }
}

/// The name between the first bracket and the last, and whether anything stands behind.
fn header(said: &str) -> Option<(&str, bool)> {
    let inside = said.strip_prefix('[')?;
    let end = inside.rfind(']')?;
    (end > 0).then(|| (&inside[..end], end + 1 < inside.len()))
}

impl Document {
    /// What a section holds, its own keys first, then what it inherits; references are followed.
    pub(super) fn read(&self, section: &Section) -> Vec<Read> {
        let own = section.entries.iter().map(|entry| (entry, false));
        let mine = |entry: &&Entry| section.entries.iter().all(|own| own.key != entry.key);
        let inherited = self.inherited.entries.iter().filter(mine).map(|entry| (entry, true));
        own.chain(inherited)
            .map(|(entry, inherited)| Read {
                key: entry.key.clone(),
                line: entry.line,
                value: self.followed(section, &entry.raw),
                inherited,
            })
            .collect()
    }

    /// All entries with the name of their section, also of the one that all inherit from.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        let inherited = self.inherited.entries.iter().map(|entry| (INHERITED, entry));
        inherited.chain(self.sections.iter().flat_map(|s| s.entries.iter().map(move |entry| (s.name.as_str(), entry))))
    }

    /// Keys that some value refers to: what has no other meaning may be a name for a value.
    pub(super) fn referred(&self) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for (_, entry) in self.entries() {
            for part in entry.raw.split("${").skip(1) {
                let path = part.split('}').next().unwrap_or_default();
                keys.insert(path.rsplit(':').next().unwrap_or_default().to_lowercase());
            }
        }
        keys
    }

    fn followed(&self, section: &Section, raw: &str) -> Result<String, String> {
        let mut followed = Followed::default();
        self.follow(section, raw, 1, &mut followed)?;
        Ok(followed.value)
    }

    /// `${key}`, `${section:key}`, and `$$` for a dollar; any other dollar is an error.
    fn follow(&self, section: &Section, raw: &str, depth: u32, followed: &mut Followed) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("refers to more than {DEEPEST} values one after the other"));
        }
        let mut rest = raw;
        while let Some(at) = rest.find('$') {
            followed.push(&rest[..at])?;
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                followed.push("$")?;
                rest = after;
                continue;
            }
            let reference = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let (path, after) = reference
                .filter(|(path, _)| !path.is_empty())
                .ok_or("has a '$' that begins no ${key}; a dollar is written $$")?;
            rest = after;
            let (place, found) = self.named(section, path)?;
            match found.contains('$') {
                true => self.follow(place, found, depth + 1, followed)?,
                false => followed.push(found)?,
            }
        }
        followed.push(rest)
    }

    fn named<'a>(&'a self, section: &'a Section, path: &str) -> Result<(&'a Section, &'a str), String> {
        let parts: Vec<&str> = path.split(':').collect();
        let (place, key) = match parts.as_slice() {
            [key] => (Some(section), *key),
            [INHERITED, key] => (Some(&self.inherited), *key),
            [name, key] => (self.sections.iter().find(|s| s.name == *name), *key),
            _ => return Err(format!("refers to ${{{path}}}, which has more than one ':'")),
        };
        let key = key.to_lowercase();
        let value =
            place.and_then(|place| place.raw(&key).or_else(|| self.inherited.raw(&key)).map(|raw| (place, raw)));
        value.ok_or_else(|| format!("refers to ${{{path}}}, which is not there"))
    }
}

/// A value as far as its references are followed.
#[derive(Default)]
struct Followed {
    value: String,
    parts: usize,
}

impl Followed {
    fn push(&mut self, part: &str) -> Result<(), String> {
        self.value.push_str(part);
        // Empty parts add nothing, and are counted for that.
        self.parts += 1;
        match self.value.len() + self.parts > LONGEST {
            true => Err("becomes too long with all that it refers to".to_owned()),
            false => Ok(()),
        }
    }
}

impl Section {
    fn raw(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.raw.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(text: &str, reading: Reading) -> BTreeMap<String, Result<String, String>> {
        let document = parse(text, reading).unwrap();
        let of = |section: &Section| {
            let all = document.read(section).into_iter();
            all.map(|read| (format!("{}.{}", section.name, read.key), read.value)).collect::<Vec<_>>()
        };
        document.sections.iter().flat_map(of).collect()
    }

    fn value(text: &str, key: &str) -> Result<String, String> {
        read(text, Reading::Ours)[key].clone()
    }

    fn faults(text: &str) -> Vec<(u32, String)> {
        parse(text, Reading::Ours).unwrap_err().into_iter().map(|fault| (fault.line, fault.what)).collect()
    }

    #[test]
    fn keys_fold_and_either_delimiter_serves() {
        let text = "; c\n# d\n[A]\nChan.Min_Capacity: 1\nFEE_PPM : 12\n  x = a=b:c\nplain=\n";
        assert_eq!(value(text, "A.chan.min_capacity"), Ok("1".to_owned()));
        assert_eq!(value(text, "A.fee_ppm"), Ok("12\nx = a=b:c".to_owned()));
        assert_eq!(value(text, "A.plain"), Ok(String::new()));
    }

    #[test]
    fn deeper_lines_go_on_and_comments_between_them_do_not_count() {
        let text = "[a]\nid = one,\n\n   # no\n   two\n\nother = 1\n[b]";
        assert_eq!(value(text, "a.id"), Ok("one,\n\ntwo".to_owned()));
        assert_eq!(value(text, "a.other"), Ok("1".to_owned()));
    }

    #[test]
    fn a_comment_behind_a_value_is_cut_by_us_and_kept_by_charge_lnd() {
        let text = "[a] # x\nfee = 7 # x\nalias = #reckless\nrest = a;b";
        let cut = parse(text, Reading::Ours).unwrap();
        assert_eq!(value(text, "a.fee"), Ok("7".to_owned()));
        assert_eq!(cut.sections[0].entries[0].cut, [2]);
        assert!(cut.sections[0].behind);
        assert_eq!(value(text, "a.alias"), Ok("#reckless".to_owned()));
        assert_eq!(value(text, "a.rest"), Ok("a;b".to_owned()));
        assert_eq!(read(text, Reading::ChargeLnd)["a.fee"], Ok("7 # x".to_owned()));
    }

    #[test]
    fn references_are_followed_through_the_section_that_all_inherit_from() {
        let text = "[DEFAULT]\nbase = 5\nagain = ${base}0\n[a]\nbase = 7\nfee = ${again}${b:X}$$%\n[b]\nx = ${base}\nlost = ${c:d}\n\
                    odd = $5\nround = ${round}";
        assert_eq!(value(text, "a.fee"), Ok("705$%".to_owned()));
        assert_eq!(value(text, "b.again"), Ok("50".to_owned()));
        assert_eq!(value(text, "b.lost"), Err("refers to ${c:d}, which is not there".to_owned()));
        assert!(value(text, "b.odd").unwrap_err().starts_with("has a '$' that begins no ${key}"));
        assert!(value(text, "b.round").unwrap_err().starts_with("refers to more than 10 values"));
    }

    #[test]
    fn a_value_that_doubles_itself_ends_in_an_error() {
        let mut text = "[a]\nv0 = 0123456789\n".to_owned();
        for at in 1..10 {
            text += &format!("v{at} = {}\n", format!("${{v{}}}", at - 1).repeat(20));
        }
        assert_eq!(value(&text, "a.v9"), Err("becomes too long with all that it refers to".to_owned()));
    }

    #[test]
    fn what_is_no_rule_file_is_refused_by_line() {
        let said = |what: &str| what.to_owned();
        assert_eq!(faults("x = 1\n[a]"), [(1, said("stands before the first [section]"))]);
        assert_eq!(faults("[a]\n[a]"), [(2, said("a section of this name is there already"))]);
        assert_eq!(faults("[a]\nx=1\nX:2"), [(3, said("is in this section already"))]);
        assert_eq!(faults("[a]\nword"), [(2, said("is neither a [section] nor a key with '=' and a value"))]);
        assert_eq!(faults("[a]\n= 1"), [(2, said("has a value, but no key"))]);
    }
}
