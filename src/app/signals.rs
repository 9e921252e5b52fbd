//! Signal handling of long-running commands.

use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use crate::exit::Signal;

/// Streams of SIGINT and SIGTERM. SIGHUP is ignored, so that a run of several days survives its terminal.
pub(super) struct Signals {
    interrupt: Option<SignalStream>,
    terminate: Option<SignalStream>,
    _hang_up: Option<SignalStream>,
}

impl Signals {
    pub(super) fn new() -> Self {
        let stream = |kind| signal(kind).ok();
        Self {
            interrupt: stream(SignalKind::interrupt()),
            terminate: stream(SignalKind::terminate()),
            _hang_up: stream(SignalKind::hangup()),
        }
    }

    /// Signals that never arrive.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { interrupt: None, terminate: None, _hang_up: None }
    }

    pub(super) async fn next(&mut self) -> Signal {
        let received = async |stream: &mut Option<SignalStream>| match stream {
            Some(stream) => drop(stream.recv().await),
            None => std::future::pending().await,
        };
        tokio::select! {
            () = received(&mut self.interrupt) => Signal::Interrupt,
            () = received(&mut self.terminate) => Signal::Terminate,
        }
    }
}
