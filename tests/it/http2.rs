//! HTTP/2 responses that end in unusual ways, from a server that is scripted frame by frame.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use runner_test_support::phases::open;
use runner_test_support::ran::{count, failed_as};

use crate::support::runner::Runner;

/// The reaction to a request.
type Script = fn(&mut SendResponse<Bytes>);

/// A server that answers every request by a script. It ends with the process of the test.
fn server(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.ok()?;
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        script(&mut respond);
                    }
                    Some(())
                });
            }
        });
    });
    address
}

/// Resets a stream after what was sent on it has left.
fn reset_later(mut body: SendStream<Bytes>, reason: Reason) {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        body.send_reset(reason);
    });
}

/// The head of a 200, with the length of the body if it is announced.
fn head(length: Option<usize>) -> http::Response<()> {
    let response = http::Response::builder();
    let response = length.into_iter().fold(response, |head, length| head.header("content-length", length));
    response.body(()).unwrap()
}

/// The numbers of requests that succeeded and that failed as `eof`, of ten.
fn ten_requests(script: Script) -> (usize, usize) {
    let task = "[[users.any.tasks]]\nrequest = \"GET /\"\n";
    let url = format!("http://{}", server(script));
    let run = Runner::plan(&(open(2, "1s", "10/s") + task)).at(&url).target("http = \"2\"").run().exits(0);
    let phase = run.phase("a");
    assert_eq!(count(&phase["requests"]), 10, "{phase:#}");
    (10 - count(&phase["errors"]), failed_as(&phase, "eof"))
}

#[test]
fn a_stream_that_is_reset_before_its_end_is_no_success() {
    let announced: Script = |respond| {
        let mut body = respond.send_response(head(Some(100)), false).unwrap();
        body.send_data("half".into(), false).unwrap();
        reset_later(body, Reason::NO_ERROR);
    };
    let unannounced: Script = |respond| {
        let mut body = respond.send_response(head(None), false).unwrap();
        body.send_data("half".into(), false).unwrap();
        reset_later(body, Reason::NO_ERROR);
    };
    let cancelled: Script = |respond| {
        let mut body = respond.send_response(head(None), false).unwrap();
        body.send_data("half".into(), false).unwrap();
        reset_later(body, Reason::CANCEL);
    };
    assert_eq!((ten_requests(announced), ten_requests(unannounced)), ((0, 10), (0, 10)));
    let (succeeded, _) = ten_requests(cancelled);
    assert_eq!(succeeded, 0);
}

#[test]
fn a_whole_response_is_a_success_with_and_without_a_length_or_a_body() {
    let whole: [Script; 3] = [
        |respond| {
            let mut body = respond.send_response(head(Some(4)), false).unwrap();
            body.send_data("full".into(), true).unwrap();
        },
        |respond| {
            let mut body = respond.send_response(head(None), false).unwrap();
            body.send_data("full".into(), false).unwrap();
            body.send_trailers(http::HeaderMap::new()).unwrap();
        },
        |respond| drop(respond.send_response(head(None), true).unwrap()),
    ];
    for script in whole {
        assert_eq!(ten_requests(script), (10, 0));
    }
}
