//! The load of the side-by-side benchmark as a Goose attack; it equals the plans in `benches/plans`.
//!
//! `BENCH_LOAD` is `get` or `post` (users without a wait) or `waiting` (30 to 40 seconds between two requests). All
//! other settings use Goose's own command line.

use std::time::Duration;

use goose::prelude::*;
use rand::RngExt;

const WORDS: [&str; 8] = ["printer", "password", "backup", "login", "sound", "network", "screen", "mail"];

async fn get(user: &mut GooseUser) -> TransactionResult {
    let _answer = user.get("/health").await?;
    Ok(())
}

/// Posts a body with three random values, as `plans/post.toml` does.
async fn post(user: &mut GooseUser) -> TransactionResult {
    let (query, top_k, number) = {
        let mut rng = rand::rng();
        (WORDS[rng.random_range(0..WORDS.len())], rng.random_range(5..=15), rng.random_range(0..=999_999))
    };
    let body = format!(r#"{{"query":"{query}","top_k":{top_k},"number":{number}}}"#);
    let request = user
        .get_request_builder(&GooseMethod::Post, "/search")?
        .header("content-type", "application/json")
        .body(body);
    let _answer = user.request(GooseRequest::builder().set_request_builder(request).build()).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let load = std::env::var("BENCH_LOAD").unwrap_or_default();
    let scenario = match load.as_str() {
        "post" => scenario!("post").register_transaction(transaction!(post)),
        "waiting" => scenario!("waiting")
            .register_transaction(transaction!(get))
            .set_wait_time(Duration::from_secs(30), Duration::from_secs(40))?,
        _ => scenario!("get").register_transaction(transaction!(get)),
    };
    GooseAttack::initialize()?.register_scenario(scenario).execute().await?;
    Ok(())
}
