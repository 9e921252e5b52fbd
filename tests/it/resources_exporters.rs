//! Runs that are judged by a real node_exporter and a real Prometheus.

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use runner_test_support::ran::{Ran, number};
use runner_test_support::target::{Target, closed_port};
use serde_json::Value;

use crate::support::certificates::{Authority, Validity};
use crate::support::peers::{Peer, believed, say};
use crate::support::runner::Runner;

/// `cpu` as a query: the share of time that is not idle. A range of 4 s holds at least two samples.
const CPU: &str = "100 * (1 - avg(rate(node_cpu_seconds_total{mode='idle'}[4s])))";
const MEMORY: &str = "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)";
const DISK_IO: &str = "100 * max(rate(node_disk_io_time_seconds_total[4s]))";
/// Limits that every machine exceeds.
const NOTHING: [(&str, &str); 6] = [
    ("cpu", "0.01%"),
    ("memory", "0.01%"),
    ("memory_used", "1MiB"),
    ("disk_used", "0.01%"),
    ("disk_write", "1KiB/s"),
    ("open_files", "1"),
];
/// Limits that no machine exceeds.
const ALL: [(&str, &str); 5] = [
    ("cpu", "100%"),
    ("memory", "100%"),
    ("disk_io", "100%"),
    ("disk_used", "100%"),
    ("disk_pressure", "100%"),
];

/// An open phase of this length with 20 requests a second.
fn plan(duration: &str, hosts: &str) -> Runner {
    Runner::plan(&format!(
        "[monitor]\nevery = \"1s\"\n[monitor.hosts]\n{hosts}\n\
         [[phases]]\nname = \"a\"\nduration = \"{duration}\"\nusers = 20\nmix = {{ any = 1 }}\narrivals = \"20/s\"\n\
         [[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\""
    ))
}

fn resource(host: &str, metric: &str, maximum: &str) -> String {
    // A plain number is written without quotes.
    let limit = if maximum.parse::<f64>().is_ok() { maximum.to_owned() } else { format!("\"{maximum}\"") };
    format!(
        "[[resource]]\nname = \"{host} {metric} {maximum}\"\nmetric = \"{metric}\"\nhost = \"{host}\"\n\
         maximum = {limit}\n"
    )
}

/// Writes to a disk until `stop` is set.
fn keep_writing(stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        while !stop.load(Ordering::Relaxed) {
            let mut file = File::create(folder.path().join("written")).unwrap();
            file.write_all(&[7; 1 << 16]).unwrap();
            file.sync_all().unwrap();
            // The pause keeps the disk busy for a part of the time only.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    })
}

#[track_caller]
fn assert_verdict(run: &Ran, name: &str, verdict: &str) -> Value {
    let objective = run.objective(name);
    assert_eq!(objective["verdict"], verdict, "{objective:#}");
    objective
}

#[test]
fn exporter_and_prometheus_agree_with_the_kernel() {
    let exporter = Peer::node_exporter(&[]);
    let prometheus = Peer::prometheus(&exporter);
    let queries = [("cpu", CPU), ("memory", MEMORY), ("disk_io", DISK_IO)];
    queries.iter().for_each(|(_, query)| prometheus.wait_until_it_gives(query));
    let query = queries.map(|(metric, query)| format!("{metric} = \"{query}\"")).join(", ");
    let hosts = format!(
        "target = \"local\"\nmachine = \"{}\"\nwatched = {{ prometheus = \"{}\", query = {{ {query} }} }}",
        exporter.metrics(),
        prometheus.url()
    );
    let asked =
        |host: &str, metric: &str| host != "watched" || queries.iter().any(|(known, _)| *known == metric);
    let hosted = |limits: &[(&'static str, &'static str)]| -> Vec<(&str, &str, &str)> {
        let of_host = |host| limits.iter().map(move |(metric, limit)| (host, *metric, *limit));
        let all = ["target", "machine", "watched"].into_iter().flat_map(of_host);
        all.filter(|(host, metric, _)| asked(host, metric)).collect()
    };
    let (met, missed) = (hosted(&ALL), hosted(&NOTHING));
    let objectives: String =
        met.iter().chain(&missed).map(|(host, metric, limit)| resource(host, metric, limit)).collect();
    let target = Target::fast();
    let stop = Arc::new(AtomicBool::new(false));
    let writing = keep_writing(&stop);
    let run = believed(|| plan("12s", &hosts).against(&target).objectives(&objectives).run()).exits(1);
    stop.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    for (host, metric, limit) in &met {
        assert_verdict(&run, &format!("{host} {metric} {limit}"), "met");
    }
    for (host, metric, limit) in &missed {
        let objective = assert_verdict(&run, &format!("{host} {metric} {limit}"), "missed");
        let why = objective["why"].as_str().unwrap();
        assert!(why.starts_with(&format!("mean {metric} of `{host}` is ")), "{why}");
    }
    let seen = |host: &str, metric: &str, limit: &str| {
        number(&run.objective(&format!("{host} {metric} {limit}"))["observed"])
    };
    // All three sources measure the same machine at the same time; data of Prometheus are a few seconds old.
    for (metric, limit, apart) in [("memory", "100%", 1.0), ("cpu", "100%", 3.0), ("disk_used", "100%", 0.1)]
    {
        let [local, exporter] = ["target", "machine"].map(|host| seen(host, metric, limit));
        assert!((local - exporter).abs() < apart, "{metric}: {local} here, {exporter} by the exporter");
    }
    let [local, prometheus] = ["target", "watched"].map(|host| seen(host, "memory", "100%"));
    assert!((local - prometheus).abs() < 3.0, "{local} here, {prometheus} by Prometheus");
    let told = ["target", "machine", "watched"].map(|host| (host, seen(host, "cpu", "100%")));
    say(&format!("cpu {told:?}, memory {local} {prometheus}"));
}

/// The two ends of the first gap in a sentence, and its reason.
fn hole(why: &str) -> (Timestamp, Timestamp, String) {
    let rest = why.split("no data ").nth(1).unwrap_or_else(|| panic!("no hole: {why}"));
    let (clock, rest) = rest.split_once(" UTC (").unwrap_or_else(|| panic!("no reason: {why}"));
    let (from, to) = clock.split_once('–').unwrap_or_else(|| panic!("no end: {why}"));
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let at = |clock: &str| format!("{today}T{clock}Z").parse::<Timestamp>().unwrap();
    (at(from), at(to), rest.split(')').next().unwrap().to_owned())
}

/// Seconds from one time of day to another, also across midnight.
fn between(from: Timestamp, to: Timestamp) -> f64 {
    let seconds = to.duration_since(from).as_secs_f64();
    if seconds < -43_200.0 { seconds + 86_400.0 } else { seconds }
}

/// A finished run, with the times at which exporters were killed and one was started again.
struct Killed {
    at: Timestamp,
    back_at: Timestamp,
    run: Ran,
}

/// A run of 20 s with four hosts: this machine, an exporter that is killed, an exporter that is started again after 5
/// s, and Prometheus, which scrapes the first exporter.
fn run_with_killed_exporters() -> Killed {
    let (mut gone, mut back) = (Peer::node_exporter(&[]), Peer::node_exporter(&[]));
    let prometheus = Peer::prometheus(&gone);
    prometheus.wait_until_it_gives(MEMORY);
    let hosts = format!(
        "target = \"local\"\ngone = \"{}\"\nback = \"{}\"\n\
         watched = {{ prometheus = \"{}\", query = {{ memory = \"{MEMORY}\" }} }}",
        gone.metrics(),
        back.metrics(),
        prometheus.url()
    );
    let of_hosts =
        ["target", "gone", "back", "watched"].map(|host| resource(host, "memory", "100%")).concat();
    let fast = "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"2s\"\n";
    let target = Target::fast();
    let running = plan("20s", &hosts).against(&target).objectives(&(of_hosts + fast)).start();
    // At 20 requests a second, request 170 lies halfway between two readings, so that none is in flight.
    target.wait_for(170);
    let at = Timestamp::now();
    gone.kill();
    back.kill();
    target.wait_for(270);
    let _back = Peer::node_exporter_at(&back.address, &[]);
    let back_at = Timestamp::now();
    Killed { at, back_at, run: running.end() }
}

#[test]
fn a_killed_exporter_leaves_a_gap_that_decides_nothing() {
    let last = Cell::new(None);
    let run = believed(|| {
        let Killed { at, back_at, run } = run_with_killed_exporters();
        last.set(Some((at, back_at)));
        run
    });
    let (run, (killed, returned)) = (run.exits(3), last.get().unwrap());
    assert_verdict(&run, "Fast", "met");
    assert_verdict(&run, "target memory 100%", "met");
    for host in ["gone", "back", "watched"] {
        let objective = assert_verdict(&run, &format!("{host} memory 100%"), "inconclusive");
        let why = objective["why"].as_str().unwrap();
        say(&format!("{host}: killed at {killed}, returned at {returned}: {why}"));
        assert!(why.contains("of 20 readings are missing, too incomplete to decide"), "{why}");
        let (from, to, reason) = hole(why);
        let told = if host == "watched" { "the query gives no series" } else { "connection refused" };
        assert_eq!(reason, told, "{why}");
        // A gap starts at the last successful reading, and its times are rounded down to seconds.
        let (before, after) = (between(from, killed), between(returned, to));
        assert!((-2.5..2.5).contains(&before), "{before} s before {killed}: {why}");
        match host {
            "back" => assert!((-2.5..2.5).contains(&after), "{after} s after {returned}: {why}"),
            _ => assert!(after > 5.0, "{after} s after {returned}: {why}"),
        }
    }
    let report = run.report();
    let holes = |host: &str| {
        let hosts = report["resources"].as_array().into_iter().flatten();
        let found = hosts.filter(|found| found["host"] == host);
        found.map(|found| found["holes"].as_array().map_or(0, Vec::len)).sum::<usize>()
    };
    assert_eq!(["target", "gone", "back"].map(holes), [0, 1, 1], "{:#}", report["resources"]);
}

#[test]
fn local_sources_are_refused_for_a_remote_target() {
    for source in ["\"local\"", "{ process = \"pid 1\" }"] {
        let refused = || {
            let plan = plan("12s", &format!("target = {source}")).at("http://192.0.2.1:8008");
            plan.objectives(&resource("target", "cpu", "90%"))
        };
        for said in [refused().run().exits(2).stderr, refused().check().exits(2).stderr] {
            assert!(said.contains("P034") && said.contains("192.0.2.1:8008"), "{said}");
            assert!(said.contains("is not on this machine"), "{said}");
        }
    }
}

/// Asserts that a run does not start because a metric of this host is missing; returns its stderr.
fn unavailable(host: &str, metric: &str) -> String {
    let target = Target::fast();
    let run = plan("12s", &format!("machine = {host}"))
        .against(&target)
        .target("ready = \"GET /ready\"")
        .objectives(&resource("machine", metric, "90%"))
        .run()
        .exits(5);
    assert_eq!(target.whats(), ["GET /ready"]);
    assert!(!run.stdout.contains("the run cannot pass"), "there is, but it was not tried:\n{}", run.stdout);
    run.stderr
}

#[test]
fn an_unreachable_judged_exporter_prevents_the_load() {
    let url = format!("http://127.0.0.1:{}/metrics", closed_port());
    let said = unavailable(&format!("\"{url}\""), "cpu");
    assert!(said.contains(&format!("host `machine` (node_exporter at {url}): connection refused")), "{said}");
}

#[test]
fn a_tls_exporter_is_read_once_its_issuer_is_trusted() {
    let authority = Authority::new("untrusted");
    let exporter = Peer::secure_node_exporter(&authority.server("127.0.0.1", Validity::Current));
    let url = exporter.metrics().replacen("http:", "https:", 1);
    let said = unavailable(&format!("\"{url}\""), "cpu");
    assert!(
        said.contains("this machine does not trust the issuer of its certificate; name a file"),
        "{said}"
    );
    let target = Target::fast();
    let trusting = plan("12s", &format!("machine = \"{url}\"")).file("ca.pem", authority.certificate());
    let trusted = trusting.folder().join("ca.pem").display().to_string();
    let run = trusting
        .against(&target)
        .variable("SSL_CERT_FILE", &trusted)
        .objectives(&resource("machine", "memory", "100%"))
        .run();
    assert_verdict(&run, "machine memory 100%", "met");
}

#[test]
fn a_missing_metric_names_its_collector_before_any_load() {
    let exporter = Peer::node_exporter(&["--no-collector.pressure"]);
    let said = unavailable(&format!("\"{}\"", exporter.metrics()), "disk_pressure");
    assert!(
        said.contains("host `machine` has no `disk_pressure`, which `machine disk_pressure 90%` needs"),
        "{said}"
    );
    assert!(said.contains("enable `--collector.pressure`"), "{said}");
}

#[test]
fn a_query_with_two_series_is_refused_before_any_load() {
    let exporter = Peer::node_exporter(&[]);
    let prometheus = Peer::prometheus(&exporter);
    prometheus.wait_until_it_gives("count(up) == 2");
    let said = unavailable(
        &format!("{{ prometheus = \"{}\", query = {{ cpu = \"up\" }} }}", prometheus.url()),
        "cpu",
    );
    assert!(said.contains("host `machine` has no `cpu`, which `machine cpu 90%` needs"), "{said}");
    assert!(said.contains("the query gives 2 series instead of one: "), "{said}");
    assert!(said.contains("job=\"node\"") && said.contains("job=\"itself\""), "{said}");
}
