//! Lists of channels and of nodes: literal items, and files of them, read once when the rule file is.

use std::collections::BTreeMap;
use std::io;

use super::value;
use crate::domain::{PeerId, Scid};

/// What begins an item that names a file.
pub(super) const FILE: &str = "file://";

/// The files that rules refer to, each read once.
pub(super) struct Files<'a> {
    read: &'a dyn Fn(&str) -> io::Result<String>,
    pub(super) texts: BTreeMap<String, Result<String, String>>,
}

/// A list, and what is odd about it.
pub(super) struct List<T> {
    pub(super) ids: Vec<T>,
    pub(super) odd: Vec<String>,
}

impl<'a> Files<'a> {
    pub(super) fn new(read: &'a dyn Fn(&str) -> io::Result<String>) -> Files<'a> {
        Files { read, texts: BTreeMap::new() }
    }

    pub(super) fn text(&mut self, path: &str) -> Result<&str, String> {
        let read = || (self.read)(path).map_err(|error| format!("'{path}' cannot be read: {error}"));
        let text = self.texts.entry(path.to_owned()).or_insert_with(read);
        text.as_deref().map_err(|error| error.clone())
    }

    /// Channels; one that is none makes the list useless.
    pub(super) fn channels(&mut self, text: &str) -> Result<List<Scid>, String> {
        let mut list = List { ids: Vec::new(), odd: Vec::new() };
        for item in value::items(text) {
            if let Some(path) = item.strip_prefix(FILE) {
                let entries = self.entries(path)?;
                list.add_file(path, &entries, |entry| value::channel(entry).ok());
            } else {
                list.ids.push(value::channel(item).map_err(|error| match item.contains(char::is_whitespace) {
                    true => format!("has '{}': is a comma missing?", one_line(item)),
                    false if item.is_empty() => "has a comma with nothing behind it".to_owned(),
                    false => error,
                })?);
            }
        }
        Ok(list.sorted())
    }

    /// Node ids; one that is none matches nothing.
    pub(super) fn nodes(&mut self, text: &str) -> Result<List<PeerId>, String> {
        let mut list = List { ids: Vec::new(), odd: Vec::new() };
        for item in value::items(text) {
            if let Some(path) = item.strip_prefix(FILE) {
                let entries = self.entries(path)?;
                list.add_file(path, &entries, node);
                continue;
            }
            match node(item) {
                Some(id) => list.ids.push(id),
                None => list.odd.push(no_node(item)),
            }
        }
        Ok(list.sorted())
    }

    /// Separated by lines or commas; `#` begins a comment anywhere.
    fn entries(&mut self, path: &str) -> Result<Vec<String>, String> {
        let lines = self.text(path)?.lines().map(|line| line.split('#').next().unwrap_or_default());
        let entries = lines.flat_map(value::items).filter(|entry| !entry.is_empty());
        Ok(entries.map(str::to_owned).collect())
    }
}

impl<T: Ord> List<T> {
    fn add_file(&mut self, path: &str, entries: &[String], read: impl Fn(&str) -> Option<T>) {
        for entry in entries {
            match read(entry) {
                Some(id) => self.ids.push(id),
                None => self.odd.push(format!("refers to '{path}', in which '{entry}' is no id and is left out")),
            }
        }
    }

    fn sorted(mut self) -> List<T> {
        self.ids.sort_unstable();
        self.ids.dedup();
        self
    }
}

/// Ids are compared as they are written, in small letters.
fn node(text: &str) -> Option<PeerId> {
    text.parse().ok().filter(|id: &PeerId| id.to_string() == text)
}

fn no_node(item: &str) -> String {
    if item.is_empty() {
        "has a comma with nothing behind it".to_owned()
    } else if item.contains(char::is_whitespace) {
        format!("has '{}', which matches no node: a comma is missing", one_line(item))
    } else if item.to_lowercase() != item {
        format!("has '{item}', which matches no node: ids are written in small letters")
    } else {
        format!(
            "has '{item}', which is no node id (66 hexadecimal digits that start with 02 or 03) and matches nothing"
        )
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> io::Result<String> {
        match path {
            "pool.txt" => Ok("840009x10x0\n840010x11x0 # K\nbogus\n,840012:13:0\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    #[test]
    fn files_and_literals_mix() {
        let list = Files::new(&read).channels("file://pool.txt, 1x2x3").unwrap_or_else(|e| panic!("{e}"));
        let ids: Vec<String> = list.ids.iter().map(Scid::to_string).collect();
        assert_eq!(ids, ["1x2x3", "840009x10x0", "840010x11x0", "840012x13x0"]);
        assert_eq!(list.odd, ["refers to 'pool.txt', in which 'bogus' is no id and is left out"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let wrong = |text: &str| Files::new(&read).channels(text).err().unwrap_or_default();
        assert!(wrong("file://no.txt").starts_with("'no.txt' cannot be read"));
        assert_eq!(wrong("1x2x3\n4x5x6"), "has '1x2x3 4x5x6': is a comma missing?");
        assert_eq!(wrong("1x2x3,"), "has a comma with nothing behind it");
    }
}
