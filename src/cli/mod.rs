//! The tool: arguments in, an exit code out. Each subcommand lives in a module of its own.

pub(crate) mod args;
mod bench;
mod buffers;
mod call;
mod code;
mod doctor;
pub(crate) mod exit;
mod files;
mod peer;
mod pipe;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;
use exit::Failure;

/// Runs the subcommand that the arguments ask for; says on stderr what went wrong.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let done = match cli.command {
        Command::Send(args) => files::send(&args),
        Command::Recv(args) => files::recv(&args),
        Command::Invite(args) => pipe::invite(&args),
        Command::Join(args) => pipe::join(&args),
        Command::Key(args) => peer::make_key(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(Failure { exit, message }) => {
            exit::complain(&message);
            exit.into()
        }
    }
}

/// Help and version are answers, not mistakes.
fn usage(error: &clap::Error) -> ExitCode {
    // Where even printing fails there is nobody left to tell.
    let _ = error.print();
    if error.use_stderr() { exit::Exit::Usage.into() } else { exit::Exit::Ok.into() }
}
