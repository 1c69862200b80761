//! The rules of the house that a machine can keep, read from the source.
#![expect(clippy::unwrap_used, reason = "a rule whose source cannot be read is broken")]

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A module may use the floors below its own only; neighbours never talk.
const FLOORS: &[(&str, u8)] = &[
    ("plugin", 5),
    ("cli", 5),
    ("rpc", 4),
    ("live", 4),
    ("sim", 4),
    ("ops", 3),
    ("node", 2),
    ("ledger", 2),
    ("accounts", 1),
    ("fees", 1),
    ("flow", 1),
    ("rebalance", 1),
    ("options", 1),
    ("policy", 1),
    ("domain", 0),
];

/// Words that occur in certain places only: (word, where it may occur, why).
const PLACES: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["domain/time.rs"], "ask the Clock"),
    ("Utc::now", &["domain/time.rs"], "ask the Clock"),
    ("Local::now", &["domain/time.rs"], "ask the Clock"),
    ("sleep", &["live.rs"], "only live.rs waits"),
    ("time::interval", &["live.rs", "sim/lightningd.rs"], "only live.rs waits, and the node that we play"),
    ("sqlx", &["ledger/"], "only the ledger contains SQL"),
    ("ClnRpc", &["node/"], "wire formats stay in the node"),
    ("cln_plugin", &["plugin.rs"], "only the front door speaks the plugin protocol"),
    ("todo!", &[], "no code for later"),
    ("unimplemented!", &[], "no code for later"),
    ("dbg!", &[], "no leftovers"),
];

/// Statements of SQL as they begin, in texts.
const SQL: &[&str] = &["SELECT ", "INSERT ", "DELETE FROM", "CREATE TABLE", "CREATE INDEX", "PRAGMA ", "ON CONFLICT"];

/// Rooms are pure.
const ROOMS: &[&str] = &["accounts/", "fees/", "flow/", "options.rs", "policy/", "rebalance/", "domain/"];
const WAITING: &[&str] = &["async ", ".await", "tokio::", "std::fs", "std::net", "std::env"];

const LONGEST_FILE: usize = 500;

/// A source file, with as much blanked out as a rule does not look at. All three have the same length.
struct File {
    /// Below src/.
    path: String,
    text: String,
    /// Without comments and tests.
    said: String,
    /// Without comments, tests, and what is between quotes.
    code: String,
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all: Vec<_> = paths(&root, "rs").into_iter().map(|path| File::read(&root, &path)).collect();
    let mut tests: BTreeSet<String> = all.iter().flat_map(test_files).collect();
    // What belongs to a test belongs to tests, however deep.
    let mut fewer = 0;
    while fewer < tests.len() {
        fewer = tests.len();
        let parents: Vec<&File> = all.iter().filter(|file| tests.contains(&file.path)).collect();
        tests.extend(parents.into_iter().flat_map(|file| modules(&file.text).map(|name| path_of(&file.path, name))));
    }
    all.into_iter().filter(|file| !tests.contains(&file.path)).collect()
}

fn paths(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(paths(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl File {
    fn read(root: &Path, path: &Path) -> File {
        let text = fs::read_to_string(path).unwrap();
        let (comments, quotes) = comments_and_quotes(&text);
        let code = blanked(&text, comments.iter().chain(&quotes));
        let tests = test_items(&code);
        File {
            path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
            said: blanked(&text, comments.iter().chain(&tests)),
            code: blanked(&code, tests.iter()),
            text,
        }
    }

    /// The module on the first floor plan: `ops/sync.rs` and `ops/mod.rs` are `ops`.
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

fn blanked<'a>(text: &str, ranges: impl Iterator<Item = &'a Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        bytes[range.clone()].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where comments are, and what is between quotes.
fn comments_and_quotes(text: &str) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut comments, mut quotes, mut at) = (Vec::new(), Vec::new(), 0);
    let find = |from: usize, what: &str| text[from..].find(what).map_or(text.len(), |found| from + found);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        let end = match rest {
            [b'/', b'/', ..] => find(at, "\n"),
            [b'/', b'*', ..] => find(at, "*/") + 2,
            [b'r', b'"', ..] => find(at + 2, "\"") + 1,
            [b'r', b'#', b'"', ..] => find(at + 3, "\"#") + 2,
            [b'"', ..] => end_of_quote(text, at + 1),
            // A character, unless it is a lifetime.
            [b'\'', b'\\', ..] => find(at + 3, "'") + 1,
            [b'\'', ..] => end_of_character(text, at),
            _ => at + text[at..].chars().next().unwrap().len_utf8(),
        };
        match rest {
            [b'/', b'/' | b'*', ..] => comments.push(at..end),
            [b'"' | b'\'', ..] if end > at + 1 => quotes.push(at + 1..end - 1),
            [b'r', b'"' | b'#', ..] if end > at + 1 => quotes.push(at + 1..end),
            _ => {}
        }
        at = end;
    }
    (comments, quotes)
}

/// A lifetime ends where it began.
fn end_of_character(text: &str, at: usize) -> usize {
    let mut chars = text[at + 1..].char_indices().skip(1);
    chars.next().filter(|(_, c)| *c == '\'').map_or(at + 1, |(closing, _)| at + closing + 2)
}

fn end_of_quote(text: &str, from: usize) -> usize {
    let mut escaped = false;
    let closing = text[from..].bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    closing.map_or(text.len(), |found| from + found + 1)
}

/// Items that only tests compile: from the attribute to the end of the item.
fn test_items(code: &str) -> Vec<Range<usize>> {
    code.match_indices("#[cfg(test)]").map(|(start, _)| start..end_of_item(code, start)).collect()
}

fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(byte, b'}' | b';') {
            return at + 1;
        }
    }
    code.len()
}

/// Files of modules that only tests compile.
fn test_files(file: &File) -> Vec<String> {
    let tests = test_items(&blanked(&file.text, comments_and_quotes(&file.text).1.iter()));
    let items = tests.iter().map(|range| &file.text[range.clone()]);
    items.flat_map(|item| modules(item).map(|name| path_of(&file.path, name)).collect::<Vec<_>>()).collect()
}

/// Names in `mod name;`, unless the file lies elsewhere.
fn modules(code: &str) -> impl Iterator<Item = &str> {
    let lines = code.lines().map(str::trim);
    let before = std::iter::once("").chain(lines.clone());
    lines.zip(before).filter(|(_, before)| !before.starts_with("#[path")).filter_map(|(line, _)| {
        let item = line.strip_suffix(';')?;
        ["mod ", "pub mod ", "pub(crate) mod "].iter().find_map(|start| item.strip_prefix(start))
    })
}

/// The file of a child module, as a path below src/.
fn path_of(parent: &str, name: &str) -> String {
    let folder = match parent.rsplit_once('/') {
        Some((folder, "mod.rs")) => format!("{folder}/"),
        None if parent == "lib.rs" => String::new(),
        _ => format!("{}/", parent.trim_end_matches(".rs")),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = format!("{folder}{name}/mod.rs");
    if root.join(&inside).exists() { inside } else { format!("{folder}{name}.rs") }
}

/// First names of all paths that begin with `crate::`, also in braces.
fn used_modules(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, word) in code.match_indices("crate::") {
        let path = &code[at + word.len()..];
        match path.strip_prefix('{') {
            None => drop(used.insert(first_name(path))),
            Some(list) => used.extend(items(list).map(first_name)),
        }
    }
    used.remove("");
    used
}

/// The items of a list that a `}` closes; commas in inner braces do not part them.
fn items(list: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut parts) = (0, vec![0]);
    for (at, c) in list.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => parts.push(at + 1),
            _ if depth < 0 => break,
            _ => {}
        }
    }
    parts.into_iter().map(move |start| &list[start..])
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn floor_of(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn lines_of(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn arrows_point_down() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| !["lib.rs", "main.rs"].contains(&file.path.as_str())) {
        let own = floor_of(file.module()).unwrap_or_else(|| panic!("{} has no floor", file.path));
        for used in used_modules(&file.code).into_iter().filter(|used| used != file.module()) {
            match floor_of(&used) {
                Some(floor) if floor < own => {}
                Some(_) => broken.push(format!("{} uses {used}, which is not on a lower floor", file.path)),
                None => broken.push(format!("{} uses {used}, which has no floor", file.path)),
            }
        }
        let out_of_the_room = if file.path.matches('/').count() == 0 || file.path.ends_with("/mod.rs") {
            "super::"
        } else {
            "super::super::"
        };
        if file.code.contains(out_of_the_room) {
            broken.push(format!("{} leaves its module by '{out_of_the_room}'; write 'crate::'", file.path));
        }
    }
    none(broken);
}

#[test]
fn commands_ask_the_steps_only() {
    let rpc = files().into_iter().filter(|file| file.module() == "rpc");
    none(
        rpc.flat_map(|file| {
            let used = used_modules(&file.code);
            let reaches = ["node", "ledger"].into_iter().filter(move |module| used.contains(*module));
            reaches.map(move |module| format!("{} uses {module}; ask ops", file.path)).collect::<Vec<_>>()
        })
        .collect(),
    );
}

#[test]
fn words_stay_in_their_places() {
    let mut broken = Vec::new();
    for file in files() {
        for (word, places, why) in PLACES.iter().filter(|(_, places, _)| !file.is_in(places)) {
            if file.code.contains(word) {
                broken.push(format!("{} contains '{word}', allowed in {places:?}: {why}", file.path));
            }
        }
        for word in SQL.iter().filter(|word| file.module() != "ledger" && file.said.contains(**word)) {
            broken.push(format!("{} contains '{word}': SQL lives in ledger/", file.path));
        }
        for word in WAITING.iter().filter(|word| file.is_in(ROOMS) && file.code.contains(**word)) {
            broken.push(format!("{} contains '{word}': rooms never wait and never do I/O", file.path));
        }
    }
    none(broken);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut broken = Vec::new();
    for file in files() {
        if !file.text.starts_with("//! ") {
            broken.push(format!("{} does not begin with //! and what it is", file.path));
        }
        let lines = lines_of(&file.said);
        if lines > LONGEST_FILE {
            broken.push(format!("{} has {lines} lines of code; {LONGEST_FILE} are allowed", file.path));
        }
    }
    none(broken);
}

/// Whoever looks for a test reads the whole file.
#[test]
fn tests_are_short_as_well() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = ["src", "tests", "benches"].iter().flat_map(|folder| paths(&root.join(folder), "rs"));
    let lines = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        lines_of(&blanked(&text, comments_and_quotes(&text).0.iter()))
    };
    let long = all.map(|path| (lines(&path), path)).filter(|(lines, _)| *lines > LONGEST_FILE);
    none(
        long.map(|(lines, path)| {
            format!("{} has {lines} lines with its tests; {LONGEST_FILE} are allowed", path.display())
        })
        .collect(),
    );
}

#[test]
fn every_file_is_part_of_the_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut reached, mut open) = (BTreeSet::from(["main.rs".to_owned()]), vec!["lib.rs".to_owned()]);
    while let Some(path) = open.pop() {
        let text = fs::read_to_string(root.join(&path)).unwrap_or_else(|_| panic!("src/{path} is not there"));
        open.extend(modules(&text).map(|name| path_of(&path, name)));
        reached.insert(path);
    }
    let present = paths(&root, "rs").into_iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string());
    none(present.filter(|path| !reached.contains(path)).map(|path| format!("{path} is in no module")).collect());
}

#[test]
fn every_migration_is_compiled_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let ledger: String = files().into_iter().filter(|file| file.module() == "ledger").map(|file| file.said).collect();
    let names = paths(&root, "sql").into_iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    none(
        names.filter(|name| !ledger.contains(name.as_str())).map(|name| format!("{name} is not compiled in")).collect(),
    );
}

#[test]
fn nothing_is_allowed_silently_or_left_to_a_ticket() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for path in ["src", "tests"].iter().flat_map(|folder| paths(&root.join(folder), "rs")) {
        let text = fs::read_to_string(&path).unwrap();
        let code = blanked(&text, comments_and_quotes(&text).1.iter());
        let name = path.strip_prefix(root).unwrap().display();
        for attribute in ["#[allow", "#![allow"].iter().filter(|attribute| code.contains(**attribute)) {
            broken.push(format!("{name}: '{attribute}'; write #[expect(.., reason = \"..\")]"));
        }
        for (number, line) in code.lines().enumerate() {
            let ticket = line.split('#').skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_digit()));
            let later = ["TODO", "FIXME", "XXX"].iter().any(|word| line.contains(word));
            if ticket || later {
                broken.push(format!("{name}:{}: a ticket or a note for later: {}", number + 1, line.trim()));
            }
        }
    }
    none(broken);
}

#[test]
fn the_rules_read_code_as_the_compiler_does() {
    let text = "use crate::{a, b::{c, d}, e};\nlet s = \"crate::x // no\"; // crate::y\nlet c = '\"'; crate::f::g();\n\
                fn h<'a>(x: &'a str) {} crate::i\n#[cfg(test)]\nmod tests {\n    crate::j; }\ncrate::k;";
    let (comments, quotes) = comments_and_quotes(text);
    let code = blanked(text, comments.iter().chain(&quotes));
    let code = blanked(&code, test_items(&code).iter());
    assert_eq!(used_modules(&code).into_iter().collect::<String>(), "abefik");
}
