//! `runner try PLAN`: performs each task once and prints every request and response.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use crate::app::arguments::{Format, TryArgs};
use crate::app::output;
use crate::app::prepare::{PlanPurpose, PreparedPlan, Refusal, prepare, refuse};
use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::engine::{Exchange, TriedTask, TryJob, try_each_task};
use crate::gate;
use crate::plan::model::{ClassId, OperationId, Plan};

/// Longer bodies are cut, in bytes.
const MAX_SHOWN_BODY_BYTES: usize = 4096;
/// Longer lines about findings, captures and failures are cut, in characters.
const MAX_LINE_CHARS: usize = 200;

/// Performs each task of a plan once. The exit code is 1 if a request fails.
pub(in crate::app) fn try_plan(arguments: &TryArgs) -> anyhow::Result<ExitCode> {
    let prepared = prepare(&arguments.plan, PlanPurpose::Try)?;
    let plan = &prepared.run.plan;
    let only = arguments.operation.as_deref().map(|name| operation(plan, name)).transpose();
    let only = only.map_err(|problems| refuse(&problems, arguments.plan.format, Refusal::Plan))?;
    output::stderr_raw(&prepared.warnings());
    prepared.notices.iter().for_each(|notice| output::stderr(&format!("notice: {notice}\n")));
    if let Some(insecure) = gate::insecure(plan) {
        output::stderr(&format!("warning: {insecure}\n"));
    }
    let transcript = Transcript { plan, format: arguments.plan.format };
    let mut totals = TryTotals::default();
    let mut documents = Vec::new();
    let job = TryJob {
        plan,
        phase: prepared.run.phases[0],
        classes: classes(&prepared),
        only,
        seed: plan.seed.unwrap_or_else(|| rand::random::<u32>().into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = try_each_task(job, |tried| {
        totals.add(tried);
        match transcript.format {
            Format::Human => output::print(&transcript.human(tried)),
            Format::Json => documents.push(transcript.json(tried)),
        }
    });
    runtime
        .block_on(work)
        .map_err(anyhow::Error::msg)
        .context("could not set up TLS for the target (check `tls` under `[target]`)")?;
    match transcript.format {
        Format::Human => output::print(&format!("{totals}\n")),
        Format::Json => {
            let document =
                json!({ "requests": totals.requests, "failed": totals.failed, "tasks": documents });
            output::stdout(&format!("{document:#}\n"));
        }
    }
    Ok(ExitCode::from(u8::from(totals.failed > 0)))
}

/// The number of requests, and of failed requests among them.
#[derive(Default)]
struct TryTotals {
    requests: usize,
    failed: usize,
}

impl TryTotals {
    fn add(&mut self, tried: &TriedTask) {
        self.requests += tried.exchanges.len();
        self.failed += tried.exchanges.iter().filter(|exchange| exchange.failure.is_some()).count();
    }
}

impl std::fmt::Display for TryTotals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let requests = if self.requests == 1 { "request" } else { "requests" };
        match self.failed {
            0 => write!(f, "{} {requests}, all as expected", self.requests),
            failed => write!(f, "{} {requests}, {failed} failed", self.requests),
        }
    }
}

/// The operation with this name, or a diagnostic that lists the known ones.
fn operation(plan: &Plan, name: &str) -> Result<OperationId, Problems> {
    let names = || plan.operations.iter().map(String::as_str);
    if let Some((id, _)) = (0..).map(OperationId).zip(names()).find(|(_, known)| *known == name) {
        return Ok(id);
    }
    let mut problems = Problems::default();
    let listed = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let diagnostic = Diagnostic::new(Code::UnknownOperation, format!("unknown operation `{name}`"))
        .at(problems.add_option("--operation", name), "no task of the plan has this operation")
        .suggest(name, names());
    problems.report(diagnostic.help(format!("the plan's operations are {listed}")));
    Err(problems)
}

/// The user classes of the selected phases, without duplicates.
fn classes(prepared: &PreparedPlan) -> Vec<ClassId> {
    let phases = prepared.run.phases.iter().map(|id| &prepared.run.plan.phases[id.index()]);
    let mut classes: Vec<ClassId> = Vec::new();
    for (class, _) in phases.flat_map(|phase| &phase.mix) {
        if !classes.contains(class) {
            classes.push(*class);
        }
    }
    classes
}

/// Renders tried tasks as text or JSON, with secrets redacted.
struct Transcript<'p> {
    plan: &'p Plan,
    format: Format,
}

impl Transcript<'_> {
    /// Redacts secrets. Each text is redacted before it is cut, split into lines or encoded as JSON, because part of a
    /// secret would no longer be recognized.
    fn redacted(&self, text: &str) -> String {
        self.plan.secrets.redact(text)
    }

    /// Redacts secrets and cuts the text to the length of a line.
    fn short(&self, text: &str) -> String {
        let text = self.redacted(text);
        match text.char_indices().nth(MAX_LINE_CHARS) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        }
    }

    fn headers(&self, text: &mut String, mark: &str, headers: &http::HeaderMap) {
        for (name, value) in self.pairs(headers) {
            line(text, mark, &format!("{name}: {value}"));
        }
    }

    fn pairs(&self, headers: &http::HeaderMap) -> Vec<(String, String)> {
        let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.to_string(), self.redacted(&String::from_utf8_lossy(value.as_bytes())))
        };
        headers.iter().map(pair).collect()
    }

    fn body(&self, text: &mut String, mark: &str, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        text.push_str(mark);
        text.push('\n');
        let body = self.redacted(&String::from_utf8_lossy(bytes));
        let shown = &body[..body.floor_char_boundary(MAX_SHOWN_BODY_BYTES)];
        shown.lines().for_each(|message| line(text, mark, message));
        if shown.len() < body.len() {
            line(text, "*", &format!("{} of {} bytes shown", shown.len(), body.len()));
        }
    }

    /// Text in the style of `curl -v`: `>` is sent, `<` is received, `=` is a capture or an expectation, `*` is a remark.
    fn human(&self, tried: &TriedTask) -> String {
        let class = &self.plan.classes[usize::from(tried.class.0)].name;
        let mut text = format!("── {class} · {}\n", tried.label);
        for exchange in &tried.exchanges {
            text.push_str(&self.exchange(exchange));
            text.push('\n');
        }
        text
    }

    fn exchange(&self, exchange: &Exchange) -> String {
        let mut text = format!("* {}\n", self.plan.operations[exchange.sample.operation.index()]);
        if let Some(opened) = &exchange.opened {
            let tls = opened.tls.as_ref().map_or_else(String::new, |(_, agreed)| format!(", {agreed}"));
            line(&mut text, "*", &format!("connected to {}{tls}", self.plan.target.url));
        }
        if let Some((request, sent)) = &exchange.request {
            line(&mut text, ">", &self.redacted(&request_line(request)));
            self.headers(&mut text, ">", request.headers());
            self.body(&mut text, ">", sent);
        }
        if let Some(response) = &exchange.response {
            line(&mut text, "<", &format!("{:?} {}", response.version, response.status));
            if let Some(content) = &response.content {
                self.headers(&mut text, "<", &content.headers);
                self.body(&mut text, "<", &content.body);
            }
        }
        for finding in &exchange.findings {
            let message = match &finding.actual {
                None => format!("expected {}: ok", finding.expected),
                Some(actual) => format!("expected {}: FAILED, found {actual}", finding.expected),
            };
            line(&mut text, "=", &self.short(&message));
        }
        for (name, value) in &exchange.captured {
            line(&mut text, "=", &self.short(&format!("captured {name} = {value}")));
        }
        if let Some(failure) = &exchange.failure {
            line(&mut text, "*", &self.short(&format!("FAILED: {failure}")));
        }
        line(&mut text, "*", &times(exchange));
        text
    }

    fn json(&self, tried: &TriedTask) -> Value {
        let exchanges = tried.exchanges.iter().map(|exchange| {
            let of_response = |response: &crate::engine::ReceivedResponse| {
                json!({
                    "status": response.status.as_u16(),
                    "headers": response.content.as_ref().map(|content| self.pairs(&content.headers)),
                    "body": self.redacted(&String::from_utf8_lossy(response.body())),
                })
            };
            json!({
                "operation": self.plan.operations[exchange.sample.operation.index()],
                "request": exchange.request.as_ref().map(|(request, body)| json!({
                    "line": self.redacted(&request_line(request)),
                    "headers": self.pairs(request.headers()),
                    "body": self.redacted(&String::from_utf8_lossy(body)),
                })),
                "answer": exchange.response.as_ref().map(of_response),
                "expected": exchange.findings.iter().map(|finding| json!({
                    "what": self.redacted(&finding.expected),
                    "instead": finding.actual.as_ref().map(|actual| self.redacted(actual)),
                })).collect::<Vec<_>>(),
                "captured": exchange.captured.iter().map(|(name, value)| (name.clone(), self.redacted(value)))
                    .collect::<std::collections::BTreeMap<_, _>>(),
                "failure": exchange.failure.as_ref().map(|failure| self.redacted(failure)),
                "times_ms": timings(exchange).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            })
        });
        let class = &self.plan.classes[usize::from(tried.class.0)].name;
        json!({ "class": class, "what": tried.label, "requests": exchanges.collect::<Vec<_>>() })
    }
}

fn line(text: &mut String, mark: &str, message: &str) {
    writeln!(text, "{mark} {message}").expect("writing to a string cannot fail");
}

fn request_line(request: &http::Request<()>) -> String {
    format!("{} {} {:?}", request.method(), request.uri(), request.version())
}

/// The duration in ms of each step that the request completed.
fn timings(exchange: &Exchange) -> Vec<(&'static str, f64)> {
    let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1000.0;
    let sample = &exchange.sample;
    let mut timings = Vec::new();
    if let Some(opened) = &exchange.opened {
        timings.push(("connect", ms(opened.connect)));
        timings.extend(opened.tls.as_ref().map(|(tls, _)| ("tls", ms(*tls))));
    }
    if let Some(head_at) = exchange.head_at {
        timings.push(("first byte", ms(head_at.saturating_sub(sample.sent))));
        timings.push(("body", ms(sample.finished.saturating_sub(head_at))));
    }
    timings
}

fn times(exchange: &Exchange) -> String {
    let parts: Vec<String> = timings(exchange).iter().map(|(stage, ms)| format!("{stage} {ms} ms")).collect();
    let bytes = exchange.response.as_ref().map_or(0, |response| response.bytes);
    match parts.is_empty() {
        true => "no response".to_owned(),
        false => format!("{}; {bytes} bytes", parts.join(", ")),
    }
}
