//! The server of the stand-in: its thread, its listener and its freezes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::stand_in::behaviour::{Behaviour, Stall};
use crate::stand_in::scripted::Scripted;
use crate::stand_in::shutdown::Shutdown;

// The most connections that wait to be accepted. During a freeze all users may be among them.
const LISTEN_BACKLOG: u32 = 4096;
const BURN_PERIOD: Duration = Duration::from_millis(20);

/// A running stand-in; stops when dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    scripted: Arc<Scripted>,
    shutdown: Arc<Shutdown>,
    threads: Vec<JoinHandle<()>>,
}

impl StandIn {
    /// Listens on 127.0.0.1 at `port`, or at any free port if it is 0, and serves on a thread of its own.
    pub fn start(port: u16, behaviour: Behaviour) -> io::Result<Self> {
        let shutdown = Arc::new(Shutdown::default());
        let (stall, burn) = (behaviour.stall, behaviour.burn_cpu);
        let scripted = Arc::new(Scripted::new(behaviour, Arc::clone(&shutdown)));
        let (address_sender, listening) = mpsc::channel();
        let server = Server { port, stall, scripted: Arc::clone(&scripted), shutdown: Arc::clone(&shutdown) };
        let thread = spawn("stand-in", move || server.run(&address_sender))?;
        // The runtime is created and dropped on that thread, because a caller's runtime forbids both on its own
        // thread.
        let address = listening
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the serving thread ended before it listened")))?;
        let mut stand_in = Self { address, scripted, shutdown, threads: vec![thread] };
        if burn > 0.0 {
            let shutdown = Arc::clone(&stand_in.shutdown);
            stand_in.threads.push(spawn("stand-in-burn", move || burn_cpu(burn, &shutdown))?);
        }
        Ok(stand_in)
    }

    /// The URL of the stand-in, such as `http://127.0.0.1:8008`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until its script says that its process exits.
    pub async fn exit_requested(&self) {
        self.shutdown.exit_requested().await;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of requests whose head was read, including those to unknown paths.
    pub fn received(&self) -> u64 {
        self.scripted.received().all()
    }

    /// The number of requests whose head was read, for a method and a path such as `"POST /search"`, without the
    /// query.
    ///
    /// Only the first 10 000 pairs of method and path have a count of their own; [`Self::received`] counts all
    /// requests.
    pub fn received_of(&self, method_and_path: &str) -> u64 {
        self.scripted.received().of(method_and_path)
    }

    /// Closes every connection and waits until its threads have ended.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.shutdown.request_stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has printed its message; nothing is left to do here.
            let _ = thread.join();
        }
    }
}

/// The state of the serving thread.
struct Server {
    port: u16,
    stall: Option<Stall>,
    scripted: Arc<Scripted>,
    shutdown: Arc<Shutdown>,
}

impl Server {
    /// Sends its address, or why it cannot listen, and serves until the shutdown. Dropping the runtime then closes
    /// every connection.
    fn run(&self, address_sender: &Sender<io::Result<SocketAddr>>) {
        let prepared =
            tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                let listener = runtime.block_on(async { listen(self.port) })?;
                Ok((listener.local_addr()?, runtime, listener))
            });
        // `StandIn::start` waits for this message, so the send succeeds.
        match prepared {
            Ok((address, runtime, listener)) => {
                let _ = address_sender.send(Ok(address));
                runtime.block_on(self.serve(listener));
            }
            Err(error) => {
                let _ = address_sender.send(Err(error));
            }
        }
    }

    async fn serve(&self, listener: TcpListener) {
        if let Some(stall) = self.stall {
            tokio::spawn(freeze(stall, self.scripted.started(), Arc::clone(&self.shutdown)));
        }
        tokio::select! {
            () = self.shutdown.stop_requested() => {}
            () = accept(listener, &self.scripted) => {}
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    socket.listen(LISTEN_BACKLOG)
}

async fn accept(listener: TcpListener, scripted: &Arc<Scripted>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(scripted)));
            }
            // No descriptors are left, or the client has already gone: an immediate retry would spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn connection(stream: TcpStream, scripted: Arc<Scripted>) {
    // A connection that breaks before its first request is ignored.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| scripted.answer(request));
    // An error at the end of a connection is ignored, because a load test cuts many connections.
    let mut builder = http1::Builder::new();
    // The real service does what was asked, also if the client has left.
    builder.half_close(scripted.has_real_times());
    if let Some(idle) = scripted.idle_timeout() {
        builder.timer(TokioTimer::new()).header_read_timeout(idle);
    }
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Blocks the serving thread, and so every connection, once in every period.
async fn freeze(stall: Stall, started: Instant, shutdown: Arc<Shutdown>) {
    let mut begin = started + stall.every;
    loop {
        tokio::time::sleep_until(begin.into()).await;
        if !shutdown.hold_until(begin + stall.lasting) {
            return;
        }
        begin += stall.every;
    }
}

fn burn_cpu(share: f64, shutdown: &Shutdown) {
    let busy = BURN_PERIOD.mul_f64(share);
    loop {
        let begin = Instant::now();
        while begin.elapsed() < busy {
            std::hint::spin_loop();
        }
        if !shutdown.hold_until(begin + BURN_PERIOD) {
            return;
        }
    }
}
