//! The log of `runner try`: every request as it was sent, with its response. A run keeps none, and its log is off.

use std::cell::RefCell;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::engine::user::prepared::OutgoingRequest;
use crate::engine::wire::fault::Fault;
use crate::engine::wire::response::ReceivedResponse;
use crate::engine::wire::socket::ConnectionSetup;
use crate::measure::sample::Sample;
use crate::plan::expect::CheckResult;

/// A request as it was sent, and its result.
#[derive(Debug)]
pub struct Exchange {
    /// The request and its body; `None` if it could not be rendered.
    pub request: Option<(http::Request<()>, bytes::Bytes)>,
    /// The setup of the connection, if one was opened for this request.
    pub opened: Option<ConnectionSetup>,
    /// Its time stamps and its outcome.
    pub sample: Sample,
    /// The response, if it was complete.
    pub response: Option<ReceivedResponse>,
    /// When the head of the response had been read, as an offset like those of the sample.
    pub head_at: Option<Duration>,
    /// Every expectation of the response, with its result.
    pub findings: Vec<CheckResult>,
    /// The captured values as pairs of name and JSON text.
    pub captured: Vec<(String, String)>,
    /// Why the request failed, as text.
    pub failure: Option<String>,
}

/// The exchanges of the users of a worker.
#[derive(Debug)]
pub(in crate::engine) enum ExchangeLog {
    /// Nothing is kept.
    Off,
    On(RefCell<Vec<Exchange>>),
}

/// The parts of one exchange so far. With a log that is off, every call does nothing.
#[derive(Debug, Default)]
pub(super) struct ExchangeParts(Option<Box<KeptParts>>);

#[derive(Debug, Default)]
struct KeptParts {
    opened: Option<ConnectionSetup>,
    /// Including the user's cookies; `None` if the request was not sent.
    headers: Option<HeaderMap>,
    response: Option<ReceivedResponse>,
    findings: Vec<CheckResult>,
    captured: Vec<(String, String)>,
}

impl ExchangeLog {
    /// An empty log.
    pub(in crate::engine) fn on() -> Self {
        Self::On(RefCell::default())
    }

    pub(super) fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }

    /// Begins an exchange.
    pub(super) fn begin(&self) -> ExchangeParts {
        ExchangeParts(self.is_on().then(Box::default))
    }

    /// Takes out all exchanges since the last call.
    pub(in crate::engine) fn take(&self) -> Vec<Exchange> {
        match self {
            Self::Off => Vec::new(),
            Self::On(exchanges) => std::mem::take(&mut exchanges.borrow_mut()),
        }
    }

    /// Ends an exchange. `offset` turns an instant into an offset like those of the sample.
    pub(super) fn end(
        &self,
        parts: ExchangeParts,
        outgoing: Option<Box<OutgoingRequest>>,
        ended: (Sample, Option<Fault>),
        offset: impl Fn(Instant) -> Duration,
    ) {
        let (Self::On(exchanges), Some(parts)) = (self, parts.0) else { return };
        let KeptParts { opened, headers, response, findings, captured } = *parts;
        let mut request = outgoing.map(|outgoing| outgoing.to_parts());
        if let (Some((request, _)), Some(headers)) = (&mut request, headers) {
            *request.headers_mut() = headers;
        }
        let (sample, fault) = ended;
        exchanges.borrow_mut().push(Exchange {
            request,
            opened,
            sample,
            head_at: response.as_ref().and_then(|response| response.content.as_ref()?.head_at).map(offset),
            response,
            findings,
            captured,
            failure: fault.map(|fault| fault.text.clone()),
        });
    }
}

impl ExchangeParts {
    /// A connection was opened for the request.
    pub(super) fn opened(&mut self, setup: ConnectionSetup) {
        if let Some(parts) = &mut self.0 {
            parts.opened = Some(setup);
        }
    }

    /// The request is sent with these headers.
    pub(super) fn sends(&mut self, headers: &HeaderMap) {
        if let Some(parts) = &mut self.0 {
            parts.headers = Some(headers.clone());
        }
    }

    /// The response was compared with the expectations.
    pub(super) fn found(&mut self, findings: impl FnOnce() -> Vec<CheckResult>) {
        if let Some(parts) = &mut self.0 {
            parts.findings = findings();
        }
    }

    /// Values of the response were captured.
    pub(super) fn captured(&mut self, captured: impl FnOnce() -> Vec<(String, String)>) {
        if let Some(parts) = &mut self.0 {
            parts.captured = captured();
        }
    }

    /// The response was read completely.
    pub(super) fn received(&mut self, response: ReceivedResponse) {
        if let Some(parts) = &mut self.0 {
            parts.response = Some(response);
        }
    }
}
