use crate::diagnostic::{Code, Diagnostic};
use crate::document::Spanned;
use crate::plan::compile::Compiler;
use crate::plan::document::{ClassDocument, RequestDocument, TaskDocument, WaitDocument, WaitTableDocument};
use crate::plan::model::{Task, UserClass, Wait};

impl Compiler<'_> {
    pub(super) fn class(&mut self, name: &str, class: &Spanned<ClassDocument>) -> Option<UserClass> {
        let wait = match &class.value.wait {
            Some(wait) => self.wait(wait),
            None => Some(Wait::Nothing),
        };
        let documents = &class.value.tasks.as_ref()?.value;
        if documents.is_empty() {
            let help = format!("add `[[users.{name}.tasks]]` with a `request`");
            self.report(Code::OutOfRange, format!("`{name}` does nothing"), class.span, help);
        }
        let tasks: Vec<_> = documents.iter().map(|task| self.task(task)).collect();
        let tasks = tasks.into_iter().collect::<Option<Vec<_>>>()?;
        let cumulative_weights = tasks
            .iter()
            .scan(0.0, |sum, task| {
                *sum += task.weight;
                Some(*sum)
            })
            .collect();
        Some(UserClass { name: name.to_owned(), wait: wait?, tasks, cumulative_weights })
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

    fn task(&mut self, task: &Spanned<TaskDocument>) -> Option<Task> {
        let TaskDocument { weight, operation, request, headers, json, body, form, body_file, expect, capture, any_of, steps } = &task.value;
        if let Some(steps) = steps {
            let help = "this version knows single requests only; make each step a task of its own";
            self.report(Code::NotBuilt, "`steps` is not built yet", steps.span, help);
            return None;
        }
        let weight = weight.as_ref().map_or(Some(1.0), |weight| self.weight(weight));
        let any_of = match (request, any_of) {
            (Some(_), None) => {
                let document = RequestDocument {
                    operation: operation.clone(),
                    request: request.clone(),
                    headers: headers.clone(),
                    json: json.clone(),
                    body: body.clone(),
                    form: form.clone(),
                    body_file: body_file.clone(),
                    expect: expect.clone(),
                    capture: capture.clone(),
                };
                vec![self.request(&document)]
            }
            (None, Some(choices)) => {
                self.nothing_beside_any_of(&task.value);
                if choices.value.is_empty() {
                    let help =
                        "list requests: `any_of = [{ request = \"GET /a\" }, { request = \"GET /b\" }]`";
                    self.report(Code::OutOfRange, "there is nothing to choose from", choices.span, help);
                }
                choices.value.iter().map(|choice| self.request(&choice.value)).collect()
            }
            _ => {
                let found = if request.is_some() { "both" } else { "neither" };
                let diagnostic = Diagnostic::new(Code::ExactlyOne, "a task has exactly one of `request`, `any_of`")
                    .at(task.span, format!("has {found}"))
                    .help("a task is one request, or one of several: `request = \"GET /a\"` or `any_of = [{ … }, { … }]`");
                self.problems.report(diagnostic);
                return None;
            }
        };
        Some(Task { weight: weight?, any_of: any_of.into_iter().collect::<Option<_>>()? })
    }

    /// What belongs to a request must not stand beside `any_of`, where it would be ignored.
    fn nothing_beside_any_of(&mut self, task: &TaskDocument) {
        let spans = [
            ("operation", task.operation.as_ref().map(|x| x.span)),
            ("headers", task.headers.as_ref().map(|x| x.span)),
            ("json", task.json.as_ref().map(|x| x.span)),
            ("body", task.body.as_ref().map(|x| x.span)),
            ("expect", task.expect.as_ref().map(|x| x.span)),
        ];
        for (key, span) in spans {
            if let Some(span) = span {
                let message = format!("`{key}` belongs to a request, not beside `any_of`");
                self.report(Code::ExactlyOne, message, span, "move it into each of the requests of `any_of`");
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
