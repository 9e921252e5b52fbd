# What is done often, by name. `just --list` shows it; none of it is needed, for each recipe is one plain command.

# Format and lints, without building anything to run.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# All tests, or those whose name contains a word: `just test journal`.
test *FILTER:
    cargo nextest run --locked {{FILTER}}

# Unit tests and tests on the simulated clock alone, which build fastest: `just unit recorder`.
unit *FILTER:
    cargo nextest run --locked --lib {{FILTER}}

# Cost of the pieces of the hot path, or of those whose name contains a word: `just bench-pieces recording`.
bench-pieces *FILTER:
    cargo bench --locked --bench pieces -- {{FILTER}}

# A plan against the built-in target, shortened to a minute: `just run plans/smoke.toml`.
run PLAN="plans/daily.toml":
    cargo run --release -- {{PLAN}} --stand-in --rehearse 60s

# Measures the runner next to its peers, on a machine with nothing else to do: `just bench --only get,post`.
bench *OPTIONS:
    benches/run {{OPTIONS}}

# Everything that must hold before a change is taken.
ci:
    .ci/run

fmt:
    cargo fmt --all

# The documentation of the library, in a browser.
doc:
    cargo doc --no-deps --locked --open
