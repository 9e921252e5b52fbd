//! The wire to the target: sockets, TLS, HTTP connections, and their faults.

pub(super) mod connection;
pub(super) mod fault;
pub(super) mod receive;
pub(super) mod socket;
pub(super) mod tls;
