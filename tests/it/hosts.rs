//! Hosts that hang, queries that mislead, and a process that listens on another port than the target.

use std::process::Command;

use runner_test_support::target::{Answer, Target};
use serde_json::json;

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

/// A Prometheus that answers each query with this number; `is_partial` marks its answers as partial.
fn prometheus(share: &'static str, is_partial: bool) -> Target {
    Target::scripted(move |number, _| {
        let data = json!({ "resultType": "scalar", "result": [number as f64 + 1.0, share] });
        Answer::json(&json!({ "status": "success", "isPartial": is_partial, "data": data }))
    })
}

/// A plan that judges the processor by this query.
fn queried(server: &Target, query: &str) -> Runner {
    let host = format!("target = {{ prometheus = \"{}\", query = {{ cpu = {query} }} }}", server.url());
    let objective = "[[resource]]\nname = \"CPU\"\nmetric = \"cpu\"\nmaximum = \"85%\"";
    plan(&host).objectives(objective).with("--set phases.a.duration=7s")
}

#[test]
fn a_query_that_gives_a_share_is_told_before_the_load_and_its_unit_settles_it() {
    let (target, server) = (Target::fast(), prometheus("0.97", false));
    let long = "\"1 - avg(rate(node_cpu_seconds_total{mode='idle'}[1m]))\"";
    // `check` refuses a query that looks back to before the phase; a run goes on, and is undecided.
    let checked = queried(&server, long).against(&target).check().exits(2);
    assert!(checked.stderr.contains("P033"), "{}", checked.stderr);
    let undecided = queried(&server, long).against(&target).run().exits(3);
    let told = "notice: cpu of `target` is 0.97 % now: if its query gives a share";
    assert!(undecided.stderr.contains("W008") && undecided.stderr.contains(told), "{}", undecided.stderr);
    let share = queried(&server, "{ query = \"up\", unit = \"share\" }").against(&target).run().exits(1);
    assert_eq!(share.objective("CPU")["observed"], 97.0);
    assert!(!share.stderr.contains("if its query"), "{}", share.stderr);
}

#[test]
fn a_server_that_answers_in_part_for_now_keeps_no_run_from_its_load() {
    let (target, server) = (Target::fast(), prometheus("42", true));
    let run = queried(&server, "\"up\"").against(&target).run().exits(3);
    let told = "host `target` has no `cpu`, which `CPU` needs: the response is marked as partial";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert_eq!(run.objective("CPU")["verdict"], "no data");
    assert!(target.count() > 0);
}
