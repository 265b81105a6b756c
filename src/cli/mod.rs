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

use std::io::{self, Write as _};
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
    if !error.use_stderr() {
        // Where even printing fails there is nobody left to tell.
        let _ = error.print();
        return exit::Exit::Ok.into();
    }
    let arguments = std::env::args_os().filter_map(|argument| argument.into_string().ok());
    let text = without_codes(error.to_string(), arguments);
    let _ = io::stderr().write_all(text.as_bytes());
    exit::Exit::Usage.into()
}

/// A complaint about arguments that repeats no code: it may go where standard error goes.
fn without_codes(complaint: String, arguments: impl Iterator<Item = String>) -> String {
    arguments.filter(|argument| peer::is_code(argument)).fold(complaint, |text, code| text.replace(&code, "CODE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_repeats_no_code() {
        for line in ["udpair 42-maple-otter", "udpair doctor 42-maple-otter", "udpair key a 42-maple-otter@host:7000"] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err().to_string();
            assert!(error.contains("42-maple-otter"), "nothing to leave out: {error}");
            let text = without_codes(error, line.split(' ').map(str::to_owned));
            assert!(text.contains("'CODE'") && !text.contains("maple"), "{text}");
        }
    }
}
