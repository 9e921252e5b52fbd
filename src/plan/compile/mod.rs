//! Compiles documents into a plan: checks values and references, and reports every mistake.

mod capture;
mod class;
mod expect;
mod holes;
mod lists;
mod monitor;
mod phase;
mod request;
mod table;
mod target;

use std::collections::HashMap;

pub(super) use holes::{RawSegment, split_holes};
use lists::Lists;

use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::Spanned;
use crate::plan::definitions::{Names, PlanDefinitions};
use crate::plan::document::{GateDocument, PlanDocument};
use crate::plan::files::PlanFiles;
use crate::plan::model::{ClassId, ConnectionUse, Gate, KeptFor, OperationId, Plan, RowSource, Secrets};
use crate::units::Share;

/// State of a compilation.
struct Compiler<'c, 'w> {
    problems: &'c mut Problems,
    files: &'c mut PlanFiles<'w>,
    lists: Lists,
    row_sources: Vec<RowSource>,
    /// The current class, and the list whose rows belong to its users.
    class: ClassId,
    bound_list: Option<String>,
    /// How long users keep a connection, unless their class says otherwise.
    connections: ConnectionUse,
    /// Names of the values that the current class captures, by slot.
    captures: Vec<String>,
    classes: Vec<String>,
    operations: Vec<String>,
    operation_ids: HashMap<String, OperationId>,
    secrets: Vec<String>,
}

const MAX_PHASES: usize = 1000;
const MAX_CLASSES: usize = 10_000;
const MAX_OPERATIONS: usize = 10_000;

impl<'c, 'w> Compiler<'c, 'w> {
    fn new(definitions: &PlanDefinitions, files: &'c mut PlanFiles<'w>, problems: &'c mut Problems) -> Self {
        Self {
            problems,
            files,
            lists: Lists::default(),
            row_sources: Vec::new(),
            class: ClassId(0),
            bound_list: None,
            connections: ConnectionUse { kept_for: KeptFor::User, max_age: None },
            captures: Vec::new(),
            classes: definitions.classes.iter().map(|(key, _)| key.name.clone()).collect(),
            operations: Vec::new(),
            operation_ids: HashMap::new(),
            secrets: Vec::new(),
        }
    }
}

/// Compiles the documents of a plan. The plan is usable only if no error was reported.
pub(super) fn compile(
    document: &PlanDocument,
    definitions: &PlanDefinitions,
    target_override: Option<&str>,
    files: &mut PlanFiles<'_>,
    problems: &mut Problems,
) -> (Option<Plan>, Names) {
    let mut compiler = Compiler::new(definitions, files, problems);
    for (key, list) in &definitions.lists {
        compiler.list(&key.name, list);
    }
    if let Some(Spanned { value: target, .. }) = &document.target {
        let (connections, max_age) = (target.connections.as_ref(), target.max_connection_age.as_ref());
        compiler.connections = compiler.connection_use(connections, max_age, compiler.connections);
    }
    let numbered = (0..).map(ClassId).zip(&definitions.classes);
    let classes: Vec<_> = numbered
        .map(|(id, (key, class))| {
            compiler.class = id;
            compiler.class(&key.name, class)
        })
        .collect();
    let target = document.target.as_ref().and_then(|target| compiler.target(&target.value, target_override));
    let phases: Vec<_> =
        document.phases.iter().flat_map(|phases| &phases.value).map(|phase| compiler.phase(phase)).collect();
    compiler.phase_names(document);
    let gate = document.gate.as_ref().and_then(|gate| compiler.gate(&gate.value));
    let monitor = document.monitor.as_ref().map(|monitor| compiler.monitor(&monitor.value));
    compiler.check_counts(document);
    let names = Names { operations: compiler.operations.clone(), ..written_names(document) };
    let plan = || {
        Some(Plan {
            name: compiler.plan_name(document)?,
            description: document.description.as_ref().map_or(String::new(), |d| d.value.clone()),
            path: String::new(),
            digest: String::new(),
            seed: document.seed.as_ref().map(|seed| seed.value),
            target: target?,
            phases: phases.into_iter().collect::<Option<_>>()?,
            classes: classes.into_iter().collect::<Option<_>>()?,
            row_sources: std::mem::take(&mut compiler.row_sources),
            operations: std::mem::take(&mut compiler.operations),
            monitor: match monitor {
                Some(monitor) => Some(monitor?),
                None => None,
            },
            gate: gate?,
            secrets: Secrets::new(std::mem::take(&mut compiler.secrets)),
        })
    };
    (plan(), names)
}

/// The names of the phases and their scenarios, including those of phases with a mistake.
fn written_names(document: &PlanDocument) -> Names {
    let phases = || document.phases.iter().flat_map(|phases| &phases.value).map(|phase| &phase.value);
    let text = |name: &Spanned<String>| name.value.clone();
    let scenarios = phases().filter_map(|phase| phase.scenario.as_ref().or(phase.name.as_ref()));
    Names {
        phases: phases().filter_map(|phase| phase.name.as_ref()).map(text).collect(),
        scenarios: scenarios.map(text).collect(),
        ..Names::default()
    }
}

impl Compiler<'_, '_> {
    fn report(&mut self, code: Code, message: impl Into<String>, span: Span, help: impl Into<String>) {
        self.problems.report(Diagnostic::new(code, message).at(span, "here").help(help));
    }

    /// Checks the name of the plan, which is also the name of its run folders.
    fn plan_name(&mut self, document: &PlanDocument) -> Option<String> {
        let name = document.name.as_ref()?;
        let fits = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
        if name.value.is_empty()
            || name.value.len() > 100
            || !name.value.chars().all(fits)
            || name.value.starts_with('.')
        {
            let message = format!("`{}` is not a valid name of a plan", name.value.escape_debug());
            let help = "use 1 to 100 letters, digits, `-`, `_`, `.` and spaces, and no `.` at the start";
            self.report(Code::OutOfRange, message, name.span, help);
            return None;
        }
        Some(name.value.clone())
    }

    /// Looks up an operation by its name and adds it if it is new.
    fn operation(&mut self, name: &str) -> OperationId {
        if let Some(known) = self.operation_ids.get(name) {
            return *known;
        }
        // `check_counts` refuses a plan with more operations than ids.
        let id = OperationId(u16::try_from(self.operations.len()).unwrap_or(u16::MAX));
        self.operations.push(name.to_owned());
        self.operation_ids.insert(name.to_owned(), id);
        id
    }

    fn class_id(&mut self, name: &str, span: Span) -> Option<ClassId> {
        let found = self.classes.iter().position(|known| known == name);
        if found.is_none() {
            let diagnostic = Diagnostic::new(Code::UnknownClass, format!("unknown user class `{name}`"))
                .at(span, "no file of the plan defines this class")
                .suggest(name, self.classes.iter().map(String::as_str));
            let defined =
                self.classes.iter().map(|class| format!("`{class}`")).collect::<Vec<_>>().join(", ");
            let help = match defined.as_str() {
                "" => "define it with `[users.NAME]`, in the plan or in a file named by `include`".to_owned(),
                _ => format!("the plan's user classes are {defined}"),
            };
            self.problems.report(diagnostic.help(help));
        }
        Some(ClassId(u16::try_from(found?).ok()?))
    }

    fn gate(&mut self, document: &GateDocument) -> Option<Gate> {
        let GateDocument { tier, inconclusive, decision, confidence, breaker } = document;
        let confidence = confidence.as_ref().map(|confidence| self.confidence(confidence));
        Some(Gate {
            tier: tier.as_ref()?.value,
            inconclusive: inconclusive.as_ref()?.value,
            decision: decision.as_ref()?.value,
            alpha: 1.0 - confidence?,
            breaker: breaker.as_ref()?.value,
        })
    }

    fn confidence(&mut self, written: &Spanned<Share>) -> f64 {
        let confidence = written.value.fraction();
        if !(0.9..=0.999 + 1e-9).contains(&confidence) {
            let message = format!("`confidence` must be between 90% and 99.9%, not `{}`", written.value);
            let help = "write a share such as `confidence = \"95%\"`";
            self.report(Code::OutOfRange, message, written.span, help);
        }
        confidence
    }

    fn check_counts(&mut self, document: &PlanDocument) {
        let Some(phases) = &document.phases else { return };
        let count = phases.value.len();
        if count == 0 || count > MAX_PHASES {
            let message = format!("a plan must have 1 to {MAX_PHASES} phases, not {count}");
            let help = "write a table `[[phases]]` for each phase; split a plan with more phases";
            self.report(Code::OutOfRange, message, phases.span, help);
        }
        if self.classes.len() > MAX_CLASSES {
            let count = self.classes.len();
            let message = format!("a plan can have at most {MAX_CLASSES} user classes, not {count}");
            let help = "merge classes: one class can have several tasks";
            self.report(Code::OutOfRange, message, phases.span, help);
        }
        if self.operations.len() > MAX_OPERATIONS {
            let count = self.operations.len();
            let message = format!("a plan can have at most {MAX_OPERATIONS} operations, not {count}");
            let help = "give requests that belong together the same `operation`";
            self.report(Code::OutOfRange, message, phases.span, help);
        }
    }
}
