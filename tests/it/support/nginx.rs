//! nginx as the target, with its own folder and port.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use runner_test_support::target::closed_port;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::certificates::Identity;

/// Attempts to start: another process may take the free port before nginx listens on it.
const ATTEMPTS: usize = 10;

/// A running nginx; stopped when dropped.
pub(crate) struct Nginx {
    folder: TempDir,
    child: Child,
    port: u16,
}

/// A line of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// Method and path: `GET /`.
    pub(crate) what: String,
    pub(crate) status: u16,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub(crate) http: String,
    /// `TLSv1.3`, or `-` without TLS.
    pub(crate) tls: String,
    /// The server name (SNI) of the handshake, or `-`.
    pub(crate) server_name: String,
    /// `SUCCESS` if the client sent a valid certificate, `NONE` if it sent none.
    pub(crate) client: String,
    /// The serial number of the connection.
    pub(crate) connection: String,
}

impl Nginx {
    /// Serves without TLS; `listen` holds further parameters of the `listen` directive.
    pub(crate) fn plain(listen: &str) -> Self {
        Self::start(listen, "", &[])
    }

    /// Serves over TLS with this identity; `listen` holds further parameters of the `listen` directive, and `more`
    /// further directives of the `server` block. Files are written as `NAME.pem`.
    pub(crate) fn tls(identity: &Identity, listen: &str, more: &str, files: &[(&str, &str)]) -> Self {
        let own = [("own", identity.certificate.as_str()), ("key", identity.key.as_str())];
        let directives = format!("ssl_certificate own.pem; ssl_certificate_key key.pem; {more}");
        Self::start(&format!("ssl {listen}"), &directives, &[&own, files].concat())
    }

    fn start(listen: &str, directives: &str, files: &[(&str, &str)]) -> Self {
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().expect("a folder can be made");
            for (name, pem) in files {
                std::fs::write(folder.path().join(format!("{name}.pem")), pem).expect("the folder is ours");
            }
            let port = closed_port();
            let text = configuration(&format!("127.0.0.1:{port} {listen}"), directives);
            std::fs::write(folder.path().join("nginx.conf"), text).expect("the folder is ours");
            let mut child = spawn(folder.path());
            match listening(&mut child) {
                Ok(()) => return Self { folder, child, port },
                Err(why) => said = why,
            }
            child.wait().expect("it is our child");
            assert!(said.contains("Address already in use"), "nginx did not start:\n{said}");
        }
        panic!("no port was free in {ATTEMPTS} attempts:\n{said}");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops nginx, which completes the access log, and returns the log.
    pub(crate) fn log(mut self) -> Vec<Access> {
        self.stop();
        let text = std::fs::read_to_string(self.folder.path().join("access.log")).expect("it was opened");
        text.lines().map(access).collect()
    }

    fn stop(&mut self) {
        // SIGQUIT: requests in flight are answered and logged first.
        let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        // nginx looks for the signal after an event: one that comes before its first wait is not seen until then.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.child.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}

/// Configures one process that logs errors to stderr and writes only below its own folder.
fn configuration(listen: &str, directives: &str) -> String {
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders = folders.map(|name| format!("{name}_temp_path temp;\n")).concat();
    format!(
        "daemon off;\n\
         master_process off;\n\
         pid nginx.pid;\n\
         error_log stderr notice;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         {folders}\
         log_format wire '$request_method $uri $status $server_protocol $ssl_protocol $ssl_server_name \
         $ssl_client_verify $connection';\n\
         access_log access.log wire;\n\
         keepalive_requests 1000000;\n\
         ssl_protocols TLSv1.2 TLSv1.3;\n\
         server {{ listen {listen}; {directives} location / {{ return 200 'ok'; }} }}\n\
         }}\n"
    )
}

fn spawn(folder: &Path) -> Child {
    // The system's `sbin` folders are not in the `PATH` of every user.
    let path = format!("{}:/usr/local/sbin:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    Command::new("nginx")
        .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
        .arg(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nginx is installed by tests/install-peers")
}

/// Waits until nginx listens, which it does before its first notice. If it ends earlier, returns its stderr.
fn listening(child: &mut Child) -> Result<(), String> {
    let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut said = String::new();
    while stderr.read_line(&mut said).is_ok_and(|read| read > 0) {
        if said.contains("[notice]") {
            // Later output is discarded, so that it cannot fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut stderr.by_ref(), &mut std::io::sink()));
            return Ok(());
        }
    }
    Err(said)
}

fn access(line: &str) -> Access {
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, path, status, http, tls, server_name, client, connection] = parts[..] else {
        panic!("not a line of the log: {line}")
    };
    let [http, tls, server_name, client, connection] =
        [http, tls, server_name, client, connection].map(str::to_owned);
    let status = status.parse().expect("a status is a number");
    Access { what: format!("{method} {path}"), status, http, tls, server_name, client, connection }
}
