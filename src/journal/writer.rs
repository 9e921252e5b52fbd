//! Writes the events of a run to its journal as they arrive.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::event::{Observer, RunEvent};
use crate::journal::format::{first_line, frame};
use crate::measure::summary::Summary;

/// How often the file is synced to disk, so that it survives a crash of the machine.
const SYNC_EVERY: Duration = Duration::from_secs(10);

/// Writes a journal. If writing fails, it stops and keeps the error, and the run goes on.
#[derive(Debug)]
pub struct JournalWriter {
    file: Option<File>,
    /// The record that is written.
    record: Vec<u8>,
    synced: Instant,
    failure: Option<String>,
}

impl JournalWriter {
    /// Creates the file, which must not exist. An error is kept for [`failure`](Self::failure).
    pub fn create(path: &Path) -> Self {
        let record = first_line().into_bytes();
        let mut writer = Self { file: None, record, synced: Instant::now(), failure: None };
        match File::create_new(path) {
            Ok(file) => writer.file = Some(file),
            Err(error) => writer.failure = Some(error.to_string()),
        }
        writer.write();
        writer
    }

    /// Why the file is incomplete, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Writes the record.
    fn write(&mut self) {
        let Some(file) = &mut self.file else { return };
        let mut written = file.write_all(&self.record);
        if written.is_ok() && self.synced.elapsed() >= SYNC_EVERY {
            self.synced = Instant::now();
            written = file.sync_data();
        }
        if let Err(error) = written {
            // A failed write or sync is not repeated, because the contents of the file are then unknown.
            self.failure = Some(error.to_string());
            self.file = None;
        }
    }
}

impl Observer for JournalWriter {
    fn observe(&mut self, event: &RunEvent, _: &Summary) {
        if event.is_stored() && self.file.is_some() {
            self.record.clear();
            frame(event, &mut self.record);
            self.write();
        }
    }
}
