//! `runner monitor`: its output, its file, its metrics page and its exit codes.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use runner_test_support::ran::number;
use runner_test_support::target::Target;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::runner::Runner;

/// A monitor with one reading a second; killed when dropped.
struct Monitor {
    folder: TempDir,
    child: Child,
    stdout: BufReader<ChildStdout>,
}

fn command(arguments: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
    command.arg("monitor").args(arguments.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    command
}

impl Monitor {
    fn start(arguments: &str) -> Self {
        Self::of_process(arguments, None)
    }

    /// Starts a monitor with `--process`.
    fn of_process(arguments: &str, process: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(arguments, folder.path());
        command.args(["--every", "1s"]).args(process.iter().flat_map(|name| ["--process", name]));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { folder, child, stdout }
    }

    /// The next line of stdout.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it has ended");
        line
    }

    /// Waits for this number of readings under a header of two lines; returns them.
    fn shows(&mut self, readings: usize) -> Vec<String> {
        let header = [self.line(), self.line()];
        assert!(header[1].starts_with("time "), "{header:?}");
        (0..readings).map(|_| self.line()).collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; returns the exit code and the rest of stdout and stderr.
    fn end(&mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stdout, stderr)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn readings(&self) -> Vec<Value> {
        readings(&self.path("m.json"))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // The process may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn readings(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// The exit code and stderr of a monitor that is refused.
fn refused(arguments: &str, folder: &Path) -> (Option<i32>, String) {
    let output = command(arguments, folder).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

const FIELDS: [&str; 18] = [
    "timestamp",
    "cpu_percent",
    "memory_percent",
    "memory_used_gb",
    "disk_read_mb",
    "disk_write_mb",
    "network_sent_mb",
    "network_recv_mb",
    "interval_s",
    "steal_percent",
    "swap_percent",
    "disk_io_percent",
    "disk_pressure_percent",
    "disk_queue",
    "disk_used_percent",
    "open_files",
    "threads",
    "connections",
];

#[test]
fn a_killed_monitor_leaves_every_shown_reading_in_its_file() {
    let mut monitor = Monitor::start("--out m.json");
    monitor.shows(5);
    monitor.signal(Signal::KILL);
    assert_eq!(monitor.end().0, None);
    let readings = monitor.readings();
    assert!(readings.len() >= 5, "{readings:?}");
    for reading in &readings {
        let keys: Vec<&String> = reading.as_object().unwrap().keys().collect();
        assert_eq!(keys[..FIELDS.len()], FIELDS, "{reading:#}");
        let at = reading["timestamp"].as_str().unwrap();
        assert!(at.len() == "2026-03-01T09:05:07.250+01:00".len(), "{at}");
        assert!((0.0..=100.0).contains(&number(&reading["cpu_percent"])), "{reading:#}");
        assert!(number(&reading["memory_used_gb"]) > 0.0, "{reading:#}");
        assert!(number(&reading["interval_s"]) > 0.0, "{reading:#}");
    }
}

#[test]
fn totals_start_at_zero_and_never_decrease() {
    let mut monitor = Monitor::start("--out m.json");
    monitor.shows(1);
    let written = 8 << 20;
    std::fs::write(monitor.path("bytes"), vec![1; written]).unwrap();
    std::fs::File::open(monitor.path("bytes")).unwrap().sync_all().unwrap();
    (0..2).for_each(|_| drop(monitor.line()));
    monitor.signal(Signal::INT);
    monitor.end();
    let readings = monitor.readings();
    for total in ["disk_read_mb", "disk_write_mb", "network_sent_mb", "network_recv_mb"] {
        let totals: Vec<f64> = readings.iter().filter_map(|reading| reading[total].as_f64()).collect();
        assert!(totals.iter().all(|mib| *mib >= 0.0), "{total}: {totals:?}");
        assert!(totals.is_sorted(), "{total}: {totals:?}");
    }
}

#[test]
fn an_interrupted_monitor_keeps_readings_and_summarises() {
    let own = format!("pid {}", std::process::id());
    for signal in [Signal::INT, Signal::TERM] {
        let mut monitor = Monitor::of_process("--out m.json", Some(&own));
        monitor.shows(2);
        monitor.signal(signal);
        let (code, stdout, stderr) = monitor.end();
        assert_eq!(code, Some(0), "{stderr}");
        for part in ["duration ", " hours, ", "CPU ", "peak", "memory ", "disk ", "network ", "process "] {
            assert!(stdout.contains(part), "no `{part}` in {stdout}");
        }
        let readings = monitor.readings();
        assert!(readings.len() >= 2 && stdout.contains(&format!(" {} readings", readings.len())), "{stdout}");
        let process = &readings[1]["process"];
        assert!(
            number(&process["memory_used_gb"]) > 0.0 && number(&process["threads"]) >= 1.0,
            "{process:#}"
        );
    }
}

#[test]
fn a_process_is_null_until_it_starts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut monitor = Monitor::of_process("--out m.json", Some(&format!("port {}", address.port())));
    monitor.shows(1);
    let _listener = std::net::TcpListener::bind(address).unwrap();
    while monitor.line().trim_end().ends_with('–') {}
    monitor.signal(Signal::INT);
    let (code, _, stderr) = monitor.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("each reading searches for it again"), "{stderr}");
    assert_eq!(stderr.matches("no process listens").count(), 1, "{stderr}");
    let readings = monitor.readings();
    assert!(readings[0]["process"].as_object().unwrap().values().all(Value::is_null), "{readings:?}");
    assert!(readings[0]["events"][0].as_str().unwrap().contains("no process listens"), "{readings:?}");
    let came = readings.iter().find(|reading| !reading["process"]["threads"].is_null()).unwrap();
    assert!(came["events"][0].as_str().unwrap().ends_with("was started"), "{came:#}");
    assert!(came["cpu_percent"].is_number() && came["process"]["cpu_percent"].is_null(), "{came:#}");
}

#[test]
fn an_interruption_before_the_first_reading_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command("--every 60s --quiet --out m.json --listen 127.0.0.1:0", folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("serving http://127.0.0.1:"), "{line}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("no reading was made"), "{stdout}");
    assert_eq!(std::fs::read_to_string(folder.path().join("m.json")).unwrap(), "[\n]\n");
}

#[test]
fn a_quiet_timed_monitor_shows_only_its_summary() {
    let mut monitor = Monitor::start("--for 2s --quiet --out m.json");
    let (code, stdout, stderr) = monitor.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("duration "), "{stdout}");
    assert_eq!(monitor.readings().len(), 2);
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.json"), "mine").unwrap();
    let (code, stderr) = refused("--out m.json", folder.path());
    assert_eq!(code, Some(2));
    assert!(stderr.contains("not overwritten") && stderr.contains("remove it"), "{stderr}");
    assert_eq!(std::fs::read_to_string(folder.path().join("m.json")).unwrap(), "mine");
}

#[test]
fn invalid_arguments_are_refused_with_a_next_step() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--out m.json --listen {}", taken.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        ("--every 500ms", "between 1s and 60s"),
        ("--every 2m", "between 1s and 60s"),
        ("--every 10", "no unit"),
        ("--for 5s", "use a longer `--for`"),
        ("--process port8008", "port 8008"),
        ("--listen 9101", "--listen"),
        ("--out no/such/folder.json", "no/such/folder.json"),
        (&taken, "is already in use; choose another port for `--listen`"),
    ] {
        let (code, stderr) = refused(arguments, folder.path());
        assert_eq!(code, Some(2), "{arguments}: {stderr}");
        assert!(stderr.contains(part), "{arguments}: {stderr}");
    }
    assert!(!folder.path().join("m.json").exists(), "a refused monitor left a file");
}

#[test]
fn a_full_disk_is_an_error_that_keeps_earlier_readings() {
    let folder = tempfile::tempdir().unwrap();
    // A limit on the file size simulates a full disk.
    let monitor = "trap '' XFSZ; ulimit -f 2; exec \"$0\" monitor --every 1s --out m.json";
    let mut command = Command::new("sh");
    command.args(["-c", monitor, env!("CARGO_BIN_EXE_runner")]).current_dir(folder.path());
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("could not write the readings to `m.json`: File too large"), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("duration "), "{stdout}");
    let kept = readings(&folder.path().join("m.json"));
    assert!(!kept.is_empty() && kept.iter().all(|reading| reading["cpu_percent"].is_number()), "{kept:?}");
}

#[test]
fn a_disk_full_at_the_start_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let monitor = "trap '' XFSZ; ulimit -f 0; exec \"$0\" monitor --every 1s --out m.json";
    let mut command = Command::new("sh");
    command.args(["-c", monitor, env!("CARGO_BIN_EXE_runner")]).current_dir(folder.path());
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("could not write the readings to `m.json`: File too large"), "{stderr}");
    assert!(!folder.path().join("m.json").exists());
}

#[test]
fn a_file_removed_during_the_run_is_an_error() {
    let mut monitor = Monitor::start("--out m.json");
    monitor.shows(1);
    std::fs::remove_file(monitor.path("m.json")).unwrap();
    let (code, stdout, stderr) = monitor.end();
    assert_eq!(code, Some(74), "{stderr}");
    assert!(stderr.contains("`m.json`: the file was removed"), "{stderr}");
    assert!(stdout.contains("duration "), "{stdout}");
}

#[test]
fn a_summary_that_cannot_be_written_is_an_error() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let quiet = "--quiet --every 1s --for 1s";
    let output = command(quiet, folder.path()).stdout(full()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("could not write the summary to standard output: "), "{stderr}");
    let kept = command(&format!("{quiet} --out m.json"), folder.path()).stdout(full()).output().unwrap();
    assert_eq!(kept.status.code(), Some(0), "the readings are in the file");
    assert_eq!(readings(&folder.path().join("m.json")).len(), 1);
}

#[test]
fn the_monitor_ends_when_its_output_is_closed() {
    let mut command = command("--every 1s", Path::new("."));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("Broken pipe"), "{stderr}");
}

/// Sends a request without a body; returns the head and the body of the response.
fn ask(address: &str, request: &str) -> (String, String) {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// A monitor that serves metrics, and its address.
fn serving() -> (Monitor, String) {
    let mut monitor = Monitor::start("--listen 127.0.0.1:0 --quiet");
    let mut line = String::new();
    BufReader::new(monitor.child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("serving http://").unwrap();
    let address = url.strip_suffix("/metrics").unwrap().to_owned();
    (monitor, address)
}

#[test]
fn the_metrics_page_is_valid_for_prometheus() {
    let (_monitor, address) = serving();
    let (head, page) = ask(&address, "GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let mut declared = Vec::new();
    for line in page.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["#", "HELP", name, _, ..] => declared.push(name),
            ["#", "TYPE", name, kind] => {
                assert_eq!(declared.last(), Some(&name));
                assert!(["counter", "gauge"].contains(&kind), "{line}");
            }
            [sample, .., value] => {
                let name = sample.split('{').next().unwrap();
                assert_eq!(declared.last(), Some(&name), "{line}");
                let value: f64 = value.parse().unwrap();
                assert!(name != "node_time_seconds" || (value - now).abs() < 60.0, "{line}");
            }
            _ => panic!("{line}"),
        }
    }
    let all: std::collections::BTreeSet<_> = declared.iter().collect();
    assert!(declared.len() == all.len() && all.contains(&"node_cpu_seconds_total"), "{declared:?}");
    assert_eq!(ask(&address, "HEAD /metrics").1, "");
    let (head, body) = ask(&address, "GET /");
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("/metrics"), "{head}\n{body}");
    for request in ["GET /metric", "POST /metrics"] {
        assert!(ask(&address, request).0.starts_with("HTTP/1.1 404"), "{request}");
    }
}

#[test]
fn a_run_judges_by_the_metrics_of_a_monitor() {
    let (mut monitor, address) = serving();
    let target = Target::fast();
    let plan = format!(
        r#"
        [monitor]
        every = "1s"
        hosts = {{ target = "http://{address}/metrics" }}
        [[phases]]
        name = "a"
        duration = "8s"
        users = 2
        mix = {{ any = 1 }}
        [users.any]
        wait = "100ms"
        [[users.any.tasks]]
        operation = "get"
        request = "GET /"
    "#
    );
    let limit = |metric: &str| {
        format!(
            "[[resource]]\nname = \"{metric}\"\nmetric = \"{metric}\"\nstatistic = \"mean\"\nmaximum = \"100%\"\n"
        )
    };
    let run = Runner::plan(&plan).against(&target).objectives(&(limit("cpu") + &limit("memory")));
    let run = run.start().end().exits(0);
    for metric in ["cpu", "memory"] {
        let objective = run.objective(metric);
        assert_eq!(objective["verdict"], "met", "{objective:#}");
    }
    monitor.signal(Signal::TERM);
    let code = monitor.child.wait().unwrap().code();
    assert_eq!(code, Some(0));
}
