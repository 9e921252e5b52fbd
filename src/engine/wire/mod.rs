//! Bytes to and from the target: sockets, TLS, connections that speak HTTP, and why any of it failed.

pub(super) mod connection;
pub(super) mod fault;
pub(super) mod socket;
pub(super) mod tls;
