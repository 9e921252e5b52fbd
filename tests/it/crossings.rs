//! Requests that cross the end of an idle connection. Its idle time is real, because only the kernel has the evidence.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use runner_test_support::phases::closed;
use runner_test_support::ran::{count, named};

use crate::support::runner::Runner;

/// A server that answers the first request of each connection. Before it reads the second it ends its own stream, and then
/// discards what it reads, as Apache does with an idle connection.
fn lingering() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = |mut stream: TcpStream| {
        let mut request = [0; 1024];
        assert!(stream.read(&mut request)? > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        stream.peek(&mut request)?;
        stream.shutdown(Shutdown::Write)?;
        while stream.read(&mut request)? > 0 {}
        std::io::Result::Ok(())
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    url
}

#[test]
fn what_a_closing_target_discards_is_sent_again_if_it_may_be_repeated() {
    let class = |name: &str, method: &str, wait: &str| {
        format!(
            "[users.{name}]\nwait = \"{wait}\"\n[[users.{name}.tasks]]\noperation = \"{name}\"\nrequest = \"{method} /\"\n"
        )
    };
    let plan = closed(6, "4s").replace("{ any = 1 }", "{ idle = 1, post = 1, soon = 1 }")
        + &class("idle", "GET", "1050ms")
        + &class("post", "POST", "1050ms")
        + &class("soon", "GET", "300ms");
    let run = Runner::plan(&plan).at(&lingering()).run().exits(0);
    let phase = run.phase("a");
    let errors = |name: &str| {
        let operation = named(&phase["operations"], name);
        (count(&operation["requests"]), count(&operation["errors"]))
    };
    // A repeated request is the first of its connection, so the next one crosses its end again.
    let (requests, failed) = errors("idle");
    assert!(requests >= 6 && failed == 0, "{phase:#}");
    let again = ["reconnected", "reconnected_unclear"].map(|key| count(&phase["connections"][key]));
    assert_eq!(again.iter().sum::<usize>(), requests - 2, "{phase:#}");
    // A POST, and a GET that follows at once, may have been processed.
    for name in ["post", "soon"] {
        let (requests, failed) = errors(name);
        // Of each of the two users, every second request.
        assert!(2 * failed <= requests && requests <= 2 * failed + 2, "{name}: {phase:#}");
    }
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
