//! Values in HTML.

use html5gum::{Token, Tokenizer};

/// The value of the first hidden input with a name, with its character references resolved.
pub(super) fn hidden_input(body: &[u8], name: &str) -> Option<Vec<u8>> {
    Tokenizer::new(body).find_map(|token| {
        let Ok(Token::StartTag(tag)) = token else { return None };
        let attribute = |key: &[u8]| tag.attributes.get(key).map(|value| value.as_slice());
        let is_hidden = attribute(b"type").is_some_and(|kind| kind.eq_ignore_ascii_case(b"hidden"));
        let is_it = *tag.name == *b"input" && is_hidden && attribute(b"name") == Some(name.as_bytes());
        is_it.then(|| attribute(b"value").unwrap_or_default().to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hidden_input_of_a_form_is_found_and_its_references_are_resolved() {
        let page = br#"<!-- <input type=hidden name=csrf value=commented> --><FORM>
            <input name="csrf" value="shown"><INPUT VALUE='a&amp;b&#x2f;"' Name="csrf" TYPE=Hidden>
            <input type="hidden" name="empty"><script>"<input type=hidden name=script value=1>"</script>"#;
        assert_eq!(hidden_input(page, "csrf").unwrap(), b"a&b/\"");
        assert_eq!(hidden_input(page, "empty").unwrap(), b"");
        assert_eq!(hidden_input(page, "CSRF"), None);
    }
}
