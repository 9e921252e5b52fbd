//! Conditions on a response.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use crate::plan::template::Pointer;

/// Conditions that a response must meet for its request to succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The accepted statuses.
    pub status: Vec<StatusRange>,
    /// Pointers into the JSON body and what each must lead to.
    pub json: Vec<(Pointer, Wanted)>,
    /// Texts that the body must contain.
    pub contains: Vec<String>,
    /// Headers and the value that each must have.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Maximum size of the body, in bytes.
    pub max_bytes: Option<u64>,
}

/// A status code, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

/// What a pointer must lead to.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    Value(Value),
    Nothing,
}

/// Result of one condition on a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// The condition, in words.
    pub expected: String,
    /// The value found instead; `None` if the condition is met.
    pub actual: Option<String>,
}

/// Maximum length of a quoted value. It is far longer than the text on display, because secrets are replaced before the
/// value is cut for display.
const MAX_FOUND_CHARS: usize = 64 << 10;

impl StatusRange {
    /// All statuses with this first digit.
    pub fn class(digit: u16) -> Self {
        Self { first: digit * 100, last: digit * 100 + 99 }
    }

    pub fn of(code: u16) -> Self {
        Self { first: code, last: code }
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}xx", self.first / 100),
        }
    }
}

impl Expectation {
    /// Conditions on the status alone.
    pub fn of_status(status: Vec<StatusRange>) -> Self {
        let (json, contains, headers) = (Vec::new(), Vec::new(), Vec::new());
        Self { status, json, contains, headers, max_bytes: None }
    }

    /// Whether a response with this status is a success.
    pub fn accepts(&self, status: StatusCode) -> bool {
        self.status.iter().any(|range| (range.first..=range.last).contains(&status.as_u16()))
    }

    /// The accepted statuses, in words.
    pub fn statuses(&self) -> String {
        self.status.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    }

    /// Whether a condition concerns the content of the body.
    pub fn inspects_body(&self) -> bool {
        !self.json.is_empty() || !self.contains.is_empty()
    }

    /// Whether a condition needs the body as JSON.
    pub fn needs_json(&self) -> bool {
        !self.json.is_empty()
    }

    /// The first condition that headers and body do not meet, in words.
    pub fn mismatch(&self, headers: Option<&HeaderMap>, body: &[u8], json: Option<&Value>) -> Option<String> {
        let unmet =
            self.findings(headers, body, json).find_map(|found| Some((found.expected, found.actual?)));
        unmet.map(|(expected, actual)| format!("expected {expected}, found {actual}"))
    }

    /// Every condition on headers and body, with its result.
    pub fn findings<'e>(
        &'e self,
        headers: Option<&'e HeaderMap>,
        body: &'e [u8],
        json: Option<&'e Value>,
    ) -> impl Iterator<Item = CheckResult> + 'e {
        let headed = self.headers.iter().map(move |(name, wanted)| {
            let values: Vec<&HeaderValue> =
                headers.into_iter().flat_map(|headers| headers.get_all(name)).collect();
            let found = values.iter().map(|value| format!("`{}`", String::from_utf8_lossy(value.as_bytes())));
            let found = if values.is_empty() {
                "no such header".to_owned()
            } else {
                shortened(&found.collect::<Vec<_>>().join(" and "))
            };
            CheckResult {
                expected: format!("header `{name}` to be `{}`", String::from_utf8_lossy(wanted.as_bytes())),
                actual: (!values.contains(&wanted)).then_some(found),
            }
        });
        let pointed = self.json.iter().map(move |(pointer, wanted)| wanted.check(pointer, json));
        let contained = self.contains.iter().map(move |text| CheckResult {
            expected: format!("the body to contain `{text}`"),
            actual: (!contains(body, text.as_bytes())).then(|| "no such text".to_owned()),
        });
        headed.chain(pointed).chain(contained)
    }
}

impl Wanted {
    fn check(&self, pointer: &Pointer, json: Option<&Value>) -> CheckResult {
        let found = json.map(|json| pointer.find(json));
        let is_met = match (self, found) {
            (Self::Value(wanted), Some(Some(found))) => same(found, wanted),
            (Self::Nothing, Some(found)) => found.is_none(),
            (_, _) => false,
        };
        let wanted = match self {
            Self::Value(wanted) => wanted.to_string(),
            Self::Nothing => "absent".to_owned(),
        };
        let actual = || match found {
            None => "no JSON".to_owned(),
            Some(None) => "no value there".to_owned(),
            Some(Some(found)) => shortened(&found.to_string()),
        };
        CheckResult { expected: format!("`{pointer}` to be {wanted}"), actual: (!is_met).then(actual) }
    }
}

/// Whether two JSON values are the same; numbers by their value, so that 3 is 3.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            // Integers may have more digits than a float can represent.
            let a_float = one.is_f64() || other.is_f64();
            one == other || a_float && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let found = |(key, value): (&String, &Value)| other.get(key).is_some_and(|it| same(value, it));
            one.len() == other.len() && one.iter().all(found)
        }
        _ => one == other,
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_FOUND_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expect(json: &[(&str, Value)], contains: Option<&str>) -> Expectation {
        let pointer = |text| Pointer::new(text).unwrap();
        Expectation {
            json: json.iter().map(|(at, value)| (pointer(at), Wanted::Value(value.clone()))).collect(),
            contains: contains.map(str::to_owned).into_iter().collect(),
            ..Expectation::of_status(Vec::new())
        }
    }

    #[test]
    fn numbers_are_compared_by_value_and_everything_else_exactly() {
        let big = expect(&[("/big", json!(9_007_199_254_740_993_i64))], None);
        assert!(big.mismatch(None, b"", Some(&json!({ "big": 9_007_199_254_740_992_i64 }))).is_some());
        let body = json!({ "n": 3.0, "list": [1, "1"], "deep": { "a": null } });
        let wanted = [("/n", json!(3)), ("/list", json!([1.0, "1"])), ("/deep", json!({ "a": null }))];
        assert_eq!(expect(&wanted, None).mismatch(None, b"", Some(&body)), None);
        let message = expect(&[("/list/1", json!(1))], None).mismatch(None, b"", Some(&body));
        assert_eq!(message.unwrap(), "expected `/list/1` to be 1, found \"1\"");
    }

    #[test]
    fn a_missing_value_is_reported_as_missing() {
        let wanted = expect(&[("/a", json!(1))], Some("x"));
        assert_eq!(wanted.mismatch(None, b"x", None).unwrap(), "expected `/a` to be 1, found no JSON");
        let message = wanted.mismatch(None, b"x", Some(&json!({}))).unwrap();
        assert_eq!(message, "expected `/a` to be 1, found no value there");
        let message = expect(&[], Some("x")).mismatch(None, b"abc", None).unwrap();
        assert_eq!(message, "expected the body to contain `x`, found no such text");
    }
}
