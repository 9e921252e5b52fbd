//! Resources of the target's process: the stand-in burns processor time or leaks memory, and the run judges it.

use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use runner_test_support::ran::{Ran, count, named, number};
use serde_json::Value;

use crate::resources_cpu::{first_core, processor_time};
use crate::support::peers::{believed, say};
use crate::support::runner::Runner;

/// A stand-in that the test starts itself, on one core; killed when dropped.
struct StandIn {
    child: Child,
    port: u16,
}

impl StandIn {
    fn start(behaviour: &str) -> Self {
        let mut child = Command::new("taskset")
            .args(["-c", &first_core().to_string(), env!("CARGO_BIN_EXE_runner"), "stand-in", "--port", "0"])
            .args(behaviour.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset is a part of every Linux");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it is text");
        let port = line.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("it does not say where it listens: {line}"));
        Self { child, port }
    }

    /// A plan that sends it 40 requests a second; `PORT` in `hosts` is replaced by its port.
    fn plan(&self, duration: &str, hosts: &str) -> Runner {
        plan(duration, &hosts.replace("PORT", &self.port.to_string()))
            .at(&format!("http://127.0.0.1:{}", self.port))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plan(duration: &str, hosts: &str) -> Runner {
    Runner::plan(&format!(
        "[monitor]\nevery = \"1s\"\n[monitor.hosts]\n{hosts}\n\
         [[phases]]\nname = \"a\"\nduration = \"{duration}\"\nusers = 20\nmix = {{ any = 1 }}\narrivals = \"40/s\"\n\
         [[users.any.tasks]]\nrequest = \"GET /health\""
    ))
    .with("--workers 1")
}

fn host(run: &Ran, name: &str) -> Value {
    let hosts = run.report()["resources"].as_array().cloned().unwrap_or_default();
    let found = hosts.iter().find(|found| found["host"] == name);
    found.unwrap_or_else(|| panic!("no host `{name}`: {hosts:#?}")).clone()
}

#[test]
fn a_busy_target_misses_its_cpu_limit_by_the_right_figure() {
    let objective =
        "[[resource]]\nname = \"Processor\"\nmetric = \"cpu\"\ntarget = \"10%\"\nmaximum = \"25%\"\n";
    let stand_in = StandIn::start("--burn-cpu 100%");
    let own_count = Cell::new(0.0);
    let run = believed(|| {
        let plan = stand_in.plan("10s", "target = { process = \"port PORT\" }").objectives(objective);
        let mut running = plan.start();
        running.hear("a: started, planned for 10s");
        let (begin, before) = (Instant::now(), processor_time(stand_in.child.id()));
        running.hear("report: ");
        let used = processor_time(stand_in.child.id()) - before;
        own_count.set(used / begin.elapsed().as_secs_f64() * 100.0);
        running.end()
    });
    let (run, used) = (run.exits(1), own_count.get());
    let objective = run.objective("Processor");
    let (why, observed) = (objective["why"].as_str().unwrap(), number(&objective["observed"]));
    say(&format!("{used} % of its core by its own count: {why}"));
    assert!((observed - used).abs() < 4.0, "{observed} %, and {used} % by its own count");
    assert!(why.starts_with("mean cpu of `target` is ") && why.contains("the limit is 25 %"), "{why}");
    assert!(why.contains(&format!("is {} %", short(observed))), "{observed}: {why}");
    let shown =
        |told: &str| assert!(unwrapped(&run.stdout).contains(told), "{told}, but not in\n{}", run.stdout);
    shown(why);
    let shared = run.phase("a")["shared_machine"].clone();
    let told = shared["told"].as_str().unwrap();
    assert!((number(&shared["target_cpu_percent"]) - observed).abs() < 0.1, "{told}");
    shown(told);
    assert_eq!(shared["limit"] == "target", observed >= 90.0, "{told}");
}

/// Joins the lines of a text.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Formats a number with two digits as sentences of the report do.
fn short(value: f64) -> String {
    let shown = format!("{value:.1}");
    shown.strip_suffix(".0").unwrap_or(&shown).to_owned()
}

#[test]
fn a_leak_is_proven_only_where_the_target_leaks() {
    let leak = "[[drift]]\nname = \"Leak\"\nmetric = \"process_memory\"\nmax_growth = \"20%\"\nmin_length = \"40s\"\n";
    let loaded = |behaviour: &'static str| {
        std::thread::spawn(move || {
            believed(|| {
                let stand_in = StandIn::start(behaviour);
                stand_in.plan("45s", "target = { process = \"port PORT\" }").objectives(leak).run()
            })
        })
    };
    let [leaking, steady] = ["--leak 64KiB", ""].map(loaded).map(|run| run.join().unwrap());
    for run in [&leaking, &steady] {
        let objective = run.objective("Leak");
        say(&format!("exit {}, {}: {}", run.code, objective["interval"], objective["why"]));
    }
    let objective = leaking.exits(1).objective("Leak");
    let why = objective["why"].as_str().unwrap();
    assert_eq!(objective["verdict"], "missed", "{objective:#}");
    assert!(why.starts_with("growth of process_memory of `target` is ") && why.contains('['), "{why}");
    assert!(number(&objective["interval"][0]) > 20.0, "{objective:#}");
    let objective = steady.exits(0).objective("Leak");
    assert_eq!(objective["verdict"], "met", "{objective:#}");
    assert!(number(&objective["interval"][1]) <= 20.0, "{objective:#}");
}

#[test]
fn hosts_of_the_stand_in_are_read_locally_with_a_notice() {
    let hosts = "target = \"http://desk.invalid:9100/metrics\"\nservice = { process = \"file desk.pid\" }\n\
                 here = \"local\"";
    let objectives = "[[resource]]\nname = \"Processor\"\nmetric = \"cpu\"\nmaximum = \"100%\"\n\
                      [[resource]]\nname = \"Memory\"\nmetric = \"process_memory\"\nhost = \"service\"\nmaximum = \"4GiB\"\n";
    let run = plan("8s", hosts)
        .at("http://192.0.2.1:8008")
        .objectives(objectives)
        .with("--stand-in")
        .run()
        .exits(0);
    let told = "`target`, `service` are read on this machine, not from the source in the plan";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert!(run.report()["notices"].to_string().contains(told), "{:#}", run.report()["notices"]);
    assert_eq!(host(&run, "target")["source"], "this machine");
    let source = host(&run, "service")["source"].as_str().unwrap().to_owned();
    assert!(source.starts_with("process "), "{source}");
    let objectives = run.report()["objectives"].clone();
    for name in ["Processor", "Memory"] {
        let objective = named(&objectives, name);
        assert_eq!(objective["verdict"], "met", "{objective:#}");
        assert!(count(&objective["samples"]) > 6 && number(&objective["observed"]) > 0.0, "{objective:#}");
    }
}
