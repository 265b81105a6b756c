//! Standard input, sent to the other side by a thread of its own: reading it can wait for nothing else meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use udpair::Connection;
use udpair::message::SendError;

use super::control::{CONTENT, CONTROL, Control};
use crate::cli::buffers::Buffers;
use crate::cli::code;

/// Bytes that are read, and sent in one message, at most: what a pipe of the system holds.
const PIECE_LEN: usize = 64 << 10;
/// Pieces up to this length, a typed line, are copied rather than sent in a buffer of [`PIECE_LEN`].
const SHORT_LEN: usize = 4 << 10;

/// What has become of the input.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What our END said.
    ended: Option<u64>,
    failed: Option<io::Error>,
}

impl Input {
    /// Begins to send it.
    pub(crate) fn start(connection: &Connection) -> io::Result<Self> {
        let input = Self::default();
        let (own, connection) = (input.clone(), connection.clone());
        let transport = Arc::clone(connection.transport());
        // It may wait for a user for ever, and dies with the process.
        let _detached = transport.spawn("udpair-input", move || {
            if let Err(error) = own.send(&connection) {
                own.state().failed = Some(error);
                // Whoever receives is to look.
                connection.abort(code::FAILED);
            }
        })?;
        Ok(input)
    }

    /// How many bytes our END said, once it was sent.
    pub(crate) fn ended(&self) -> Option<u64> {
        self.state().ended
    }

    /// Why it could not be read.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.state().failed.take()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only what the input says is an error here: whoever receives sees the connection end, too.
    fn send(&self, connection: &Connection) -> io::Result<()> {
        let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let buffers = Buffers::new(PIECE_LEN);
        let mut buffer = buffers.take();
        let mut sent = 0;
        while let Some(piece) = next(&mut stdin, &mut buffer, &buffers)? {
            let len = piece.len();
            match connection.send_on(CONTENT, 0, piece) {
                Ok(_) => sent += len as u64,
                Err(error) => return over(error),
            }
        }
        // Before the other side can answer it.
        self.state().ended = Some(sent);
        let (tag, body) = Control::End { bytes: sent }.encode();
        connection.send_on(CONTROL, tag, body).map_or_else(over, |_| Ok(()))
    }
}

/// The next piece of the input, read into `buffer`; `None` at its end. Blocks.
fn next(stdin: &mut File, buffer: &mut Vec<u8>, buffers: &Buffers) -> io::Result<Option<Bytes>> {
    buffer.resize(PIECE_LEN, 0);
    let len = loop {
        match stdin.read(buffer) {
            Ok(len) => break len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    if len <= SHORT_LEN {
        return Ok((len > 0).then(|| Bytes::copy_from_slice(&buffer[..len])));
    }
    let mut piece = std::mem::replace(buffer, buffers.take());
    piece.truncate(len);
    Ok(Some(buffers.lend(piece)))
}

/// The connection has ended, which whoever receives says; anything else is a mistake of ours.
fn over(error: SendError) -> io::Result<()> {
    match error {
        SendError::Ended(_) | SendError::Closing => Ok(()),
        error => Err(error.into()),
    }
}
