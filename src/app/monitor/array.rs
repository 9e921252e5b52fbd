//! A JSON array in a file that is whole after every object.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::app::failure;
use crate::exit::Ending;

const EMPTY: &str = "[\n]\n";
/// What stands behind the last object.
const CLOSING: &str = "\n]\n";

/// The array. Each object takes the place of the closing bracket and brings another, in one write: whoever reads the
/// file, or ends this process, finds it whole.
pub(super) struct ArrayFile {
    file: File,
    path: PathBuf,
    /// Where what stands behind the last object begins.
    end: u64,
    first: bool,
}

impl ArrayFile {
    /// Makes the file, with an empty array in it; one that is there already is left alone, and an error.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let refused = |error: io::Error| {
            let path = path.display();
            let problem = match error.kind() {
                io::ErrorKind::AlreadyExists => format!(
                    "`{path}` is there already and is not overwritten: give `--out` another name, or remove it"
                ),
                _ => format!("could not make `{path}`: {error}; give `--out` a file that can be written"),
            };
            failure(Ending::Refused, problem)
        };
        let mut file = File::create_new(path).map_err(refused)?;
        let array = |file| Self { file, path: path.to_owned(), end: 1, first: true };
        match file.write_all(EMPTY.as_bytes()) {
            Ok(()) => Ok(array(file)),
            Err(error) => Err(array(file).unwritten(&error)),
        }
    }

    /// Adds an object. Where that fails the file is as it was before.
    pub(super) fn push(&mut self, object: &Value) -> anyhow::Result<()> {
        let separator = if self.first { "\n" } else { ",\n" };
        let text = format!("{separator}{object}{CLOSING}");
        if let Err(error) = self.file.write_all_at(text.as_bytes(), self.end) {
            let told = self.unwritten(&error);
            return Err(match self.close_again() {
                Ok(()) => told,
                Err(error) => told.context(format!("the array has no closing bracket any more: {error}")),
            });
        }
        self.end += (text.len() - CLOSING.len()) as u64;
        self.first = false;
        Ok(())
    }

    /// Puts the bracket back; the place for it was had before.
    fn close_again(&self) -> io::Result<()> {
        self.file.write_all_at(CLOSING.as_bytes(), self.end)?;
        self.file.set_len(self.end + CLOSING.len() as u64)
    }

    fn unwritten(&self, error: &io::Error) -> anyhow::Error {
        failure(
            Ending::Unwritten,
            format!("could not write the readings to `{}`: {error}", self.path.display()),
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
        let mut array = ArrayFile::create(&path).unwrap();
        assert_eq!(read(), "[\n]\n");
        array.push(&json!({ "a": 1 })).unwrap();
        assert_eq!(read(), "[\n{\"a\":1}\n]\n");
        array.push(&json!({ "a": 2.5 })).unwrap();
        assert_eq!(read(), "[\n{\"a\":1},\n{\"a\":2.5}\n]\n");
    }
}
