//! Conditions on a response.

use http::StatusCode;
use serde_json::Value;

use crate::plan::template::Pointer;

/// Conditions that a response must meet for its request to succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    pub status: Statuses,
    /// Pointers into the JSON body and the value required at each.
    pub json: Vec<(Pointer, Value)>,
    /// Text that the body must contain.
    pub contains: Option<String>,
    /// Maximum size of the body, in bytes.
    pub max_bytes: Option<u64>,
}

/// The accepted status codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statuses {
    /// 2xx and 3xx.
    Default,
    Only(Vec<StatusCode>),
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

impl Statuses {
    /// Whether a response with this status is a success.
    pub fn accept(&self, status: StatusCode) -> bool {
        match self {
            Self::Default => status.is_success() || status.is_redirection(),
            Self::Only(statuses) => statuses.contains(&status),
        }
    }
}

impl std::fmt::Display for Statuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("2xx or 3xx"),
            Self::Only(statuses) => {
                let words: Vec<&str> = statuses.iter().map(StatusCode::as_str).collect();
                f.write_str(&words.join(" or "))
            }
        }
    }
}

impl Expectation {
    /// Whether a condition concerns the content of the body.
    pub fn inspects_body(&self) -> bool {
        !self.json.is_empty() || self.contains.is_some()
    }

    /// The first condition that the body does not meet, in words.
    pub fn mismatch(&self, body: &[u8], json: Option<&Value>) -> Option<String> {
        let unmet = self.findings(body, json).find_map(|found| Some((found.expected, found.actual?)));
        unmet.map(|(expected, actual)| format!("expected {expected}, found {actual}"))
    }

    /// Every condition on the content of the body, with its result.
    pub fn findings<'e>(
        &'e self,
        body: &'e [u8],
        json: Option<&'e Value>,
    ) -> impl Iterator<Item = CheckResult> + 'e {
        let pointed = self.json.iter().map(move |(pointer, wanted)| {
            let actual = match json.map(|json| pointer.find(json)) {
                None => Some("no JSON".to_owned()),
                Some(None) => Some("no value there".to_owned()),
                Some(Some(found)) => (!same(found, wanted)).then(|| shortened(&found.to_string())),
            };
            CheckResult { expected: format!("`{pointer}` to be {wanted}"), actual }
        });
        let contained = self.contains.iter().map(move |text| CheckResult {
            expected: format!("the body to contain `{text}`"),
            actual: (!contains(body, text.as_bytes())).then(|| "no such text".to_owned()),
        });
        pointed.chain(contained)
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
            status: Statuses::Default,
            json: json.iter().map(|(at, value)| (pointer(at), value.clone())).collect(),
            contains: contains.map(str::to_owned),
            max_bytes: None,
        }
    }

    #[test]
    fn numbers_are_compared_by_value_and_everything_else_exactly() {
        let big = expect(&[("/big", json!(9_007_199_254_740_993_i64))], None);
        assert!(big.mismatch(b"", Some(&json!({ "big": 9_007_199_254_740_992_i64 }))).is_some());
        let body = json!({ "n": 3.0, "list": [1, "1"], "deep": { "a": null } });
        let wanted = [("/n", json!(3)), ("/list", json!([1.0, "1"])), ("/deep", json!({ "a": null }))];
        assert_eq!(expect(&wanted, None).mismatch(b"", Some(&body)), None);
        let message = expect(&[("/list/1", json!(1))], None).mismatch(b"", Some(&body));
        assert_eq!(message.unwrap(), "expected `/list/1` to be 1, found \"1\"");
    }

    #[test]
    fn a_missing_value_is_reported_as_missing() {
        let wanted = expect(&[("/a", json!(1))], Some("x"));
        assert_eq!(wanted.mismatch(b"x", None).unwrap(), "expected `/a` to be 1, found no JSON");
        let message = wanted.mismatch(b"x", Some(&json!({}))).unwrap();
        assert_eq!(message, "expected `/a` to be 1, found no value there");
        let message = expect(&[], Some("x")).mismatch(b"abc", None).unwrap();
        assert_eq!(message, "expected the body to contain `x`, found no such text");
    }
}
