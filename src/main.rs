//! The `runner` binary: parse, dispatch, exit code.

fn main() -> std::process::ExitCode {
    runner::app::main()
}
