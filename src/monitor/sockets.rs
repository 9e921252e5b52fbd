//! Lists the TCP sockets of this machine, or of the network namespace of a process.

use std::io;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::kernel::Kernel;
use crate::resources::linux::proc::keyed_number;
use crate::resources::linux::process::{self, SocketEntry, TcpState};

/// Socket tables, each with the file and the key of its number of entries.
const TABLES: [(&str, &str, &str); 2] =
    [("net/tcp", "net/sockstat", "TCP: inuse"), ("net/tcp6", "net/sockstat6", "TCP6: inuse")];
/// Size of a netlink message header (`nlmsghdr`).
const HEADER_BYTES: usize = 16;
/// Type of a request for TCP sockets over IPv4 and IPv6, and of each socket in the reply.
const TCPDIAG_GETSOCK: u16 = 18;
/// Size of the request: header, 4 bytes, an address of 48 bytes, 4 bytes for the states, 4 bytes.
const REQUEST_BYTES: u32 = 76;
const STATES_OFFSET: usize = 68;
/// Flags of a request (`NLM_F_REQUEST`) for all sockets (`NLM_F_DUMP`).
const DUMP_REQUEST: u16 = 0x301;
/// Types of an error message, and of the end of a reply, which may contain an error too.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// No message of a kernel is longer than half of this.
const BUFFER_BYTES: usize = 1 << 16;

/// The sockets in a state that a process sees, or those of this machine if `pid` is `None`.
///
/// A netlink request finds the listening sockets without a walk through the table of connections, which has millions of
/// slots on a large machine. If the kernel refuses the request, or the process is in another network namespace, the
/// files below `/proc` are read instead.
pub fn in_state(kernel: &Kernel, pid: Option<u32>, state: TcpState) -> Vec<SocketEntry> {
    let network = |process_dir: &str| kernel.link(&format!("proc/{process_dir}/ns/net"));
    let ours =
        || pid.is_none_or(|pid| network("self").is_some_and(|own| network(&pid.to_string()) == Some(own)));
    let asked = if kernel.is_here() && ours() { query_kernel(state).ok() } else { None };
    asked.unwrap_or_else(|| from_files(kernel, pid, state))
}

/// The sockets in the files below `/proc`.
fn from_files(kernel: &Kernel, pid: Option<u32>, state: TcpState) -> Vec<SocketEntry> {
    let folder = pid.map_or_else(|| "proc".to_owned(), |pid| format!("proc/{pid}"));
    let text = |file: &str| kernel.text(&format!("{folder}/{file}"));
    let mut found = Vec::new();
    for (table, summary, key) in TABLES {
        // The summary is short, so a table without entries is not read.
        if !text(summary).is_ok_and(|text| keyed_number(&text, key) == Some(0.0)) {
            let table = text(table).unwrap_or_default();
            found.extend(process::sockets(&table).filter(|socket| socket.state == state));
        }
    }
    found
}

/// The sockets in the reply to a netlink request (sock_diag(7)).
fn query_kernel(state: TcpState) -> io::Result<Vec<SocketEntry>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&socket, &request(state), SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        // The kernel prepares the next part before it returns one, so there is nothing to wait for.
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
        if length == 0 || parse_reply(buffer.get(..length).unwrap_or_default(), state, &mut found)? {
            return Ok(found);
        }
    }
}

fn request(state: TcpState) -> Vec<u8> {
    // Each state has the bit of its number: 1 is ESTABLISHED, 8 is CLOSE_WAIT, 10 is LISTEN.
    let (established, listening) = ((1_u32 << 1) | (1 << 8), 1_u32 << 10);
    let states = match state {
        TcpState::Established => established,
        TcpState::Listening => listening,
        TcpState::Other => !(established | listening),
    };
    let mut request = Vec::new();
    request.extend(REQUEST_BYTES.to_ne_bytes());
    request.extend(TCPDIAG_GETSOCK.to_ne_bytes());
    request.extend(DUMP_REQUEST.to_ne_bytes());
    request.resize(STATES_OFFSET, 0);
    request.extend(states.to_ne_bytes());
    request.extend([0; 4]);
    request
}

/// Appends the sockets in a part of the reply to `found`; returns whether it was the last part.
fn parse_reply(mut piece: &[u8], state: TcpState, found: &mut Vec<SocketEntry>) -> io::Result<bool> {
    while !piece.is_empty() {
        let nonsense = || io::Error::from(io::ErrorKind::InvalidData);
        let length = u32::from_ne_bytes(bytes(piece, 0).ok_or_else(nonsense)?) as usize;
        let kind = u16::from_ne_bytes(bytes(piece, 4).ok_or_else(nonsense)?);
        let part = piece.get(HEADER_BYTES..length).ok_or_else(nonsense)?;
        let error = bytes(part, 0).map(i32::from_ne_bytes).filter(|error| *error < 0);
        match (kind, error) {
            (NLMSG_ERROR | NLMSG_DONE, Some(error)) => return Err(io::Error::from_raw_os_error(-error)),
            (NLMSG_ERROR | NLMSG_DONE, None) => return Ok(true),
            (TCPDIAG_GETSOCK, _) => {
                let port = u16::from_be_bytes(bytes(part, 4).ok_or_else(nonsense)?);
                let inode = u32::from_ne_bytes(bytes(part, 68).ok_or_else(nonsense)?);
                found.push(SocketEntry { port, state, inode: inode.into() });
            }
            _ => {}
        }
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn bytes<const COUNT: usize>(of: &[u8], at: usize) -> Option<[u8; COUNT]> {
    of.get(at..at + COUNT)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn of_port(mut sockets: Vec<SocketEntry>, port: u16) -> Vec<SocketEntry> {
        sockets.retain(|socket| socket.port == port);
        sockets.sort_unstable_by_key(|socket| socket.inode);
        sockets
    }

    #[test]
    fn the_kernel_answers_as_its_files_say() {
        let kernel = Kernel::this_machine();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // The machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let address = listener.local_addr().unwrap();
            let connect = || (TcpStream::connect(address).unwrap(), listener.accept().unwrap());
            let _connections: Vec<_> = (0..300).map(|_| connect()).collect();
            for (state, count) in [(TcpState::Listening, 1), (TcpState::Established, 300)] {
                let from_files = of_port(from_files(&kernel, None, state), address.port());
                assert_eq!(from_files.len(), count, "{state:?} at {address}");
                assert_eq!(of_port(in_state(&kernel, None, state), address.port()), from_files);
                assert_eq!(
                    of_port(in_state(&kernel, Some(std::process::id()), state), address.port()),
                    from_files
                );
                // The kernel may lack sock_diag, and a sandbox may forbid it.
                if let Ok(asked) = query_kernel(state) {
                    assert_eq!(of_port(asked, address.port()), from_files);
                }
            }
        }
    }

    #[test]
    fn a_truncated_reply_or_a_refusal_is_an_error() {
        let mut part = vec![0; HEADER_BYTES + 72];
        part[..4].copy_from_slice(&88_u32.to_ne_bytes());
        part[4..6].copy_from_slice(&TCPDIAG_GETSOCK.to_ne_bytes());
        part[HEADER_BYTES + 4..HEADER_BYTES + 6].copy_from_slice(&8080_u16.to_be_bytes());
        part[HEADER_BYTES + 68..].copy_from_slice(&42_u32.to_ne_bytes());
        let taken = |piece: &[u8]| {
            let mut found = Vec::new();
            parse_reply(piece, TcpState::Listening, &mut found).map(|last| (last, found))
        };
        let socket = SocketEntry { port: 8080, state: TcpState::Listening, inode: 42 };
        assert_eq!(taken(&part).unwrap(), (false, vec![socket]));
        for cut in 1..part.len() {
            assert!(taken(&part[..cut]).is_err(), "{cut}");
        }
        let mut end = vec![20, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        if cfg!(target_endian = "little") {
            assert_eq!(taken(&end).unwrap(), (true, vec![]));
            end[HEADER_BYTES..].copy_from_slice(&(-2_i32).to_ne_bytes());
            assert_eq!(taken(&end).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }
}
