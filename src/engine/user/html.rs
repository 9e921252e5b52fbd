//! Values in HTML.

use html5gum::{DefaultEmitter, Token, Tokenizer};

/// The value of the first hidden input with a name, with its character references resolved. Text that only looks like one
/// does not count, in comments, scripts, texts and templates for example.
pub(super) fn hidden_input(body: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut templates = 0_usize;
    for token in Tokenizer::new_with_emitter(body, emitter) {
        match token {
            Ok(Token::StartTag(tag)) if *tag.name == *b"template" => templates += 1,
            Ok(Token::EndTag(tag)) if *tag.name == *b"template" => templates = templates.saturating_sub(1),
            Ok(Token::StartTag(tag)) if templates == 0 && *tag.name == *b"input" => {
                let attribute = |key: &[u8]| tag.attributes.get(key).map(|value| value.as_slice());
                let is_hidden = attribute(b"type").is_some_and(|kind| kind.eq_ignore_ascii_case(b"hidden"));
                if is_hidden && attribute(b"name") == Some(name.as_bytes()) {
                    return Some(attribute(b"value").unwrap_or_default().to_vec());
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hidden_input_of_a_form_is_found_and_its_references_are_resolved() {
        let page = br#"<!-- <input type=hidden name=csrf value=commented> --><FORM>
            <textarea><input type=hidden name=csrf value=text></textarea><title><input type=hidden name=csrf value=title></title>
            <style><input type=hidden name=csrf value=style></style><iframe><input type=hidden name=csrf value=frame></iframe>
            <template><input type=hidden name=csrf value=template></template>
            <input name="csrf" value="shown"><INPUT VALUE='a&amp;b&#x2f;"' Name="csrf" TYPE=Hidden>
            <input type="hidden" name="empty"><script>"<input type=hidden name=script value=1>"</script>"#;
        assert_eq!(hidden_input(page, "csrf").unwrap(), b"a&b/\"");
        assert_eq!(hidden_input(page, "empty").unwrap(), b"");
        assert_eq!(hidden_input(page, "CSRF"), None);
    }
}
