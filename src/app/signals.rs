//! Signal handling of long-running commands.

use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use crate::gate::Signal;

/// Streams of SIGINT and SIGTERM. SIGHUP is ignored, so that a run of several days survives its terminal.
pub(super) struct Signals {
    interrupt: Option<SignalStream>,
    terminate: Option<SignalStream>,
    _hang_up: Option<SignalStream>,
    /// Signals that a test sends at times of the simulated clock.
    #[cfg(test)]
    scripted: std::collections::VecDeque<(tokio::time::Instant, Signal)>,
}

impl Signals {
    pub(super) fn new() -> Self {
        let stream = |kind| signal(kind).ok();
        Self {
            interrupt: stream(SignalKind::interrupt()),
            terminate: stream(SignalKind::terminate()),
            _hang_up: stream(SignalKind::hangup()),
            #[cfg(test)]
            scripted: std::collections::VecDeque::new(),
        }
    }

    /// Signals that arrive at these times from now.
    #[cfg(test)]
    pub(super) fn scripted(signals: &[(std::time::Duration, Signal)]) -> Self {
        let now = tokio::time::Instant::now();
        let scripted = signals.iter().map(|(after, signal)| (now + *after, *signal)).collect();
        Self { interrupt: None, terminate: None, _hang_up: None, scripted }
    }

    pub(super) async fn next(&mut self) -> Signal {
        let received = async |stream: &mut Option<SignalStream>| match stream {
            Some(stream) => drop(stream.recv().await),
            None => std::future::pending().await,
        };
        #[cfg(test)]
        if let Some((at, signal)) = self.scripted.front().copied() {
            tokio::time::sleep_until(at).await;
            self.scripted.pop_front();
            return signal;
        }
        tokio::select! {
            () = received(&mut self.interrupt) => Signal::Interrupt,
            () = received(&mut self.terminate) => Signal::Terminate,
        }
    }
}
