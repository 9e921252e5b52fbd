//! The built-in target: the KMS case-search service as it looks from outside, with scripted behaviour.
//!
//! It really searches, so `top_k`, the query and the load change its times; [`Behaviour`] says what goes
//! wrong on top, and [`Standin`] serves it on a thread of its own.
//!
//! All requests are served by one thread, as in the service it stands in for: a search holds up whoever comes
//! next, and a freeze is that very thread being held, so that no connection can slip past it.

mod behaviour;
mod kms;
mod scripted;
mod search;
mod server;
mod shutdown;
#[cfg(test)]
mod tests;

pub use behaviour::Behaviour;
pub use server::StandIn;
