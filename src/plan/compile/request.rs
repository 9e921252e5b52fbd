use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};

use crate::diagnostic::{Code, Diagnostic};
use crate::document::{Map, Node, Spanned, Value};
use crate::plan::compile::Compiler;
use crate::plan::compile::holes::{Encoding, json_text};
use crate::plan::document::{ExpectDocument, RequestDocument};
use crate::plan::model::{OperationId, Request, Statuses};
use crate::plan::template::{Hole, Template};

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

/// The longest name of an operation: it stands in every table of a report.
const LONGEST_NAME: usize = 200;
/// The longest method and path: servers refuse longer request lines.
const LONGEST_REQUEST: usize = 16 << 10;

impl Compiler<'_> {
    pub(super) fn request(&mut self, document: &RequestDocument) -> Option<Request> {
        let line = document.request.as_ref()?;
        let operation = self.named_operation(document.operation.as_ref().unwrap_or(line));
        let method_and_path = self.request_line(line).map(|(method, path)| (method, path.to_owned()));
        let path = method_and_path
            .as_ref()
            .and_then(|(_, path)| self.template(&Spanned::new(path.clone(), line.span), Encoding::Path));
        let headers = self.headers(document.headers.as_ref());
        let body = self.body(document);
        let expect = self.expect(document.expect.as_ref());
        let (body, mut headers) = (body?, headers?);
        let kind = if document.json.is_some() { "application/json" } else { "text/plain; charset=utf-8" };
        if body.is_some() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
            let mut value = Template::default();
            value.push_text(kind.as_bytes());
            headers.push((CONTENT_TYPE, value));
        }
        Some(number_sequences(Request {
            operation,
            method: method_and_path?.0,
            path: path?,
            headers,
            body,
            expect,
        }))
    }

    fn named_operation(&mut self, name: &Spanned<String>) -> OperationId {
        if name.value.trim().is_empty() {
            let help = "write a name, or take the key out: without it the request is the name";
            self.report(Code::OutOfRange, "an operation needs a name", name.span, help);
        }
        // A request that is itself too long is refused as such.
        if (LONGEST_NAME + 1..=LONGEST_REQUEST).contains(&name.value.len()) {
            let message = format!("the operation's name is longer than {LONGEST_NAME} bytes");
            let help = "give the request a shorter one: `operation = \"…\"`";
            self.report(Code::OutOfRange, message, name.span, help);
        }
        self.operation(&name.value)
    }

    /// `GET /path`, taken apart.
    pub(super) fn request_line<'t>(&mut self, line: &'t Spanned<String>) -> Option<(Method, &'t str)> {
        if line.value.len() > LONGEST_REQUEST {
            let message = format!("the request is longer than {LONGEST_REQUEST} bytes");
            self.report(Code::BadRequest, message, line.span, "send what is long in a body");
            return None;
        }
        let help = "write a method and a path, such as `GET /health`";
        let Some((method, path)) = line.value.split_once(' ') else {
            let message = format!("`{}` is not a method and a path", line.value);
            self.report(Code::BadRequest, message, line.span, help);
            return None;
        };
        let Some(method) = METHODS.iter().find(|known| known.as_str() == method) else {
            let place = self.problems.within(line.span, &line.value).part(0..method.len());
            let diagnostic = Diagnostic::new(Code::BadRequest, format!("unknown method `{method}`"))
                .at(place, "here")
                .suggest(method, METHODS.iter().map(Method::as_str));
            self.problems.report(diagnostic.help(help));
            return None;
        };
        let path = path.trim();
        if !path.starts_with('/') || path.contains(['\r', '\n']) {
            let place = self.problems.within(line.span, path).part(0..path.len());
            let message = match path.starts_with('/') {
                true => "a path is one line".to_owned(),
                false => format!("the path `{}` does not start with `/`", path.escape_debug()),
            };
            self.report(Code::BadRequest, message, place, help);
            return None;
        }
        Some((method.clone(), path))
    }

    fn headers(
        &mut self,
        headers: Option<&Spanned<Map<String>>>,
    ) -> Option<Vec<(http::HeaderName, Template)>> {
        let mut compiled = Some(Vec::new());
        for (key, value) in headers.into_iter().flat_map(|headers| &headers.value.0) {
            let name = self.header_name(&key.name, key.span);
            let template = self.template(value, Encoding::Header).filter(|template| {
                let fits = template.literals().all(|text| HeaderValue::from_bytes(text).is_ok());
                if !fits {
                    self.bad_header_value(&key.name, value.span);
                }
                fits
            });
            match (name, template, &mut compiled) {
                (Some(name), Some(template), Some(all)) => all.push((name, template)),
                _ => compiled = None,
            }
        }
        compiled
    }

    /// The outer option is whether it could be compiled, the inner whether there is one.
    #[expect(clippy::option_option, reason = "two questions: is it right, and is there one")]
    fn body(&mut self, document: &RequestDocument) -> Option<Option<Template>> {
        if let (Some(json), Some(body)) = (&document.json, &document.body) {
            let diagnostic = Diagnostic::new(Code::ExactlyOne, "a request has one body")
                .at(body.span, "`body` is one")
                .at(json.span, "`json` is another")
                .help("keep either `json` or `body`");
            self.problems.report(diagnostic);
            return None;
        }
        if let Some(json) = &document.json {
            let mut template = Template::default();
            return self.json(&json.value, &mut template).map(|()| Some(template));
        }
        match &document.body {
            Some(body) => self.template(body, Encoding::Raw).map(Some),
            None => Some(None),
        }
    }

    fn json(&mut self, node: &Node, out: &mut Template) -> Option<()> {
        match &node.value {
            Value::Text(text) => {
                let text = Spanned::new(text.clone(), node.span);
                out.append(self.template(&text, Encoding::JsonValue)?);
            }
            Value::Integer(number) => out.push_text(number.to_string().as_bytes()),
            Value::Boolean(flag) => out.push_text(flag.to_string().as_bytes()),
            Value::Datetime(time) => out.push_text(format!("\"{time}\"").as_bytes()),
            Value::Float(number) => {
                let Some(number) = serde_json::Number::from_f64(*number) else {
                    self.report(
                        Code::OutOfRange,
                        "JSON has no such number",
                        node.span,
                        "write a finite number",
                    );
                    return None;
                };
                out.push_text(number.to_string().as_bytes());
            }
            Value::Array(items) => return self.json_array(items, out),
            Value::Table(entries) => {
                let mut complete = Some(());
                for (index, (key, item)) in entries.iter().enumerate() {
                    let separator = if index == 0 { "{" } else { "," };
                    out.push_text(format!("{separator}\"{}\":", json_text(&key.name)).as_bytes());
                    complete = complete.and(self.json(item, out));
                }
                out.push_text(if entries.is_empty() { b"{}" } else { b"}" });
                return complete;
            }
        }
        Some(())
    }

    fn json_array(&mut self, items: &[Node], out: &mut Template) -> Option<()> {
        let mut complete = Some(());
        out.push_text(b"[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push_text(b",");
            }
            complete = complete.and(self.json(item, out));
        }
        out.push_text(b"]");
        complete
    }

    fn expect(&mut self, expect: Option<&Spanned<ExpectDocument>>) -> Statuses {
        let Some(statuses) = expect.and_then(|expect| expect.value.status.as_ref()) else {
            return Statuses::Default;
        };
        let mut accepted = Vec::new();
        for status in &statuses.value {
            match StatusCode::from_u16(status.value).ok().filter(|_| status.value < 600) {
                Some(code) => accepted.push(code),
                None => {
                    let message = format!("`{}` is no status", status.value);
                    self.report(Code::OutOfRange, message, status.span, "write statuses from 100 to 599");
                }
            }
        }
        if statuses.value.is_empty() {
            let help = "list the statuses that are successes, or take the key out: 2xx and 3xx are";
            self.report(Code::OutOfRange, "no status would be a success", statuses.span, help);
        }
        Statuses::Only(accepted)
    }
}

/// Numbers the `${seq()}` of a request, so that no two of them get the same value.
fn number_sequences(mut request: Request) -> Request {
    let mut next = 0;
    let headers = request.headers.iter_mut().map(|(_, value)| value);
    for template in std::iter::once(&mut request.path).chain(headers).chain(request.body.as_mut()) {
        for hole in template.holes_mut() {
            if let Hole::Sequence(place) = hole {
                *place = next;
                next += 1;
            }
        }
    }
    request
}
