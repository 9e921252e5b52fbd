//! What users rely on, checked from the outside: the shipped files and the answers to wrong ones.

#![expect(clippy::unwrap_used, reason = "a test whose world is not as it should be has failed")]

mod answer;
mod docs;
mod generated_plans;
mod shipped;
mod wrong_plans;
