//! How far a PromQL query looks back, by the ranges that are written in it.

/// The units of a duration in PromQL, in seconds. Longer names come first.
const UNITS: [(&str, f64); 7] = [
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("w", 604_800.0),
    ("y", 31_536_000.0),
];

/// The time in seconds that a query looks back: its longest range `[5m]`, with the ranges of subqueries `[1h:1m]` and the
/// longest `offset` added. 0 if it has none.
pub fn look_back_s(query: &str) -> f64 {
    let bare = without_strings(query);
    let (mut longest, mut subqueries) = (0.0, 0.0);
    for part in bare.split('[').skip(1) {
        let range = part.split(']').next().unwrap_or_default();
        match range.split_once(':') {
            Some((range, _)) => subqueries += duration_s(range).unwrap_or(0.0),
            None => longest = f64::max(longest, duration_s(range).unwrap_or(0.0)),
        }
    }
    let offsets = bare.split("offset").skip(1).map(str::trim_start);
    let offset = offsets.filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        duration_s(&rest[..end])
    });
    longest + subqueries + offset.fold(0.0, f64::max)
}

/// The query without the contents of its strings, which may contain brackets.
fn without_strings(query: &str) -> String {
    let (mut bare, mut quote, mut escaped) = (String::new(), None, false);
    for character in query.chars() {
        match quote {
            Some(open) => {
                if !escaped && character == open {
                    quote = None;
                }
                escaped = !escaped && character == '\\' && open != '`';
            }
            None if matches!(character, '"' | '\'' | '`') => quote = Some(character),
            None => bare.push(character),
        }
    }
    bare
}

/// A duration such as `1h30m`, in seconds.
fn duration_s(text: &str) -> Option<f64> {
    let (mut rest, mut seconds) = (text.trim(), 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let (number, unit) = rest.split_at(digits);
        let (name, length) = UNITS.into_iter().find(|(name, _)| unit.starts_with(name))?;
        seconds += number.parse::<f64>().ok()? * length;
        rest = &unit[name.len()..];
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_range_of_a_query_is_how_far_it_looks_back() {
        let cases = [
            ("up", 0.0),
            ("100 * (1 - avg(rate(node_cpu_seconds_total{mode='idle'}[1m])))", 60.0),
            ("rate(a[30s]) / rate(b[1h30m])", 5400.0),
            ("max_over_time(rate(a[5m])[1h:1m])", 3900.0),
            ("rate(a[500ms] offset 2m)", 120.5),
            (r#"rate(a{path="[5d]", name=~'x\'[1w]'}[10s])"#, 10.0),
            ("a[nonsense]", 0.0),
        ];
        for (query, seconds) in cases {
            assert!((look_back_s(query) - seconds).abs() < 1e-9, "{query}: {}", look_back_s(query));
        }
    }
}
