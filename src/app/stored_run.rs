//! A stored run: the journal in its folder, folded, with the plan that its start describes.

use std::fs::File;
use std::path::Path;

use crate::app::failure;
use crate::app::prepare::{RunPlan, prepare_stored};
use crate::diagnostic::Problems;
use crate::event::{RunEvent, RunStart};
use crate::gate::Ending;
use crate::journal::FILE_NAME;
use crate::journal::reader::JournalReader;
use crate::measure::ledger::Ledger;
use crate::plan::model::PhaseId;
use crate::plan::{GateTier, ThresholdsFile};
use crate::session::RunFold;

/// A run as its journal describes it.
pub(super) struct StoredRun {
    pub(super) run: RunPlan,
    pub(super) start: RunStart,
    pub(super) fold: RunFold,
}

/// The journal of a run, read up to the start of the run.
pub(super) struct StoredJournal {
    pub(super) start: RunStart,
    events: JournalReader<File>,
}

/// Opens the journal in the folder of a run.
///
/// # Errors
/// When there is none, or when it does not begin with the start of a run.
pub(super) fn open(folder: &Path) -> anyhow::Result<StoredJournal> {
    let path = folder.join(FILE_NAME);
    let help = "name the folder of a run, such as `reports/latest`";
    let refused =
        |why: String| failure(Ending::Refused, format!("could not read `{}`: {why}", path.display()));
    let file = File::open(&path).map_err(|error| refused(format!("{error}; {help}")))?;
    let mut events = JournalReader::new(file).map_err(|why| refused(why.to_string()))?;
    match events.next() {
        Some(RunEvent::Started(start)) => Ok(StoredJournal { start: *start, events }),
        _ => Err(refused(format!("it ends before the start of the run; {help}"))),
    }
}

impl StoredJournal {
    /// Compiles the run's plan and folds its events. `gate` and `thresholds` replace those of the plan. `None` after
    /// problems were reported.
    ///
    /// # Errors
    /// When this version compiles the plan in another way than the one that ran it.
    pub(super) fn fold(
        self,
        gate: Option<GateTier>,
        thresholds: Option<&[ThresholdsFile]>,
        problems: &mut Problems,
    ) -> anyhow::Result<Option<StoredRun>> {
        let Self { start, mut events } = self;
        let Some(run) = prepare_stored(&start, gate, thresholds, problems) else { return Ok(None) };
        check_names(&start, &run)?;
        let indicators = run.objectives.indicators.clone();
        let mut fold = RunFold::new(Ledger::new(&run.plan, indicators, &start.limits, start.sources()));
        for event in events.by_ref() {
            if !is_of_run(&start, &event) {
                let why = "an event names a phase, worker or host that the run does not have";
                return Err(failure(Ending::Refused, format!("the journal is not consistent: {why}")));
            }
            fold.add(&event);
        }
        if fold.end.is_none() {
            let reason = "the journal stops before the end of the run, which still goes on or was killed";
            fold.close(start.at, reason);
        } else if events.unknown > 0 {
            let unknown = events.unknown;
            let reason = format!(
                "{unknown} events were written by a newer version and are left out; use that version"
            );
            fold.doubt(&reason);
        }
        Ok(Some(StoredRun { run, start, fold }))
    }
}

/// Whether the phase, the source and the host of an event are those of the run.
fn is_of_run(start: &RunStart, event: &RunEvent) -> bool {
    let has = |phase: PhaseId| phase.index() < start.phases.len();
    match event {
        RunEvent::PhaseStarted { phase, .. } | RunEvent::PhaseEnded { phase, .. } => has(*phase),
        RunEvent::Recorded(batch) => has(batch.phase) && usize::from(batch.source) < start.sources(),
        RunEvent::HostReading(reading) => has(reading.phase) && reading.host.index() < start.hosts.len(),
        RunEvent::EndedEarly(ended) => has(ended.phase),
        _ => true,
    }
}

/// Events refer to phases, operations and hosts by their place in the plan, so these must be the same.
fn check_names(start: &RunStart, run: &RunPlan) -> anyhow::Result<()> {
    let RunPlan { plan, .. } = run;
    let phases = plan.phases.iter().map(|phase| &phase.name);
    let hosts = plan.monitor.iter().flat_map(|it| &it.hosts).map(|host| &host.name);
    let is_same =
        start.phases.iter().eq(phases) && start.operations == plan.operations && start.hosts.iter().eq(hosts);
    if is_same {
        return Ok(());
    }
    let (this, that) = (env!("CARGO_PKG_VERSION"), &start.runner);
    Err(failure(
        Ending::Refused,
        format!("this version ({this}) compiles the plan of the run in another way than {that}; use {that}"),
    ))
}
