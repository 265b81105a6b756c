//! Runs a pipe over a connection, and says in the tool's terms how that ends.

use std::io;

use udpair::Connection;
use udpair::message::{ChannelConfig, End, Select};
use udpair::transport::{Body, Interest, Message, RecvError};

use super::control::{CONTENT, CONTROL, Control, VERSION};
use super::ends::{Broken, Ends};
use super::input::Input;
use super::output::Output;
use crate::cli::code;
use crate::cli::exit::{Exit, Failure};
use crate::cli::peer::{give_up, note};

/// Bytes that are read at once from a message that comes as a stream.
const PIECE_LEN: usize = 64 << 10;
/// The longest control message that is looked at, in bytes.
const CONTROL_LEN_MAX: usize = 64;
/// What `udpair send` begins with (`spec/files.md`, section "Messages"), and its tag.
const FILES_HELLO: (u16, &[u8]) = (1, b"udpf");

/// Is the pipe of `connection` until both directions have ended. Blocks.
pub(crate) fn run(connection: &Connection) -> Result<Exit, Failure> {
    let first = ChannelConfig { priority: 0, ..ChannelConfig::default() };
    // Where it has ended already, receiving says so.
    let _ = connection.configure(CONTROL, first);
    say(connection, Control::Hello { version: VERSION });
    let failed = |error: io::Error| Failure::of_io("cannot use standard input and output", &error);
    let output = Output::open().map_err(failed)?;
    if output.is_terminal() || io::IsTerminal::is_terminal(&io::stdin()) {
        note("connected: what either side types the other one sees; Ctrl-D ends");
    }
    let input = Input::start(connection).map_err(failed)?;
    let mut exchange = Exchange { connection, input, output: Some(output), ends: Ends::default() };
    match exchange.until_done() {
        Ok(()) => {
            connection.close(code::DONE);
            Ok(Exit::Ok)
        }
        Err(stop) => exchange.stop(stop),
    }
}

/// A last word or a first one: where the connection has ended, receiving says so.
fn say(connection: &Connection, control: Control) {
    let (tag, body) = control.encode();
    let _ = connection.send_on(CONTROL, tag, body);
}

struct Exchange<'a> {
    connection: &'a Connection,
    input: Input,
    /// Until it is ended.
    output: Option<Output>,
    ends: Ends,
}

/// Why it does not go on.
enum Stop {
    /// The connection is no more.
    End(End),
    /// The other side makes no sense.
    Broken(Broken),
    /// Nobody takes what comes.
    Output(io::Error),
}

impl Exchange<'_> {
    fn until_done(&mut self) -> Result<(), Stop> {
        let id = self.connection.id();
        let interests = [Interest::Readable(id, Select::One(CONTROL)), Interest::Readable(id, Select::Any)];
        loop {
            let said = self.hear_all()?;
            if let Some(written) = self.ends.ends_output() {
                self.end_output().map_err(Stop::Output)?;
                say(self.connection, written);
            }
            if self.ends.are_done() {
                return Ok(());
            }
            match self.connection.try_recv() {
                Ok(Some(message)) => self.take(message)?,
                // What was said before the end counts.
                Err(_) if said => {}
                Err(RecvError::Ended(end)) => return Err(Stop::End(end)),
                Err(_) | Ok(None) => {
                    self.connection.transport().wait(&interests, None).map_err(|_| Stop::End(End::Broken))?;
                }
            }
        }
    }

    /// Takes the control messages that are there; true where there was one.
    fn hear_all(&mut self) -> Result<bool, Stop> {
        let mut said = false;
        // Where the connection has ended, the content says so, once all of it was taken.
        while let Ok(Some(message)) = self.connection.try_recv_on(CONTROL) {
            said = true;
            let tag = message.tag;
            let too_long = |_| Stop::Broken(Broken::Violation("a control message that is too long"));
            let body = message.into_bytes(CONTROL_LEN_MAX).map_err(too_long)?;
            let control = Control::decode(tag, &body).map_err(Broken::from).map_err(Stop::Broken)?;
            self.ends.on_control(control, self.input.ended()).map_err(Stop::Broken)?;
        }
        Ok(said)
    }

    fn take(&mut self, message: Message) -> Result<(), Stop> {
        if message.channel != CONTENT {
            return Err(Stop::Broken(Broken::Violation("a message on another channel")));
        }
        match message.body {
            Body::Whole(body) if message.tag == FILES_HELLO.0 && body.starts_with(FILES_HELLO.1) => {
                Err(Stop::Broken(Broken::Files))
            }
            Body::Whole(body) => self.write(&body),
            Body::Stream(mut reader) => {
                let mut piece = vec![0; PIECE_LEN];
                loop {
                    match reader.read_some(&mut piece) {
                        Ok(0) => return Ok(()),
                        Ok(len) => self.write(&piece[..len])?,
                        // A part of it is in the output already.
                        Err(_) => return Err(Stop::Broken(Broken::Violation("a message that was given up"))),
                    }
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.ends.on_content(bytes.len() as u64).map_err(Stop::Broken)?;
        match &mut self.output {
            Some(output) => output.write(bytes).map_err(Stop::Output),
            None => Ok(()),
        }
    }

    fn end_output(&mut self) -> io::Result<()> {
        let Some(output) = self.output.take() else { return Ok(()) };
        let is_open = output.is_terminal() && self.input.ended().is_none();
        output.end()?;
        if is_open {
            note("the other side has ended; Ctrl-D ends this one, too");
        }
        Ok(())
    }

    /// Ends what is left, and says why.
    fn stop(mut self, stop: Stop) -> Result<Exit, Failure> {
        match stop {
            Stop::Broken(broken) => {
                give_up(self.connection, broken.code());
                Err(Failure::new(broken.exit(), broken.to_string()))
            }
            Stop::Output(error) => {
                give_up(self.connection, code::FAILED);
                Err(Failure::of_io("cannot write to standard output", &error))
            }
            Stop::End(End::ClosedByPeer { code: code::DONE }) if !self.ends.is_greeted() => {
                self.end_output().map_err(|error| Failure::of_io("cannot write to standard output", &error))?;
                // It is closed: this only asks for the report.
                let report = self.connection.close(code::DONE);
                if report.channels.iter().all(|channel| channel.channel != CONTENT || channel.all_taken()) {
                    return Ok(Exit::Ok);
                }
                Err(Failure::new(Exit::Other, "the other side closed before it had taken everything"))
            }
            Stop::End(end) => {
                if let End::Aborted { code } = end {
                    give_up(self.connection, code);
                }
                Err(self.ended(end))
            }
        }
    }

    fn ended(&self, end: End) -> Failure {
        if let Some(error) = self.input.failure() {
            return Failure::of_io("cannot read standard input", &error);
        }
        match end {
            End::Aborted { code: code::INTERRUPTED } => Failure::new(Exit::Interrupted, "interrupted"),
            End::ClosedByPeer { code } | End::AbortedByPeer { code } => {
                let (exit, said) = match code {
                    code::DONE => (Exit::Other, "it closed before the end".to_owned()),
                    code::INTERRUPTED => (Exit::Timeout, "it was interrupted".to_owned()),
                    code::VIOLATION => {
                        let said = "it says that we broke the pipe's protocol (is it no udpair invite or join?)";
                        (Exit::Other, said.to_owned())
                    }
                    code::VERSION => (Exit::Differs, "it speaks another version of the pipe's protocol".to_owned()),
                    code::FAILED => (Exit::Other, "it cannot read its input or write its output".to_owned()),
                    code::SILENT => (Exit::Other, "it waits for files (is it udpair recv?)".to_owned()),
                    other => (Exit::Other, format!("code {other}")),
                };
                Failure::new(exit, format!("the other side ended the pipe: {said}"))
            }
            End::TimedOut => Failure::new(Exit::Timeout, "timeout: nothing was heard from the other side any more"),
            End::Unreachable | End::Broken => Failure::new(Exit::Timeout, "the other side is gone"),
            End::RefusedByPeer { .. } | End::Refused(_) => Failure::new(Exit::Refused, "the other side refused"),
            end => Failure::new(Exit::Other, end.to_string()),
        }
    }
}
