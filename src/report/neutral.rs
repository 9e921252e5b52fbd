//! Makes text harmless for terminals and for the logs of CI systems, which take some lines as commands.

use std::borrow::Cow;

/// Escapes control characters, and breaks what begins a command of a CI system: `::` at the start of a line and `##[` of
/// GitHub Actions, `##vso[` of Azure Pipelines and `##teamcity[`. Sections of GitLab begin with a control character.
pub fn neutral(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let start = line.len() - line.trim_start().len();
        let (indent, rest) = line.split_at(start);
        shown.push_str(indent);
        let rest = match rest.strip_prefix("::") {
            Some(after) => {
                shown.push_str(": :");
                after
            }
            None => rest,
        };
        shown.push_str(&visible(&rest.replace("##", "# #")));
    }
    shown
}

/// The text with escapes for control characters other than line feeds, and for the marks that change the direction of text.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_hidden(character) {
            true => shown.extend(character.escape_unicode()),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::neutral;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "verdict: passed (1 of 1; exit 0)\n  a::b ÄÖ – ✓\n\n# x\n";
        assert_eq!(neutral(text), text);
    }

    #[test]
    fn commands_and_control_characters_do_nothing() {
        let text = "::error::a\n  ::warning::b\nx ##[group]y ##vso[task]z\n\u{1b}[31mred\r\u{9b}1m\u{202e}";
        let expected = ": :error::a\n  : :warning::b\nx # #[group]y # #vso[task]z\n\
                        \\u{1b}[31mred\\u{d}\\u{9b}1m\\u{202e}";
        assert_eq!(neutral(text), expected);
    }
}
