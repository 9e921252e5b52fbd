//! `runner slo export`: objectives as OpenSLO documents.

use std::process::{Command, Output};

use tempfile::TempDir;

const PLAN: &str = r#"
    name = "help desk"
    thresholds = ["limits.toml"]
    [target]
    url = "http://127.0.0.1:9"
    [[phases]]
    name = "peak"
    duration = "10m"
    users = 2
    arrivals = "60/s"
    mix = { any = 1 }
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
    [[users.any.tasks]]
    operation = "list"
    request = "GET /list"
"#;
const LIMITS: &str = r#"
    [[response_time]]
    name = "Fast"
    operations = ["*"]
    statistic = "p99"
    target = "200ms"
    maximum = "1234ms"
    [[response_time]]
    name = "Mean"
    operations = ["get"]
    statistic = "mean"
    maximum = "1s"
    [[response_time]]
    name = "Slowest"
    operations = ["get"]
    statistic = "max"
    maximum = "5s"
    [[error_rate]]
    name = "Failed"
    operations = ["get"]
    maximum = "0.1%"
"#;

/// The export of the plan with these arguments, and its folder.
fn export(arguments: &[&str]) -> (Output, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("plan.toml", PLAN), ("limits.toml", LIMITS)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
    command.args(["slo", "export", "plan.toml"]).args(arguments).current_dir(folder.path());
    (command.output().unwrap(), folder)
}

#[test]
fn each_tier_of_a_share_becomes_an_slo_and_the_rest_is_named() {
    let (output, _folder) = export(&[]);
    let (documents, told) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{told}");
    let names: Vec<&str> = documents.lines().filter_map(|line| line.strip_prefix("  name: ")).collect();
    let expected = [
        "help-desk",
        "help-desk-peak-fast-target",
        "help-desk-peak-fast-maximum",
        "help-desk-peak-failed-maximum",
    ];
    assert_eq!(names, expected, "{documents}");
    let targets: Vec<&str> =
        documents.lines().filter_map(|line| line.trim().strip_prefix("target: ")).collect();
    assert_eq!(targets, ["0.99", "0.99", "0.999"], "{documents}");
    let query = r#"query: "sum(runner_response_time_seconds_bucket{plan=\"help desk\",phase=\"peak\",operation=~\"get|list\",le=\"0.2\"})""#;
    assert!(documents.contains(query), "{documents}");
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(
        told,
        [
            "response_time `Fast`: no bucket of `metrics.txt` ends at 1234 ms, so the query for good requests finds \
             none; point it at a histogram with this bucket",
            "left out: response_time `Mean`: a mean is not a share of requests",
            "left out: response_time `Slowest`: a limit of the maximum is a target of 1, and OpenSLO requires a target below 1",
        ]
    );
}

#[test]
fn objectives_can_be_written_to_a_file() {
    let (output, folder) = export(&["--write", "slo.yaml"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let written = std::fs::read_to_string(folder.path().join("slo.yaml")).unwrap();
    assert_eq!(written.as_bytes(), export(&[]).0.stdout);
    let (output, _folder) = export(&["--write", "none/slo.yaml"]);
    assert_eq!(output.status.code(), Some(74));
}

#[test]
fn a_refused_plan_exports_nothing() {
    let (output, _folder) = export(&["--phase", "night"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}
