//! JSON in the bodies of responses.

use std::borrow::Cow;

use serde_json::Value;

/// The mark that some programs put at the begin of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What replaces half of a surrogate pair, which is no character.
const REPLACEMENT: &str = "\\ufffd";

/// Parses a body. A byte order mark is skipped, and half of a surrogate pair becomes U+FFFD, as in browsers.
pub(in crate::engine) fn parse(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let parsed = serde_json::from_slice(body);
    parsed
        .or_else(|error| match with_whole_surrogates(body) {
            Cow::Owned(repaired) => serde_json::from_str(&repaired),
            Cow::Borrowed(_) => Err(error),
        })
        .ok()
}

/// The text with a replacement for each half of a surrogate pair; borrowed if there is none, or if it is not UTF-8.
fn with_whole_surrogates(body: &[u8]) -> Cow<'_, str> {
    let Ok(text) = std::str::from_utf8(body) else { return Cow::Borrowed("") };
    let (mut repaired, mut from, mut at) = (String::new(), 0, 0);
    while let Some(escape) = text.get(at..).and_then(|rest| rest.find('\\')).map(|offset| at + offset) {
        // Any other escape is two characters, of which the second may be a backslash.
        at = escape + 2;
        let Some(unit) = unit(&text[escape..]) else { continue };
        at = escape + 6;
        match unit {
            0xd800..0xdc00
                if text.get(at..).and_then(self::unit).is_some_and(|low| (0xdc00..0xe000).contains(&low)) =>
            {
                at += 6;
            }
            0xd800..0xe000 => {
                repaired += &text[from..escape];
                repaired += REPLACEMENT;
                from = at;
            }
            _ => {}
        }
    }
    match repaired.is_empty() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(repaired + &text[from..]),
    }
}

/// The UTF-16 code unit of an escape at the start of a text.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn half_of_a_pair_makes_no_answer_unreadable() {
        let text = r#"{"a": "\ud83dx", "b": "\ude00", "pair": "\ud83d\ude00", "escaped": "\\ud83d", "last": "\ud83d"}"#;
        let read = json!({ "a": "\u{fffd}x", "b": "\u{fffd}", "pair": "😀", "escaped": "\\ud83d", "last": "\u{fffd}" });
        assert_eq!(parse(text.as_bytes()), Some(read));
        assert_eq!(parse(b"\xef\xbb\xbf{\"id\": 5}"), Some(json!({ "id": 5 })));
    }

    #[test]
    fn what_is_no_json_stays_so() {
        for body in [&b"\"\\ud83d"[..], b"\\", b"{\"a\": \"\\ud83", b"\xff\"\\ud83d\"", b""] {
            assert_eq!(parse(body), None, "{body:?}");
        }
    }
}
