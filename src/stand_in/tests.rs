//! The built-in target as its clients see it.

mod behaving;
mod service;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Behaviour, StandIn};

const NONE: Value = Value::Null;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn start(behaviour: Behaviour) -> StandIn {
    StandIn::start(0, behaviour).unwrap()
}

/// One kept-alive connection.
struct Client {
    sender: SendRequest<Full<Bytes>>,
}

struct Seen {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Client {
    async fn of(target: &StandIn) -> Self {
        let stream = TcpStream::connect(target.address()).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn try_send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Seen> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = serde_json::from_slice(&body).expect("every response is JSON");
        Ok(Seen { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Sends the request of a line such as `"POST /search"`, with a body unless it is null.
    async fn ask(&mut self, line: &str, body: Value) -> Seen {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.try_send(request(line, body)).await.unwrap()
    }

    async fn search(&mut self, body: Value) -> Seen {
        self.ask("POST /search", body).await
    }

    async fn case(&mut self, id: &str, token: &str) -> Seen {
        let mut request = request(&format!("GET /cases/{id}"), String::new());
        request.headers_mut().insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        self.try_send(request).await.unwrap()
    }

    /// Repeats a request until its response is as wanted; panics after 30 s.
    async fn ask_until(&mut self, line: &str, body: Value, wanted: impl Fn(&Seen) -> bool) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(30) {
            if wanted(&self.ask(line, body.clone()).await) {
                return;
            }
            tokio::time::sleep(ms(5)).await;
        }
        panic!("`{line}` had no wanted response within 30 s");
    }
}

fn request(line: &str, body: String) -> Request<Full<Bytes>> {
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(path).header("host", "stand-in");
    request.header(CONTENT_TYPE, "application/json").body(Full::from(body)).unwrap()
}

fn query(text: &str) -> Value {
    json!({ "query": text })
}
