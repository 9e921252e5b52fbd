//! The responder from the client's side: every request is answered and counted once, however its bytes arrive.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const BODY: &str = "{\"message\":\"welcome\"}";

struct Responder {
    process: Child,
    address: String,
}

impl Responder {
    fn start(options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_responder"));
        let mut process =
            command.args(["--port", "0"]).args(options).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ").expect("its address").to_owned();
        Self { process, address }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).expect("it accepts");
        stream.set_nodelay(true).expect("the system allows it");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("the system allows it");
        BufReader::new(stream)
    }

    fn asked(&self, path: &str) -> String {
        let mut connection = self.connect();
        send(&mut connection, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
        answer(&mut connection)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send(connection: &mut BufReader<TcpStream>, text: &str) {
    connection.get_mut().write_all(text.as_bytes()).expect("it reads");
}

/// The body of the next response.
fn answer(connection: &mut BufReader<TcpStream>) -> String {
    let mut length = 0;
    for number in 0.. {
        let mut line = String::new();
        connection.read_line(&mut line).expect("it answers");
        assert!(number > 0 || line == "HTTP/1.1 200 OK\r\n", "{line:?}");
        if let Some(digits) = line.strip_prefix("content-length: ") {
            length = digits.trim().parse().expect("a number");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).expect("it answers in full");
    String::from_utf8(body).expect("it is text")
}

#[test]
fn a_request_in_pieces_is_answered_once_it_is_whole() {
    let responder = Responder::start(&[]);
    let mut connection = responder.connect();
    for piece in ["G", "ET / HT", "TP/1.1\r\nhost: x\r", "\n\r", "\n"] {
        assert_eq!(responder.asked("/count"), "0");
        send(&mut connection, piece);
    }
    assert_eq!(answer(&mut connection), BODY);
    assert_eq!(responder.asked("/count"), "1");
}

#[test]
fn a_body_may_arrive_in_pieces_before_the_next_request() {
    let responder = Responder::start(&[]);
    let mut connection = responder.connect();
    send(&mut connection, "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123");
    // The server has one thread, so it has read a piece before it answers a later request.
    assert_eq!(responder.asked("/count"), "0");
    send(&mut connection, "45");
    assert_eq!(responder.asked("/count"), "0");
    send(&mut connection, "6789GET / HTTP/1.1\r\n\r\n");
    assert_eq!([answer(&mut connection), answer(&mut connection)], [BODY, BODY]);
    assert_eq!(responder.asked("/count"), "2");
}

#[test]
fn pipelined_requests_are_answered_even_to_a_late_reader() {
    let responder = Responder::start(&[]);
    let mut connection = responder.connect();
    let count = 40_000;
    let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(count);
    let mut writer = connection.get_ref().try_clone().expect("the system allows it");
    let sender = thread::spawn(move || writer.write_all(requests.as_bytes()));
    // The responses exceed the socket's buffers. A late reader gives no event to wait for, so this is a sleep.
    thread::sleep(Duration::from_millis(100));
    for _ in 0..count {
        assert_eq!(answer(&mut connection), BODY);
    }
    sender.join().expect("it does not panic").expect("all was sent");
    assert_eq!(responder.asked("/count"), count.to_string());
}

#[test]
fn reset_sets_the_count_to_zero_and_close_ends_the_connection() {
    let responder = Responder::start(&[]);
    let mut connection = responder.connect();
    send(&mut connection, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(answer(&mut connection), BODY);
    assert_eq!(connection.read(&mut [0]).expect("it ends well"), 0);
    assert_eq!(
        [responder.asked("/count"), responder.asked("/reset"), responder.asked("/count")],
        ["1", "0", "0"]
    );
}

#[test]
fn a_delayed_response_is_not_early() {
    let responder = Responder::start(&["--delay", "20ms"]);
    let mut connection = responder.connect();
    for _ in 0..3 {
        let sent = Instant::now();
        send(&mut connection, "GET / HTTP/1.1\r\n\r\n");
        assert_eq!(answer(&mut connection), BODY);
        assert!(sent.elapsed() >= Duration::from_millis(20), "{:?}", sent.elapsed());
    }
}
