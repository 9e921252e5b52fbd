//! Generated extreme files: each is refused within 2 s and without a panic.

use crate::support::answer::Answer;

const MIB: usize = 1 << 20;

/// A valid plan, into which tests insert a mistake.
const PLAN: &str = r#"
name = "generated"
gate = { tier = "none" }
target = { url = "http://localhost:8008" }

[[phases]]
name = "steady"
duration = "1m"
users = 5
mix = { reader = 1 }

[[users.reader.tasks]]
weight = 1
request = "GET /health"
"#;

/// Asserts that these bytes are refused within 2 s; returns the rendered problems.
fn refused(bytes: impl AsRef<[u8]>) -> String {
    let answer = Answer::of_bytes(bytes.as_ref());
    let shortcomings = answer.shortcomings();
    let begin: String = answer.shown.chars().take(2000).collect();
    assert!(shortcomings.is_empty(), "{}\n{begin}", shortcomings.join("\n"));
    answer.shown
}

fn refused_with(from: &str, to: &str) -> String {
    assert!(PLAN.contains(from));
    refused(PLAN.replace(from, to))
}

#[test]
fn the_unmodified_plan_is_valid() {
    assert_eq!(Answer::of_bytes(PLAN.as_bytes()).shown, "");
}

#[test]
fn a_file_that_is_not_utf8_is_refused() {
    let shown = refused(b"name = \"a\"\ndescription = \"\xff\xfe\"\n");
    assert!(shown.contains("plan.toml:2"), "{shown}");
}

#[test]
fn two_hundred_thousand_brackets_are_refused() {
    refused("[".repeat(200_000));
    refused(format!("name = {}", "[".repeat(200_000)));
    refused(format!("name = {}{}", "[".repeat(100_000), "]".repeat(100_000)));
    refused(format!("name = {}", "{ a = ".repeat(40_000)));
}

#[test]
fn one_mebibyte_of_keys_without_values_is_refused() {
    refused("a=\n".repeat(MIB / 3));
}

#[test]
fn twenty_thousand_unknown_keys_are_refused() {
    let keys: String = (0..20_000).map(|number| format!("k{number} = 1\n")).collect();
    let shown = refused(keys);
    assert!(shown.contains("more problems"));
}

#[test]
fn one_mebibyte_of_noise_is_refused() {
    // A linear congruential generator gives the same noise every time.
    let step = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(*state)
    };
    let noise = std::iter::successors(Some(7_u32), |state| step(&mut state.clone()));
    let printable = |number: u32| match number >> 24 {
        0..8 => b'\n',
        byte => b' ' + (byte % 95) as u8,
    };
    refused(noise.take(MIB).map(printable).collect::<Vec<u8>>());
}

#[test]
fn tables_nested_ninety_deep_are_refused() {
    let nested = format!("{}1{}", "{ a = ".repeat(90), " }".repeat(90));
    refused(format!("{PLAN}nested = {nested}\n"));
    refused_with("request = \"GET /health\"", &format!("request = \"GET health\"\njson = {nested}"));
}

#[test]
fn a_line_of_two_mebibytes_is_refused() {
    let long = "x".repeat(2 * MIB);
    refused_with("GET /health", &long);
    refused_with("\"generated\"", &format!("\"{long}\""));
    refused_with("\"1m\"", &format!("\"{long}\""));
    refused_with("reader = 1", &format!("{long} = 1"));
    refused_with("tier = \"none\"", &format!("tier = \"{long}\""));
    refused_with("weight = 1", &format!("{long} = 1"));
    refused_with("GET /health", &format!("GET /${{{long}}}"));
    refused_with("GET /health", &format!("GET /{}", "${".repeat(MIB)));
    refused_with("GET /health", &format!("GET /{}", "${x}".repeat(MIB / 2)));
    let body = |text: &str| format!("POST /search\"\nbody = \"{text}");
    refused_with("GET /health", &body(&"${x}".repeat(MIB / 16)));
    refused_with("GET /health", &body(&format!("${{{long}}}")));
}

#[test]
fn a_thousand_and_one_phases_are_refused() {
    let phase = |number| {
        format!("[[phases]]\nname = \"{number}\"\nduration = \"1m\"\nusers = 5\nmix = {{ reader = 1 }}\n")
    };
    let shown = refused(format!("{PLAN}{}", (0..1000).map(phase).collect::<String>()));
    assert!(shown.contains("1 to 1000 phases, not 1001"), "{shown}");
}

#[test]
fn a_file_of_five_mebibytes_is_refused() {
    assert!(refused(" ".repeat(5 * MIB)).contains("P002"));
}

#[test]
fn numbers_out_of_range_are_refused() {
    for weight in ["1000000000000000000", "nan", "-nan", "inf", "-inf", "1e300", "-1", "99999999999999999999"]
    {
        refused_with("weight = 1", &format!("weight = {weight}"));
        refused_with("reader = 1", &format!("reader = {weight}"));
        refused_with("users = 5", &format!("users = {weight}"));
    }
    for spawn_rate in ["0", "nan", "inf", "-inf", "-5", "1e-300", "99999999999999999999"] {
        refused_with("users = 5", &format!("users = 5\nspawn_rate = {spawn_rate}"));
    }
    for duration in ["inf", "NaN s", "1e9s", "99999999999999999999999999h", "0s", "-0s", "9999999d"] {
        refused_with("\"1m\"", &format!("\"{duration}\""));
    }
    for rate in ["inf/s", "0/s", "1e9/s", "99999999999999999999/s", "-1/s"] {
        refused_with("users = 5", &format!("users = 5\narrivals = \"{rate}\""));
    }
}
