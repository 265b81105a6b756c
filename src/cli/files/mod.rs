//! `udpair send` and `udpair recv`: files and whole trees, as `spec/files.md` says.

mod message;
mod name;
mod outcome;
mod place;
mod reader;
mod receiver;
mod sender;
mod step;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

use super::args::{RecvArgs, SendArgs, resolve};
use super::exit::{Exit, Failure};

/// Sends `args.paths` to a receiver and says what became of them.
pub(crate) fn send(args: &SendArgs) -> Result<Exit, Failure> {
    args.link.plain.check()?;
    let to = resolve(&args.to)?;
    Err(Failure::new(Exit::Other, format!("no transport to reach {to} yet")))
}

/// Receives from one sender or from one after another.
pub(crate) fn recv(args: &RecvArgs) -> Result<Exit, Failure> {
    args.link.plain.check()?;
    let listen = resolve(&args.listen)?;
    Err(Failure::new(Exit::Other, format!("no transport to listen on {listen} yet")))
}
