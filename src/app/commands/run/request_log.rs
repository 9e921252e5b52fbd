//! `--log-requests`: a log with one JSON line per request, written by a thread of its own, so that a slow reader delays
//! nothing.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use serde_json::json;

use crate::app::failure;
use crate::event::{Observer, RunEvent};
use crate::gate::Ending;
use crate::measure::sample::{Outcome, Sample};
use crate::measure::summary::Summary;
use crate::plan::model::{PhaseId, Plan};

/// The most blocks of lines that wait to be written. A worker hands over one block per second.
const MAX_WAITING_BLOCKS: usize = 1024;
/// The end of a run waits for the last lines while at least one block is written in this time.
const PROGRESS_WITHIN: Duration = Duration::from_secs(2);

/// Writes one JSON line per request up to a number of lines.
pub(super) struct RequestLog<'p> {
    plan: &'p Plan,
    /// When each phase started.
    started: BTreeMap<PhaseId, Timestamp>,
    blocks: SyncSender<Vec<u8>>,
    /// Gives each block that was written, and the result when the writing has ended.
    written: Receiver<Option<io::Result<()>>>,
    lines_left: usize,
    /// Lines above the limit.
    above_limit: u64,
    /// Lines that the file did not take in time.
    lost: u64,
}

/// Creates the file of a log, or opens a pipe or device.
///
/// # Errors
/// When the file exists already, which leaves it unchanged, or when it cannot be created or opened.
pub(super) fn create(path: &Path) -> anyhow::Result<File> {
    let refused = |error: io::Error| {
        let path = path.display();
        failure(
            Ending::Refused,
            match error.kind() {
                io::ErrorKind::AlreadyExists => format!(
                    "`{path}` already exists and is not overwritten; choose another file for `--log-requests`, or remove it"
                ),
                _ => {
                    format!("could not create `{path}`: {error}; choose a writable file for `--log-requests`")
                }
            },
        )
    };
    let is_special = std::fs::metadata(path).is_ok_and(|found| !found.is_file());
    // A pipe without a reader refuses to be opened instead of waiting for one.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(!is_special).custom_flags(nonblocking).open(path);
    let file = opened.map_err(refused)?;
    let blocking = fcntl_getfl(&file).and_then(|flags| fcntl_setfl(&file, flags - OFlags::NONBLOCK));
    blocking.map_err(|error| refused(error.into()))?;
    Ok(file)
}

impl<'p> RequestLog<'p> {
    /// A log of at most `limit` lines.
    pub(super) fn over(file: File, limit: usize, plan: &'p Plan) -> io::Result<Self> {
        let (blocks, waiting) = sync_channel(MAX_WAITING_BLOCKS);
        let (progress, written) = channel();
        thread::Builder::new().name("request-log".into()).spawn(move || {
            let result = write_all(file, &waiting, &progress);
            // The receiver is gone if the run did not wait for the last lines.
            let _ = progress.send(Some(result));
        })?;
        Ok(Self {
            plan,
            started: BTreeMap::new(),
            blocks,
            written,
            lines_left: limit,
            above_limit: 0,
            lost: 0,
        })
    }

    /// Waits for the last lines, but not for long. Returns a notice if the log is incomplete.
    pub(super) fn finish(self) -> Option<String> {
        let Self { blocks, written, above_limit, lost, .. } = self;
        drop(blocks);
        let result = loop {
            match written.recv_timeout(PROGRESS_WITHIN) {
                Ok(None) => {}
                Ok(Some(result)) => break Some(result),
                Err(_) => break None,
            }
        };
        match result {
            Some(Err(failure)) => Some(format!("the request log is incomplete: {failure}")),
            None => Some("the request log is incomplete: its last lines were not taken in time".to_owned()),
            Some(Ok(())) if lost > 0 => {
                Some(format!("the request log lacks {lost} lines, which were not taken in time"))
            }
            Some(Ok(())) => (above_limit > 0).then(|| {
                "the request log reached its limit of lines; raise it with `--log-limit`".to_owned()
            }),
        }
    }

    fn line(&self, phase: PhaseId, sample: &Sample) -> String {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1000.0;
        let at = self.started.get(&phase).map(|started| (*started + sample.sent).to_string());
        let line = json!({
            "at": at,
            "phase": self.plan.phases[phase.index()].name,
            "user": sample.user,
            "operation": self.plan.operations[sample.operation.index()],
            "intended_ms": ms(sample.intended),
            "sent_ms": ms(sample.sent),
            "finished_ms": ms(sample.finished),
            "outcome": match sample.outcome {
                Outcome::Succeeded => "succeeded",
                Outcome::Failed(kind) => kind.as_str(),
            },
            "status": sample.status,
            "new_connection": sample.connect.is_some(),
            "bytes": sample.bytes,
        });
        format!("{line}\n")
    }
}

fn write_all(
    mut file: File,
    blocks: &Receiver<Vec<u8>>,
    progress: &Sender<Option<io::Result<()>>>,
) -> io::Result<()> {
    blocks.iter().try_for_each(|block| {
        file.write_all(&block)?;
        // The receiver is gone if the run did not wait for the last lines.
        let _ = progress.send(None);
        Ok(())
    })
}

impl Observer for RequestLog<'_> {
    fn observe(&mut self, event: &RunEvent, _: &Summary) {
        if let RunEvent::PhaseStarted { phase, at } = event {
            self.started.insert(*phase, *at);
        }
        let RunEvent::Sampled { phase, samples } = event else { return };
        let within = samples.len().min(self.lines_left);
        self.lines_left -= within;
        self.above_limit += (samples.len() - within) as u64;
        let lines: String = samples[..within].iter().map(|sample| self.line(*phase, sample)).collect();
        match self.blocks.try_send(lines.into_bytes()) {
            // A thread that has ended gives its reason in the end.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => self.lost += within as u64,
        }
    }
}
