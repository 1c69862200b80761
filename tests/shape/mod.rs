//! What JSON is made of, without its values: types, and which fields are always there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The sum of many samples.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    types: BTreeSet<&'static str>,
    objects: usize,
    /// By field: its shape, and in how many objects it was.
    fields: BTreeMap<String, (Shape, usize)>,
    items: Option<Box<Shape>>,
}

impl Shape {
    pub(crate) fn of<'a>(samples: impl IntoIterator<Item = &'a Value>) -> Shape {
        let mut shape = Shape::default();
        samples.into_iter().for_each(|sample| shape.add(sample));
        shape
    }

    fn add(&mut self, sample: &Value) {
        self.types.insert(match sample {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        });
        match sample {
            Value::Array(items) => items.iter().for_each(|item| self.items.get_or_insert_default().add(item)),
            Value::Object(fields) => {
                self.objects += 1;
                for (name, value) in fields {
                    let (shape, count) = self.fields.entry(name.clone()).or_default();
                    shape.add(value);
                    *count += 1;
                }
            }
            _ => {}
        }
    }
}

/// In sentences: types of ours that they do not have, fields of ours that they do not have, and fields that are always in
/// theirs but not in ours, unless they are omitted on purpose.
pub(crate) fn differences(theirs: &Shape, ours: &Shape, omitted: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    compare("", theirs, ours, omitted, &mut problems);
    problems
}

fn compare(path: &str, theirs: &Shape, ours: &Shape, omitted: &[&str], problems: &mut Vec<String>) {
    let foreign: Vec<_> = ours.types.difference(&theirs.types).collect();
    if !foreign.is_empty() {
        problems.push(format!("{path}: ours is {foreign:?}, theirs {:?}", theirs.types));
    }
    for (name, (shape, _)) in &ours.fields {
        let path = format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
        match theirs.fields.get(name) {
            Some((known, _)) => compare(&path, known, shape, omitted, problems),
            None => problems.push(format!("{path}: only ours has it")),
        }
    }
    for (name, (_, count)) in theirs.fields.iter().filter(|(_, (_, count))| *count == theirs.objects) {
        let path = format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
        let always = ours.fields.get(name).is_some_and(|(_, here)| *here == ours.objects);
        if !always && ours.objects > 0 && !omitted.contains(&path.as_str()) {
            problems.push(format!("{path}: always in theirs ({count} times), not always in ours"));
        }
    }
    if let (Some(known), Some(items)) = (&theirs.items, &ours.items) {
        compare(&format!("{path}[]"), known, items, omitted, problems);
    }
}
