//! A scripted target that records its requests and can misbehave: over TCP on its own thread, or in memory on the
//! caller's clock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// The longest time that a test may wait for requests.
const BOUND: Duration = Duration::from_secs(60);
/// The shortest time of a response in memory. A simulated clock advances only when no task can run, so without it users
/// without a wait would send requests at one moment for ever.
const LEAST_IN_MEMORY: Duration = Duration::from_millis(1);

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method and path: `POST /search`.
    pub what: String,
    /// The number of its connection, from 0.
    pub connection: usize,
    pub head: String,
    pub body: String,
    /// The body as bytes, for bodies that are not text.
    pub bytes: Vec<u8>,
    pub at: Instant,
    /// The time at which the last byte of the response was written; `None` without a response.
    pub answered: Option<Instant>,
}

/// The reaction of the target to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An empty response with this status, at once.
    Status(u16),
    /// An empty response with this status, after this time.
    Late(u16, Duration),
    /// A 200 that closes the connection.
    Closing,
    /// No response; the connection stays open.
    Never,
    /// No response; the connection ends.
    Closed,
    /// The connection is reset; only over TCP.
    Reset,
    /// Half a body, then the connection ends.
    CutOff,
    /// A response with headers, each line ended by `\r\n`, and a body.
    Full { status: u16, headers: String, body: String },
    /// Another answer, after this time.
    After(Duration, Box<Answer>),
}

impl Answer {
    /// A 200 with this text as its body.
    pub fn text(body: &str) -> Self {
        Self::Full { status: 200, headers: String::new(), body: body.to_owned() }
    }

    /// A 200 with this JSON as its body.
    pub fn json(body: &serde_json::Value) -> Self {
        let headers = "content-type: application/json\r\n".to_owned();
        Self::Full { status: 200, headers, body: body.to_string() }
    }

    /// A redirect to this location.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Full { status, headers: format!("location: {location}\r\n"), body: String::new() }
    }

    /// The same answer, after this time.
    pub fn after(self, delay: Duration) -> Self {
        Self::After(delay, Box::new(self))
    }
}

impl Received {
    /// The value of a header; `None` if it was not sent. Panics if it was sent twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = values.next();
        assert_eq!(values.next(), None, "`{name}` was sent twice: {}", self.head);
        value
    }

    /// The body, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Returns the answer to the `n`-th request, counted from 0.
type Script = dyn Fn(usize, &Received) -> Answer + Send + Sync;

/// The shared state of all connections of a target.
struct Service {
    script: Box<Script>,
    received: Mutex<Vec<Received>>,
    more: Condvar,
    connections: AtomicUsize,
}

/// How a connection ended.
enum Ended {
    Closed,
    Reset,
}

/// A target; it listens on TCP from the first call of `url` until its last clone is dropped.
#[derive(Clone)]
pub struct Target {
    service: Arc<Service>,
    listening: Arc<OnceLock<Listening>>,
}

struct Listening {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Target {
    /// Answers every request with an empty 200, at once.
    pub fn fast() -> Self {
        Self::scripted(|_, _| Answer::Status(200))
    }

    /// Gives this answer to every request.
    pub fn always(answer: Answer) -> Self {
        Self::scripted(move |_, _| answer.clone())
    }

    /// Answers each request by a script.
    pub fn scripted(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let service = Service {
            script: Box::new(script),
            received: Mutex::default(),
            more: Condvar::new(),
            connections: AtomicUsize::new(0),
        };
        Self { service: Arc::new(service), listening: Arc::default() }
    }

    /// Answers by a script whose first argument is the number of earlier requests for the same method and path.
    pub fn counting(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let seen = Mutex::new(HashMap::<String, usize>::new());
        Self::scripted(move |_, received| {
            let before = {
                let mut seen = seen.lock().expect("the lock is not poisoned");
                let count = seen.entry(received.what.clone()).or_default();
                *count += 1;
                *count - 1
            };
            script(before, received)
        })
    }

    /// The URL on which it listens over TCP.
    pub fn url(&self) -> String {
        format!("http://{}", self.listening.get_or_init(|| Listening::start(&self.service)).address)
    }

    /// Serves connections in memory, on the clock of the caller's runtime, until the sender is dropped.
    pub fn serve_in_memory(
        &self,
        mut connections: UnboundedReceiver<DuplexStream>,
    ) -> impl Future<Output = ()> + use<> {
        let service = Arc::clone(&self.service);
        async move {
            while let Some(stream) = connections.recv().await {
                let service = Arc::clone(&service);
                tokio::spawn(async move {
                    let ended = service.serve(stream, LEAST_IN_MEMORY).await;
                    assert!(!matches!(ended, Some((_, Ended::Reset))), "only TCP has a reset");
                });
            }
        }
    }

    /// The number of requests received so far.
    pub fn count(&self) -> usize {
        self.service.received().len()
    }

    /// The number of requests received for one method and path.
    pub fn count_of(&self, what: &str) -> usize {
        self.service.received().iter().filter(|received| received.what == what).count()
    }

    /// The requests received so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.service.received().clone()
    }

    /// The methods and paths of the requests received so far, in order.
    pub fn whats(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.what).collect()
    }

    /// The bodies received so far, sorted.
    pub fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<String> = self.received().into_iter().map(|received| received.body).collect();
        bodies.sort_unstable();
        bodies
    }

    /// Waits until this many requests have been received; panics after a minute.
    pub fn wait_for(&self, count: usize) {
        let fewer = |received: &mut Vec<Received>| received.len() < count;
        let waited = self.service.more.wait_timeout_while(self.service.received(), BOUND, fewer);
        let (received, timeout) = waited.expect("the lock is not poisoned");
        assert!(!timeout.timed_out(), "{} of {count} requests came", received.len());
    }
}

impl Listening {
    fn start(service: &Arc<Service>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let service = Arc::clone(service);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                bound.send(listener.local_addr().expect("it is bound")).expect("the test waits for it");
                tokio::select! {
                    () = accept(listener, service) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("the thread says where it listens");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed.
            let _ = thread.join();
        }
    }
}

/// A port of this machine on which no process listens.
pub fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

async fn accept(listener: TcpListener, service: Arc<Service>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let service = Arc::clone(&service);
            tokio::spawn(async move { service.serve_tcp(stream).await });
        }
    }
}

impl Service {
    fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().expect("the lock is not poisoned")
    }

    /// Records a request; returns its number.
    fn enter(&self, received: Received) -> usize {
        let mut all = self.received();
        all.push(received);
        self.more.notify_all();
        all.len() - 1
    }

    async fn serve_tcp(&self, stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        if let (stream, Ended::Reset) = self.serve(stream, Duration::ZERO).await? {
            stream.set_zero_linger().ok()?;
        }
        Some(())
    }

    /// Serves a connection until this side ends it; `None` if the client ends it.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        least: Duration,
    ) -> Option<(S, Ended)> {
        let mut bytes = Vec::new();
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        loop {
            let received = Received { connection, ..read(&mut stream, &mut bytes).await? };
            let number = self.enter(received.clone());
            if !least.is_zero() {
                sleep(least).await;
            }
            let mut answer = (self.script)(number, &received);
            while let Answer::After(delay, next) = answer {
                sleep(delay).await;
                answer = *next;
            }
            let text = match answer {
                Answer::Status(status) => empty(status),
                Answer::Late(status, delay) => {
                    sleep(delay.saturating_sub(least)).await;
                    empty(status)
                }
                Answer::Closing => {
                    let text = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(text.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()?;
                    return Some((stream, Ended::Closed));
                }
                Answer::Never => std::future::pending().await,
                Answer::Closed => return Some((stream, Ended::Closed)),
                Answer::Reset => return Some((stream, Ended::Reset)),
                Answer::Full { status, headers, body } => {
                    let length = body.len();
                    format!("HTTP/1.1 {status} As Told\r\n{headers}content-length: {length}\r\n\r\n{body}")
                }
                Answer::After(..) => unreachable!("it was waited for"),
                Answer::CutOff => {
                    let text = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ";
                    stream.write_all(text.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()?;
                    return Some((stream, Ended::Closed));
                }
            };
            stream.write_all(text.as_bytes()).await.ok()?;
            self.received()[number].answered = Some(Instant::now());
        }
    }
}

fn empty(status: u16) -> String {
    format!("HTTP/1.1 {status} As Told\r\ncontent-length: 0\r\n\r\n")
}

/// Reads one request; `None` at the end of the connection.
async fn read(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        (stream.read_buf(bytes).await.ok()? > 0).then_some(())?;
    };
    let at = Instant::now();
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a length is a number"));
    while bytes.len() < end + length {
        (stream.read_buf(bytes).await.ok()? > 0).then_some(())?;
    }
    let body: Vec<u8> = bytes.drain(..end + length).skip(end).collect();
    let text = String::from_utf8_lossy(&body).into_owned();
    let what = head.split(" HTTP/1.1").next()?.to_owned();
    Some(Received { what, connection: 0, head, body: text, bytes: body, at, answered: None })
}
