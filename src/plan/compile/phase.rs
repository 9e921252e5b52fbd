//! Compiles phases: their users, stages, mix and arrivals.

use std::collections::HashMap;
use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::document::{PlainOrTable, Spanned};
use crate::plan::compile::Compiler;
use crate::plan::document::{ArrivalsRampDocument, PhaseDocument, PlanDocument, StageDocument};
use crate::plan::model::{ClassId, Load, OpenLoad, Phase, Stage};
use crate::units::{Rate, TimeSpan};

const MAX_USERS: u32 = 1_000_000;

/// The users of a phase over its duration.
struct Shape {
    users: u32,
    duration: TimeSpan,
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
        let shape = match &document.stages {
            Some(stages) => self.stages(document, stages),
            None => self.steady(document),
        };
        let mix = document.mix.as_ref().map(|mix| self.mix(mix));
        let load = self.load(document);
        let name = document.name.as_ref()?.value.clone();
        let Shape { users, duration, stages } = shape?;
        let phase = Phase {
            scenario: document.scenario.as_ref().map_or_else(|| name.clone(), |s| s.value.clone()),
            name,
            duration,
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

    /// Compiles a phase with `users` and `duration` into one stage.
    fn steady(&mut self, document: &PhaseDocument) -> Option<Shape> {
        let PhaseDocument { users, duration, .. } = document;
        let duration = duration.as_ref().and_then(|duration| self.duration(duration));
        let users = users.as_ref().and_then(|users| self.users(users));
        let ramp = users.map(|users| self.ramp(document, users));
        let (duration, over) = (duration?, ramp??);
        let hold = TimeSpan::from(duration.duration().saturating_sub(over.duration()));
        let users = users?;
        Some(Shape { users, duration, stages: vec![Stage { users, over, hold }] })
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
        Some(Shape { users, duration: self.duration(&duration)?, stages: stages_compiled })
    }

    fn duration(&mut self, duration: &Spanned<TimeSpan>) -> Option<TimeSpan> {
        let seconds = duration.value.seconds();
        // The seconds of a phase are numbered with 32 bits, and no run needs more than a year.
        let fits = (0.001..=366.0 * 86_400.0).contains(&seconds);
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
