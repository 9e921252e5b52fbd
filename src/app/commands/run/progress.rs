//! Progress of a run on stderr.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::app::output;
use crate::event::{Observer, RunEvent};
use crate::measure::summary::Summary;
use crate::plan::model::{Phase, PhaseId, Plan};
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
    iterations: u64,
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
        Self {
            plan,
            bar,
            quiet,
            phase: None,
            phase_started: now,
            last_line: now,
            iterations: 0,
            requests: 0,
            errors: 0,
        }
    }

    fn begin(&mut self, phase: PhaseId) {
        self.phase = Some(phase);
        self.phase_started = Instant::now();
        self.last_line = self.phase_started;
        (self.iterations, self.requests, self.errors) = (0, 0, 0);
        let phase = &self.plan.phases[phase.index()];
        match self.bar.clone() {
            Some(bar) => {
                let (length, name) = (length(phase), phase.name.clone());
                output::draw(move || {
                    bar.set_length(length);
                    bar.set_message(name);
                });
            }
            None => self.say(&format!("{}: started, planned for {}\n", phase.name, planned(phase))),
        }
    }

    fn advance(&mut self) {
        let Some(phase) = self.phase else { return };
        let phase = &self.plan.phases[phase.index()];
        let counts_text = format!("{} requests, {} errors", self.requests, self.errors);
        if let Some(bar) = self.bar.clone() {
            let micros = u64::try_from(self.phase_started.elapsed().as_micros()).unwrap_or(u64::MAX);
            let position = if phase.ends_with_its_tasks() { self.iterations } else { micros };
            let position = position.min(length(phase));
            output::draw(move || {
                bar.set_position(position);
                bar.set_prefix(counts_text);
            });
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let elapsed = Duration::from_secs(self.phase_started.elapsed().as_secs());
            let elapsed = crate::units::TimeSpan::from(elapsed);
            let passed = match phase.ends_with_its_tasks() {
                true => format!("{elapsed}, {} of {}", self.iterations, planned(phase)),
                false => format!("{elapsed} of {}", planned(phase)),
            };
            self.say(&format!("{}: {passed}, {counts_text}\n", phase.name));
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
                let drawn = batch.windows.values().flat_map(|window| &window.vitals.draws);
                self.iterations += drawn.copied().map(u64::from).sum::<u64>();
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

/// The length of a phase's bar: its time in microseconds, or its tasks.
fn length(phase: &Phase) -> u64 {
    let tasks = phase.iterations.filter(|_| phase.ends_with_its_tasks());
    tasks.unwrap_or_else(|| phase.duration.micros()).max(1)
}

/// The length of a phase in words.
fn planned(phase: &Phase) -> String {
    let tasks = phase.iterations.filter(|_| phase.ends_with_its_tasks());
    tasks.map_or_else(|| phase.duration.to_string(), |tasks| format!("{tasks} iterations"))
}
