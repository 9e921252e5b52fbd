//! The validation of request fields, with the messages of FastAPI.

use std::ops::RangeInclusive;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::stand_in::kms::answer::{self, ServiceResponse};

/// The fields of a request, and all problems with them in the words of FastAPI.
#[derive(Debug)]
pub(super) struct Form {
    place: FieldLocation,
    fields: Map<String, Value>,
    problems: Vec<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum FieldLocation {
    Body,
    Query,
}

#[derive(Debug, Serialize)]
struct Problem {
    r#type: &'static str,
    loc: Vec<Value>,
    msg: String,
    input: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Value>,
}

impl Form {
    /// The query parameters of a request.
    pub(super) fn of_url(request: &Request<Bytes>) -> Self {
        let pairs = request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), Value::String(decode(value)))
        });
        Self { place: FieldLocation::Query, fields: fields.collect(), problems: Vec::new() }
    }

    /// The JSON object in the body of a request; a missing body is a problem.
    pub(super) fn of_body(request: &Request<Bytes>) -> Self {
        let mut form = Self { place: FieldLocation::Body, fields: Map::new(), problems: Vec::new() };
        if request.body().is_empty() {
            form.refuse(None, "missing", "Field required", (Value::Null, None));
            return form;
        }
        match body(request) {
            Ok(Value::Object(fields)) => form.fields = fields,
            Ok(other) => {
                let msg = "Input should be a valid dictionary or object to extract fields from";
                form.refuse(None, "model_attributes_type", msg, (other, None));
            }
            Err(error) => {
                let ctx = json!({ "error": error.to_string() });
                form.refuse(None, "json_invalid", "JSON decode error", (json!({}), Some(ctx)));
                let place = form.problems.last_mut().expect("a problem was just added");
                place.loc.push(error.column().into());
            }
        }
        form
    }

    /// A required text whose number of characters lies within `length`.
    pub(super) fn text(&mut self, name: &str, length: RangeInclusive<usize>) -> String {
        let Some(value) = self.fields.get(name).cloned() else {
            self.missing(name);
            return String::new();
        };
        let Value::String(text) = value else {
            self.refuse(Some(name), "string_type", "Input should be a valid string", (value, None));
            return String::new();
        };
        let characters = text.chars().count();
        if characters < *length.start() {
            let msg = format!("String should have at least {}", counted(*length.start()));
            let ctx = json!({ "min_length": length.start() });
            self.refuse(Some(name), "string_too_short", &msg, (text.clone().into(), Some(ctx)));
        } else if characters > *length.end() {
            let msg = format!("String should have at most {}", counted(*length.end()));
            let ctx = json!({ "max_length": length.end() });
            self.refuse(Some(name), "string_too_long", &msg, (text.clone().into(), Some(ctx)));
        }
        text
    }

    /// A text that may be absent or null.
    pub(super) fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.fields.get(name) {
            None | Some(Value::Null) => None,
            Some(_) => Some(self.text(name, 0..=usize::MAX)),
        }
    }

    /// A whole number within bounds; `default` if it is absent.
    pub(super) fn whole(&mut self, name: &str, default: u32, bounds: RangeInclusive<u32>) -> u32 {
        let Some(value) = self.fields.get(name).cloned() else {
            return default;
        };
        let integer = "Input should be a valid integer";
        match number(&value) {
            Some(number) if number.fract() != 0.0 => {
                let msg = format!("{integer}, got a number with a fractional part");
                self.refuse(Some(name), "int_from_float", &msg, (value, None));
            }
            Some(number) => {
                self.bounded(name, number, (*bounds.start()).into(), (*bounds.end()).into());
                return number as u32; // saturates; a number out of bounds was refused
            }
            None if value.is_string() => {
                let msg = format!("{integer}, unable to parse string as an integer");
                self.refuse(Some(name), "int_parsing", &msg, (value, None));
            }
            None => self.refuse(Some(name), "int_type", integer, (value, None)),
        }
        default
    }

    /// A number from 0 to 1; `default` if it is absent.
    pub(super) fn share(&mut self, name: &str, default: f64) -> f64 {
        let Some(value) = self.fields.get(name).cloned() else {
            return default;
        };
        match number(&value) {
            Some(number) => {
                self.bounded(name, number, 0.0, 1.0);
                return number;
            }
            None if value.is_string() => {
                let msg = "Input should be a valid number, unable to parse string as a number";
                self.refuse(Some(name), "float_parsing", msg, (value, None));
            }
            None => self.refuse(Some(name), "float_type", "Input should be a valid number", (value, None)),
        }
        default
    }

    /// Returns the value if no field has a problem; otherwise the 422 that lists all problems.
    pub(super) fn accept<T>(self, read: T) -> Result<T, Box<ServiceResponse>> {
        if self.problems.is_empty() {
            return Ok(read);
        }
        let body = json!({ "detail": self.problems });
        Err(Box::new(answer::json(StatusCode::UNPROCESSABLE_ENTITY, &body)))
    }

    fn bounded(&mut self, name: &str, number: f64, least: f64, most: f64) {
        let input = self.fields.get(name).cloned().unwrap_or_default();
        if number > most {
            let msg = format!("Input should be less than or equal to {most}");
            self.refuse(Some(name), "less_than_equal", &msg, (input, Some(json!({ "le": most }))));
        } else if number < least {
            let msg = format!("Input should be greater than or equal to {least}");
            self.refuse(Some(name), "greater_than_equal", &msg, (input, Some(json!({ "ge": least }))));
        }
    }

    fn missing(&mut self, name: &str) {
        // If the body is not an object, its missing fields are not reported too.
        if self.problems.iter().any(Problem::is_of_all) {
            return;
        }
        let input = match self.place {
            FieldLocation::Body => Value::Object(self.fields.clone()),
            FieldLocation::Query => Value::Null,
        };
        self.refuse(Some(name), "missing", "Field required", (input, None));
    }

    fn refuse(&mut self, name: Option<&str>, r#type: &'static str, msg: &str, given: (Value, Option<Value>)) {
        let (input, ctx) = given;
        let mut loc = vec![json!(self.place)];
        loc.extend(name.map(Value::from));
        self.problems.push(Problem { r#type, loc, msg: msg.to_owned(), input, ctx });
    }
}

impl Problem {
    /// Whether it concerns the body as a whole.
    fn is_of_all(&self) -> bool {
        !self.loc.get(1).is_some_and(Value::is_string)
    }
}

/// Reads a body as FastAPI does: as JSON if the content type is JSON or missing, otherwise as bytes.
fn body(request: &Request<Bytes>) -> Result<Value, serde_json::Error> {
    let content_type =
        request.headers().get(CONTENT_TYPE).map(|content_type| content_type.as_bytes().to_ascii_lowercase());
    if content_type.is_none_or(|content_type| content_type.windows(4).any(|word| word == b"json")) {
        return serde_json::from_slice(request.body());
    }
    Ok(Value::String(String::from_utf8_lossy(request.body()).into_owned()))
}

/// A number, or a value that the service also accepts as one: a numeric text or a boolean.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| !number.is_nan()),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        _ => None,
    }
}

fn counted(characters: usize) -> String {
    format!("{characters} character{}", if characters == 1 { "" } else { "s" })
}

/// Decodes percent-encoding and plus signs.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        rest = if escaped.is_some() { &tail[2..] } else { tail };
        bytes.push(match (first, escaped) {
            (_, Some((high, low))) => high * 16 + low,
            (b'+', None) => b' ',
            (other, None) => *other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
