//! The command-line tool `udpair`. It uses the library through its public face only.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
