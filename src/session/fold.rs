//! The fold of a run: everything that its events say, in bounded memory. A run that goes on and one that was stored are
//! folded in the same way.

use jiff::{SignedDuration, Timestamp};

use crate::event::{RunEnd, RunEvent};
use crate::gate::{EndedEarly, Ending, RunOutcome};
use crate::measure::ledger::Ledger;
use crate::measure::summary::PhaseRun;

/// The sum of the events of a run.
#[derive(Debug)]
pub struct RunFold {
    /// The ledger into which windows are folded.
    pub ledger: Ledger,
    /// The phases that have started so far.
    pub phases: Vec<PhaseRun>,
    pub notices: Vec<String>,
    /// The reason if the runner itself stopped the run early.
    pub ended_early: Option<EndedEarly>,
    /// The end, once it was reached.
    pub end: Option<RunEnd>,
}

impl RunFold {
    /// Nothing yet. The ledger is that of the run's plan.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger, phases: Vec::new(), notices: Vec::new(), ended_early: None, end: None }
    }

    /// Adds an event.
    pub fn add(&mut self, event: &RunEvent) {
        match event {
            RunEvent::PhaseStarted { phase, at } => {
                self.ledger.begin(*phase, *at);
                self.phases.push(PhaseRun { phase: *phase, started_at: *at, usage: None });
            }
            RunEvent::Recorded(batch) => self.ledger.fold(batch),
            RunEvent::HostReading(reading) => self.ledger.read(reading),
            RunEvent::PhaseEnded { phase, ran, usage } => {
                self.ledger.finish(*phase, *ran);
                if let Some(run) = self.phases.last_mut() {
                    run.usage = *usage;
                }
            }
            RunEvent::EndedEarly(ended) => self.ended_early = Some(ended.clone()),
            RunEvent::Notice(notice) => self.notices.push(notice.clone()),
            RunEvent::Ended(end) => self.end = Some(end.clone()),
            // The ledger was made from the start.
            RunEvent::Started(_) | RunEvent::Sampled { .. } | RunEvent::Verbose(_) => {}
        }
    }

    /// Ends a run whose events stop before its end: the phase that ran is judged up to its last complete second. `start`
    /// is the start of the run.
    pub fn close(&mut self, start: Timestamp) {
        let mut at = start;
        if let Some(last) = self.phases.last() {
            let ran = |ledger: &Ledger| ledger.summary().phases[last.phase.index()].ran;
            if ran(&self.ledger).is_none() {
                self.ledger.cut_off(last.phase);
            }
            let passed = SignedDuration::try_from(ran(&self.ledger).unwrap_or_default()).unwrap_or_default();
            at = last.started_at.checked_add(passed).unwrap_or(last.started_at);
        }
        self.end = Some(RunEnd { at, without_verdict: None });
    }

    /// Marks a run of which something is unknown: it cannot pass.
    pub fn doubt(&mut self, reason: &str) {
        if let Some(end) = &mut self.end {
            end.without_verdict.get_or_insert_with(|| (Ending::Inconclusive, reason.to_owned()));
        }
    }

    /// The measurements and the reasons why the run ended.
    pub fn outcome(&self) -> RunOutcome<'_> {
        let without_verdict = self.end.as_ref().and_then(|end| end.without_verdict.as_ref());
        RunOutcome {
            summary: self.ledger.summary(),
            phases: &self.phases,
            ending: without_verdict.map(|(ending, _)| *ending),
            ended_early: self.ended_early.as_ref(),
        }
    }
}
