//! `--log-requests`: a log with one JSON line per request.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::json;

use crate::event::{Observer, RunEvent};
use crate::measure::sample::{Outcome, Sample};
use crate::measure::summary::Summary;
use crate::plan::model::{PhaseId, Plan};

/// Writes one JSON line per request up to a number of lines. Times are in ms from the start of the phase.
pub(super) struct RequestLog<'p> {
    plan: &'p Plan,
    file: BufWriter<File>,
    lines_left: usize,
    left_out: u64,
    failure: Option<String>,
}

impl<'p> RequestLog<'p> {
    pub(super) fn create(path: &Path, limit: usize, plan: &'p Plan) -> std::io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        Ok(Self { plan, file, lines_left: limit, left_out: 0, failure: None })
    }

    /// A notice if the log is incomplete.
    pub(super) fn notice(&self) -> Option<String> {
        match (&self.failure, self.left_out) {
            (Some(failure), _) => Some(format!("the request log is incomplete: {failure}")),
            (None, 0) => None,
            (None, _) => {
                Some("the request log reached its limit of lines; raise it with `--log-limit`".to_owned())
            }
        }
    }

    fn write(&mut self, phase: PhaseId, sample: &Sample) -> std::io::Result<()> {
        let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1000.0;
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
        writeln!(self.file, "{line}")
    }
}

impl Observer for RequestLog<'_> {
    fn observe(&mut self, event: &RunEvent, _: &Summary) {
        let RunEvent::Sampled { phase, samples } = event else { return };
        for sample in samples {
            if self.lines_left == 0 {
                self.left_out += 1;
                continue;
            }
            self.lines_left -= 1;
            if let Err(error) = self.write(*phase, sample) {
                self.failure.get_or_insert(error.to_string());
                self.lines_left = 0;
            }
        }
        if let Err(error) = self.file.flush() {
            self.failure.get_or_insert(error.to_string());
        }
    }
}
