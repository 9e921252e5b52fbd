//! Options of the command line that concern streams and the target.

use runner_test_support::ran::Ran;
use runner_test_support::target::{Answer, Target};
use serde_json::Value;

use crate::support::runner::Runner;

const PLAN: &str = r#"
    [[phases]]
    name = "a"
    duration = "1s"
    users = 2
    mix = { any = 1 }
    arrivals = "60/s"
    [[phases]]
    name = "b"
    duration = "30m"
    users = 2
    mix = { any = 1 }
    arrivals = "60/s"
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
"#;
const SLOWER_THAN_TARGET: &str =
    "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\ntarget = \"1us\"\nmaximum = \"500ms\"";

fn run(arguments: &str, target: &Target) -> Ran {
    Runner::plan(PLAN).against(target).objectives(SLOWER_THAN_TARGET).with(arguments).run()
}

#[test]
fn the_target_option_overrides_the_url_of_the_plan() {
    let (plans, other) = (Target::fast(), Target::fast());
    let run = run(&format!("--phase a --target {}/base", other.url()), &plans).exits(0);
    assert_eq!((plans.count(), other.count_of("GET /base/")), (0, 60));
    assert_eq!(run.report()["target"], format!("{}/base", other.url()));
}

#[test]
fn quiet_silences_stderr_and_verbose_shows_connections() {
    let target =
        Target::scripted(|number, _| if number == 30 { Answer::Closing } else { Answer::Status(200) });
    assert_eq!(run("--phase a --quiet", &target).exits(0).stderr, "");
    let target =
        Target::scripted(|number, _| if number == 30 { Answer::Closing } else { Answer::Status(200) });
    let told = run("--phase a -v", &target).exits(0).stderr;
    for part in ["user 0 connected", "user 1 connected", "the connection was closed", "user 0 leaves"] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
    run("--phase a -v --quiet", &target).exits(2);
}

#[test]
fn output_without_a_terminal_has_no_control_characters() {
    let target = Target::always(Answer::Status(500));
    for (name, value) in [("TERM", "xterm-256color"), ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")] {
        let plan = |plan: &str| Runner::plan(plan).against(&target).variable(name, value);
        for run in [
            plan(PLAN).with("--phase a -v --set phases.a.duration=200ms").run().exits(0),
            plan(PLAN).check().exits(0),
            plan(&PLAN.replace("users", "user")).run().exits(2),
            plan(PLAN).with("--no-such-flag").run().exits(2),
        ] {
            assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains('\r'), "{}", run.stderr);
            assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
        }
    }
}

#[test]
fn json_output_is_one_document_even_for_a_refusal() {
    let target = Target::fast();
    let finished = run("--phase a --format json", &target).exits(0);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document, finished.report());
    let plan = |plan: &str| Runner::plan(plan).against(&target).with("--format json");
    for refused in [
        plan(&PLAN.replace("duration", "duraton")).run().exits(2),
        plan(&PLAN.replace("duration", "duraton")).check().exits(2),
        plan("[[phases").run().exits(2),
        plan(PLAN).with("--phase c").run().exits(2),
    ] {
        let document: Value = serde_json::from_str(&refused.stdout).expect(&refused.stdout);
        assert!(!document["diagnostics"].as_array().unwrap().is_empty(), "{document:#}");
    }
}
