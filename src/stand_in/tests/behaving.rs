//! Facts about the scripted delays and faults of the stand-in.

use std::time::{Duration, Instant};

use hyper::header::CONNECTION;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Behaviour, Client, NONE, Seen, StandIn, ms, query, request, start};

const LONGER_THAN_ANY_TEST: Duration = Duration::from_secs(600);

#[tokio::test]
async fn requests_are_counted_by_method_and_path() {
    let target = start(Behaviour::steady());
    let mut client = Client::of(&target).await;
    client.search(query("outage")).await;
    client.ask("GET /search?q=outage", NONE).await;
    client.ask("GET /search?q=crash", NONE).await;
    client.ask("GET /nothing", NONE).await;
    assert_eq!(target.received(), 4);
    assert_eq!(target.received_of("GET /search"), 2);
    assert_eq!(target.received_of("POST /search"), 1);
    assert_eq!(target.received_of("GET /health"), 0);
}

#[tokio::test]
async fn a_delay_is_waited_for_by_each_answer_and_held_by_none() {
    let target = start(Behaviour::steady().delay(ms(50)));
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    let sent = Instant::now();
    tokio::join!(one.ask("GET /health", NONE), other.ask("GET /health", NONE));
    let took = sent.elapsed();
    assert!(took >= ms(50), "{took:?}");
}

#[tokio::test]
async fn a_freeze_holds_every_connection() {
    let target = start(Behaviour::steady().stall(ms(300), ms(250)));
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    let begin = Instant::now();
    let mut longest = [Duration::ZERO; 2];
    while longest.iter().any(|longest| *longest < ms(200)) {
        assert!(begin.elapsed() < Duration::from_secs(20), "never froze both: {longest:?}");
        let timed = async |client: &mut Client| {
            let sent = Instant::now();
            client.ask("GET /health", NONE).await;
            sent.elapsed()
        };
        let took = tokio::join!(timed(&mut one), timed(&mut other));
        longest = [longest[0].max(took.0), longest[1].max(took.1)];
    }
}

#[tokio::test]
async fn the_detailed_health_check_holds_up_everyone_else() {
    let target = start(Behaviour::steady().blocking_health(ms(300)));
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    let sent = Instant::now();
    let check = tokio::spawn(async move { one.ask("GET /health/detailed", NONE).await });
    while target.received_of("GET /health/detailed") == 0 {
        tokio::time::sleep(ms(1)).await;
    }
    other.ask("GET /health", NONE).await;
    let took = sent.elapsed();
    assert!(took >= ms(300), "{took:?}");
    assert_eq!(check.await.unwrap().status, 200);
}

#[tokio::test]
async fn about_the_scripted_share_of_answers_are_errors() {
    let target = start(Behaviour::steady().error_share(0.2).seed(3));
    let mut client = Client::of(&target).await;
    let mut errors = 0;
    for _ in 0..1000 {
        let answer = client.ask("GET /health", NONE).await;
        match answer.status {
            500 => {
                assert_eq!(answer.body, json!({ "detail": "Internal server error" }));
                errors += 1;
            }
            status => assert_eq!(status, 200),
        }
    }
    assert!((150..250).contains(&errors), "{errors} of 1000");
}

#[tokio::test]
async fn about_the_scripted_share_of_answers_close_their_connection() {
    let target = start(Behaviour::steady().close_share(0.3));
    let mut closed = 0;
    let mut client = Client::of(&target).await;
    for _ in 0..200 {
        let answer = client.ask("GET /health", NONE).await;
        if answer.headers.get(CONNECTION).is_some_and(|value| value == "close") {
            assert!(client.try_send(request("GET /health", String::new())).await.is_err());
            client = Client::of(&target).await;
            closed += 1;
        }
    }
    assert!((35..85).contains(&closed), "{closed} of 200");
}

#[tokio::test]
async fn a_slow_start_refuses_everything_and_then_nothing() {
    let target = start(Behaviour::steady().slow_start(ms(1500)));
    let mut client = Client::of(&target).await;
    for line in ["GET /health", "GET /stats", "GET /nothing"] {
        assert_eq!(client.ask(line, NONE).await.status, 503, "{line}");
    }
    client.ask_until("GET /health", NONE, |answer| answer.status == 200).await;
}

#[tokio::test]
async fn an_absent_index_refuses_searches_and_says_so() {
    let target = start(Behaviour::steady().index_absent(ms(1500)));
    let mut client = Client::of(&target).await;
    assert_eq!(client.search(query("outage")).await.status, 503);
    assert_eq!(client.search(json!({})).await.status, 422);
    let health = client.ask("GET /health", NONE).await;
    assert_eq!((health.status, &health.body["vector_db_ready"]), (200, &json!(false)));
    client.ask_until("POST /search", query("outage"), |answer| answer.status == 200).await;
    assert_eq!(client.ask("GET /health", NONE).await.body["vector_db_ready"], true);
}

#[tokio::test]
async fn syncs_asked_for_while_one_runs_are_that_one() {
    let target = start(Behaviour::steady().sync_lasting(LONGER_THAN_ANY_TEST));
    let mut client = Client::of(&target).await;
    for _ in 0..3 {
        assert_eq!(client.ask("POST /sync/manual", NONE).await.body["status"], "triggered");
    }
    let stats = client.ask("GET /sync/status", NONE).await.body["stats"].clone();
    assert_eq!((&stats["total_syncs"], &stats["sync_running"]), (&json!(1), &json!(true)));
    assert_eq!(client.ask("GET /scheduler/jobs", NONE).await.body[0]["status"], "running");
}

#[tokio::test]
async fn a_sync_ends_and_another_can_follow() {
    let target = start(Behaviour::steady().sync_lasting(ms(20)));
    let mut client = Client::of(&target).await;
    for syncs in 1..=2 {
        client.ask("POST /sync/manual", NONE).await;
        let over = |answer: &Seen| answer.body["stats"]["sync_running"] == false;
        client.ask_until("GET /sync/status", NONE, over).await;
        let status = client.ask("GET /sync/status", NONE).await;
        assert_eq!(status.body["stats"]["total_syncs"], syncs);
    }
}

#[tokio::test]
async fn a_running_sync_doubles_the_time_of_a_search() {
    let target = start(Behaviour::steady().delay(ms(40)).sync_lasting(LONGER_THAN_ANY_TEST));
    let mut client = Client::of(&target).await;
    client.ask("POST /sync/manual", NONE).await;
    let sent = Instant::now();
    client.search(query("outage")).await;
    let took = sent.elapsed();
    assert!(took >= ms(80), "{took:?}");
}

#[tokio::test]
async fn a_leak_grows_with_every_request() {
    let target = start(Behaviour::steady().leak(1 << 18));
    let mut client = Client::of(&target).await;
    let memory = async |client: &mut Client| {
        client.ask("GET /stats", NONE).await.body["memory_usage_mb"].as_f64().unwrap()
    };
    let before = memory(&mut client).await;
    for _ in 0..15 {
        client.ask("GET /nothing", NONE).await;
    }
    let grown = memory(&mut client).await - before;
    assert!((grown - 4.0).abs() < 1e-6, "{grown} MiB in 16 requests");
}

#[tokio::test]
async fn burning_a_core_leaves_the_service_answering() {
    let target = start(Behaviour::steady().burn_cpu(0.5));
    assert_eq!(Client::of(&target).await.search(query("outage")).await.status, 200);
}

#[tokio::test]
async fn stopping_closes_every_connection_and_the_port_even_in_a_freeze() {
    let target = start(Behaviour::steady().blocking_health(LONGER_THAN_ANY_TEST));
    let address = target.address();
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    other.ask("GET /health", NONE).await;
    let check = tokio::spawn(async move {
        one.try_send(request("GET /health/detailed", String::new())).await.map(|answer| answer.status)
    });
    while target.received_of("GET /health/detailed") == 0 {
        tokio::time::sleep(ms(1)).await;
    }
    tokio::task::spawn_blocking(move || target.stop()).await.unwrap();
    assert!(other.try_send(request("GET /health", String::new())).await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
    // Whether the blocked request still gets its response is a race, and both results are correct.
    let _ = check.await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let target = start(Behaviour::steady());
    let error = StandIn::start(target.address().port(), Behaviour::steady()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn with_real_times_a_sync_status_holds_everyone_and_what_was_asked_is_done() {
    let target = start(Behaviour::steady().real_times(true));
    let (mut one, mut other) = (Client::of(&target).await, Client::of(&target).await);
    let sent = Instant::now();
    let login = tokio::spawn(async move { one.ask("GET /sync/status", NONE).await });
    while target.received_of("GET /sync/status") == 0 {
        tokio::time::sleep(ms(1)).await;
    }
    other.ask("GET /health", NONE).await;
    assert!(sent.elapsed() >= ms(473 + 6), "{:?}", sent.elapsed());
    assert_eq!(login.await.unwrap().status, 200);
    // A client that leaves at once: its request is done all the same.
    let mut gone = TcpStream::connect(target.address()).await.unwrap();
    gone.write_all(b"GET /stats HTTP/1.1\r\nhost: stand-in\r\n\r\n").await.unwrap();
    drop(gone);
    while target.received_of("GET /stats") == 0 {
        tokio::time::sleep(ms(1)).await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let target = start(Behaviour::steady().idle_timeout(Some(ms(100))));
    let mut client = Client::of(&target).await;
    client.ask("GET /health", NONE).await;
    let mut idle = TcpStream::connect(target.address()).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: stand-in\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    idle.read_to_end(&mut all).await.unwrap();
    let text = String::from_utf8(all).unwrap();
    assert_eq!(text.matches("HTTP/1.1").count(), 1, "only the answer to the request: {text}");
    assert!(client.try_send(request("GET /health", String::new())).await.is_err());
}

#[tokio::test]
async fn a_sync_that_fails_in_the_background_was_answered_with_200() {
    let target =
        start(Behaviour::steady().failing_syncs(1.0).sync_lasting(Duration::ZERO).exit_after_syncs(Some(2)));
    let mut client = Client::of(&target).await;
    assert_eq!(client.ask("POST /sync/manual", NONE).await.status, 200);
    let jobs = client.ask("GET /scheduler/jobs", NONE).await.body;
    assert_eq!((&jobs[0]["status"], &jobs[0]["last_success"]), (&json!("error"), &NONE));
    client.ask("POST /sync/manual", NONE).await;
    target.exit_requested().await;
}
