# Frequent commands by name; `just --list` shows them. Each recipe is one plain command, so `just` itself is optional.

# Check format and lints, without building a binary.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Run all tests, or those with a word in their name: `just test journal`.
test *FILTER:
    cargo nextest run --locked {{FILTER}}

# Run only unit tests and tests on the simulated clock, which build fastest: `just unit recorder`.
unit *FILTER:
    cargo nextest run --locked --lib {{FILTER}}

# Measure the parts of the hot path, or those with a word in their name: `just bench-pieces record`.
bench-pieces *FILTER:
    cargo bench --locked --bench pieces -- {{FILTER}}

# Rehearse a plan in one minute against the stand-in: `just run plans/smoke.toml`.
run PLAN="plans/daily.toml":
    cargo run --release -- {{PLAN}} --stand-in --rehearse 60s

# Compare the runner with its peers, on an otherwise idle machine: `just bench --only get,post`.
bench *OPTIONS:
    benches/run {{OPTIONS}}

# Run every check that a change must pass.
ci:
    .ci/run

fmt:
    cargo fmt --all

# Open the documentation of the library in a browser.
doc:
    cargo doc --no-deps --locked --open
