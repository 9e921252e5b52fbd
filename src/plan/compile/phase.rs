//! Compiles phases: their users, stages, mix and arrivals.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::document::{PlainOrTable, Spanned};
use crate::plan::compile::Compiler;
use crate::plan::document::{ArrivalsRampDocument, PhaseDocument, PlanDocument, Spacing, StageDocument};
use crate::plan::model::{ClassId, Load, OpenLoad, Phase, Stage};
use crate::units::{Rate, TimeSpan};

const MAX_USERS: u32 = 1_000_000;
/// The length of a phase in seconds. They are numbered with 32 bits, and no run needs more than a year.
const LENGTHS_S: RangeInclusive<f64> = 0.001..=366.0 * 86_400.0;
const MAX_ITERATIONS: u64 = 1_000_000_000;
/// The gaps of random arrivals are drawn before their phase begins.
const MAX_RANDOM_ITERATIONS: u64 = 10_000_000;
/// The longest time of a closed phase with `iterations`, if the plan sets none.
const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);

/// The users of a phase over its duration.
struct Shape {
    users: u32,
    duration: TimeSpan,
    iterations: Option<u64>,
    stages: Vec<Stage>,
}

/// The lower bound of a rate.
#[derive(Clone, Copy, PartialEq)]
enum MinRate {
    /// The rate may be 0.
    Zero,
    /// The rate must be above 0.
    Positive,
}

impl Compiler<'_, '_> {
    pub(super) fn phase(&mut self, phase: &Spanned<PhaseDocument>) -> Option<Phase> {
        let document = &phase.value;
        let load = self.load(document);
        let shape = match &document.stages {
            Some(stages) => self.stages(document, stages),
            None => self.steady(document, load),
        };
        let mix = document.mix.as_ref().map(|mix| self.mix(mix));
        let name = document.name.as_ref()?.value.clone();
        let Shape { users, duration, iterations, stages } = shape?;
        let phase = Phase {
            scenario: document.scenario.as_ref().map_or_else(|| name.clone(), |s| s.value.clone()),
            name,
            duration,
            iterations,
            users,
            stages,
            warmup: document.warmup.as_ref()?.value,
            mix: mix??,
            load: load?,
            span: document.name.as_ref()?.span,
        };
        self.check_judged_time(&phase);
        Some(phase)
    }

    /// Compiles a phase with `users` and a length into one stage.
    fn steady(&mut self, document: &PhaseDocument, load: Option<Load>) -> Option<Shape> {
        let users = document.users.as_ref().and_then(|users| self.users(users));
        let over = users.and_then(|users| self.ramp(document, users));
        let duration = match &document.iterations {
            None => document.duration.as_ref().and_then(|duration| self.duration(duration)),
            Some(iterations) => self.iterations(document, iterations, users).and_then(|iterations| {
                let duration = self.time_for(document, iterations, (load?, over?))?;
                self.duration(&duration)
            }),
        };
        let unused = document.max_duration.as_ref().filter(|_| document.iterations.is_none());
        if let Some(max_duration) = unused {
            let help = "remove `max_duration`, or write `iterations` instead of `duration`";
            self.report(Code::ExactlyOne, "`max_duration` requires `iterations`", max_duration.span, help);
        }
        let (users, over, duration) = (users?, over?, duration?);
        let hold = TimeSpan::from(duration.duration().saturating_sub(over.duration()));
        let iterations = document.iterations.as_ref().map(|iterations| iterations.value);
        Some(Shape { users, duration, iterations, stages: vec![Stage { users, over, hold }] })
    }

    /// The number of tasks of a phase. It must be in bounds, and enough for each user of a closed phase.
    fn iterations(
        &mut self,
        document: &PhaseDocument,
        iterations: &Spanned<u64>,
        users: Option<u32>,
    ) -> Option<u64> {
        let number = iterations.value;
        if let Some(duration) = &document.duration {
            let diagnostic =
                Diagnostic::new(Code::ExactlyOne, "`iterations` is not allowed next to `duration`")
                    .at(iterations.span, "remove this")
                    .at(duration.span, "or remove this")
                    .help("a phase ends after a time or after a number of tasks: keep one of the two");
            self.problems.report(diagnostic);
            return None;
        }
        if !(1..=MAX_ITERATIONS).contains(&number) {
            let message = format!("`iterations` must be between 1 and {MAX_ITERATIONS}, not `{number}`");
            let help = "write a whole number such as `iterations = 10000`";
            self.report(Code::OutOfRange, message, iterations.span, help);
            return None;
        }
        let users = users.filter(|users| document.arrivals.is_none() && u64::from(*users) > number);
        if let Some(users) = users {
            let message = format!("{number} iterations are too few for {users} users");
            let help = "each user needs at least one: write more `iterations` or fewer `users`";
            self.report(Code::OutOfRange, message, iterations.span, help);
            return None;
        }
        Some(number)
    }

    /// The length of a phase with this many tasks: of an open phase the time of its arrivals, of a closed phase the longest.
    fn time_for(
        &mut self,
        document: &PhaseDocument,
        iterations: u64,
        (load, ramp): (Load, TimeSpan),
    ) -> Option<Spanned<TimeSpan>> {
        let span = document.iterations.as_ref()?.span;
        let max_duration = document.max_duration.as_ref();
        let Load::Open(load) = load else {
            return Some(max_duration.cloned().unwrap_or(Spanned::new(MAX_DURATION.into(), span)));
        };
        if let Some(max_duration) = max_duration {
            let message = "`max_duration` is not allowed next to `arrivals`";
            let help = "remove `max_duration`: the arrivals of an open phase take a known time";
            self.report(Code::ExactlyOne, message, max_duration.span, help);
            return None;
        }
        if load.spacing == Spacing::Poisson && iterations > MAX_RANDOM_ITERATIONS {
            let message =
                format!("`iterations` must be at most {MAX_RANDOM_ITERATIONS} with `spacing = \"poisson\"`");
            let help =
                "write fewer `iterations`, or a `duration`: all gaps are drawn before the phase begins";
            self.report(Code::OutOfRange, message, span, help);
            return None;
        }
        let seconds = load.seconds_for(iterations, ramp.seconds());
        // Rounded down, so that no arrival is added.
        let length = TimeSpan::from(Duration::from_nanos((seconds * 1e9) as u64));
        if !LENGTHS_S.contains(&seconds) {
            let message = format!("{iterations} arrivals take {length}, but a phase lasts from 1ms to 366d");
            self.report(Code::OutOfRange, message, span, "change `iterations` or the rate of `arrivals`");
            return None;
        }
        Some(Spanned::new(length, span))
    }

    /// Compiles a phase with `stages`.
    fn stages(
        &mut self,
        document: &PhaseDocument,
        stages: &Spanned<Vec<Spanned<StageDocument>>>,
    ) -> Option<Shape> {
        for (key, span) in [
            ("users", document.users.as_ref().map(|x| x.span)),
            ("duration", document.duration.as_ref().map(|x| x.span)),
            ("iterations", document.iterations.as_ref().map(|x| x.span)),
            ("max_duration", document.max_duration.as_ref().map(|x| x.span)),
            ("spawn_rate", document.spawn_rate.as_ref().map(|x| x.span)),
            ("arrivals", document.arrivals.as_ref().map(|x| x.span)),
        ] {
            if let Some(span) = span {
                let message = format!("`{key}` is not allowed next to `stages`");
                let diagnostic = Diagnostic::new(Code::ExactlyOne, message)
                    .at(span, "remove this")
                    .at(stages.span, "or remove these stages")
                    .help("stages set the users and the duration of a closed phase: keep one of the two");
                self.problems.report(diagnostic);
            }
        }
        if stages.value.is_empty() {
            let help = "write at least one stage: `stages = [{ users = 50, over = \"5m\", hold = \"10m\" }]`";
            self.report(Code::OutOfRange, "`stages` is empty", stages.span, help);
            return None;
        }
        let mut compiled = Some(Vec::new());
        for stage in &stages.value {
            let StageDocument { users, over, hold } = &stage.value;
            // A stage without users is a pause, so 0 is valid here.
            let users = users.as_ref().and_then(|users| match users.value {
                0 => Some(0),
                _ => self.users(users),
            });
            match (users, over, hold, &mut compiled) {
                (Some(users), Some(over), Some(hold), Some(all)) => {
                    all.push(Stage { users, over: over.value, hold: hold.value });
                }
                _ => compiled = None,
            }
        }
        let stages_compiled = compiled?;
        let users = stages_compiled.iter().map(|stage| stage.users).max().unwrap_or(0);
        if users == 0 {
            let help = "write `users` above 0 in at least one stage";
            self.report(Code::OutOfRange, "no stage has users", stages.span, help);
            return None;
        }
        let all = stages_compiled.iter().map(|stage| stage.over.duration() + stage.hold.duration());
        let duration = Spanned::new(TimeSpan::from(all.sum::<Duration>()), stages.span);
        Some(Shape { users, duration: self.duration(&duration)?, iterations: None, stages: stages_compiled })
    }

    fn duration(&mut self, duration: &Spanned<TimeSpan>) -> Option<TimeSpan> {
        let seconds = duration.value.seconds();
        let fits = LENGTHS_S.contains(&seconds);
        if !fits {
            let value = duration.value;
            let message = format!("the duration of a phase must be between 1ms and 366d, not `{value}`");
            let help = "write a duration such as `\"10m\"`; with `stages` it is the sum of `over` and `hold`";
            self.report(Code::OutOfRange, message, duration.span, help);
        }
        fits.then_some(duration.value)
    }

    fn users(&mut self, users: &Spanned<u32>) -> Option<u32> {
        let fits = (1..=MAX_USERS).contains(&users.value);
        if !fits {
            let message = format!("`users` must be between 1 and {MAX_USERS}, not `{}`", users.value);
            self.report(Code::OutOfRange, message, users.span, "write a whole number such as `users = 50`");
        }
        fits.then_some(users.value)
    }

    fn ramp(&mut self, document: &PhaseDocument, users: u32) -> Option<TimeSpan> {
        let Some(rate) = &document.spawn_rate else { return Some(TimeSpan::default()) };
        let seconds = f64::from(users) / rate.value;
        if !(rate.value > 0.0 && seconds <= 366.0 * 86_400.0) {
            let value = rate.value;
            let message = format!("`spawn_rate` must be above 0 and start all users in 366d, not `{value}`");
            let help = "write the number of users to start per second, such as `spawn_rate = 5`";
            self.report(Code::OutOfRange, message, rate.span, help);
            return None;
        }
        Some(TimeSpan::from(Duration::from_secs_f64(seconds)))
    }

    fn mix(&mut self, mix: &Spanned<crate::document::Map<f64>>) -> Option<Vec<(ClassId, f64)>> {
        if mix.value.0.is_empty() {
            let help = "write the user classes and their weights, such as `mix = { steady = 1 }`";
            self.report(Code::OutOfRange, "`mix` is empty", mix.span, help);
            return None;
        }
        let mut compiled = Some(Vec::new());
        for (key, weight) in &mix.value.0 {
            let class = self.class_id(&key.name, key.span);
            match (class, self.weight(weight), &mut compiled) {
                (Some(class), Some(weight), Some(all)) => all.push((class, weight)),
                _ => compiled = None,
            }
        }
        compiled
    }

    fn load(&mut self, document: &PhaseDocument) -> Option<Load> {
        let Some(arrivals) = &document.arrivals else {
            // If `arrivals` could not be read, `spacing` has its default, which is not a mistake.
            if let Some(spacing) = document.spacing.as_ref().filter(|spacing| spacing.is_written()) {
                let help = "remove `spacing`, or write `arrivals`: a closed phase has no arrivals to space";
                self.report(Code::ExactlyOne, "`spacing` requires `arrivals`", spacing.span, help);
            }
            return Some(Load::Closed);
        };
        let spacing = document.spacing.as_ref().map(|spacing| spacing.value);
        let (from, to) = match &arrivals.value {
            PlainOrTable::Plain(rate) => {
                let rate = self.rate(*rate, arrivals.span, MinRate::Positive)?;
                (rate, rate)
            }
            PlainOrTable::Table(ArrivalsRampDocument { from, to }) => {
                let (from, to) = (from.as_ref()?, to.as_ref()?);
                let ends = (
                    self.rate(from.value, from.span, MinRate::Zero),
                    self.rate(to.value, to.span, MinRate::Zero),
                );
                if from.value.per_second() + to.value.per_second() <= 0.0 {
                    let help = "write a rate above 0 for `from` or `to`";
                    self.report(Code::OutOfRange, "`arrivals` is zero at both ends", arrivals.span, help);
                    return None;
                }
                (ends.0?, ends.1?)
            }
        };
        Some(Load::Open(OpenLoad { from, to, spacing: spacing? }))
    }

    fn rate(&mut self, rate: Rate, span: Span, min_rate: MinRate) -> Option<Rate> {
        let fits = (rate.per_second() > 0.0 || min_rate == MinRate::Zero) && rate.per_second() <= 1e6;
        if !fits {
            let message = format!("an arrival rate must be above 0 and at most 1000000/s, not `{rate}`");
            self.report(Code::OutOfRange, message, span, "write a rate such as `\"25/s\"`");
        }
        fits.then_some(rate)
    }

    fn check_judged_time(&mut self, phase: &Phase) {
        if phase.judged_seconds() > 0.0 {
            return;
        }
        let message = format!("phase `{}` has no judged period", phase.name);
        let label = format!(
            "lasts {}, of which the ramp takes {} and the warm-up {}",
            phase.duration,
            phase.ramp(),
            phase.warmup
        );
        let help = "make the phase longer, or ramp and warm-up shorter: judging starts at the first whole second after them";
        self.problems.report(Diagnostic::new(Code::NothingJudged, message).at(phase.span, label).help(help));
    }

    pub(super) fn phase_names(&mut self, document: &PlanDocument) {
        let phases = document.phases.iter().flat_map(|phases| &phases.value);
        let mut known: HashMap<&str, Span> = HashMap::new();
        for name in phases.filter_map(|phase| phase.value.name.as_ref()) {
            if name.value.trim().is_empty() || name.value.len() > 200 {
                let message = "the name of a phase must have 1 to 200 characters";
                self.report(Code::OutOfRange, message, name.span, "write a name such as `name = \"steady\"`");
            }
            if let Some(first) = known.insert(&name.value, name.span) {
                let diagnostic =
                    Diagnostic::new(Code::DefinedTwice, format!("two phases are named `{}`", name.value))
                        .at(name.span, "again here")
                        .at(first, "first here")
                        .help("rename one of them");
                self.problems.report(diagnostic);
            }
        }
    }
}
