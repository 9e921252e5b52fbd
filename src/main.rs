//! The `runner` binary: parse, dispatch, exit code.

fn main() {}
