//! Requests of a plan, prepared for the wire: constant parts are built once, holes are rendered for every task.

use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT,
};
use http::{HeaderName, Method, StatusCode, Uri, Version};
use http_body_util::Full;
use serde_json::Value;

use crate::engine::user::link;
use crate::engine::wire::connection::ReusedBuffers;
use crate::engine::wire::declare_empty_body;
use crate::engine::wire::fault::Fault;
use crate::engine::wire::response::ReceivedResponse;
use crate::measure::sample::ErrorKind;
use crate::plan::expect::Expectation;
use crate::plan::model::{
    Capture, CaptureSource, ConnectionUse, Cookies, HttpVersion, KeptFor, OperationId, Plan, Request, Target,
    TargetUrl, UserClass,
};
use crate::plan::random::RandomStream;
use crate::plan::template::{RenderContext, Template};
use crate::units::TimeSpan;

/// The memory of rendered texts up to this length is reused.
const MAX_REUSED_BYTES: usize = 64 << 10;

/// A user class with prepared requests.
pub(in crate::engine) struct PreparedClass {
    cumulative_weights: Vec<f64>,
    /// The index of its first task among all tasks of the plan.
    first_task: usize,
    /// The choices of each task; a choice is a sequence of requests.
    pub(in crate::engine) tasks: Vec<Vec<Vec<Prepared>>>,
    pub(in crate::engine) on_start: Vec<Prepared>,
    pub(in crate::engine) on_stop: Vec<Prepared>,
    pub(super) latency: Option<(TimeSpan, TimeSpan)>,
    pub(super) cookies: Cookies,
    pub(super) connections: ConnectionUse,
    pub(super) captures: usize,
}

/// A request, ready to be rendered and sent.
pub(in crate::engine) struct Prepared {
    pub(in crate::engine) operation: OperationId,
    /// The constant parts; without holes they are the whole request.
    constant: OutgoingRequest,
    templates: TemplatedParts,
    pub(super) expect: Expectation,
    pub(super) captures: Vec<Capture>,
}

/// The parts of a request that are rendered for every task.
#[derive(Default)]
struct TemplatedParts {
    uri: Option<Template>,
    /// The target, if the URI is a captured link.
    link_base: Option<Box<(TargetUrl, HttpVersion)>>,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
}

/// A request with its holes filled.
#[derive(Debug, Clone)]
pub(super) struct OutgoingRequest {
    pub(super) request: http::Request<Full<Bytes>>,
    /// The body once more, because the request gives its body away to the connection.
    body: Bytes,
}

/// The request that follows a redirect.
pub(super) struct Redirect {
    pub(super) outgoing: Box<OutgoingRequest>,
}

impl PreparedClass {
    /// Prepares all classes of a plan.
    pub(in crate::engine) fn of_classes(plan: &Plan) -> Vec<Self> {
        let mut first_task = 0;
        let prepared_classes = plan.classes.iter().map(|class| {
            let prepared = Self::new(class, &plan.target, first_task);
            first_task += class.tasks.len();
            prepared
        });
        prepared_classes.collect()
    }

    fn new(class: &UserClass, target: &Target, first_task: usize) -> Self {
        let prepare = |requests: &Vec<Request>| -> Vec<Prepared> {
            requests.iter().map(|request| Prepared::new(request, target, class.connections)).collect()
        };
        Self {
            cumulative_weights: class.cumulative_weights.clone(),
            first_task,
            tasks: class.tasks.iter().map(|task| task.choices.iter().map(prepare).collect()).collect(),
            on_start: prepare(&class.on_start),
            on_stop: prepare(&class.on_stop),
            latency: class.network_latency,
            cookies: class.cookies,
            connections: class.connections,
            captures: class.captures,
        }
    }

    /// Whether its users connect before they need a connection.
    pub(super) fn connects_ahead(&self) -> bool {
        self.connections.kept_for == KeptFor::User
    }

    /// Draws a task and one of its choices. Returns the task's index among all tasks of the plan, and the requests.
    pub(in crate::engine) fn choose(&self, draw: &mut RandomStream) -> (usize, &[Prepared]) {
        let chosen = draw.weighted(&self.cumulative_weights);
        let task = &self.tasks[chosen];
        let choice = if task.len() == 1 { &task[0] } else { &task[draw.index(task.len())] };
        (self.first_task + chosen, choice)
    }
}

impl Prepared {
    fn new(request: &Request, target: &Target, connections: ConnectionUse) -> Self {
        let mut headers = target.headers.clone();
        let mut path = Template::default();
        let version = match target.http {
            HttpVersion::One => {
                headers.insert(HOST, target.url.authority.clone());
                if connections.kept_for == KeptFor::Request {
                    headers.insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Version::HTTP_11
            }
            // HTTP/2 takes scheme and host from the URI instead of a `host` header.
            HttpVersion::Two => {
                path.push_text(target.url.origin().as_bytes());
                Version::HTTP_2
            }
        };
        let product = HeaderValue::from_static(concat!("runner/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(product);
        let mut templates = TemplatedParts::default();
        for (name, value) in &request.headers {
            match value.constant().map(HeaderValue::from_maybe_shared) {
                Some(Ok(value)) => {
                    headers.insert(name, value);
                }
                _ => templates.headers.push((name.clone(), value.clone())),
            }
        }
        if let Some(kind) = request.content_type
            && !templates.headers.iter().any(|(name, _)| *name == CONTENT_TYPE)
        {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        }
        if request.is_link {
            templates.link_base = Some(Box::new((target.url.clone(), target.http)));
            path = request.path.clone();
        } else {
            path.push_text(target.url.base_path.as_bytes());
            path.append(request.path.clone());
        }
        let mut constant = http::Request::new(());
        *constant.method_mut() = request.method.clone();
        *constant.version_mut() = version;
        *constant.headers_mut() = headers;
        match path.constant().map(Uri::from_maybe_shared) {
            Some(Ok(uri)) => *constant.uri_mut() = uri,
            _ => templates.uri = Some(path),
        }
        let body = request.body.as_ref().map_or_else(|| Some(Bytes::new()), Template::constant);
        if body.is_none() {
            templates.body.clone_from(&request.body);
        }
        Self {
            operation: request.operation,
            constant: OutgoingRequest::new(constant, body),
            templates,
            expect: request.expect.clone(),
            captures: request.captures.clone(),
        }
    }

    /// The request with its holes filled. Random values are drawn in the order path, headers, body.
    pub(super) fn render(
        &self,
        reused: &mut ReusedBuffers,
        draw: &mut RandomStream,
        facts: &RenderContext<'_>,
    ) -> Result<OutgoingRequest, Fault> {
        // Lists and texts were checked before the run, so only a captured value can be invalid here.
        let unusable = |part: &str| {
            Fault::new(
                ErrorKind::Unexpected,
                format!("a captured value contains characters that the {part} cannot hold"),
            )
        };
        let mut outgoing = self.constant.copy(&mut reused.headers);
        let TemplatedParts { uri, link_base, headers, body } = &self.templates;
        if let Some(uri) = uri {
            let rendered = rendered(uri, &mut reused.text, draw, facts)?;
            *outgoing.request.uri_mut() = match link_base.as_deref() {
                None => Uri::from_maybe_shared(rendered).map_err(|_| unusable("path"))?,
                Some((target, http)) => {
                    let value = uri.captured_slot().and_then(|slot| facts.captured.get(slot)?.as_ref());
                    let link = if value == Some(&Value::Null) { &[] } else { &*rendered };
                    link::uri(target, *http, &target.base(), link)
                        .map_err(|why| Fault::new(ErrorKind::Blocked, format!("the captured link {why}")))?
                }
            };
        }
        for (name, value) in headers {
            let rendered = rendered(value, &mut reused.text, draw, facts)?;
            let value = HeaderValue::from_maybe_shared(rendered).map_err(|_| unusable("header"))?;
            outgoing.request.headers_mut().insert(name, value);
        }
        if let Some(body) = body {
            outgoing.set_body(rendered(body, &mut reused.text, draw, facts)?);
        }
        Ok(outgoing)
    }

    pub(super) fn method(&self) -> &Method {
        self.constant.request.method()
    }

    /// Whether it captures a random element.
    pub(super) fn picks(&self) -> bool {
        self.captures.iter().any(|capture| capture.source.picks())
    }

    /// Whether the body of a response is inspected.
    pub(super) fn inspects_body(&self) -> bool {
        self.expect.inspects_body() || self.captures.iter().any(|capture| capture.source.inspects_body())
    }

    /// Whether the headers of a response are inspected.
    pub(super) fn inspects_head(&self) -> bool {
        let is_header = |capture: &Capture| matches!(capture.source, CaptureSource::Header(_));
        !self.expect.headers.is_empty() || self.captures.iter().any(is_header)
    }

    /// Whether the body of a response is parsed as JSON.
    pub(super) fn needs_json(&self) -> bool {
        let is_json = |capture: &Capture| matches!(capture.source, CaptureSource::Json(_));
        self.expect.needs_json() || self.captures.iter().any(is_json)
    }
}

fn rendered(
    template: &Template,
    text: &mut BytesMut,
    draw: &mut RandomStream,
    facts: &RenderContext<'_>,
) -> Result<Bytes, Fault> {
    text.reserve(template.expected_length());
    let rendered = template.render(text, draw, facts);
    // A large buffer is not kept, because with many users the memory would add up.
    let text = if text.len() > MAX_REUSED_BYTES { std::mem::take(text) } else { text.split() }.freeze();
    rendered.map(|()| text).map_err(|missing| {
        Fault::new(ErrorKind::Unexpected, format!("`{}` has not been captured", missing.0))
    })
}

impl OutgoingRequest {
    /// A request with this body, or with none yet.
    fn new(head: http::Request<()>, body: Option<Bytes>) -> Self {
        let mut outgoing = Self { request: head.map(|()| Full::default()), body: Bytes::new() };
        if let Some(body) = body {
            outgoing.set_body(body);
        }
        outgoing
    }

    /// Copies the request, and reuses the memory of the headers of an earlier one.
    fn copy(&self, headers: &mut HeaderMap) -> Self {
        let mut request = http::Request::new(self.request.body().clone());
        request.method_mut().clone_from(self.request.method());
        *request.version_mut() = self.request.version();
        request.uri_mut().clone_from(self.request.uri());
        let mut headers = std::mem::take(headers);
        headers.clear();
        headers.reserve(self.request.headers().len());
        for (name, value) in self.request.headers() {
            headers.append(name, value.clone());
        }
        *request.headers_mut() = headers;
        Self { request, body: self.body.clone() }
    }

    /// Sets the body of a request that declares no length.
    fn set_body(&mut self, body: Bytes) {
        let is_empty = body.is_empty();
        *self.request.body_mut() = Full::new(body.clone());
        self.body = body;
        if is_empty {
            declare_empty_body(&mut self.request);
        }
    }

    /// The request and its body, for display.
    pub(super) fn to_parts(&self) -> (http::Request<()>, Bytes) {
        (self.request.clone().map(drop), self.body.clone())
    }

    /// The request that follows a redirect, by the Fetch standard: 303, and 301 and 302 after a POST, become a GET
    /// without a body; 307 and 308 keep method and body.
    pub(super) fn redirected(
        &self,
        response: &ReceivedResponse,
        target: &TargetUrl,
        http: HttpVersion,
        redirects_left: u16,
    ) -> Result<Redirect, Fault> {
        let blocked =
            |why: String| Fault::new(ErrorKind::Blocked, format!("HTTP status {}: {why}", response.status));
        if redirects_left == 0 {
            return Err(blocked("more redirects than `follow_redirects` allows".to_owned()));
        }
        let location = response.header(&LOCATION);
        let location = location.ok_or_else(|| blocked("the redirect has no `location` header".to_owned()))?;
        let here = target.url_of(self.request.uri());
        let mut next = self.clone();
        *next.request.uri_mut() = link::uri(target, http, &here, location.as_bytes())
            .map_err(|why| blocked(format!("the redirect to {why}")))?;
        let method = self.request.method();
        let becomes_get = match response.status {
            StatusCode::SEE_OTHER => *method != Method::GET && *method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
            _ => false,
        };
        if becomes_get {
            *next.request.method_mut() = Method::GET;
            next.request.headers_mut().remove(CONTENT_TYPE);
            next.request.headers_mut().remove(CONTENT_LENGTH);
            next.set_body(Bytes::new());
        }
        Ok(Redirect { outgoing: Box::new(next) })
    }
}

impl Redirect {
    /// Whether a status is a redirect that can be followed.
    pub(super) fn is_redirect_status(status: StatusCode) -> bool {
        matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
    }
}
