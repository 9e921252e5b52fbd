//! node_exporter and Prometheus as processes, each with its own folder and port.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runner::monitor::Probe;
use runner::resources::metric::Metric;
use runner::resources::source::{HttpEndpoint, MetricQuery, Source};
use runner_test_support::ran::Ran;
use tempfile::TempDir;

use crate::support::certificates::Identity;

/// Longer than Prometheus takes to start and to scrape for the first time.
const BOUND: Duration = Duration::from_secs(60);
/// Attempts for a run whose generator checks fail.
const ATTEMPTS: usize = 3;

/// A running program that prints its address; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    /// Such as `127.0.0.1:9100`.
    pub(crate) address: String,
    _folder: TempDir,
}

impl Peer {
    /// A node_exporter with these arguments.
    pub(crate) fn node_exporter(arguments: &[&str]) -> Self {
        Self::node_exporter_at("127.0.0.1:0", arguments)
    }

    /// A node_exporter at this address.
    pub(crate) fn node_exporter_at(address: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address={address}")).args(arguments);
        Self::start(command, folder)
    }

    /// A node_exporter that serves over TLS with this identity.
    pub(crate) fn secure_node_exporter(identity: &Identity) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let web = "tls_server_config: { cert_file: server.pem, key_file: server.key }\n";
        for (name, text) in
            [("server.pem", &*identity.certificate), ("server.key", &*identity.key), ("web.yml", web)]
        {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let mut command = Command::new("prometheus-node-exporter");
        command.args(["--web.listen-address=127.0.0.1:0", "--web.config.file=web.yml"]);
        Self::start(command, folder)
    }

    /// A Prometheus that scrapes an exporter and itself once a second.
    pub(crate) fn prometheus(exporter: &Peer) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let own = closed_address();
        let configuration = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs:\n\
             - {{ job_name: node, static_configs: [{{ targets: ['{}'] }}] }}\n\
             - {{ job_name: itself, static_configs: [{{ targets: ['{own}'] }}] }}\n",
            exporter.address
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration).expect("the folder is ours");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={own}"));
        Self::start(command, folder)
    }

    fn start(mut command: Command, folder: TempDir) -> Self {
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it is installed by tests/install-peers");
        let stderr = child.stderr.take().expect("it is piped");
        let address = listening(stderr).unwrap_or_else(|said| panic!("{command:?} did not start:\n{said}"));
        Self { child, address, _folder: folder }
    }

    /// The URL of the metrics of a node_exporter.
    pub(crate) fn metrics(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// The URL of a Prometheus.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills the process and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().expect("it is our child");
    }

    /// Waits until this Prometheus returns one number for the query.
    pub(crate) fn wait_until_it_gives(&self, query: &str) {
        let source = Source::Prometheus(
            endpoint(&self.url()),
            vec![MetricQuery { metric: Metric::Cpu, text: query.to_owned(), unit: None }],
        );
        let mut probe = Probe::open(&source).expect("it is a URL");
        let begin = Instant::now();
        loop {
            let snapshot = wait_for(probe.snapshot(Duration::from_secs(5)));
            let why = match snapshot {
                Ok(snapshot) if snapshot.gauges.contains_key(&Metric::Cpu) => return,
                Ok(snapshot) => snapshot.missing[&Metric::Cpu].clone(),
                Err(why) => why,
            };
            assert!(begin.elapsed() < BOUND, "`{query}`: {why}");
            // Prometheus does not report that it has scraped, so the query is repeated.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An endpoint without headers.
pub(crate) fn endpoint(url: &str) -> HttpEndpoint {
    HttpEndpoint { url: url.to_owned(), redacted: url.to_owned(), headers: http::HeaderMap::new() }
}

/// Runs a future to its end on this thread.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

/// Repeats a run while it ends with exit code 4, up to `ATTEMPTS` times: other load on this machine can make a
/// generator check fail, and that is not under test here.
pub(crate) fn believed(run: impl Fn() -> Ran) -> Ran {
    let mut ran = run();
    for _ in 1..ATTEMPTS {
        if ran.code != 4 {
            break;
        }
        say(&format!("the machine was too busy, once more:\n{}", ran.stdout));
        ran = run();
    }
    ran
}

/// Prints to stderr, which is shown if the test fails and with `--no-capture`.
#[expect(clippy::print_stderr, reason = "measurements are for people")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

fn closed_address() -> String {
    format!("127.0.0.1:{}", runner_test_support::target::closed_port())
}

/// The address that the program prints. If it ends earlier, the error is its stderr.
fn listening(stderr: impl Read + Send + 'static) -> Result<String, String> {
    let mut stderr = BufReader::new(stderr);
    let mut said = String::new();
    let mut line = String::new();
    while stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
        let address =
            line.split("msg=\"Listening on\"").nth(1).and_then(|rest| rest.split("address=").nth(1));
        if let Some(address) = address {
            let address = address.trim().to_owned();
            // Later output is discarded, so that it cannot fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
            return Ok(address);
        }
        said.push_str(&line);
        line.clear();
    }
    Err(said)
}
