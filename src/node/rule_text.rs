//! Rule files on disk: read them, and see whether they have changed. Never says what is in them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A rule file larger than this is none.
const LARGEST: u64 = 16 << 20;

/// What tells one state of a file from another without reading it.
pub type Stamp = Option<(u64, u128)>;

/// The file's text.
pub fn read(path: &Path) -> io::Result<String> {
    let file = path.metadata()?;
    let length = file.len();
    if !file.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if length > LARGEST {
        return Err(io::Error::other(format!("it has {length} bytes, more than {LARGEST}")));
    }
    std::fs::read_to_string(path)
}

/// Size and time of the last change; `None` if there is no such file now.
pub fn stamp(path: &Path) -> Stamp {
    let file = path.metadata().ok()?;
    let changed = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((file.len(), changed.as_nanos()))
}

/// A path as it stands in a rule file: relative ones start from the folder of that file.
pub fn beside(rules: &Path, named: &str) -> PathBuf {
    rules.parent().unwrap_or(Path::new("")).join(named)
}
