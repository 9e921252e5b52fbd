use std::collections::HashMap;
use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::document::{FileOr, Spanned};
use crate::plan::compile::Compiler;
use crate::plan::document::{PhaseDocument, PlanDocument};
use crate::plan::model::{ClassId, Load, Phase};
use crate::units::{Rate, TimeSpan};

/// The most virtual users of a phase.
const MOST_USERS: u32 = 1_000_000;

impl Compiler<'_> {
    pub(super) fn phase(&mut self, phase: &Spanned<PhaseDocument>) -> Option<Phase> {
        let document = &phase.value;
        let duration = self.duration(document);
        let users = self.users(document);
        let ramp = users.map(|users| self.ramp(document, users));
        let mix = document.mix.as_ref().map(|mix| self.mix(mix));
        let load = self.load(document);
        let name = document.name.as_ref()?.value.clone();
        let phase = Phase {
            scenario: document.scenario.as_ref().map_or_else(|| name.clone(), |s| s.value.clone()),
            name,
            duration: duration?,
            users: users?,
            ramp: ramp??,
            warmup: document.warmup.as_ref().map_or(TimeSpan::default(), |warmup| warmup.value),
            mix: mix??,
            load: load?,
            span: document.name.as_ref()?.span,
        };
        self.something_is_judged(&phase);
        Some(phase)
    }

    fn duration(&mut self, document: &PhaseDocument) -> Option<TimeSpan> {
        let duration = document.duration.as_ref()?;
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

    fn users(&mut self, document: &PhaseDocument) -> Option<u32> {
        let users = document.users.as_ref()?;
        let fits = (1..=MOST_USERS).contains(&users.value);
        if !fits {
            let message = format!("a phase cannot have {} users", users.value);
            self.report(
                Code::OutOfRange,
                message,
                users.span,
                format!("write a number from 1 to {MOST_USERS}"),
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
        let Some(arrivals) = &document.arrivals else { return Some(Load::Closed) };
        let FileOr::Plain(rate) = &arrivals.value else {
            let message = "arrivals that rise or fall are not built yet";
            self.report(Code::NotBuilt, message, arrivals.span, "write a constant rate such as `\"25/s\"`");
            return None;
        };
        self.rate(*rate, arrivals).map(Load::Open)
    }

    fn rate<T>(&mut self, rate: Rate, written: &Spanned<T>) -> Option<Rate> {
        let fits = rate.per_second() > 0.0 && rate.per_second() <= 1e6;
        if !fits {
            let message = format!("`{rate}` cannot be the rate of arrivals");
            self.report(
                Code::OutOfRange,
                message,
                written.span,
                "write a rate above 0 and up to \"1000000/s\"",
            );
        }
        fits.then_some(rate)
    }

    fn something_is_judged(&mut self, phase: &Phase) {
        if phase.judged_seconds() > 0.0 {
            return;
        }
        let message = format!("phase `{}` has no second left to judge", phase.name);
        let label = format!(
            "takes {}, of which the ramp is {} and the warm-up {}",
            phase.duration, phase.ramp, phase.warmup
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
