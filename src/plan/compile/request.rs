//! Compiles requests: method, path, headers, body, conditions on the response and captures.

use http::header::HeaderValue;
use http::{HeaderName, Method};

use crate::diagnostic::{Code, Diagnostic};
use crate::document::{Map, Node, Spanned, Value};
use crate::plan::compile::Compiler;
use crate::plan::compile::lists::scalar;
use crate::plan::document::RequestDocument;
use crate::plan::encoding::Encoding;
use crate::plan::expect::StatusRange;
use crate::plan::model::{OperationId, Request};
use crate::plan::template::Template;

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];

const REQUEST_LINE_HELP: &str = "write a method and a path, such as `GET /health`";

/// Maximum length of an operation's name, which every table of a report shows.
const MAX_OPERATION_NAME_BYTES: usize = 200;
/// Maximum length of a method and path. Servers refuse longer request lines.
const MAX_REQUEST_LINE_BYTES: usize = 16 << 10;

/// Maximum size of a file that is sent as a body.
const MAX_BODY_FILE_BYTES: usize = 16 << 20;

/// A body, and its content type where no header sets one.
type Body = (Template, &'static str);

impl Compiler<'_, '_> {
    /// Compiles a request. Its own headers replace inherited headers of the same name.
    pub(super) fn request(
        &mut self,
        document: &RequestDocument,
        inherited: &[(HeaderName, Template)],
    ) -> Option<Request> {
        let line = document.request.as_ref()?;
        let operation = self.named_operation(document.operation.as_ref().unwrap_or(line));
        let method_and_path = self.method_and_path(line).map(|(method, path)| (method, path.to_owned()));
        let path = method_and_path.as_ref().and_then(|(_, path)| self.path(line, path));
        let own = self.headers(document.headers.as_ref());
        let body = self.body(document);
        let expect =
            self.expect(document.expect.as_ref(), vec![StatusRange::class(2), StatusRange::class(3)]);
        let captures = self.captures(document.capture.as_ref());
        let (body, own) = (body?, own?);
        let mut headers = inherited.to_vec();
        headers.retain(|(name, _)| !own.iter().any(|(other, _)| name == other));
        headers.extend(own);
        Some(Request {
            operation,
            method: method_and_path?.0,
            is_link: path.as_ref()?.captured_slot().is_some(),
            path: path?,
            headers,
            content_type: body.as_ref().map(|(_, kind)| *kind),
            body: body.map(|(body, _)| body),
            expect: expect?,
            captures: captures?,
        })
    }

    fn named_operation(&mut self, name: &Spanned<String>) -> OperationId {
        if name.value.trim().is_empty() {
            let help = "write a name, or remove the key: the default is the method and path";
            self.report(Code::OutOfRange, "the name of an operation is empty", name.span, help);
        }
        // `request_line` reports a request that is itself too long.
        if (MAX_OPERATION_NAME_BYTES + 1..=MAX_REQUEST_LINE_BYTES).contains(&name.value.len()) {
            let message = format!("an operation's name can have at most {MAX_OPERATION_NAME_BYTES} bytes");
            let help = "write a shorter name: `operation = \"…\"`";
            self.report(Code::OutOfRange, message, name.span, help);
        }
        self.operation(&name.value)
    }

    /// Compiles a path. A captured value alone is a link and is sent as it is.
    fn path(&mut self, line: &Spanned<String>, path: &str) -> Option<Template> {
        let text = Spanned::new(path.to_owned(), line.span);
        if path.starts_with("${") {
            let template = self.template(&text, Encoding::Raw)?;
            if template.captured_slot().is_some() {
                return Some(template);
            }
        }
        self.rooted(line, path)?;
        self.template(&text, Encoding::Path)
    }

    /// Splits `GET /path` into method and path.
    pub(super) fn request_line<'t>(&mut self, line: &'t Spanned<String>) -> Option<(Method, &'t str)> {
        let (method, path) = self.method_and_path(line)?;
        self.rooted(line, path)?;
        Some((method, path))
    }

    /// Reports a path that does not begin at the root, or has line breaks.
    fn rooted(&mut self, line: &Spanned<String>, path: &str) -> Option<()> {
        if path.starts_with('/') && !path.contains(['\r', '\n']) {
            return Some(());
        }
        let place = self.problems.locate_text(line.span, path).part(0..path.len());
        let message = match path.starts_with('/') {
            true => "the path must not have line breaks".to_owned(),
            false => format!("the path must start with `/`, not `{}`", path.escape_debug()),
        };
        self.report(Code::BadRequest, message, place, REQUEST_LINE_HELP);
        None
    }

    fn method_and_path<'t>(&mut self, line: &'t Spanned<String>) -> Option<(Method, &'t str)> {
        if line.value.len() > MAX_REQUEST_LINE_BYTES {
            let message = format!("a method and path can have at most {MAX_REQUEST_LINE_BYTES} bytes");
            self.report(Code::BadRequest, message, line.span, "send long values in the body");
            return None;
        }
        let Some((method, path)) = line.value.split_once(' ') else {
            let message = format!("`{}` is not a method and a path", line.value);
            self.report(Code::BadRequest, message, line.span, REQUEST_LINE_HELP);
            return None;
        };
        let Some(method) = METHODS.iter().find(|known| known.as_str() == method) else {
            let place = self.problems.locate_text(line.span, &line.value).part(0..method.len());
            let diagnostic = Diagnostic::new(Code::BadRequest, format!("unknown method `{method}`"))
                .at(place, "here")
                .suggest(method, METHODS.iter().map(Method::as_str));
            let known = METHODS.map(|method| format!("`{method}`")).join(", ");
            self.problems.report(diagnostic.help(format!("write one of {known}, then a path")));
            return None;
        };
        Some((method.clone(), path.trim()))
    }

    pub(super) fn headers(
        &mut self,
        headers: Option<&Spanned<Map<String>>>,
    ) -> Option<Vec<(HeaderName, Template)>> {
        let mut compiled = Some(Vec::new());
        for (key, value) in headers.into_iter().flat_map(|headers| &headers.value.0) {
            let name = self.header_name(&key.name, key.span);
            let template = self.template(value, Encoding::Header).filter(|template| {
                let fits = template.all_texts(|text| HeaderValue::from_bytes(text).is_ok());
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

    /// The outer option is `None` after a problem was reported, the inner one is `None` without a body.
    #[expect(clippy::option_option, reason = "the outer option means valid, the inner one present")]
    fn body(&mut self, document: &RequestDocument) -> Option<Option<Body>> {
        let RequestDocument { json, body, form, body_file, .. } = document;
        let written = [
            ("json", json.as_ref().map(|json| json.span)),
            ("body", body.as_ref().map(|body| body.span)),
            ("form", form.as_ref().map(|form| form.span)),
            ("body_file", body_file.as_ref().map(|file| file.span)),
        ];
        let mut written = written.into_iter().filter_map(|(key, span)| Some((key, span?)));
        if let (Some(first), Some(second)) = (written.next(), written.next()) {
            let diagnostic = Diagnostic::new(Code::ExactlyOne, "a request can have only one body")
                .at(second.1, format!("`{}` is the second", second.0))
                .at(first.1, format!("`{}` is the first", first.0))
                .help(format!("keep either `{}` or `{}`", first.0, second.0));
            self.problems.report(diagnostic);
            return None;
        }
        let body = if let Some(json) = json {
            let mut template = Template::default();
            (self.json(&json.value, &mut template).map(|()| template)?, "application/json")
        } else if let Some(form) = form {
            (self.form(form)?, "application/x-www-form-urlencoded")
        } else if let Some(file) = body_file {
            let bytes = self.files.bytes(file, MAX_BODY_FILE_BYTES, self.problems)?;
            (bytes.into(), "application/octet-stream")
        } else if let Some(body) = body {
            (self.template(body, Encoding::Raw)?, "text/plain; charset=utf-8")
        } else {
            return Some(None);
        };
        Some(Some(body))
    }

    fn form(&mut self, form: &Spanned<Map<Node>>) -> Option<Template> {
        let mut out = Template::default();
        let mut complete = Some(());
        for (index, (key, field)) in form.value.0.iter().enumerate() {
            out.push_text(if index == 0 { b"" } else { b"&" });
            match self.template(&Spanned::new(key.name.clone(), key.span), Encoding::Form) {
                Some(name) => out.append(name),
                None => complete = None,
            }
            out.push_text(b"=");
            match (&field.value.value, scalar(&field.value.value)) {
                (Value::Text(text), _) => {
                    match self.template(&Spanned::new(text.clone(), field.span), Encoding::Form) {
                        Some(value) => out.append(value),
                        None => complete = None,
                    }
                }
                (_, Some(value)) => out.push_text(Encoding::Form.value(&value).as_bytes()),
                (other, None) => {
                    let kind = other.kind();
                    let message =
                        format!("a form field must be a string, finite number or boolean, not {kind}");
                    let help = "write a plain value, such as `form = { name = \"value\" }`";
                    self.report(Code::WrongType, message, field.span, help);
                    complete = None;
                }
            }
        }
        complete.map(|()| out)
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
                        "JSON has no infinite numbers and no NaN",
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
                    out.push_text(if index == 0 { b"{\"" } else { b",\"" });
                    let name = Spanned::new(key.name.clone(), key.span);
                    match self.template(&name, Encoding::JsonText) {
                        Some(name) => out.append(name),
                        None => complete = None,
                    }
                    out.push_text(b"\":");
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
}
