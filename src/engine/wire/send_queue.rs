//! The bytes of a socket that its peer's kernel has not acknowledged.

use std::ffi::c_int;
use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// `SIOCOUTQ`: the bytes between the last one written and the last one acknowledged (tcp(7)).
const SIOCOUTQ: Opcode = 0x5411;

/// The number of bytes that were written to a TCP socket and are not acknowledged; `None` if the kernel does not tell.
#[expect(unsafe_code, reason = "no library reads the send queue of a socket")]
pub(super) fn unacknowledged(socket: impl AsFd) -> Option<u64> {
    // SAFETY: the kernel writes one `int` for this operation.
    let queued = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) };
    u64::try_from(queued.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn bytes_to_a_socket_that_was_closed_stay_unacknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"answered").unwrap();
        std::io::Read::read_exact(&mut server, &mut [0; 8]).unwrap();
        server.write_all(b"!").unwrap();
        std::io::Read::read_exact(&mut client, &mut [0]).unwrap();
        assert_eq!(unacknowledged(&client), Some(0));
        drop(server);
        client.write_all(b"lost").unwrap();
        assert_eq!(unacknowledged(&client), Some(4));
    }
}
