//! Hosts that hang, and a process that listens on another port than the target.

use std::process::Command;

use runner_test_support::target::Target;

use crate::support::runner::Runner;

const PHASE: &str = "[[phases]]\nname = \"a\"\nduration = \"3s\"\nusers = 2\nmix = { any = 1 }\n\
                     [users.any]\nwait = \"100ms\"\n[[users.any.tasks]]\nrequest = \"GET /\"\n";
const MEMORY: &str = "[[resource]]\nname = \"Memory\"\nmetric = \"memory\"\nhost = \"stuck\"\nmaximum = \"100%\"\ngate = GATE\n\
                      [[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"50%\"";

fn plan(hosts: &str) -> Runner {
    Runner::plan(&format!("[monitor]\nevery = \"1s\"\n[monitor.hosts]\n{hosts}\n{PHASE}"))
}

/// A plan with a host whose process ID file is a named pipe without a writer, so that reading it blocks.
fn with_one_that_hangs(gate: &str) -> Runner {
    let plan =
        plan("stuck = { process = \"file pipe/pid\" }\nwell = \"local\"").file("plans/pipe/README", "");
    let made = Command::new("mkfifo").arg(plan.folder().join("plans/pipe/pid")).status();
    assert!(made.is_ok_and(|status| status.success()));
    plan.objectives(&MEMORY.replace("GATE", gate))
}

#[test]
fn a_host_that_hangs_delays_neither_the_run_nor_other_hosts() {
    let target = Target::fast();
    // The exit code depends on other load of this machine, and the readings do not.
    let run = with_one_that_hangs("false").against(&target).run();
    let hosts = run.report()["resources"].as_array().cloned().unwrap_or_default();
    let readings: Vec<_> =
        hosts.iter().map(|host| (host["host"].as_str(), host["readings"].as_u64())).collect();
    assert!(
        readings.contains(&(Some("stuck"), Some(0))) && readings.contains(&(Some("well"), Some(3))),
        "{readings:?}"
    );
    let memory = run.objective("Memory");
    assert_eq!(memory["verdict"], "no data");
}

#[test]
fn a_judged_host_that_hangs_ends_the_run_before_any_load() {
    let target = Target::fast();
    let run = with_one_that_hangs("true").against(&target).with("--set phases.a.duration=6s").run().exits(5);
    assert!(
        run.stderr.contains("host `stuck`") && run.stderr.contains("no response within"),
        "{}",
        run.stderr
    );
    assert_eq!(target.count(), 0);
}

#[test]
fn a_process_on_another_port_than_the_load_gives_a_warning() {
    let target = Target::fast();
    let checked = plan("target = { process = \"port 9\" }").against(&target).check().exits(0);
    assert!(checked.stderr.contains("W006") && checked.stderr.contains("port 9"), "{}", checked.stderr);
}
