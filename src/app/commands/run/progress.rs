//! Progress of a run on stderr.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::app::output;
use crate::event::{Observer, RunEvent};
use crate::measure::summary::Summary;
use crate::plan::model::{PhaseId, Plan};
use crate::report::neutral::neutral;

/// The interval between progress lines without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Prints the progress of each phase: a bar on a terminal, a line every 10 s elsewhere.
pub(super) struct Progress<'p> {
    plan: &'p Plan,
    bar: Option<ProgressBar>,
    quiet: bool,
    phase: Option<PhaseId>,
    phase_started: Instant,
    last_line: Instant,
    requests: u64,
    errors: u64,
}

impl<'p> Progress<'p> {
    pub(super) fn new(plan: &'p Plan, quiet: bool) -> Self {
        let now = Instant::now();
        let is_interactive = !quiet && output::stderr_is_interactive();
        let bar = is_interactive.then(|| {
            let style = ProgressStyle::with_template("{msg:32!} {wide_bar} {percent:>3}% {prefix}");
            ProgressBar::new(1).with_style(style.expect("the template is a constant"))
        });
        Self { plan, bar, quiet, phase: None, phase_started: now, last_line: now, requests: 0, errors: 0 }
    }

    fn begin(&mut self, phase: PhaseId) {
        self.phase = Some(phase);
        self.phase_started = Instant::now();
        self.last_line = self.phase_started;
        (self.requests, self.errors) = (0, 0);
        let phase = &self.plan.phases[phase.index()];
        match self.bar.clone() {
            Some(bar) => {
                let (length, name) = (phase.duration.micros().max(1), phase.name.clone());
                output::draw(move || {
                    bar.set_length(length);
                    bar.set_message(name);
                });
            }
            None => self.say(&format!("{}: started, planned for {}\n", phase.name, phase.duration)),
        }
    }

    fn advance(&mut self) {
        let Some(phase) = self.phase else { return };
        let phase = &self.plan.phases[phase.index()];
        let counts_text = format!("{} requests, {} errors", self.requests, self.errors);
        if let Some(bar) = self.bar.clone() {
            let micros = u64::try_from(self.phase_started.elapsed().as_micros()).unwrap_or(u64::MAX);
            let position = micros.min(phase.duration.micros());
            output::draw(move || {
                bar.set_position(position);
                bar.set_prefix(counts_text);
            });
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let elapsed = Duration::from_secs(self.phase_started.elapsed().as_secs());
            let elapsed = crate::units::TimeSpan::from(elapsed);
            self.say(&format!("{}: {elapsed} of {}, {counts_text}\n", phase.name, phase.duration));
        }
    }

    /// Clears the progress bar from the terminal.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.bar.clone() {
            output::draw(move || bar.finish_and_clear());
        }
    }

    fn say(&self, text: &str) {
        match self.bar.clone() {
            Some(bar) => {
                let line = neutral(text.trim_end());
                output::draw(move || bar.println(line));
            }
            None if self.quiet => {}
            None => output::stderr(text),
        }
    }
}

impl Observer for Progress<'_> {
    fn observe(&mut self, event: &RunEvent, _: &Summary) {
        match event {
            RunEvent::PhaseStarted { phase, .. } => self.begin(*phase),
            RunEvent::Recorded(batch) => {
                for cell in batch.windows.values().flat_map(|window| window.cells.values()) {
                    self.requests += u64::from(cell.requests);
                    self.errors += u64::from(cell.failed() + cell.dropped);
                }
                self.advance();
            }
            RunEvent::PhaseEnded { .. } => self.phase = None,
            RunEvent::Verbose(text) => self.say(&format!("{text}\n")),
            _ => {}
        }
    }
}
