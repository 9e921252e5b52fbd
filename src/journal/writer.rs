//! Writes the events of a run to its journal as they arrive.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::event::{Observer, RunEvent};
use crate::journal::format::{MAGIC, Manifest, Record, frame};
use crate::measure::summary::Summary;

/// How often the file is synced to disk, so that it survives a crash of the machine.
const SYNC_EVERY: Duration = Duration::from_secs(10);

/// Writes a journal. If writing fails, it stops and keeps the error, and the run goes on.
#[derive(Debug)]
pub struct JournalWriter {
    file: Option<BufWriter<File>>,
    synced: Instant,
    failure: Option<String>,
}

impl JournalWriter {
    /// Creates the file, which must not exist. An error is kept for [`failure`](Self::failure).
    pub fn create(path: &Path, manifest: Manifest) -> Self {
        let file = File::create_new(path);
        let mut writer = Self { file: None, synced: Instant::now(), failure: None };
        match file {
            Ok(file) => writer.file = Some(BufWriter::new(file)),
            Err(error) => writer.failure = Some(error.to_string()),
        }
        writer.write(MAGIC);
        writer.write(&frame(&Record::Run(manifest)));
        writer
    }

    /// Why the file is incomplete, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let mut written = file.write_all(bytes).and_then(|()| file.flush());
        if written.is_ok() && self.synced.elapsed() >= SYNC_EVERY {
            self.synced = Instant::now();
            written = file.get_ref().sync_data();
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
        let record = match event {
            RunEvent::PhaseStarted { phase, at } => {
                Record::PhaseStarted { phase: phase.0, at: at.as_microsecond() }
            }
            RunEvent::Recorded { batch, .. } => Record::Windows(batch.clone()),
            RunEvent::PhaseEnded { phase, ran, .. } => Record::PhaseEnded { phase: phase.0, ran: *ran },
            RunEvent::HostReading(reading) => Record::Reading(reading.clone()),
            RunEvent::Verbose(_) => return,
        };
        self.write(&frame(&record));
    }
}
