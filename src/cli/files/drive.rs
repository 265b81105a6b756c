//! Runs a half of the protocol over a connection, and says in the tool's terms how connections fail.

use std::time::Duration;

use udpair::message::{ConfigureError, End, SendError};
use udpair::transport::{Body, RecvError};
use udpair::{Connection, Message as Arrived};

use super::message::Message;
use super::outcome::Broken;
use super::progress::Progress;
use super::receiver::Receiver;
use super::sender::Sender;
use super::step::{Outgoing, Step};
use super::transfers::Transfer;
use crate::cli::code;
use crate::cli::exit::{Exit, Failure};
use crate::cli::peer::give_up;

/// Sends until both sides know that all is settled.
pub(crate) fn send(transfer: &Transfer, sender: &mut Sender, progress: &Progress) -> Result<(), Stop> {
    loop {
        match sender.poll() {
            Step::Send(outgoing) => put(transfer, outgoing)?,
            Step::Say(notice) => progress.say(&notice),
            Step::Again => (),
            Step::Wait => {
                take(transfer.wait(Connection::recv)?, |channel, message| sender.handle(channel, message))?;
            }
            Step::Finished => return Ok(()),
        }
        // Whoever has heard the last word does not ask for another: the peer may have closed by now.
        while !sender.is_settled()
            && let Some(arrived) = transfer.connection().try_recv()?
        {
            take(arrived, |channel, message| sender.handle(channel, message))?;
        }
        progress.at(sender.bytes());
    }
}

/// Receives until both sides know that all is settled. A peer that has not greeted within `greeting` is given up.
pub(crate) fn receive(
    transfer: &Transfer,
    receiver: &mut Receiver,
    greeting: Duration,
    progress: &Progress,
) -> Result<(), Stop> {
    loop {
        match receiver.poll() {
            Step::Send(outgoing) => put(transfer, outgoing)?,
            Step::Say(notice) => progress.say(&notice),
            Step::Again => (),
            Step::Wait => {
                let arrived = if receiver.is_greeted() {
                    transfer.wait(Connection::recv)?
                } else {
                    transfer.wait(|connection| connection.recv_timeout(greeting))?
                };
                if let Body::Whole(body) = &arrived.body {
                    transfer.moved(body.len());
                }
                take(arrived, |channel, message| receiver.handle(channel, message))?;
                progress.of(receiver.expected().1);
                progress.at(receiver.bytes());
            }
            Step::Finished => return Ok(()),
        }
    }
}

/// Why a transfer stopped before its end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The connection is no more.
    #[error(transparent)]
    End(#[from] End),
    /// The peer makes no sense.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The peer has connected and says nothing.
    #[error("the peer said nothing")]
    Mute,
    /// The library does not take what we send.
    #[error("cannot send: {0}")]
    Send(SendError),
    /// The library does not take how we want to send.
    #[error(transparent)]
    Configure(ConfigureError),
}

impl From<RecvError> for Stop {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Ended(end) => Self::End(end),
            // Only the greeting has a time of its own.
            _ => Self::Mute,
        }
    }
}

impl From<SendError> for Stop {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Ended(end) => Self::End(end),
            other => Self::Send(other),
        }
    }
}

impl From<ConfigureError> for Stop {
    fn from(error: ConfigureError) -> Self {
        match error {
            ConfigureError::Ended(end) => Self::End(end),
            other => Self::Configure(other),
        }
    }
}

impl Stop {
    /// Ends what is left of the connection, and waits shortly until the peer knows: the process may be about to end.
    pub(crate) fn tell(self, connection: &Connection) {
        let code = match self {
            Self::End(End::Aborted { code }) => code,
            Self::End(_) => return,
            Self::Broken(broken) => broken.code(),
            Self::Mute => code::SILENT,
            Self::Send(_) | Self::Configure(_) => code::FAILED,
        };
        give_up(connection, code);
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        let exit = match stop {
            Stop::End(end) => exit_of(end),
            Stop::Mute => Exit::Timeout,
            Stop::Broken(Broken::Version(_)) => Exit::Differs,
            Stop::Broken(_) | Stop::Send(_) | Stop::Configure(_) => Exit::Other,
        };
        let message = match stop {
            Stop::End(End::Aborted { code: code::INTERRUPTED }) => "interrupted".to_owned(),
            Stop::End(End::Aborted { code: code::SILENT }) => {
                "timeout: the peer fell silent, and another one needed its place".to_owned()
            }
            Stop::Mute => "timeout: the peer connected and did not begin to send (is it udpair send?)".to_owned(),
            Stop::End(End::AbortedByPeer { code } | End::ClosedByPeer { code }) => {
                format!("the peer ended the transfer: {}", said(code))
            }
            Stop::End(End::TimedOut) => "timeout: nothing was heard from the peer any more".to_owned(),
            Stop::End(End::Unreachable | End::Broken) => "the peer is gone in the middle of the transfer".to_owned(),
            Stop::End(End::RefusedByPeer { .. } | End::Refused(_)) => "the peer refused the connection".to_owned(),
            other => other.to_string(),
        };
        Self::new(exit, message)
    }
}

fn exit_of(end: End) -> Exit {
    match end {
        End::Aborted { code: code::INTERRUPTED } => Exit::Interrupted,
        // At either end: somebody was silent for too long.
        End::Aborted { code: code::SILENT } | End::AbortedByPeer { code: code::SILENT } => Exit::Timeout,
        End::AbortedByPeer { code: code::VERSION } => Exit::Differs,
        // Its user or its system has stopped it: it is gone.
        End::AbortedByPeer { code: code::INTERRUPTED } => Exit::Timeout,
        End::TimedOut | End::ConnectTimedOut | End::Unreachable | End::Broken => Exit::Timeout,
        End::RefusedByPeer { .. } | End::Refused(_) => Exit::Refused,
        _ => Exit::Other,
    }
}

/// The peer's code in words.
fn said(said: u32) -> String {
    match said {
        code::DONE => "it closed the connection before the end".to_owned(),
        code::INTERRUPTED => "it was interrupted".to_owned(),
        code::VIOLATION => "it says that we broke the file protocol (is it the other one of send and recv?)".to_owned(),
        code::VERSION => "it speaks another version of the file protocol".to_owned(),
        code::SILENT => "it heard nothing from us for too long".to_owned(),
        code::FAILED => "it could not go on".to_owned(),
        other => format!("code {other}"),
    }
}

fn put(transfer: &Transfer, outgoing: Outgoing) -> Result<(), Stop> {
    transfer.wait(|connection| connection.send_on(outgoing.channel, outgoing.tag, outgoing.body))?;
    Ok(())
}

/// Hands what arrived to `handle`. No message of this protocol is so long that it would come as a stream.
fn take(arrived: Arrived, handle: impl FnOnce(u16, &Message<'_>) -> Result<(), Broken>) -> Result<(), Stop> {
    let Body::Whole(body) = &arrived.body else {
        return Err(Broken::Violation("a message that is too long").into());
    };
    let message = Message::decode(arrived.tag, body).map_err(Broken::Garbled)?;
    Ok(handle(arrived.channel, &message)?)
}
