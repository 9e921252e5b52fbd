//! What others wrote, as it may be shown.

/// As much of a quote is shown, in characters.
const SHOWN: usize = 80;

/// The beginning of a text that someone else wrote, on one line and without anything that a terminal obeys.
pub fn quote(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN {
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
    use super::quote;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(quote("a \"b\" 'c' \\ é"), "a \"b\" 'c' \\ é");
        assert_eq!(
            quote("\u{1b}[31mred\r\n\u{7}\u{202e}\u{9b}"),
            "\\u{1b}[31mred\\r\\n\\u{7}\\u{202e}\\u{9b}"
        );
        assert_eq!(quote(&"a".repeat(81)), "a".repeat(80) + "…");
        assert_eq!(quote(&"a".repeat(80)), "a".repeat(80));
    }
}
