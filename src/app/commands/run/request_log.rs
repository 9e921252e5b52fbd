//! `--log-requests`: a log with one JSON line per request, written by a thread of its own, so that a slow reader delays
//! nothing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use serde_json::json;

use crate::event::{Observer, RunEvent};
use crate::measure::sample::{Outcome, Sample};
use crate::measure::summary::Summary;
use crate::plan::model::{PhaseId, Plan};

/// The most blocks of lines that wait to be written. A worker hands over one block per second.
const MAX_WAITING_BLOCKS: usize = 1024;
/// The end of a run waits for the last lines while at least one block is written in this time.
const PROGRESS_WITHIN: Duration = Duration::from_secs(2);

/// Writes one JSON line per request up to a number of lines. Times are in ms from the start of the phase.
pub(super) struct RequestLog<'p> {
    plan: &'p Plan,
    blocks: SyncSender<Vec<u8>>,
    /// Gives each block that was written, and the result when the writing has ended.
    written: Receiver<Option<std::io::Result<()>>>,
    lines_left: usize,
    /// Lines above the limit.
    above_limit: u64,
    /// Lines that the file did not take in time.
    lost: u64,
}

impl<'p> RequestLog<'p> {
    pub(super) fn create(path: &Path, limit: usize, plan: &'p Plan) -> std::io::Result<Self> {
        // A pipe without a reader refuses to be opened instead of waiting for one.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).custom_flags(nonblocking).open(path)?;
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        let (blocks, waiting) = sync_channel(MAX_WAITING_BLOCKS);
        let (progress, written) = channel();
        thread::Builder::new().name("request-log".into()).spawn(move || {
            let result = write_all(file, &waiting, &progress);
            // The receiver is gone if the run did not wait for the last lines.
            let _ = progress.send(Some(result));
        })?;
        Ok(Self { plan, blocks, written, lines_left: limit, above_limit: 0, lost: 0 })
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
        let line = json!({
            "phase": self.plan.phases[phase.index()].name,
            "operation": self.plan.operations[sample.operation.index()],
            "intended_ms": ms(sample.intended),
            "sent_ms": ms(sample.sent),
            "finished_ms": ms(sample.finished),
            "outcome": match sample.outcome {
                Outcome::Succeeded => "succeeded",
                Outcome::Failed(kind) => kind.as_str(),
            },
            "bytes": sample.bytes,
        });
        format!("{line}\n")
    }
}

fn write_all(
    mut file: File,
    blocks: &Receiver<Vec<u8>>,
    progress: &Sender<Option<std::io::Result<()>>>,
) -> std::io::Result<()> {
    blocks.iter().try_for_each(|block| {
        file.write_all(&block)?;
        // The receiver is gone if the run did not wait for the last lines.
        let _ = progress.send(None);
        Ok(())
    })
}

impl Observer for RequestLog<'_> {
    fn observe(&mut self, event: &RunEvent, _: &Summary) {
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
