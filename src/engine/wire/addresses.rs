//! Connecting to one of the addresses of the target (Happy Eyeballs, RFC 8305).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::engine::wire::fault::Fault;
use crate::measure::sample::ErrorKind;
use crate::plan::model::TargetUrl;

/// How long an attempt is alone before the next address is tried too (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// How long an address that failed is tried after the others, and so are the others of its family.
const FAILED_FOR: Duration = Duration::from_mins(10);

/// The addresses and families that failed while another address accepted. All workers share it.
#[derive(Debug, Clone, Default)]
pub(super) struct AddressMemory(Arc<Mutex<HashMap<FailedPart, Instant>>>);

/// A part of an address that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum FailedPart {
    Address(IpAddr),
    Ipv4,
    Ipv6,
}

impl FailedPart {
    fn family(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

impl AddressMemory {
    /// The addresses in the order in which a user tries them. Users begin with different ones, so that load spreads.
    fn order(&self, mut addresses: Vec<SocketAddr>, first: usize) -> Vec<SocketAddr> {
        let begin = first % addresses.len().max(1);
        addresses.rotate_left(begin);
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_failed = |part: FailedPart| failed.get(&part).is_some_and(|at| at.elapsed() < FAILED_FOR);
        addresses.sort_by_key(|address| {
            (has_failed(FailedPart::family(address)), has_failed(FailedPart::Address(address.ip())))
        });
        addresses
    }

    /// Notes that an address accepted while these failed or did not answer in time.
    fn note(&self, accepted: &SocketAddr, failed: &[SocketAddr]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&FailedPart::Address(accepted.ip()));
        known.remove(&FailedPart::family(accepted));
        for address in failed {
            known.insert(FailedPart::Address(address.ip()), Instant::now());
            if address.is_ipv4() != accepted.is_ipv4() {
                known.insert(FailedPart::family(address), Instant::now());
            }
        }
    }
}

/// Connects to an address of the target, with `first` as the number of the one that is tried first.
pub(super) async fn connect(
    url: &TargetUrl,
    first: usize,
    memory: &AddressMemory,
) -> Result<(TcpStream, SocketAddr), Fault> {
    match url.address {
        Some(address) => alone(SocketAddr::new(address, url.port)).await,
        None => match memory.order(resolve(url).await?, first).as_slice() {
            [address] => alone(*address).await,
            addresses => race(addresses, memory).await,
        },
    }
}

async fn resolve(url: &TargetUrl) -> Result<Vec<SocketAddr>, Fault> {
    let found = lookup_host((url.host.as_str(), url.port)).await;
    let found = found.map_err(|error| {
        Fault::new(ErrorKind::Dns, format!("could not resolve the host of `{url}`: {error}"))
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    found.for_each(|address| addresses.extend((!addresses.contains(&address)).then_some(address)));
    match addresses.is_empty() {
        true => Err(Fault::new(ErrorKind::Dns, format!("the host of `{url}` has no address"))),
        false => Ok(addresses),
    }
}

async fn alone(address: SocketAddr) -> Result<(TcpStream, SocketAddr), Fault> {
    let stream = TcpStream::connect(address).await;
    stream.map(|stream| (stream, address)).map_err(|error| Fault::of_connect(address, &error))
}

/// Tries the addresses in order: the next one as soon as one fails, or after a delay. The first that accepts is taken.
async fn race(addresses: &[SocketAddr], memory: &AddressMemory) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut attempts: JoinSet<(SocketAddr, io::Result<TcpStream>)> = JoinSet::new();
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut last = None;
    loop {
        let next = addresses.get(tried.len()).copied();
        if attempts.is_empty() && next.is_none() {
            return Err(last.expect("an address was tried and failed"));
        }
        let ended = if attempts.is_empty() {
            None
        } else {
            tokio::select! {
                biased;
                ended = attempts.join_next() => ended,
                () = sleep(ATTEMPT_DELAY), if next.is_some() => None,
            }
        };
        match ended {
            Some(Ok((address, Ok(stream)))) => {
                tried.retain(|other| *other != address);
                memory.note(&address, &tried);
                return Ok((stream, address));
            }
            Some(Ok((address, Err(error)))) => last = Some(Fault::of_connect(address, &error)),
            Some(Err(_)) | None => {}
        }
        if let Some(address) = next {
            tried.push(address);
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn users_begin_with_different_addresses_and_failed_ones_come_last() {
        let all = addresses(&["[::1]:80", "127.0.0.1:80", "127.0.0.2:80"]);
        let memory = AddressMemory::default();
        let firsts = [0, 1, 2, 3].map(|user| memory.order(all.clone(), user)[0]);
        assert_eq!(firsts, [all[0], all[1], all[2], all[0]]);
        memory.note(&all[1], &all[..1]);
        assert_eq!(memory.order(all.clone(), 0), [all[1], all[2], all[0]]);
        memory.note(&all[2], &all[1..2]);
        assert_eq!(memory.order(all.clone(), 1), [all[2], all[1], all[0]]);
        memory.note(&all[0], &[]);
        assert_eq!(memory.order(all.clone(), 0)[0], all[0]);
    }

    #[tokio::test]
    async fn a_refusal_is_followed_by_the_next_address_at_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = SocketAddr::new("127.0.0.3".parse().unwrap(), open.port());
        let memory = AddressMemory::default();
        let (_, taken) = race(&[closed, open], &memory).await.unwrap();
        assert_eq!((taken, memory.order(vec![closed, open], 0)), (open, vec![open, closed]));
        let refused = race(&[closed, closed], &memory).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::ConnectRefused);
    }
}
