//! The login tokens of the service.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Tokens that prove by themselves that they were issued, so that none has to be stored.
#[derive(Debug)]
pub(super) struct Logins {
    seed: u64,
    issued: AtomicU64,
}

impl Logins {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, issued: AtomicU64::new(0) }
    }

    pub(super) fn issue(&self) -> String {
        self.token(self.issued.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether the value of an `Authorization` header is a bearer token that was issued here.
    pub(super) fn admit(&self, authorization: &str) -> bool {
        let Some(token) = authorization.strip_prefix("Bearer ") else {
            return false;
        };
        let number = token.split_once('-').and_then(|(number, _)| u64::from_str_radix(number, 16).ok());
        number
            .is_some_and(|number| number < self.issued.load(Ordering::Relaxed) && self.token(number) == token)
    }

    fn token(&self, number: u64) -> String {
        let secret: u64 = Xoshiro256PlusPlus::seed_from_u64(self.seed ^ number.rotate_left(32)).random();
        format!("{number:x}-{secret:016x}")
    }
}
