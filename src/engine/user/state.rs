//! The state of a virtual user: captured values and cookies.

use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use http::{Request, Uri};
use serde_json::Value;

use crate::engine::user::html::hidden_input;
use crate::engine::wire::fault::Fault;
use crate::engine::wire::response::ReceivedResponse;
use crate::measure::sample::ErrorKind;
use crate::plan::model::{Capture, CaptureSource, Cookies, TargetUrl};
use crate::plan::random::RandomStream;

/// The largest captured value, in bytes of JSON.
const MAX_CAPTURE_BYTES: usize = 64 << 10;

/// The values that a user keeps from one request to the next.
pub(in crate::engine) struct UserState {
    /// Captured values, by slot.
    pub(in crate::engine) captured: Vec<Option<Value>>,
    cookies: Option<Box<cookie_store::CookieStore>>,
}

impl UserState {
    pub(in crate::engine) fn new(captures: usize, cookies: Cookies) -> Self {
        let cookies = (cookies == Cookies::Kept).then(Box::default);
        Self { captured: vec![None; captures], cookies }
    }

    /// Discards everything, because the user has left.
    pub(in crate::engine) fn clear(&mut self) {
        self.captured.iter_mut().for_each(|value| *value = None);
        if let Some(cookies) = &mut self.cookies {
            cookies.clear();
        }
    }

    /// Keeps the values that a request captures from its response. Fails if a value is missing or too large.
    pub(in crate::engine) fn capture(
        &mut self,
        captures: &[Capture],
        response: &ReceivedResponse,
        json: Option<&Value>,
        picks: Option<&RandomStream>,
    ) -> Result<(), Fault> {
        for Capture { name, slot, source } in captures {
            // All begin with the same random values, so that equal pointers to an array pick the same element.
            let mut picks = picks.cloned();
            let pick = |count: usize| picks.as_mut().map_or(0, |picks| picks.index(count));
            let found = found(source, response, json, pick).and_then(|found| match found.to_string().len() {
                ..=MAX_CAPTURE_BYTES => Ok(found),
                _ => Err(format!("the value is larger than {MAX_CAPTURE_BYTES} bytes")),
            });
            let found = found.map_err(|why| {
                Fault::new(ErrorKind::Unexpected, format!("cannot capture `{name}`: {why}"))
            })?;
            self.captured[*slot] = Some(found);
        }
        Ok(())
    }

    /// Adds the user's cookies to a request to the target.
    pub(in crate::engine) fn send_cookies<B>(&self, target: &TargetUrl, request: &mut Request<B>) {
        let Some(cookies) = &self.cookies else { return };
        let url = target.url_of(request.uri());
        let mut matching = cookies.matches(&url);
        if matching.is_empty() {
            return;
        }
        // RFC 6265, section 5.4: longer paths first, and then the older ones, which the store has first.
        matching.sort_by_key(|cookie| std::cmp::Reverse(AsRef::<str>::as_ref(&cookie.path).len()));
        let headers = request.headers_mut();
        let mut value: Vec<u8> = headers.get(COOKIE).map(|own| own.as_bytes().to_vec()).unwrap_or_default();
        for cookie in matching {
            if !value.is_empty() {
                value.extend_from_slice(b"; ");
            }
            let (name, text) = cookie.name_value();
            value.extend(bytes_of(name).chain([b'=']).chain(bytes_of(text)));
        }
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.insert(COOKIE, value);
        }
    }

    /// Keeps the cookies that the response to a request sets.
    pub(in crate::engine) fn keep_cookies(&mut self, target: &TargetUrl, asked: &Uri, headers: &HeaderMap) {
        let Some(cookies) = &mut self.cookies else { return };
        let url = target.url_of(asked);
        for value in headers.get_all(SET_COOKIE) {
            // As in a browser, a malformed cookie or one for another site is ignored.
            let _ = cookies.parse(&text_of(value.as_bytes()), &url);
        }
    }

    /// Whether the user keeps cookies.
    pub(in crate::engine) fn has_cookies(&self) -> bool {
        self.cookies.is_some()
    }
}

/// The value at a place of a response, or why there is none.
/// `pick` returns the index of a random element among so many.
fn found(
    source: &CaptureSource,
    response: &ReceivedResponse,
    json: Option<&Value>,
    pick: impl FnMut(usize) -> usize,
) -> Result<Value, String> {
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
    match source {
        CaptureSource::Json(pointer) => {
            let json = json.ok_or("the response is not JSON")?;
            let found = pointer.find_picked(json, pick).cloned();
            found.ok_or_else(|| format!("the response has no value at `{pointer}`"))
        }
        CaptureSource::Header(name) => {
            let found = response.header(name).map(|value| text(value.as_bytes()));
            found.ok_or_else(|| format!("the response has no header `{name}`"))
        }
        CaptureSource::Field(name) => {
            let found = hidden_input(response.body(), name).map(|value| text(&value));
            found.ok_or_else(|| format!("the body has no hidden input `{name}`"))
        }
        CaptureSource::Status => Ok(response.status.as_u16().into()),
        CaptureSource::Regex(pattern) => {
            let groups = pattern.captures(response.body());
            let group = groups.and_then(|groups| groups.get(1).or_else(|| groups.get(0)));
            let found = group.map(|group| text(group.as_bytes()));
            found.ok_or_else(|| format!("the body does not match `{}`", pattern.as_str()))
        }
    }
}

/// Bytes as a text with a character for each, so that none is lost whatever their encoding.
fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes of such a text.
fn bytes_of(text: &str) -> impl Iterator<Item = u8> {
    text.chars().map(|character| u8::try_from(character).unwrap_or(b'?'))
}
