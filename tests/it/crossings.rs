//! Requests that cross the end of an idle connection. Its idle time is real, because only the kernel has the evidence.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use runner_test_support::phases::closed;
use runner_test_support::ran::{count, named};
use serde_json::Value;

use crate::support::runner::Runner;

/// A server that answers the first request of each connection, and then ends the connection in this way, which may depend on
/// the request.
fn ending(end: impl Fn(&[u8], &mut TcpStream) -> std::io::Result<()> + Send + Copy + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move |mut stream: TcpStream| {
        let mut request = [0; 1024];
        let read = stream.read(&mut request)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        end(&request[..read], &mut stream)
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    url
}

/// Ends the stream before it reads the next request, and then discards what it reads, as Apache does with an idle connection.
fn linger(_: &[u8], stream: &mut TcpStream) -> std::io::Result<()> {
    let mut request = [0; 1024];
    stream.peek(&mut request)?;
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut request)? > 0 {}
    Ok(())
}

/// The same, but a connection with `/closed` ends when it has been idle for a second.
fn linger_or_close(request: &[u8], stream: &mut TcpStream) -> std::io::Result<()> {
    if request.starts_with(b"GET /closed") {
        std::thread::sleep(Duration::from_secs(1));
        return Ok(());
    }
    linger(request, stream)
}

/// Says that the connection has been idle for too long before it reads the next request.
fn time_out(_: &[u8], stream: &mut TcpStream) -> std::io::Result<()> {
    let mut request = [0; 1024];
    stream.peek(&mut request)?;
    stream.write_all(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
    while stream.read(&mut request)? > 0 {}
    Ok(())
}

/// A phase of two users for each of these classes, which wait this long.
fn classes(classes: &[(&str, &str, &str)]) -> String {
    let mix: Vec<String> = classes.iter().map(|(name, ..)| format!("{name} = 1")).collect();
    let users = u32::try_from(2 * classes.len()).unwrap();
    let phase = closed(users, "4s").replace("{ any = 1 }", &format!("{{ {} }}", mix.join(", ")));
    let class = |(name, request, wait): &(&str, &str, &str)| {
        format!(
            "[users.{name}]\nwait = \"{wait}\"\n[[users.{name}.tasks]]\noperation = \"{name}\"\nrequest = \"{request}\"\n"
        )
    };
    phase + &classes.iter().map(class).collect::<String>()
}

/// The requests and the errors of an operation.
fn counts(phase: &Value, operation: &str) -> (usize, usize) {
    let operation = named(&phase["operations"], operation);
    (count(&operation["requests"]), count(&operation["errors"]))
}

/// Asserts that of each of two users every second request failed.
#[track_caller]
fn assert_every_second_failed(phase: &Value, operation: &str) {
    let (requests, failed) = counts(phase, operation);
    assert!(2 * failed <= requests && requests <= 2 * failed + 2, "{operation}: {phase:#}");
}

const IDLE: (&str, &str, &str) = ("idle", "GET /", "1050ms");
const POST: (&str, &str, &str) = ("post", "POST /", "1050ms");
const SOON: (&str, &str, &str) = ("soon", "GET /", "300ms");

#[test]
fn what_a_closing_target_discards_is_sent_again_if_it_may_be_repeated() {
    let plan = classes(&[IDLE, POST, SOON, ("closed", "GET /closed", "1050ms")]);
    let run = Runner::plan(&plan).at(&ending(linger_or_close)).run().exits(0);
    let phase = run.phase("a");
    // A repeated request is the first of its connection, so the next one crosses its end again.
    let (requests, failed) = counts(&phase, "idle");
    assert!(requests >= 6 && failed == 0, "{phase:#}");
    let again = ["reconnected", "reconnected_unclear"].map(|key| count(&phase["connections"][key]));
    assert!(again.iter().sum::<usize>() >= requests - 2, "{phase:#}");
    // A POST, and a GET that follows at once, may have been processed.
    assert_every_second_failed(&phase, "post");
    assert_every_second_failed(&phase, "soon");
}

#[test]
fn a_target_that_is_not_known_to_end_idle_connections_has_lost_the_request() {
    let run = Runner::plan(&classes(&[IDLE])).at(&ending(linger)).run().exits(0);
    let phase = run.phase("a");
    let again = ["reconnected", "reconnected_unclear"].map(|key| count(&phase["connections"][key]));
    assert_eq!(again.iter().sum::<usize>(), 0, "{phase:#}");
    assert_every_second_failed(&phase, "idle");
}

#[test]
fn a_408_for_an_idle_connection_is_no_answer_to_the_request_that_crossed_it() {
    let run = Runner::plan(&classes(&[IDLE, POST, SOON])).at(&ending(time_out)).run().exits(0);
    let phase = run.phase("a");
    let (requests, failed) = counts(&phase, "idle");
    assert!(requests >= 6 && failed == 0, "{phase:#}");
    assert_eq!(count(&phase["connections"]["reconnected_unclear"]), requests - 2, "{phase:#}");
    assert_every_second_failed(&phase, "post");
    assert_every_second_failed(&phase, "soon");
}

/// A server that closes each connection when it has been idle for this long, to the millisecond.
fn closing_after(idle: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                stream.set_nodelay(true).ok()?;
                stream.set_read_timeout(Some(idle)).ok()?;
                let mut request = [0; 1024];
                while stream.read(&mut request).ok()? > 0 {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
                }
                Some(())
            });
        }
    });
    url
}

#[test]
fn a_target_that_closes_connections_as_they_are_needed_fails_no_request() {
    // A GET after at least a second: a request that lay unread in the closed socket is reset, and sent again too.
    let plan = closed(30, "5s")
        + "[users.any]\nwait = [\"1080ms\", \"1120ms\"]\n[[users.any.tasks]]\nrequest = \"GET /\"\n";
    let run = Runner::plan(&plan).at(&closing_after(Duration::from_millis(1100))).run().exits(0);
    let phase = run.phase("a");
    let connections = &phase["connections"];
    assert_eq!(count(&phase["errors"]), 0, "{phase:#}");
    // Each request found its connection closed, or crossed its end.
    let again = count(&connections["reconnected"]) + count(&connections["reconnected_unclear"]);
    let lost = count(&connections["closed_by_target"]) + again;
    assert!(lost > 0 && count(&connections["opened"]) >= lost, "{connections:#}");
}
