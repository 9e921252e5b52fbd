//! The event loop: accepts connections, reads requests and writes responses.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use crate::http::{Asks, LONGEST_HEAD, head};
use crate::lag::Lag;
use crate::options::Options;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n{\"message\":\"welcome\"}";
/// The largest number of pipelined requests that are answered in one write.
const BATCH: usize = 64;
/// The kernel limits this to `net.core.somaxconn`.
const BACKLOG: i32 = 16_384;
const READ: usize = 64 * 1024;
/// The time before a response is due in which the server polls the clock, because epoll waits in whole milliseconds.
const SPIN: Duration = Duration::from_millis(2);
const LISTENER: u64 = u64::MAX;

pub(crate) struct Server {
    listener: TcpListener,
    epoll: OwnedFd,
    /// Connections by descriptor.
    connections: Vec<Option<Connection>>,
    /// The number of connections accepted. It identifies a connection, because descriptors are reused.
    accepted: u64,
    served: u64,
    started: Instant,
    stall: Option<(Duration, Duration)>,
    delay: Option<Duration>,
    /// Responses that are not due yet, earliest first.
    queue: VecDeque<Later>,
    lag: Option<Lag>,
    buffer: Vec<u8>,
    answers: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    number: u64,
    /// The start of an incomplete head.
    begun: Vec<u8>,
    /// Bytes of a body that have not arrived.
    body_left: usize,
    /// Bytes of responses that the socket has not accepted yet.
    owed: usize,
    /// Whether the connection closes when no bytes are owed.
    last: bool,
}

struct Later {
    due: Instant,
    connection: u64,
    descriptor: usize,
    answers: usize,
}

impl Server {
    pub(crate) fn bind(options: &Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        // The standard library sets a short backlog; a second `listen` call replaces it.
        rustix::net::listen(&listener, BACKLOG)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self {
            listener,
            epoll,
            connections: Vec::new(),
            accepted: 0,
            served: 0,
            started: Instant::now(),
            stall: options.stall,
            delay: options.delay,
            queue: VecDeque::new(),
            lag: options.lag.map(Lag::new),
            buffer: vec![0; READ + LONGEST_HEAD],
            answers: ANSWER.repeat(BATCH),
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until a system call fails.
    pub(crate) fn serve(&mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        loop {
            events.clear();
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) => {}
                Err(error) if error == rustix::io::Errno::INTR => continue,
                Err(error) => return Err(error.into()),
            }
            self.sit_out_a_stall();
            for event in &events {
                // Due responses are sent between reads, so that many events do not delay them.
                self.send_what_is_due();
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    descriptor => self.turn(descriptor as usize),
                }
            }
            self.send_what_is_due();
        }
    }

    /// The time to wait for an event; `None` waits without a limit.
    fn timeout(&self) -> Option<Timespec> {
        let due = self.queue.front()?.due;
        let left = due.saturating_duration_since(Instant::now()).saturating_sub(SPIN);
        let whole = Duration::from_millis(left.as_millis() as u64);
        Some(Timespec { tv_sec: whole.as_secs() as i64, tv_nsec: whole.subsec_nanos().into() })
    }

    fn sit_out_a_stall(&self) {
        let Some((stall, every)) = self.stall else { return };
        let into = Duration::from_nanos((self.started.elapsed().as_nanos() % every.as_nanos()) as u64);
        if into >= every - stall {
            // Sleeping on the only thread is the stall.
            thread::sleep(every - into);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                // A server without free descriptors would falsify every figure, so it stops.
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let descriptor = stream.as_raw_fd() as usize;
            epoll::add(&self.epoll, &stream, EventData::new_u64(descriptor as u64), EventFlags::IN)?;
            if self.connections.len() <= descriptor {
                self.connections.resize_with(descriptor + 1, || None);
            }
            self.accepted += 1;
            let number = self.accepted;
            self.connections[descriptor] =
                Some(Connection { stream, number, begun: Vec::new(), body_left: 0, owed: 0, last: false });
        }
    }

    /// Handles a connection that is readable or writable.
    fn turn(&mut self, descriptor: usize) {
        let Some(mut connection) = self.connections.get_mut(descriptor).and_then(Option::take) else {
            return;
        };
        if connection.owed > 0 && self.give(&mut connection, 0).is_err() {
            return;
        }
        // No requests are read from a connection that does not accept responses.
        if connection.owed > 0 || self.read(&mut connection, descriptor).is_ok() {
            self.connections[descriptor] = Some(connection);
        }
    }

    /// Reads once and answers each request. An error ends the connection.
    fn read(&mut self, connection: &mut Connection, descriptor: usize) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let kept = connection.begun.len();
        buffer[..kept].copy_from_slice(&connection.begun);
        connection.begun.clear();
        let result = match connection.stream.read(&mut buffer[kept..kept + READ]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.requests(connection, descriptor, &buffer[..kept + count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                connection.begun.extend_from_slice(&buffer[..kept]);
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.buffer = buffer;
        result
    }

    fn requests(&mut self, connection: &mut Connection, descriptor: usize, read: &[u8]) -> io::Result<()> {
        let skipped = connection.body_left.min(read.len());
        let mut rest = &read[skipped..];
        connection.body_left -= skipped;
        // A request counts when its body is complete, so its response waits for that.
        let mut answers = usize::from(skipped > 0 && connection.body_left == 0);
        while connection.body_left == 0 && !rest.is_empty() && !connection.last {
            let Some(head) = head(rest).map_err(|_| io::Error::from(ErrorKind::InvalidData))? else {
                connection.begun.extend_from_slice(rest);
                break;
            };
            connection.last = head.last;
            let body = head.body.min(rest.len() - head.length);
            rest = &rest[head.length + body..];
            connection.body_left = head.body - body;
            if head.asks != Asks::Answer {
                self.tell(connection, head.asks)?;
            } else if connection.body_left == 0 {
                answers += 1;
            }
        }
        self.served += answers as u64;
        if let Some(lag) = &mut self.lag {
            (0..answers).for_each(|_| lag.stamp());
        }
        match self.delay {
            Some(delay) if answers > 0 => {
                let (due, connection) = (Instant::now() + delay, connection.number);
                self.queue.push_back(Later { due, connection, descriptor, answers });
                Ok(())
            }
            _ => self.give(connection, answers),
        }
    }

    /// Answers a control request of the benchmark, which sends one at a time on a separate connection.
    fn tell(&mut self, connection: &mut Connection, asks: Asks) -> io::Result<()> {
        if asks == Asks::Reset {
            self.served = 0;
            if let Some(lag) = &mut self.lag {
                lag.reset();
            }
        }
        let text = match asks {
            Asks::Lag => self.lag.as_ref().map_or("null".to_owned(), Lag::told),
            _ => self.served.to_string(),
        };
        let length = text.len();
        connection.stream.write_all(
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{text}")
                .as_bytes(),
        )
    }

    /// Writes the owed bytes and this number of further responses. All responses are equal, so the number of owed bytes
    /// is enough to know which bytes come next.
    fn give(&self, connection: &mut Connection, answers: usize) -> io::Result<()> {
        let owed_before = connection.owed > 0;
        connection.owed += answers * ANSWER.len();
        while connection.owed > 0 {
            let begin = (ANSWER.len() - connection.owed % ANSWER.len()) % ANSWER.len();
            let end = self.answers.len().min(begin + connection.owed);
            match connection.stream.write(&self.answers[begin..end]) {
                Ok(count) => connection.owed -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if owed_before != (connection.owed > 0) {
            let flags = if connection.owed > 0 { EventFlags::OUT } else { EventFlags::IN };
            let data = EventData::new_u64(connection.stream.as_raw_fd() as u64);
            epoll::modify(&self.epoll, &connection.stream, data, flags)?;
        }
        if connection.last && connection.body_left == 0 && connection.owed == 0 {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn send_what_is_due(&mut self) {
        while let Some(later) = self.queue.front()
            && later.due <= Instant::now()
        {
            let (descriptor, number, answers) = (later.descriptor, later.connection, later.answers);
            self.queue.pop_front();
            let Some(mut connection) = self.connections[descriptor].take() else { continue };
            // Another connection may have the same descriptor by now.
            if connection.number != number || self.give(&mut connection, answers).is_ok() {
                self.connections[descriptor] = Some(connection);
            }
        }
    }
}
