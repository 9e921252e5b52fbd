//! What others wrote, as it may be shown.

/// As much of a quote is shown, in characters.
const MAX_SHOWN_CHARS: usize = 80;

/// The beginning of a text that someone else wrote, on one line and without anything that a terminal obeys.
pub fn sanitise(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == MAX_SHOWN_CHARS {
            shown.push('…');
            break;
        }
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::sanitise;

    #[test]
    fn control_sequences_are_escaped_and_long_text_is_truncated() {
        assert_eq!(sanitise("a \"b\" 'c' \\ é"), "a \"b\" 'c' \\ é");
        assert_eq!(
            sanitise("\u{1b}[31mred\r\n\u{7}\u{202e}\u{9b}"),
            "\\u{1b}[31mred\\r\\n\\u{7}\\u{202e}\\u{9b}"
        );
        assert_eq!(sanitise(&"a".repeat(81)), "a".repeat(80) + "…");
        assert_eq!(sanitise(&"a".repeat(80)), "a".repeat(80));
    }
}
