//! A JSON array file that is complete after every object.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::app::failure;
use crate::gate::Ending;

const EMPTY_ARRAY: &str = "[\n]\n";
/// The text after the last object.
const CLOSING: &str = "\n]\n";

/// A file with a JSON array. One write replaces the closing bracket by an object and a new closing bracket, so the file
/// is valid JSON at any moment, even if the process is killed.
pub(super) struct JsonArrayFile {
    file: File,
    path: PathBuf,
    /// The offset of [`CLOSING`] in bytes.
    end: u64,
    first: bool,
}

impl JsonArrayFile {
    /// Creates the file with an empty array.
    ///
    /// # Errors
    /// When the file exists already, which leaves it unchanged, or when it cannot be created or written.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let refused = |error: io::Error| {
            let path = path.display();
            let problem = match error.kind() {
                io::ErrorKind::AlreadyExists => format!(
                    "`{path}` already exists and is not overwritten; choose another file for `--out`, or remove it"
                ),
                _ => format!("could not create `{path}`: {error}; choose a writable file for `--out`"),
            };
            failure(Ending::Refused, problem)
        };
        let mut file = File::create_new(path).map_err(refused)?;
        let written = file.write_all(EMPTY_ARRAY.as_bytes());
        let array = Self { file, path: path.to_owned(), end: 1, first: true };
        written.map_err(|error| {
            // An incomplete file would only block the next start.
            let _ = std::fs::remove_file(path);
            array.write_error(&error)
        })?;
        Ok(array)
    }

    /// Appends an object.
    ///
    /// # Errors
    /// When the file cannot be written, which leaves it as it was, or when it was removed or replaced.
    pub(super) fn push(&mut self, object: &Value) -> anyhow::Result<()> {
        let separator = if self.first { "\n" } else { ",\n" };
        let text = format!("{separator}{object}{CLOSING}");
        if let Err(error) = self.file.write_all_at(text.as_bytes(), self.end) {
            let failed = self.write_error(&error);
            return Err(match self.restore_closing() {
                Ok(()) => failed,
                Err(error) => failed.context(format!("the array lacks its `]` (append it): {error}")),
            });
        }
        self.end += (text.len() - CLOSING.len()) as u64;
        self.first = false;
        self.check_exists()
    }

    /// Checks that the file is still in place.
    ///
    /// # Errors
    /// When the file was removed or replaced, so that its content is lost.
    pub(super) fn check_exists(&self) -> anyhow::Result<()> {
        let links = self.file.metadata().map_err(|error| self.write_error(&error))?.nlink();
        if links == 0 {
            return Err(self.write_error(&"the file was removed or replaced, and its readings are lost"));
        }
        Ok(())
    }

    /// Restores the closing bracket. This needs no new disk space, because the file had the bracket before.
    fn restore_closing(&self) -> io::Result<()> {
        self.file.write_all_at(CLOSING.as_bytes(), self.end)?;
        self.file.set_len(self.end + CLOSING.len() as u64)
    }

    fn write_error(&self, error: &dyn Display) -> anyhow::Error {
        failure(
            Ending::Unwritten,
            format!(
                "could not write the readings to `{}`: {error}; choose another `--out`",
                self.path.display()
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_is_a_whole_array_at_every_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let read = || std::fs::read_to_string(&path).unwrap();
        let mut array = JsonArrayFile::create(&path).unwrap();
        assert_eq!(read(), "[\n]\n");
        array.push(&json!({ "a": 1 })).unwrap();
        assert_eq!(read(), "[\n{\"a\":1}\n]\n");
        array.push(&json!({ "a": 2.5 })).unwrap();
        assert_eq!(read(), "[\n{\"a\":1},\n{\"a\":2.5}\n]\n");
    }

    #[test]
    fn a_file_that_is_removed_or_replaced_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["a.json", "b.json"].map(|name| folder.path().join(name));
        let removes = || std::fs::remove_file(&path).unwrap();
        let replaces = || {
            std::fs::write(&other, "mine").unwrap();
            std::fs::rename(&other, &path).unwrap();
        };
        for happens in [&removes as &dyn Fn(), &replaces] {
            let mut array = JsonArrayFile::create(&path).unwrap();
            array.push(&json!({ "a": 1 })).unwrap();
            assert!(array.check_exists().is_ok());
            happens();
            let error = array.push(&json!({ "a": 2 })).unwrap_err().to_string();
            assert!(error.contains("a.json`: the file was removed or replaced"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
