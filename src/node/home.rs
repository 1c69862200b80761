//! Paths as operators write them: `~` at the beginning is the home directory.

use std::path::PathBuf;

/// The whole path; `None` if it starts from a home directory that is not known.
pub fn at_home(path: &str, home: Option<PathBuf>) -> Option<PathBuf> {
    match (path.strip_prefix('~'), home) {
        (None, _) => Some(PathBuf::from(path)),
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            Some(home.join(rest.trim_start_matches('/')))
        }
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_directory_is_filled_in() {
        let home = || Some(PathBuf::from("/home/op"));
        let cases = [
            ("~/.lightning/revenue_ops.db", home(), Some("/home/op/.lightning/revenue_ops.db")),
            ("/var/lib/r.db", None, Some("/var/lib/r.db")),
            ("ledger.db", home(), Some("ledger.db")),
            ("~other/r.db", home(), None),
            ("~/r.db", None, None),
        ];
        for (path, home, expected) in cases {
            assert_eq!(at_home(path, home), expected.map(PathBuf::from), "{path}");
        }
    }
}
