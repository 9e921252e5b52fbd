//! The built-in target: the KMS case-search service as its clients see it, with scripted faults.
//!
//! It really searches, so `top_k`, the query and the load change its times. [`Behaviour`] scripts the faults, and
//! [`StandIn`] serves it on a thread of its own.
//!
//! One thread serves all requests, as in the service that it replaces. A search therefore delays the requests behind
//! it, and a freeze holds this thread, so that no connection escapes it.

mod behaviour;
mod kms;
mod measured;
mod scripted;
mod search;
mod server;
mod shutdown;
#[cfg(test)]
mod tests;

pub use behaviour::Behaviour;
pub use server::StandIn;
