//! Plan requests made ready for the wire: what is constant is built once, holes are rendered for every task.

use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Uri};
use http_body_util::Full;

use crate::engine::connection::Answer;
use crate::engine::fault::Fault;
use crate::measure::sample::ErrorKind;
use crate::plan::draw::Draw;
use crate::plan::model::{OperationId, Plan, Request, Statuses, Target};
use crate::plan::template::{Facts, Template};

/// A user class's tasks, ready to be performed.
pub(super) struct Behaviour {
    cumulative_weights: Vec<f64>,
    tasks: Vec<Vec<Prepared>>,
}

/// A request, ready to be sent.
pub(super) struct Prepared {
    pub(super) operation: OperationId,
    method: Method,
    uri: Part<Uri>,
    headers: HeaderMap,
    drawn_headers: Vec<(http::HeaderName, Template)>,
    body: Part<Bytes>,
    expect: Statuses,
}

/// Built once, or rendered for every task.
enum Part<T> {
    Constant(T),
    Drawn(Template),
}

impl Behaviour {
    /// The behaviour of each class of a plan.
    pub(super) fn of_classes(plan: &Plan) -> Vec<Self> {
        let classes = plan.classes.iter().map(|class| {
            let prepare = |request: &Request| Prepared::new(request, &plan.target);
            let tasks = class.tasks.iter().map(|task| task.any_of.iter().map(prepare).collect()).collect();
            Self { cumulative_weights: class.cumulative_weights.clone(), tasks }
        });
        classes.collect()
    }

    /// Draws what to do.
    pub(super) fn choose(&self, draw: &mut Draw) -> &Prepared {
        let task = &self.tasks[draw.weighted(&self.cumulative_weights)];
        if task.len() == 1 { &task[0] } else { &task[draw.index(task.len())] }
    }
}

impl Prepared {
    fn new(request: &Request, target: &Target) -> Self {
        let mut headers = target.headers.clone();
        headers.insert(HOST, target.url.authority.clone());
        let product = HeaderValue::from_static(concat!("runner/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(product);
        let mut drawn_headers = Vec::new();
        for (name, value) in &request.headers {
            match value.constant().map(HeaderValue::from_maybe_shared) {
                Some(Ok(value)) => {
                    headers.insert(name, value);
                }
                _ => drawn_headers.push((name.clone(), value.clone())),
            }
        }
        let mut path = Template::default();
        path.push_text(target.url.base_path.as_bytes());
        path.append(request.path.clone());
        Self {
            operation: request.operation,
            method: request.method.clone(),
            uri: match path.constant().map(Uri::from_maybe_shared) {
                Some(Ok(uri)) => Part::Constant(uri),
                _ => Part::Drawn(path),
            },
            headers,
            drawn_headers,
            body: match &request.body {
                None => Part::Constant(Bytes::new()),
                Some(body) => body.constant().map_or_else(|| Part::Drawn(body.clone()), Part::Constant),
            },
            expect: request.expect.clone(),
        }
    }

    /// The request with its holes filled; drawn in the order path, headers, body.
    pub(super) fn render(
        &self,
        draw: &mut Draw,
        facts: &Facts<'_>,
    ) -> Result<http::Request<Full<Bytes>>, Fault> {
        let mut render = |template: &Template| {
            let mut out = BytesMut::new();
            template.render(&mut out, draw, facts);
            out.freeze()
        };
        let unfit =
            |what: &str| Fault::new(ErrorKind::Local, format!("the {what} cannot be sent as it was drawn"));
        let uri = match &self.uri {
            Part::Constant(uri) => uri.clone(),
            Part::Drawn(path) => Uri::from_maybe_shared(render(path)).map_err(|_| unfit("path"))?,
        };
        let mut headers = self.headers.clone();
        for (name, value) in &self.drawn_headers {
            let value = HeaderValue::from_maybe_shared(render(value)).map_err(|_| unfit("header"))?;
            headers.insert(name, value);
        }
        let body = match &self.body {
            Part::Constant(body) => body.clone(),
            Part::Drawn(body) => render(body),
        };
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Whether an answer is the expected one.
    pub(super) fn check(&self, answer: Answer) -> Result<Answer, Fault> {
        let status = answer.status;
        if self.expect.accept(status) {
            return Ok(answer);
        }
        let kind = match status.as_u16() {
            500.. => ErrorKind::Status5xx,
            400..500 => ErrorKind::Status4xx,
            _ => ErrorKind::Unexpected,
        };
        Err(Fault::new(kind, format!("HTTP status {status}")))
    }
}
