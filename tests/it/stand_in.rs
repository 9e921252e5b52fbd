//! `--stand-in` starts the stand-in as a separate process, which ends with the run.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use runner_test_support::ran::{assert_adds_up, count};
use rustix::process::Signal;

use crate::support::runner::{Runner, Running};

const PLAN: &str = r#"
    [[phases]]
    name = "a"
    duration = "DURATION"
    users = 2
    mix = { any = 1 }
    [users.any]
    wait = "10ms"
    [[users.any.tasks]]
    request = "GET /health"
"#;

/// Starts a run against the stand-in; returns it and an idle connection to the stand-in.
fn start(duration: &str) -> (Running, TcpStream) {
    let mut running = Runner::plan(&PLAN.replace("DURATION", duration)).with("--stand-in").start();
    let line = running.hear("target http://127.0.0.1:");
    let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    (running, stream)
}

/// Waits until the other side has ended, and asserts that no process listens there any more.
///
/// A process that ends closes its sockets one after another. A connection that its listener still accepted is waited
/// for like the first one, and a connection that is served fails the test.
fn assert_gone(stream: TcpStream) {
    let address = stream.peer_addr().unwrap();
    assert_ended(stream);
    while let Ok(last) = TcpStream::connect(address) {
        assert_ended(last);
    }
}

fn assert_ended(mut stream: TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let read = stream.read(&mut [0]);
    assert!(matches!(&read, Ok(0)) || read.as_ref().is_err_and(is_reset), "{read:?}");
}

fn is_reset(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionReset
}

#[test]
fn the_stand_in_ends_with_the_run() {
    let (running, stream) = start("1s");
    let run = running.end().exits(0);
    assert_gone(stream);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert!(count(&phase["requests"]) > 20 && count(&phase["errors"]) == 0, "{phase:#}");
}

#[test]
fn the_stand_in_ends_with_a_killed_run() {
    let (running, stream) = start("60s");
    running.signal(Signal::KILL);
    assert_gone(stream);
    running.end();
}

#[test]
fn the_stand_in_ends_with_a_run_that_exits_at_once() {
    let (mut running, stream) = start("60s");
    running.hear("a: started, planned for 1m");
    running.signal(Signal::INT);
    running.hear("stopping");
    running.signal(Signal::INT);
    assert_gone(stream);
    running.end();
}
