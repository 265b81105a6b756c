//! The command-line tool `udpair`. It uses the library through its public face only.
#![warn(clippy::disallowed_methods, clippy::unwrap_used)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
