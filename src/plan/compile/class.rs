use http::HeaderName;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::Spanned;
use crate::plan::compile::Compiler;
use crate::plan::document::{
    ClassDocument, LatencyDocument, RequestDocument, TaskDocument, WaitDocument, WaitTableDocument,
};
use crate::plan::model::{Cookies, Request, Task, UserClass, Wait};
use crate::plan::template::Template;
use crate::units::TimeSpan;

/// The most values that a class may capture.
const MAX_CAPTURES: usize = 1000;

/// What a class sends in every header.
type Headers<'h> = &'h [(HeaderName, Template)];

impl Compiler<'_, '_> {
    pub(super) fn class(&mut self, name: &str, class: &Spanned<ClassDocument>) -> Option<UserClass> {
        let document = &class.value;
        let wait = match &document.wait {
            Some(wait) => self.wait(wait),
            None => Some(Wait::Nothing),
        };
        let latency = document.network_latency.as_ref().map(|latency| self.latency(latency));
        self.captures = self.captured_names(document);
        let inherited = self.headers(document.headers.as_ref());
        let headers = inherited.as_deref().unwrap_or_default();
        let on_start = self.start(document.on_start.as_ref(), headers);
        let on_stop = document.on_stop.iter().flat_map(|requests| &requests.value);
        let on_stop: Vec<_> = on_stop.map(|request| self.request(&request.value, headers)).collect();
        let on_stop = on_stop.into_iter().collect::<Option<Vec<_>>>();
        let tasks = self.tasks(name, class, headers);
        let captures = std::mem::take(&mut self.captures).len();
        let (tasks, _) = (tasks?, inherited?);
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
        })
    }

    /// The requests of a start. What the class sends in every header and is captured only here is left out until it is.
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

    /// The names under which a class's users keep values.
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
                let message = format!("`{}` cannot be the name of a captured value", key.name.escape_debug());
                let help = "use letters, digits, `-` and `_`, a letter first: holes name it as `${name}`";
                self.report(Code::OutOfRange, message, key.span, help);
            }
            if names.contains(&key.name) {
                continue;
            }
            if names.len() == MAX_CAPTURES {
                let help = format!("a class captures up to {MAX_CAPTURES} values");
                self.report(Code::OutOfRange, "too many values are captured", key.span, help);
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
            let help = format!("add `[[users.{name}.tasks]]` with a `request`");
            self.report(Code::OutOfRange, format!("`{name}` does nothing"), class.span, help);
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
            let message = "a latency is one duration, or a shorter and a longer one, up to \"1m\"";
            let help = "write `\"40ms\"` or `[\"20ms\", \"50ms\"]`";
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
                    let message = format!("`{}` is longer than `{}`", low.value, high.value);
                    self.report(Code::OutOfRange, message, wait.span, "write the shorter one first");
                    None
                }
                _ => {
                    self.report(Code::OutOfRange, "a wait has one or two durations", wait.span, forms);
                    None
                }
            },
            WaitDocument::Table(WaitTableDocument { exponential, pace }) => match (exponential, pace) {
                (Some(mean), None) => Some(Wait::Exponential(mean.value)),
                (None, Some(pace)) => Some(Wait::Pace(pace.value)),
                _ => {
                    let message = "a wait has exactly one of `exponential` and `pace`";
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
                self.not_empty(choices, "there is nothing to choose from", form);
                let requests = choices.value.iter().map(|choice| self.request(&choice.value, headers));
                Some(requests.map(|request| Some(vec![request?])).collect())
            }
            (None, None, Some(steps)) => {
                self.refuse_request_keys(document, "steps");
                let form = "`steps = [{ request = \"GET /a\" }, { request = \"GET /b\" }]`";
                self.not_empty(steps, "there are no steps", form);
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
            self.report(Code::OutOfRange, message, list.span, format!("list requests: {form}"));
        }
    }

    fn not_exactly_one(&mut self, task: &Spanned<TaskDocument>) {
        let TaskDocument { request, any_of, steps, .. } = &task.value;
        let found =
            [request.is_some(), any_of.is_some(), steps.is_some()].into_iter().filter(|is| *is).count();
        let label = if found == 0 { "has none of them".to_owned() } else { format!("has {found} of them") };
        let diagnostic =
            Diagnostic::new(Code::ExactlyOne, "a task has exactly one of `request`, `any_of`, `steps`")
                .at(task.span, label)
                .help("a task is one request, one of several, or several in order: `request = \"GET /a\"`, `any_of = [{ … }, { … }]` or `steps = [{ … }, { … }]`");
        self.problems.report(diagnostic);
    }

    /// What belongs to a request must not stand beside a list of them, where it would be ignored.
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
                let message = format!("`{key}` belongs to a request, not beside `{list}`");
                let help = format!("move it into each of the requests of `{list}` that it is meant for");
                self.report(Code::ExactlyOne, message, span, help);
            }
        }
    }

    pub(super) fn weight(&mut self, weight: &Spanned<f64>) -> Option<f64> {
        let fits = weight.value > 0.0 && weight.value <= 1e9;
        if !fits {
            let message = format!("the weight `{}` is out of range", weight.value);
            self.report(
                Code::OutOfRange,
                message,
                weight.span,
                "write a number above 0 and up to 1000000000",
            );
        }
        fits.then_some(weight.value)
    }
}

/// The request of a task that is one.
fn request_of_task(task: &TaskDocument) -> RequestDocument {
    let TaskDocument { operation, request, headers, json, body, form, body_file, expect, capture, .. } =
        task.clone();
    RequestDocument { operation, request, headers, json, body, form, body_file, expect, capture }
}

/// Numbers the `${seq()}` of requests that are made together, so that no two of them get the same value.
fn numbered(mut requests: Vec<Request>) -> Vec<Request> {
    let mut next = 0;
    requests.iter_mut().for_each(|request| request.number_sequences(&mut next));
    requests
}
