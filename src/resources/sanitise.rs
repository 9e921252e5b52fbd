//! Makes text from other programs safe to show.

/// A longer text is truncated.
const MAX_SHOWN_CHARS: usize = 80;

/// The start of a text from another program, on one line and without terminal control sequences.
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
