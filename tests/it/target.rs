//! A target in the test's own process: it counts, remembers, and misbehaves as told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(60);

/// A request, as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Method and path: `POST /search`.
    pub(crate) what: String,
    pub(crate) head: String,
    pub(crate) body: String,
    /// The body as it came, where it is not text.
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: Instant,
    /// When the last byte of the answer was written; `None` where there was none.
    pub(crate) answered: Option<Instant>,
}

/// What the target does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
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
    /// The connection is reset.
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
    pub(crate) fn text(body: &str) -> Self {
        Self::Full { status: 200, headers: String::new(), body: body.to_owned() }
    }

    /// A 200 with this JSON.
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        let headers = "content-type: application/json\r\n".to_owned();
        Self::Full { status: 200, headers, body: body.to_string() }
    }

    /// A redirect to there.
    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::Full { status, headers: format!("location: {location}\r\n"), body: String::new() }
    }

    /// The same, after this long.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self::After(delay, Box::new(self))
    }
}

impl Received {
    /// The only value of a header; `None` where it was not sent.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = values.next();
        assert_eq!(values.next(), None, "`{name}` was sent twice: {}", self.head);
        value
    }

    /// The body, which must be JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// What happens next to the `n`-th request, from 0.
type Script = dyn Fn(usize, &Received) -> Answer + Send + Sync;

#[derive(Default)]
struct Book {
    received: Mutex<Vec<Received>>,
    more: Condvar,
}

/// A running target; it stops when dropped.
pub(crate) struct Target {
    address: SocketAddr,
    book: Arc<Book>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Target {
    /// Answers every request with an empty 200, at once.
    pub(crate) fn fast() -> Self {
        Self::scripted(|_, _| Answer::Status(200))
    }

    /// Does the same with every request.
    pub(crate) fn always(answer: Answer) -> Self {
        Self::scripted(move |_, _| answer.clone())
    }

    /// Does what a script says.
    pub(crate) fn scripted(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        let book = Arc::new(Book::default());
        let (stop, stopped) = oneshot::channel();
        let (said, address) = std::sync::mpsc::channel();
        let serving = Arc::clone(&book);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                said.send(listener.local_addr().expect("it is bound")).expect("the test waits for it");
                tokio::select! {
                    () = accept(listener, serving, Arc::new(script)) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("the thread says where it listens");
        Self { address, book, stop: Some(stop), thread: Some(thread) }
    }

    /// Does what a script says that is told how many requests for the same method and path came before.
    pub(crate) fn counting(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
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

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests came in so far.
    pub(crate) fn count(&self) -> usize {
        self.book.lock().len()
    }

    /// How many requests came in for one method and path.
    pub(crate) fn count_of(&self, what: &str) -> usize {
        self.book.lock().iter().filter(|received| received.what == what).count()
    }

    /// Everything that came in so far, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.book.lock().clone()
    }

    /// Methods and paths, in the order in which they came in.
    pub(crate) fn whats(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.what).collect()
    }

    /// The bodies that came in so far, sorted.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<String> = self.received().into_iter().map(|received| received.body).collect();
        bodies.sort_unstable();
        bodies
    }

    /// Returns as soon as so many requests have come in.
    pub(crate) fn wait_for(&self, count: usize) {
        let fewer = |received: &mut Vec<Received>| received.len() < count;
        let waited = self.book.more.wait_timeout_while(self.book.lock(), BOUND, fewer);
        let (received, timeout) = waited.expect("no one panics with the book");
        assert!(!timeout.timed_out(), "{} of {count} requests came", received.len());
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed already.
            let _ = thread.join();
        }
    }
}

impl Book {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Received>> {
        self.received.lock().expect("no one panics with the book")
    }

    /// Enters a request; returns its number.
    fn enter(&self, received: Received) -> usize {
        let mut all = self.lock();
        all.push(received);
        self.more.notify_all();
        all.len() - 1
    }

    /// Notes that a request was answered.
    fn answered(&self, number: usize) {
        self.lock()[number].answered = Some(Instant::now());
    }
}

/// A port of this machine on which no one listens.
pub(crate) fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

async fn accept(listener: TcpListener, book: Arc<Book>, script: Arc<Script>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&book), Arc::clone(&script)));
        }
    }
}

/// Serves a connection to its end; how it ends is the client's affair.
async fn serve(mut stream: TcpStream, book: Arc<Book>, script: Arc<Script>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut bytes = Vec::new();
    loop {
        let received = read(&mut stream, &mut bytes).await?;
        let number = book.enter(received.clone());
        let mut answer = script(number, &received);
        while let Answer::After(delay, next) = answer {
            tokio::time::sleep(delay).await;
            answer = *next;
        }
        let text = match answer {
            Answer::Status(status) => empty(status),
            Answer::Late(status, delay) => {
                tokio::time::sleep(delay).await;
                empty(status)
            }
            Answer::Closing => {
                let text = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(text.as_bytes()).await.ok()?;
                return stream.shutdown().await.ok();
            }
            Answer::Frozen(lasting) => {
                // Holds the only thread, and with it every connection.
                std::thread::sleep(lasting);
                empty(200)
            }
            Answer::Never => std::future::pending().await,
            Answer::Reset => return stream.set_zero_linger().ok(),
            Answer::Full { status, headers, body } => {
                let length = body.len();
                format!("HTTP/1.1 {status} As Told\r\n{headers}content-length: {length}\r\n\r\n{body}")
            }
            Answer::After(..) => unreachable!("it was waited for"),
            Answer::CutOff => {
                let text = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ";
                stream.write_all(text.as_bytes()).await.ok()?;
                return stream.shutdown().await.ok();
            }
        };
        stream.write_all(text.as_bytes()).await.ok()?;
        book.answered(number);
    }
}

fn empty(status: u16) -> String {
    format!("HTTP/1.1 {status} As Told\r\ncontent-length: 0\r\n\r\n")
}

/// Reads one request; `None` at the connection's end.
async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Received> {
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
