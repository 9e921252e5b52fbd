//! Secrets: values that no output may show, in whatever escapes they come back.

/// What replaces a secret.
const MASK: &str = "***";
/// A secret whose end is cut off is masked if this many of its characters are there.
const MIN_CUT_CHARS: usize = 4;
/// What follows a text that was cut: the end of a quotation, or an ellipsis.
const CUTS: [char; 2] = ['`', '…'];
/// The longest escape of a character: a surrogate pair in JSON.
const MAX_ESCAPE_BYTES: usize = 12;
/// The most ways in which escapes of a text are read at once.
const MAX_READINGS: usize = 8;
/// Names of characters in HTML.
const ENTITIES: [(&str, char); 5] = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];

/// Values that no output may show.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// How far a secret is in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// All of it, up to this byte.
    Whole(usize),
    /// Its begin, up to this byte, where the text is cut.
    Cut(usize),
}

impl Secrets {
    pub(in crate::plan) fn new(secrets: Vec<String>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.is_empty()).collect())
    }

    /// Only the secrets that have at least this many bytes.
    pub(in crate::plan) fn at_least(&self, bytes: usize) -> Self {
        Self(self.0.iter().filter(|secret| secret.len() >= bytes).cloned().collect())
    }

    /// Returns the text with every secret replaced by `***`, also where its characters are escaped as in JSON, in HTML or in
    /// a URL.
    pub fn redact(&self, text: &str) -> String {
        self.masked(text, |found| matches!(found, Found::Whole(_)))
    }

    /// Same as [`Self::redact`], for a text whose quotations may have been cut within a secret. The rest of a cut
    /// secret is replaced too, if it has at least four characters.
    pub fn redact_truncated(&self, text: &str) -> String {
        self.masked(text, |_| true)
    }

    fn masked(&self, text: &str, counts: impl Fn(&Found) -> bool) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let found = self.0.iter().filter_map(|secret| find_at(rest, secret)).filter(&counts);
            let end = found.map(|(Found::Whole(end) | Found::Cut(end))| end).max();
            match end {
                Some(_) => masked.push_str(MASK),
                None => masked.push(next),
            }
            rest = &rest[end.unwrap_or(next.len_utf8())..];
        }
        masked
    }
}

/// The secret at the begin of a text, if it is there. Each of its characters may stand for itself or be escaped.
fn find_at(text: &str, secret: &str) -> Option<Found> {
    let mut ends = vec![0];
    let mut cut = None;
    for (matched, expected) in secret.chars().enumerate() {
        if matched >= MIN_CUT_CHARS {
            let mut cuts = ends.iter().filter_map(|end| Some(Found::Cut(end + cut_at(&text[*end..])?)));
            cut = cuts.next_back().or(cut);
        }
        let mut next: Vec<usize> = Vec::new();
        for end in ends {
            let taken = forms(&text[end..]).filter(|(found, _)| *found == expected);
            next.extend(taken.map(|(_, bytes)| end + bytes));
        }
        next.sort_unstable();
        next.dedup();
        // A hostile text of many escapes is read in a time that does not grow with their number.
        next.truncate(MAX_READINGS);
        ends = next;
        if ends.is_empty() {
            return cut;
        }
    }
    ends.last().map(|end| Found::Whole(*end))
}

/// Where a text is cut, if that is at its begin or within an escape there.
fn cut_at(text: &str) -> Option<usize> {
    let is_escape = text.starts_with(['\\', '&', '%']);
    let mut begin = text.char_indices().take(if is_escape { MAX_ESCAPE_BYTES } else { 1 });
    begin.find(|(_, next)| CUTS.contains(next)).map(|(cut, _)| cut)
}

/// The characters for which the begin of a text may stand, and how many bytes each takes.
fn forms(text: &str) -> impl Iterator<Item = (char, usize)> {
    let first = text.chars().next();
    let escaped = match first {
        Some('\\') => in_json(text),
        Some('&') => in_html(text),
        Some('%') => in_url(text),
        Some('+') => Some((' ', 1)),
        _ => None,
    };
    first.map(|first| (first, first.len_utf8())).into_iter().chain(escaped)
}

/// A character behind a backslash.
fn in_json(text: &str) -> Option<(char, usize)> {
    let escaped = text[1..].chars().next()?;
    let unit = |from: usize| {
        let digits = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let letter = match escaped {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let units = [unit(0)?, unit(6).unwrap_or(0)];
            let decoded = char::decode_utf16(units).next()?.ok()?;
            return Some((decoded, 6 * decoded.len_utf16()));
        }
        itself => itself,
    };
    Some((letter, 1 + escaped.len_utf8()))
}

/// A character with a name or a number.
fn in_html(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(MAX_ESCAPE_BYTES).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    let named = ENTITIES.iter().find(|(entity, _)| *entity == name).map(|(_, named)| *named);
    Some((number.and_then(char::from_u32).or(named)?, end + 1))
}

/// A character of which every byte is written with `%`.
fn in_url(text: &str) -> Option<(char, usize)> {
    let byte = |place: usize| {
        let digits = text.get(3 * place..3 * place + 3)?.strip_prefix('%')?;
        u8::from_str_radix(digits, 16).ok()
    };
    let first = byte(0)?;
    let length = match first.leading_ones() {
        0 => 1,
        ones => ones as usize,
    };
    let bytes: Vec<u8> = (0..length.min(4)).map_while(byte).collect();
    let decoded = std::str::from_utf8(&bytes).ok()?.chars().next()?;
    Some((decoded, 3 * bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a&b<c>/é \"q\"\\+'🔑";

    fn secrets() -> Secrets {
        Secrets::new(vec![SECRET.to_owned(), "s3cr3tTok".to_owned(), String::new()])
    }

    #[test]
    fn the_rest_of_a_truncated_secret_is_redacted_too() {
        let of = |text| secrets().redact_truncated(text);
        assert_eq!(of("denied: `x s3cr3tTok y`"), "denied: `x *** y`");
        assert_eq!(of("denied: `x s3cr3tT`"), "denied: `x ***`");
        assert_eq!(of("denied: `x s3cr…`"), "denied: `x ***…`");
        assert_eq!(of("denied: `s3c`"), "denied: `s3c`");
        assert_eq!(
            secrets().redact("denied: `a%26b%3Cc%3E/%C3%A9%20%22q%22%5C%2B'%F0%9F%94%91`"),
            "denied: `***`"
        );
        // Cut within an escape.
        assert_eq!(of(r"x a\u0026b\u003c\u00…"), "x ***…");
        assert_eq!(secrets().redact("x s3cr…"), "x s3cr…");
    }

    #[test]
    fn a_secret_is_redacted_in_every_usual_escape() {
        for written in [
            SECRET.to_owned(),
            serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned(),
            // Go and PHP escape more in JSON, and Python everything that is not ASCII.
            r#"a\u0026b\u003cc\u003e/é \"q\"\\+'🔑"#.to_owned(),
            r#"a&b<c>\/\u00e9 \"q\"\\+'\ud83d\udd11"#.to_owned(),
            r"a&amp;b&lt;c&gt;/é &quot;q&#34;\+&#x27;🔑".to_owned(),
            "a%26b%3cc%3e%2f%c3%a9+%22q%22%5c%2b%27%f0%9f%94%91".to_owned(),
            "a%26b%3Cc%3E/%C3%A9%20%22q%22%5C%2B'%F0%9F%94%91".to_owned(),
        ] {
            assert_eq!(secrets().redact(&format!("<{written}>")), "<***>", "{written}");
        }
    }

    #[test]
    fn other_text_is_left_as_it_is() {
        for text in ["", "%", "%4", "%zz&;&x;\\", "\\u12", "&#xffffffff;", "s3cr3tTo", "a&b <c>"] {
            assert_eq!(secrets().redact(text), text);
        }
    }

    #[test]
    fn a_text_of_many_escapes_is_read_once() {
        let secrets = Secrets::new(vec!["\\".repeat(200) + "x"]);
        let text = "\\".repeat(500);
        assert_eq!(secrets.redact(&text), text);
    }
}
