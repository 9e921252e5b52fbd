//! The files of a report: those in the folder of a run, and those that `--write` asks for.

use std::path::Path;
use std::process::Command;

use runner_test_support::phases::open;
use runner_test_support::ran::Ran;
use runner_test_support::target::{Answer, Target};

use crate::support::runner::{Runner, rerun};

const FAILED: &str = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"1%\"\n";
const TASK: &str = "[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\n";

#[test]
fn a_run_leaves_its_report_in_the_formats_that_ci_systems_read() {
    let target = Target::scripted(|number, _| match number % 2 {
        0 => Answer::Status(200),
        _ => Answer::Status(503),
    });
    let runner = Runner::plan(&(open(2, "1s", "100/s") + TASK)).against(&target).objectives(FAILED);
    let run = runner
        .with("--set gate.decision=observed --label commit=1a2b3c --label ci/job=7 --write junit=j.xml")
        .run()
        .exits(1);
    let labels = &run.report()["labels"];
    assert_eq!((labels["commit"].as_str(), labels["ci/job"].as_str()), (Some("1a2b3c"), Some("7")));
    let junit = std::fs::read_to_string(run.file("junit.xml").unwrap()).unwrap();
    assert_eq!(std::fs::read_to_string(run.folder.path().join("j.xml")).unwrap(), junit);
    for part in ["<failure message=", "name=\"Failed\"", "<property name=\"commit\" value=\"1a2b3c\"/>"] {
        assert!(junit.contains(part), "no `{part}` in {junit}");
    }
    let summary = std::fs::read_to_string(run.file("summary.md").unwrap()).unwrap();
    assert!(summary.contains("**breached**") && summary.contains("exit code 1"), "{summary}");
    // The journal gives the same bytes.
    let folder = run.file("junit.xml").unwrap();
    let folder = folder.parent().unwrap().display().to_string();
    let again =
        rerun(&run, &format!("report {folder} --write junit=a.xml --write summary=s.md --write json=r.json"));
    assert_eq!(again.code, 0, "{}", again.stderr);
    for (written, of_run) in [("a.xml", "junit.xml"), ("s.md", "summary.md"), ("r.json", "report.json")] {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&run.folder.path().join(written)), read(&run.file(of_run).unwrap()), "{written}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_the_run() {
    let target = Target::fast();
    let run = Runner::plan(&(open(2, "1s", "10/s") + TASK)).against(&target).with("--write junit=none/j.xml");
    let said = run.run().exits(2).stderr;
    let told = "cannot write `none/j.xml`: the folder `none` does not exist; create it";
    assert!(said.contains(told), "{said}");
    assert_eq!(target.count(), 0);
}

/// A run that misses an objective, in a CI system with these environment variables.
fn in_ci(variables: &[(&str, &str)], arguments: &str) -> Ran {
    let objectives = "# A limit.\n".to_owned() + FAILED;
    let target = Target::always(Answer::Status(503));
    let runner = Runner::plan(&(open(2, "1s", "100/s") + TASK)).against(&target).objectives(&objectives);
    let runner = variables.iter().fold(runner, |runner, (name, value)| runner.variable(name, value));
    runner.with(&format!("--quiet --set gate.decision=observed {arguments}")).run().exits(1)
}

#[test]
fn github_gets_annotations_a_summary_and_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let [summary, outputs] =
        ["summary", "outputs"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&outputs, "earlier=1\n").unwrap();
    let files = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", &summary), ("GITHUB_OUTPUT", &outputs)];
    let run = in_ci(&files, "");
    let annotated =
        "::error file=thresholds/t.toml,line=5,title=Failed%2C a%3A missed::error rate is 100 %25";
    assert!(run.stderr.lines().any(|line| line.starts_with(annotated)), "{}", run.stderr);
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(read(&summary).contains("**breached**"));
    let told = read(&outputs);
    assert!(told.starts_with("earlier=1\nverdict=breached\nexit-code=1\nreport="), "{told}");
    // Nothing of it without the system, or if it is turned off.
    for run in [in_ci(&[], ""), in_ci(&files, "--ci none")] {
        assert!(!run.stderr.contains("::error"), "{}", run.stderr);
    }
}

#[test]
fn github_gets_no_summary_that_it_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let [summary, outputs] =
        ["summary", "outputs"].map(|name| folder.path().join(name).display().to_string());
    let earlier = "x".repeat((1 << 20) - 100);
    std::fs::write(&summary, &earlier).unwrap();
    let files = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", &summary), ("GITHUB_OUTPUT", &outputs)];
    let run = in_ci(&files, "");
    let said =
        format!("notice: could not append to `{summary}` (`GITHUB_STEP_SUMMARY`): it holds 1048476 bytes");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert!(std::fs::read_to_string(&summary).unwrap() == earlier, "what was there is not changed");
    assert!(std::fs::read_to_string(&outputs).unwrap().starts_with("verdict=breached\n"));
}

#[test]
fn gitlab_gets_a_section_and_azure_its_commands() {
    let run = in_ci(&[("GITLAB_CI", "true")], "");
    assert!(run.stdout.starts_with("\x1b[0Ksection_start:"), "{}", run.stdout);
    assert!(run.stdout.contains("load_gate\r\x1b[0Kp: breached, exit code 1\n"), "{}", run.stdout);
    assert!(run.stdout.trim_end().ends_with("load_gate\r\x1b[0K"), "{}", run.stdout);
    let (_, files) = run.stdout.split_once("\nfiles:\n").unwrap();
    let files = files.lines().filter_map(|line| line.strip_prefix("  "));
    let names: Vec<_> = files.map(|path| path.rsplit_once('/').unwrap().1).collect();
    assert_eq!(names, ["report.json", "report.html", "junit.xml", "summary.md"]);
    let run = in_ci(&[("TF_BUILD", "True")], "--format json");
    for part in [
        "##vso[task.logissue type=error;sourcepath=thresholds/t.toml;linenumber=5]Failed, a: missed: error rate",
        "##vso[task.uploadsummary]/",
        "##vso[task.setvariable variable=exit-code;isOutput=true]1\n",
    ] {
        assert!(run.stderr.contains(part), "no `{part}` in {}", run.stderr);
    }
    assert!(serde_json::from_str::<serde_json::Value>(&run.stdout).is_ok(), "stdout is the report alone");
}

/// The sample under `reports/sample` is the report of a stored run. `UPDATE_EXPECTED=1` makes it anew.
#[test]
fn the_sample_is_the_report_of_a_stored_run() {
    const FILES: [(&str, &str); 9] = [
        ("json", "report.json"),
        ("html", "report.html"),
        ("junit", "junit.xml"),
        ("summary", "summary.md"),
        ("text", "report.txt"),
        ("stats", "stats.csv"),
        ("failures", "failures.csv"),
        ("metrics", "metrics.txt"),
        ("load-performance", "load-performance.json"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let written = FILES.map(|(kind, name)| format!("--write={kind}={}", path(name).display()));
    let mut runner = Command::new(env!("CARGO_BIN_EXE_runner"));
    let output = runner.args(["report", "tests/journals/version-4.3"]).args(written).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (_, name) in FILES {
        let made = std::fs::read_to_string(path(name)).unwrap();
        let sample = Path::new("reports/sample").join(name);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&sample, &made).unwrap();
        }
        let shipped = std::fs::read_to_string(&sample).unwrap_or_default();
        let shown = sample.display();
        assert!(made == shipped, "{shown} is out of date: run with `UPDATE_EXPECTED=1` to update it");
    }
}
