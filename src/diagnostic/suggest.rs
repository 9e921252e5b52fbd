/// "did you mean …" for a misspelt word, if one of the known words is close enough to be meant.
pub fn did_you_mean<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let written_lower = written.to_lowercase();
    // A third of the letters may be wrong, and a transposition is one mistake.
    let allowed = (written.chars().count() / 3).max(1);
    known
        .into_iter()
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
    }
}
