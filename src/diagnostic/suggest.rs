//! Suggests the known word that is closest to a misspelt one.

/// "did you mean …" for a misspelt word, if one of the known words is close enough.
pub fn did_you_mean<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    // A third of the letters may be wrong; a transposition is one mistake.
    let length = written.len();
    let allowed = (length / 3).max(1);
    // A comparison costs the product of the lengths, so words of very different length are skipped.
    let near = |word: &&str| word.len().abs_diff(length) <= allowed && length > 1;
    let mut known = known.into_iter().filter(near).peekable();
    known.peek()?;
    let written_lower = written.to_lowercase();
    known
        .map(|word| (strsim::damerau_levenshtein(&written_lower, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| format!("did you mean `{word}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested_and_a_stranger_is_not() {
        let known = ["search", "health", "stats"];
        assert_eq!(did_you_mean("serach", known).unwrap(), "did you mean `search`?");
        assert_eq!(did_you_mean("Health", known).unwrap(), "did you mean `health`?");
        assert_eq!(did_you_mean("login", known), None);
        assert_eq!(did_you_mean("3", ["2", "1.1"]), None);
    }
}
