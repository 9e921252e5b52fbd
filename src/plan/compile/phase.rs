use std::collections::HashMap;
use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::document::{PlainOrTable, Spanned};
use crate::plan::compile::Compiler;
use crate::plan::document::{ArrivalsRampDocument, PhaseDocument, PlanDocument, StageDocument};
use crate::plan::model::{ClassId, Load, OpenLoad, Phase, Stage};
use crate::units::{Rate, TimeSpan};

/// The most virtual users of a phase.
const MAX_USERS: u32 = 1_000_000;

/// How many users a phase has when.
struct Shape {
    users: u32,
    duration: TimeSpan,
    stages: Vec<Stage>,
}

/// The least that a rate may be.
#[derive(Clone, Copy, PartialEq)]
enum MinRate {
    /// Nothing at all.
    Zero,
    /// Something.
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

    /// A phase with `users` and `duration`: one stage.
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

    /// A phase with `stages`.
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
                let diagnostic = Diagnostic::new(
                    Code::ExactlyOne,
                    format!("`{key}` cannot stand beside `stages`"),
                )
                .at(span, "here")
                .at(stages.span, "the stages are here")
                .help("stages say how many closed users there are when; keep either them or the other keys");
                self.problems.report(diagnostic);
            }
        }
        if stages.value.is_empty() {
            let help = "write `stages = [{ users = 50, over = \"5m\", hold = \"10m\" }]`";
            self.report(Code::OutOfRange, "there are no stages", stages.span, help);
            return None;
        }
        let mut compiled = Some(Vec::new());
        for stage in &stages.value {
            let StageDocument { users, over, hold } = &stage.value;
            // A stage in which everyone leaves is a pause, so 0 is fine here.
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
            self.report(Code::OutOfRange, "no stage has a user", stages.span, "give one of them `users`");
            return None;
        }
        let all = stages_compiled.iter().map(|stage| stage.over.duration() + stage.hold.duration());
        let duration = Spanned::new(TimeSpan::from(all.sum::<Duration>()), stages.span);
        Some(Shape { users, duration: self.duration(&duration)?, stages: stages_compiled })
    }

    fn duration(&mut self, duration: &Spanned<TimeSpan>) -> Option<TimeSpan> {
        let seconds = duration.value.seconds();
        // Seconds of a phase are numbered with 32 bits, and no one waits for longer than a year.
        let fits = (0.001..=366.0 * 86_400.0).contains(&seconds);
        if !fits {
            let message = format!("a phase cannot take `{}`", duration.value);
            self.report(
                Code::OutOfRange,
                message,
                duration.span,
                "write a duration from \"1ms\" to \"366d\"",
            );
        }
        fits.then_some(duration.value)
    }

    fn users(&mut self, users: &Spanned<u32>) -> Option<u32> {
        let fits = (1..=MAX_USERS).contains(&users.value);
        if !fits {
            let message = format!("a phase cannot have {} users", users.value);
            self.report(
                Code::OutOfRange,
                message,
                users.span,
                format!("write a number from 1 to {MAX_USERS}"),
            );
        }
        fits.then_some(users.value)
    }

    fn ramp(&mut self, document: &PhaseDocument, users: u32) -> Option<TimeSpan> {
        let Some(rate) = &document.spawn_rate else { return Some(TimeSpan::default()) };
        let seconds = f64::from(users) / rate.value;
        if !(rate.value > 0.0 && seconds <= 366.0 * 86_400.0) {
            let message = format!("the spawn rate `{}` is out of range", rate.value);
            let help = "write how many users start per second, such as `spawn_rate = 5`";
            self.report(Code::OutOfRange, message, rate.span, help);
            return None;
        }
        Some(TimeSpan::from(Duration::from_secs_f64(seconds)))
    }

    fn mix(&mut self, mix: &Spanned<crate::document::Map<f64>>) -> Option<Vec<(ClassId, f64)>> {
        if mix.value.0.is_empty() {
            let help = "name the user classes and their weights: `mix = { steady = 1 }`";
            self.report(Code::OutOfRange, "the mix is empty", mix.span, help);
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
            // Where the arrivals could not be read, theirs is the default.
            if let Some(spacing) = document.spacing.as_ref().filter(|spacing| spacing.is_written()) {
                let help = "users of a closed phase start when their wait is over; take the key out, or give `arrivals`";
                self.report(Code::ExactlyOne, "`spacing` needs `arrivals`", spacing.span, help);
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
                    let help = "write a rate above 0 for one end at least";
                    self.report(Code::OutOfRange, "nothing ever arrives", arrivals.span, help);
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
            let message = format!("`{rate}` cannot be the rate of arrivals");
            self.report(Code::OutOfRange, message, span, "write a rate above 0 and up to \"1000000/s\"");
        }
        fits.then_some(rate)
    }

    fn check_judged_time(&mut self, phase: &Phase) {
        if phase.judged_seconds() > 0.0 {
            return;
        }
        let message = format!("phase `{}` has no second left to judge", phase.name);
        let label = format!(
            "takes {}, of which the ramp is {} and the warm-up {}",
            phase.duration,
            phase.ramp(),
            phase.warmup
        );
        let help = "judging starts with the first whole second after ramp and warm-up: make the phase longer, or these shorter";
        self.problems.report(Diagnostic::new(Code::NothingJudged, message).at(phase.span, label).help(help));
    }

    pub(super) fn phase_names(&mut self, document: &PlanDocument) {
        let phases = document.phases.iter().flat_map(|phases| &phases.value);
        let mut known: HashMap<&str, Span> = HashMap::new();
        for name in phases.filter_map(|phase| phase.value.name.as_ref()) {
            if name.value.trim().is_empty() || name.value.len() > 200 {
                let help = "write a name of 1 to 200 characters";
                self.report(Code::OutOfRange, "a phase needs a name", name.span, help);
            }
            if let Some(first) = known.insert(&name.value, name.span) {
                let diagnostic =
                    Diagnostic::new(Code::DefinedTwice, format!("two phases are called `{}`", name.value))
                        .at(name.span, "again here")
                        .at(first, "first here")
                        .help("rename one of them");
                self.problems.report(diagnostic);
            }
        }
    }
}
