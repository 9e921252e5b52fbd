//! Parser and line writer of the Prometheus text format 0.0.4.

use std::borrow::Cow;

use crate::resources::sanitise::sanitise;

/// Names and values of labels, in the order of the line.
pub type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// One line of the format: a metric name with labels and a value.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpositionSample<'a> {
    pub name: &'a str,
    pub labels: Labels<'a>,
    /// May be infinite or NaN.
    pub value: f64,
}

impl ExpositionSample<'_> {
    /// The value of a label; empty if there is no such label.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
    }
}

/// The samples of a page, line by line; comments and timestamps are left out.
///
/// # Errors
/// A malformed line is an error with its number and text.
pub fn samples(text: &str) -> impl Iterator<Item = Result<ExpositionSample<'_>, String>> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| {
        sample(line)
            .ok_or_else(|| format!("line {number} is not in Prometheus text format: `{}`", sanitise(line)))
    })
}

fn sample(line: &str) -> Option<ExpositionSample<'_>> {
    let end = line.find(|c: char| !is_of_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let mut rest = rest.split_ascii_whitespace();
    let value = number(rest.next()?)?;
    let timestamp = rest.next().is_none_or(|time| time.parse::<i64>().is_ok());
    (timestamp && rest.next().is_none()).then_some(ExpositionSample { name, labels, value })
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Parses labels up to `}`; returns them with the rest of the line.
fn labels(inside: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    let mut rest = inside.trim_start();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, quoted) = rest.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(is_of_name) {
            return None;
        }
        let (value, behind) = text_in_quotes(quoted.trim_start().strip_prefix('"')?)?;
        labels.push((name, value));
        rest = behind.trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// Parses a string up to its closing quote; returns it unescaped with the rest of the line.
fn text_in_quotes(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let plain = text.find(['"', '\\'])?;
    if text[plain..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..plain]), &text[plain + 1..]));
    }
    let mut unescaped = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(unescaped), &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => unescaped.push('\n'),
                known @ ('\\' | '"') => unescaped.push(known),
                other => unescaped.extend(['\\', other]),
            },
            other => unescaped.push(other),
        }
    }
    None
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// Formats a value as the text format requires.
pub fn written(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

/// Formats a sample as a line of the text format.
pub fn line(name: &str, labels: &[(&str, &str)], value: f64) -> String {
    let value = written(value);
    if labels.is_empty() {
        return format!("{name} {value}\n");
    }
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> =
        labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
    format!("{name}{{{}}} {value}\n", labels.join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Option<ExpositionSample<'_>> {
        samples(line).next()?.ok()
    }

    #[test]
    fn names_labels_values_and_timestamps_are_read() {
        let found = one("http_requests_total{method=\"post\", code=\"200\",} 1027 1395066363000").unwrap();
        assert_eq!((found.name, found.value), ("http_requests_total", 1027.0));
        assert_eq!((found.label("method"), found.label("code"), found.label("x")), ("post", "200", ""));
        assert_eq!(one("a:b 1.5e-05").map(|found| found.value), Some(1.5e-5));
        assert_eq!(one("a{} +Inf").map(|found| found.value), Some(f64::INFINITY));
        assert!(one("a NaN").is_some_and(|found| found.value.is_nan()));
        let escaped = one(r#"a {path="C:\\DIR\n\"x\" }",b=""} -1"#).unwrap();
        assert_eq!(escaped.label("path"), "C:\\DIR\n\"x\" }");
        assert_eq!(samples("# HELP a b\n# TYPE a counter\n\n  # x\n").count(), 0);
    }

    #[test]
    fn a_line_that_is_no_sample_is_named() {
        let text = "# HELP x\na 1\n<html>\n";
        let found: Vec<_> = samples(text).collect();
        assert_eq!(found[1], Err("line 3 is not in Prometheus text format: `<html>`".to_owned()));
        let obeyed = samples("\u{1b}[2J").next();
        assert_eq!(obeyed, Some(Err("line 1 is not in Prometheus text format: `\\u{1b}[2J`".to_owned())));
        for wrong in
            ["a", "a{", "a{b}", "a{b=\"c} 1", "a{b=\"c\"", "a{b=\"c\"d=\"e\"} 1", "a 1 2 3", "a x", "1a 1"]
        {
            assert_eq!(one(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_on_any_text(text in "\\PC*|[a{}=\",\\\\ 1\n]*") {
            samples(&text).for_each(drop);
        }

        #[test]
        fn a_written_page_is_parsed_to_the_same_samples(text in ".*", value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            prop_assume!(!text.contains('\r'));
            let line = line("a", &[("b", &text)], value);
            let found = samples(&line).next().unwrap().unwrap();
            prop_assert_eq!((found.label("b"), found.value), (&*text, value));
        }
    }
}
