//! A file for what comes of a long command: found to be writable before the work begins, filled when it is done.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

#[derive(Debug)]
pub(super) struct Outfile {
    path: PathBuf,
    file: File,
    /// It was not there before, and nothing has been written yet.
    is_new: bool,
}

impl Outfile {
    /// What is in the file already stays until there is something better.
    pub(super) fn at(path: &Path) -> anyhow::Result<Outfile> {
        let writing = || format!("writing {}", path.display());
        let is_new = !path.try_exists().with_context(writing)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).with_context(writing)?;
        Ok(Outfile { path: path.to_owned(), file, is_new })
    }

    pub(super) fn fill(mut self, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let writing = || format!("writing {}", self.path.display());
        // A terminal or a pipe has no length.
        if self.file.metadata().with_context(writing)?.is_file() {
            self.file.set_len(0).with_context(writing)?;
        }
        let mut out = BufWriter::new(&self.file);
        write(&mut out).and_then(|()| Ok(out.flush()?)).with_context(writing)?;
        self.is_new = false;
        Ok(())
    }
}

impl Drop for Outfile {
    fn drop(&mut self) {
        if self.is_new {
            // Nothing came of it; an empty file would look like something.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_file_is_new_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.json");
        drop(Outfile::at(&path).unwrap());
        assert!(!path.exists(), "nothing came of it");
        let fails = |out: &mut dyn Write| {
            out.write_all(b"half")?;
            bail!("no more")
        };
        assert!(Outfile::at(&path).unwrap().fill(fails).is_err() && !path.exists());

        let old = "longer than what comes after it";
        fs::write(&path, old).unwrap();
        let waiting = Outfile::at(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), old, "until there is something better");
        waiting.fill(|out| Ok(out.write_all(b"new")?)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("missing/scores.json")] {
            let why = format!("{:#}", Outfile::at(&path).unwrap_err());
            assert!(why.starts_with(&format!("writing {}: ", path.display())), "{why}");
        }
        Outfile::at(Path::new("/dev/null")).unwrap().fill(|out| Ok(out.write_all(b"gone")?)).unwrap();
    }
}
