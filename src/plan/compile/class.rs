//! Compiles user classes and their tasks.

use http::HeaderName;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::Spanned;
use crate::plan::compile::Compiler;
use crate::plan::compile::lists::List;
use crate::plan::document::{
    ClassDocument, LatencyDocument, RequestDocument, TaskDocument, WaitDocument, WaitTableDocument,
};
use crate::plan::model::{Cookies, Request, RowTaker, Task, UserClass, Wait};
use crate::plan::template::Template;
use crate::units::TimeSpan;

const MAX_CAPTURES: usize = 1000;

/// The headers that a class adds to each of its requests.
type Headers<'h> = &'h [(HeaderName, Template)];

impl Compiler<'_, '_> {
    pub(super) fn class(&mut self, name: &str, class: &Spanned<ClassDocument>) -> Option<UserClass> {
        let document = &class.value;
        let wait = match &document.wait {
            Some(wait) => self.wait(wait),
            None => Some(Wait::Nothing),
        };
        let latency = document.network_latency.as_ref().map(|latency| self.latency(latency));
        let connections = self.connection_use(
            document.connections.as_ref(),
            document.max_connection_age.as_ref(),
            self.connections,
        );
        self.captures = self.captured_names(document);
        self.bound_list = document.row.as_ref().map(|list| list.value.clone());
        let bound = document.row.as_ref().map(|list| self.bind(list));
        let inherited = self.headers(document.headers.as_ref());
        let headers = inherited.as_deref().unwrap_or_default();
        let on_start = self.start(document.on_start.as_ref(), headers);
        let on_stop = document.on_stop.iter().flat_map(|requests| &requests.value);
        let on_stop: Vec<_> = on_stop.map(|request| self.request(&request.value, headers)).collect();
        let on_stop = on_stop.into_iter().collect::<Option<Vec<_>>>();
        let tasks = self.tasks(name, class, headers);
        let captures = std::mem::take(&mut self.captures).len();
        self.bound_list = None;
        let (tasks, _) = (tasks?, inherited?);
        if let Some(bound) = bound {
            bound?;
        }
        let cumulative_weights = tasks
            .iter()
            .scan(0.0, |sum, task| {
                *sum += task.weight;
                Some(*sum)
            })
            .collect();
        Some(UserClass {
            name: name.to_owned(),
            wait: wait?,
            tasks,
            cumulative_weights,
            network_latency: match latency {
                Some(latency) => Some(latency?),
                None => None,
            },
            on_start: numbered(on_start?),
            on_stop: numbered(on_stop?),
            cookies: match document.cookies.as_ref()?.value {
                true => Cookies::Kept,
                false => Cookies::Ignored,
            },
            captures,
            connections,
        })
    }

    /// Gives each user of the current class a row of a list.
    fn bind(&mut self, list: &Spanned<String>) -> Option<()> {
        let diagnostic = match self.lists.get(&list.value) {
            Some(List::Table(_)) => return self.row_source(&list.value, RowTaker::User).map(drop),
            // The problem of its file has been reported.
            Some(List::Items(items)) if items.is_empty() => return None,
            Some(List::Items(_)) => {
                let message = format!("list `{}` has plain values and no rows", list.value);
                Diagnostic::new(Code::OutOfRange, message)
                    .help("name a list from a file: `{ file = \"….csv\" }`")
            }
            None => Diagnostic::new(Code::UnknownList, format!("unknown list `{}`", list.value))
                .suggest(&list.value, self.lists.names())
                .help(format!("define it under `[lists]`: `{} = {{ file = \"….csv\" }}`", list.value)),
        };
        self.problems.report(diagnostic.at(list.span, "here"));
        None
    }

    /// Compiles `on_start`. A header of the class that needs a captured value is left out until a request has captured
    /// it.
    fn start(
        &mut self,
        requests: Option<&Spanned<Vec<Spanned<RequestDocument>>>>,
        headers: Headers<'_>,
    ) -> Option<Vec<Request>> {
        let mut captured: Vec<String> = Vec::new();
        let mut compiled = Vec::new();
        for request in requests.iter().flat_map(|requests| &requests.value) {
            let known = |(_, value): &&(HeaderName, Template)| {
                value.required_captures().all(|name| captured.iter().any(|known| known == name))
            };
            let known: Vec<_> = headers.iter().filter(known).cloned().collect();
            compiled.push(self.request(&request.value, &known));
            let keys = request.value.capture.iter().flat_map(|capture| &capture.value.0);
            captured.extend(keys.map(|(key, _)| key.name.clone()));
        }
        compiled.into_iter().collect()
    }

    /// Collects the names of the values that a class captures.
    fn captured_names(&mut self, class: &ClassDocument) -> Vec<String> {
        let tasks = class.tasks.iter().flat_map(|tasks| &tasks.value).map(|task| &task.value);
        let own = tasks.clone().filter_map(|task| task.capture.as_ref());
        let lists = tasks.flat_map(|task| [&task.any_of, &task.steps]);
        let lists = lists.chain([&class.on_start, &class.on_stop]);
        let requests = lists.flatten().flat_map(|list| &list.value);
        let captures = requests.filter_map(|request| request.value.capture.as_ref()).chain(own);
        let mut names: Vec<String> = Vec::new();
        for (key, _) in captures.flat_map(|capture| &capture.value.0) {
            let fits = key.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && key.name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            if !fits {
                let name = key.name.escape_debug();
                let message = format!("`{name}` is not a valid name of a captured value");
                let help =
                    "use letters, digits, `-` and `_`, with a letter or `_` first: `${name}` must find it";
                self.report(Code::OutOfRange, message, key.span, help);
            }
            if names.contains(&key.name) {
                continue;
            }
            if names.len() == MAX_CAPTURES {
                let message = format!("a user class can capture at most {MAX_CAPTURES} values");
                let help = "capture fewer values, or split the class";
                self.report(Code::OutOfRange, message, key.span, help);
                break;
            }
            names.push(key.name.clone());
        }
        names
    }

    fn tasks(
        &mut self,
        name: &str,
        class: &Spanned<ClassDocument>,
        headers: Headers<'_>,
    ) -> Option<Vec<Task>> {
        let documents = &class.value.tasks.as_ref()?.value;
        if documents.is_empty() {
            let help = format!("add a table `[[users.{name}.tasks]]` with a `request`");
            self.report(Code::OutOfRange, format!("user class `{name}` has no tasks"), class.span, help);
        }
        let tasks: Vec<_> = documents.iter().map(|task| self.task(task, headers)).collect();
        tasks.into_iter().collect()
    }

    fn latency(&mut self, latency: &Spanned<LatencyDocument>) -> Option<(TimeSpan, TimeSpan)> {
        let ends = match latency.value.0.as_slice() {
            [same] => Some((same.value, same.value)),
            [low, high] if low.value <= high.value => Some((low.value, high.value)),
            _ => None,
        };
        let fits = ends.filter(|(_, high)| high.seconds() <= 60.0);
        if fits.is_none() {
            let message = "`network_latency` must be one duration or two, the shorter first, and at most 1m";
            let help = "write a latency such as `\"40ms\"` or `[\"20ms\", \"50ms\"]`";
            self.report(Code::OutOfRange, message, latency.span, help);
        }
        fits
    }

    fn wait(&mut self, wait: &Spanned<WaitDocument>) -> Option<Wait> {
        let forms =
            "write `\"35s\"`, `[\"30s\", \"40s\"]`, `{ exponential = \"35s\" }` or `{ pace = \"35s\" }`";
        match &wait.value {
            WaitDocument::Durations(durations) => match durations.as_slice() {
                [same] => Some(Wait::Uniform(same.value, same.value)),
                [low, high] if low.value <= high.value => Some(Wait::Uniform(low.value, high.value)),
                [low, high] => {
                    let (low, high) = (low.value, high.value);
                    let message = format!("`wait` must start with the shorter duration, not `{low}`");
                    let help = format!("write `wait = [\"{high}\", \"{low}\"]`");
                    self.report(Code::OutOfRange, message, wait.span, help);
                    None
                }
                _ => {
                    let message = format!("`wait` must have one or two durations, not {}", durations.len());
                    self.report(Code::OutOfRange, message, wait.span, forms);
                    None
                }
            },
            WaitDocument::Table(WaitTableDocument { exponential, pace }) => match (exponential, pace) {
                (Some(mean), None) => Some(Wait::Exponential(mean.value)),
                (None, Some(pace)) => Some(Wait::Pace(pace.value)),
                _ => {
                    let message = "a table of `wait` must have either `exponential` or `pace`";
                    self.report(Code::ExactlyOne, message, wait.span, forms);
                    None
                }
            },
        }
    }

    fn task(&mut self, task: &Spanned<TaskDocument>, headers: Headers<'_>) -> Option<Task> {
        let document = &task.value;
        let weight = document.weight.as_ref().and_then(|weight| self.weight(weight));
        let choices = match (&document.request, &document.any_of, &document.steps) {
            (Some(_), None, None) => {
                Some(vec![self.request(&request_of_task(document), headers).map(|request| vec![request])])
            }
            (None, Some(choices), None) => {
                self.refuse_request_keys(document, "any_of");
                let form = "`any_of = [{ request = \"GET /a\" }, { request = \"GET /b\" }]`";
                self.not_empty(choices, "`any_of` is empty", form);
                let requests = choices.value.iter().map(|choice| self.request(&choice.value, headers));
                Some(requests.map(|request| Some(vec![request?])).collect())
            }
            (None, None, Some(steps)) => {
                self.refuse_request_keys(document, "steps");
                let form = "`steps = [{ request = \"GET /a\" }, { request = \"GET /b\" }]`";
                self.not_empty(steps, "`steps` is empty", form);
                let requests: Vec<_> =
                    steps.value.iter().map(|step| self.request(&step.value, headers)).collect();
                Some(vec![requests.into_iter().collect()])
            }
            _ => {
                self.not_exactly_one(task);
                None
            }
        };
        let choices = choices?.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Task { weight: weight?, choices: choices.into_iter().map(numbered).collect() })
    }

    fn not_empty(&mut self, list: &Spanned<Vec<Spanned<RequestDocument>>>, message: &str, form: &str) {
        if list.value.is_empty() {
            self.report(Code::OutOfRange, message, list.span, format!("write its requests: {form}"));
        }
    }

    fn not_exactly_one(&mut self, task: &Spanned<TaskDocument>) {
        let TaskDocument { request, any_of, steps, .. } = &task.value;
        let found =
            [request.is_some(), any_of.is_some(), steps.is_some()].into_iter().filter(|is| *is).count();
        let label = if found == 0 { "has none of them".to_owned() } else { format!("has {found} of them") };
        let diagnostic =
            Diagnostic::new(Code::ExactlyOne, "a task must have exactly one of `request`, `any_of`, `steps`")
                .at(task.span, label)
                .help("write `request = \"GET /a\"` for one request, `any_of = [{ … }, { … }]` for one of several, or `steps = [{ … }, { … }]` for several in order");
        self.problems.report(diagnostic);
    }

    /// Reports the keys of a request next to a list of requests, where they would have no effect.
    fn refuse_request_keys(&mut self, task: &TaskDocument, list: &str) {
        let TaskDocument { operation, headers, json, body, form, body_file, expect, capture, .. } = task;
        let spans = [
            ("operation", operation.as_ref().map(|x| x.span)),
            ("headers", headers.as_ref().map(|x| x.span)),
            ("json", json.as_ref().map(|x| x.span)),
            ("body", body.as_ref().map(|x| x.span)),
            ("form", form.as_ref().map(|x| x.span)),
            ("body_file", body_file.as_ref().map(|x| x.span)),
            ("expect", expect.as_ref().map(|x| x.span)),
            ("capture", capture.as_ref().map(|x| x.span)),
        ];
        for (key, span) in spans {
            if let Some(span) = span {
                let message = format!("`{key}` is not allowed next to `{list}`");
                let help = format!("write it in the request of `{list}` that it belongs to");
                self.report(Code::ExactlyOne, message, span, help);
            }
        }
    }

    pub(super) fn weight(&mut self, weight: &Spanned<f64>) -> Option<f64> {
        let fits = weight.value > 0.0 && weight.value <= 1e9;
        if !fits {
            let message = format!("a weight must be above 0 and at most 1000000000, not `{}`", weight.value);
            let help = "write a number such as `1` or `0.5`, or remove the entry";
            self.report(Code::OutOfRange, message, weight.span, help);
        }
        fits.then_some(weight.value)
    }
}

/// The request of a task that consists of one.
fn request_of_task(task: &TaskDocument) -> RequestDocument {
    let TaskDocument { operation, request, headers, json, body, form, body_file, expect, capture, .. } =
        task.clone();
    RequestDocument { operation, request, headers, json, body, form, body_file, expect, capture }
}

/// Numbers the `${seq()}` holes of requests that are sent together, so that no two get the same value.
fn numbered(mut requests: Vec<Request>) -> Vec<Request> {
    let mut next = 0;
    requests.iter_mut().for_each(|request| request.number_sequences(&mut next));
    requests
}
