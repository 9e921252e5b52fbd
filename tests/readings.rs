//! Every folder of `tests/readings` holds two snapshots of a host, and the reading expected from their difference.
//!
//! The first line of `what.txt` describes the case. Further lines select the source: `process 12`, `port 8080`,
//! `pid_file kms.pid`, `cgroup a/b`; or devices of the machine: `disks vda sdb`, `mounts /var`. `before` and `after`
//! are folders in the shape of a root file system, or texts of a node_exporter. `UPDATE_EXPECTED=1` updates readings.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read or written has failed the test")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runner::kernel::Kernel;
use runner::monitor::Probe;
use runner::resources::exporter;
use runner::resources::metric::Metric;
use runner::resources::rates::{between, covered_s};
use runner::resources::reading::{CounterReset, Values};
use runner::resources::snapshot::Snapshot;
use runner::resources::source::{DeviceFilter, ProcessSelector, Source};

const FOLDER: &str = "tests/readings";

fn source(description: &str) -> Source {
    let mut parts = DeviceFilter::default();
    for line in description.lines().skip(1) {
        let words: Vec<&str> = line.split(' ').collect();
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match words[..] {
            ["process", pid] => return Source::Process(ProcessSelector::Pid(pid.parse().unwrap())),
            ["port", port] => return Source::Process(ProcessSelector::Port(port.parse().unwrap())),
            ["pid_file", file] => return Source::Process(ProcessSelector::File(file.to_owned())),
            ["cgroup", path] => return Source::Cgroup(path.to_owned()),
            ["disks", ref names @ ..] => parts.disks = owned(names),
            ["mounts", ref points @ ..] => parts.mounts = owned(points),
            _ => panic!("`{line}` is not a source"),
        }
    }
    Source::Local(parts)
}

fn snapshot(case: &Path, when: &str, source: &Source) -> Result<Snapshot, String> {
    let text = case.join(format!("{when}.prom"));
    if let (Source::Local(parts), Ok(text)) = (source, std::fs::read_to_string(text)) {
        let snapshot = exporter::machine(&text, 0.0)?.snapshot(parts);
        // A saved text has no other clock than the uptime, as a folder does.
        return Ok(Snapshot { observed_at: snapshot.incarnation.age.unwrap_or(snapshot.at), ..snapshot });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut probe = Probe::with_kernel(source, Kernel::in_folder(&case.join(when)))?;
    runtime.block_on(probe.snapshot(Duration::from_secs(1)))
}

fn summary(covered_s: f64, values: &Values) -> String {
    let counter_reset = match values.counter_reset {
        Some(CounterReset::Restart) => ", restarted",
        Some(CounterReset::OtherHost) => ", another host",
        Some(CounterReset::Changed) => "changed",
        None => "",
    };
    let mut summary = format!("{covered_s:.2} s{counter_reset}\n");
    for trouble in &values.troubles {
        writeln!(summary, "trouble: {trouble}").unwrap();
    }
    for (metric, value) in &values.measured {
        let unit = metric.unit().as_str();
        write!(summary, "{} {value:.2} {unit}", metric.as_str()).unwrap();
        if let Some((_, most)) = values.most.iter().find(|(known, _)| known == metric) {
            write!(summary, " of {most:.0}").unwrap();
        }
        summary.truncate(summary.trim_end().len());
        summary.push('\n');
    }
    for (metric, why) in &values.missing {
        writeln!(summary, "no {}: {why}", metric.as_str()).unwrap();
    }
    summary
}

fn answer(case: &Path) -> String {
    let description = std::fs::read_to_string(case.join("what.txt")).unwrap();
    let source = source(&description);
    match (snapshot(case, "before", &source), snapshot(case, "after", &source)) {
        (Ok(before), Ok(after)) => {
            let values = between(&before, &after);
            let silent = Metric::ALL.iter().copied().filter(|metric| {
                let known =
                    values.of(*metric).is_some() || values.missing.iter().any(|(known, _)| known == metric);
                source.provides(*metric) && !known && values.troubles.is_empty()
            });
            let silent: Vec<&str> = silent.map(Metric::as_str).collect();
            assert!(silent.is_empty(), "{}: nothing is said about {silent:?}", case.display());
            summary(covered_s(&before, &after), &values)
        }
        (before, after) => {
            let errors = [("before", before), ("after", after)];
            let errors = errors
                .into_iter()
                .filter_map(|(when, snapshot)| Some(format!("{when}: {}\n", snapshot.err()?)));
            errors.collect()
        }
    }
}

#[test]
fn two_snapshots_give_the_expected_reading() {
    let entries = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 16, "only {} readings", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let answer = answer(&case);
        let expected = case.join("expected.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected, &answer).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if answer != expected {
            writeln!(wrong, "{}: the answer is\n{answer}but expected is\n{expected}", case.display())
                .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
