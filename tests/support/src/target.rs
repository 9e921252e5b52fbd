//! A target that counts, remembers and misbehaves as scripted: over TCP on a thread of its own, or in memory on the
//! caller's clock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

/// Longer than any test waits for a request.
const BOUND: Duration = Duration::from_secs(60);
/// How long an answer in memory takes at least: a simulated clock stands still while there is something to do, so users
/// without a wait would go on for ever at one moment.
const LEAST_IN_MEMORY: Duration = Duration::from_millis(1);

/// A request, as it came over the wire.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method and path: `POST /search`.
    pub what: String,
    pub head: String,
    pub body: String,
    /// The body as it came, where it is not text.
    pub bytes: Vec<u8>,
    pub at: Instant,
    /// When the last byte of the answer was written; `None` where there was none.
    pub answered: Option<Instant>,
}

/// What the target does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An empty answer with this status, at once.
    Status(u16),
    /// An empty answer with this status, after this long.
    Late(u16, Duration),
    /// A 200 that closes the connection.
    Closing,
    /// A 200 after the whole target has stood still for this long.
    Frozen(Duration),
    /// No answer; the connection stays.
    Never,
    /// The connection is reset; over TCP alone.
    Reset,
    /// Half a body, then the connection ends.
    CutOff,
    /// An answer with headers, each line ended by `\r\n`, and a body.
    Full { status: u16, headers: String, body: String },
    /// Another answer, after this long.
    After(Duration, Box<Answer>),
}

impl Answer {
    /// A 200 with this text.
    pub fn text(body: &str) -> Self {
        Self::Full { status: 200, headers: String::new(), body: body.to_owned() }
    }

    /// A 200 with this JSON.
    pub fn json(body: &serde_json::Value) -> Self {
        let headers = "content-type: application/json\r\n".to_owned();
        Self::Full { status: 200, headers, body: body.to_string() }
    }

    /// A redirect to there.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Full { status, headers: format!("location: {location}\r\n"), body: String::new() }
    }

    /// The same, after this long.
    pub fn after(self, delay: Duration) -> Self {
        Self::After(delay, Box::new(self))
    }
}

impl Received {
    /// The only value of a header; `None` where it was not sent.
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

/// Decides the answer to the `n`-th request, from 0.
type Script = dyn Fn(usize, &Received) -> Answer + Send + Sync;

/// What all connections of a target share.
struct Service {
    script: Box<Script>,
    received: Mutex<Vec<Received>>,
    more: Condvar,
    /// The whole target stands still until then.
    frozen_until: Mutex<Option<Instant>>,
}

/// How a connection ended.
enum Ended {
    Closed,
    Reset,
}

/// A target; it listens on TCP from when its url is asked for until the last of its clones is dropped.
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

    /// Does the same with every request.
    pub fn always(answer: Answer) -> Self {
        Self::scripted(move |_, _| answer.clone())
    }

    /// Does what a script says.
    pub fn scripted(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let service = Service {
            script: Box::new(script),
            received: Mutex::default(),
            more: Condvar::new(),
            frozen_until: Mutex::default(),
        };
        Self { service: Arc::new(service), listening: Arc::default() }
    }

    /// Does what a script says that is given the number of earlier requests for the same method and path.
    pub fn counting(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let seen = Mutex::new(HashMap::<String, usize>::new());
        Self::scripted(move |_, received| {
            let before = {
                let mut seen = seen.lock().expect("no one panics with it");
                let count = seen.entry(received.what.clone()).or_default();
                *count += 1;
                *count - 1
            };
            script(before, received)
        })
    }

    /// Where it listens on TCP.
    pub fn url(&self) -> String {
        format!("http://{}", self.listening.get_or_init(|| Listening::start(&self.service)).address)
    }

    /// Serves connections in memory, on the clock of the caller's runtime, as long as there is somebody to make them.
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

    /// How many requests came in so far.
    pub fn count(&self) -> usize {
        self.service.received().len()
    }

    /// How many requests came in for one method and path.
    pub fn count_of(&self, what: &str) -> usize {
        self.service.received().iter().filter(|received| received.what == what).count()
    }

    /// Everything that came in so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.service.received().clone()
    }

    /// Methods and paths, in the order in which they came in.
    pub fn whats(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.what).collect()
    }

    /// The bodies that came in so far, sorted.
    pub fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<String> = self.received().into_iter().map(|received| received.body).collect();
        bodies.sort_unstable();
        bodies
    }

    /// Returns as soon as this many requests have come in.
    pub fn wait_for(&self, count: usize) {
        let fewer = |received: &mut Vec<Received>| received.len() < count;
        let waited = self.service.more.wait_timeout_while(self.service.received(), BOUND, fewer);
        let (received, timeout) = waited.expect("no one panics with the requests");
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
            // A panic over there has been printed already.
            let _ = thread.join();
        }
    }
}

/// A port of this machine on which no one listens.
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
        self.received.lock().expect("no one panics with the requests")
    }

    fn frozen_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.frozen_until.lock().expect("no one panics with the moment")
    }

    /// Enters a request; returns its number.
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

    /// Serves a connection until this side ends it; `None` where the client did.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        least: Duration,
    ) -> Option<(S, Ended)> {
        let mut bytes = Vec::new();
        loop {
            let received = read(&mut stream, &mut bytes).await?;
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
                Answer::Frozen(lasting) => {
                    *self.frozen_until() = Some(Instant::now() + lasting);
                    empty(200)
                }
                Answer::Never => std::future::pending().await,
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
            let frozen_until = *self.frozen_until();
            if let Some(thawed) = frozen_until.filter(|thawed| *thawed > Instant::now()) {
                sleep_until(thawed).await;
            }
            stream.write_all(text.as_bytes()).await.ok()?;
            self.received()[number].answered = Some(Instant::now());
        }
    }
}

fn empty(status: u16) -> String {
    format!("HTTP/1.1 {status} As Told\r\ncontent-length: 0\r\n\r\n")
}

/// Reads one request; `None` at the connection's end.
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
    Some(Received { what, head, body: text, bytes: body, at, answered: None })
}
