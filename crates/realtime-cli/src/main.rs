//! `realtime`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    realtime_cli::main()
}
