//! Raw TCP, as good as a careful program makes it: TCP_NODELAY, messages of a length that both sides know, whole
//! messages in one write up to 64 KiB. One connection carries the control protocol, a second one the messages.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;

use super::content::Content;
use super::control::{self, Control, Order, Outcome, Ready};
use super::error::Error;
use super::link::{ClientLink, Facts, Heard, Link, ServerLink};
use super::wait;

/// What one write carries at most.
const WRITE_MAX: usize = 64 << 10;

/// What one read of a `bulk` run asks for.
const READ_MAX: usize = 256 << 10;

/// What the connection for the messages begins with: the server's token and a line's end.
pub(crate) const TOKEN_LEN: usize = 16;

/// The connection for the messages.
struct Stream {
    tcp: TcpStream,
    body: Vec<u8>,
    /// Bytes of `body` that have arrived, less than all of them.
    filled: usize,
    /// The end of a message of which the kernel took only the beginning.
    rest: Vec<u8>,
    /// Messages on their way to a write, of `bulk`.
    writes: Vec<u8>,
}

enum Got {
    Body,
    Nothing,
    End,
}

impl Stream {
    fn new(tcp: TcpStream, size: usize) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        control::keep_alive(&tcp)?;
        Ok(Self { tcp, body: vec![0; size], filled: 0, rest: Vec::new(), writes: Vec::new() })
    }

    fn recv(&mut self, wait: Option<Duration>) -> Result<Got, Error> {
        let flags = if wait.is_some() { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
        if wait.is_some() && !wait::readable(&self.tcp, wait).map_err(receiving)? {
            return Ok(Got::Nothing);
        }
        loop {
            match rustix::net::recv(&self.tcp, &mut self.body[self.filled..], flags) {
                Ok((0, _)) if self.filled == 0 => return Ok(Got::End),
                Ok((0, _)) => return Err(Error::Ended),
                Ok((len, _)) => self.filled += len,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Got::Nothing),
                Err(error) => return Err(receiving(error)),
            }
            if self.filled == self.body.len() {
                self.filled = 0;
                return Ok(Got::Body);
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        bytes.chunks(WRITE_MAX).try_for_each(|chunk| self.tcp.write_all(chunk)).map_err(Error::io("send"))
    }

    /// Writes what an earlier call has left behind, as far as it goes; returns whether that was all.
    fn write_rest(&mut self) -> Result<bool, Error> {
        while !self.rest.is_empty() {
            match rustix::net::send(&self.tcp, &self.rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(len) => drop(self.rest.drain(..len)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(Error::io("send")(error.into())),
            }
        }
        Ok(true)
    }
}

fn receiving(error: Errno) -> Error {
    Error::io("receive")(error.into())
}

/// The side that sends.
pub(crate) struct Client {
    control: Control,
    stream: Stream,
    facts: Facts,
}

impl Client {
    /// Connects to a server, tells it what is wanted and opens the connection for the messages.
    pub(crate) fn connect(to: &[SocketAddr], order: Order) -> Result<(Self, Ready), Error> {
        let (to, control) = control::connect(to)?;
        let mut control = Control::new(control).map_err(Error::io("set up a connection"))?;
        let ready = control.order(order)?;
        let token = ready.token.clone().ok_or_else(|| Error::Protocol("no token".to_owned()))?;
        let (_, mut tcp) = control::connect(&[to])?;
        let stream = tcp
            .write_all(format!("{token}\n").as_bytes())
            .and_then(|()| Stream::new(tcp, order.size))
            .map_err(Error::io("set up a connection"))?;
        Ok((Self { control, stream, facts: Facts::default() }, ready))
    }

    /// Until the server speaks: answers that nobody counts any more must not stand in its way.
    fn discard_answers(&mut self) -> Result<(), Error> {
        let mut discarded = vec![0; READ_MAX];
        loop {
            let [answers, _] =
                wait::either_readable(&self.stream.tcp, self.control.stream(), None).map_err(receiving)?;
            if !answers || self.stream.tcp.read(&mut discarded).map_err(Error::io("receive"))? == 0 {
                return Ok(());
            }
        }
    }
}

impl Link for Client {
    fn recv(&mut self, wait: Option<Duration>) -> Result<Heard, Error> {
        match self.stream.recv(wait)? {
            Got::Body => Ok(Heard::Body),
            Got::Nothing => Ok(Heard::Nothing),
            Got::End => Err(Error::Ended),
        }
    }

    fn body(&self) -> &[u8] {
        &self.stream.body
    }
}

impl ClientLink for Client {
    fn send(&mut self, body: &Bytes) -> Result<(), Error> {
        self.stream.write_all(body)
    }

    fn try_send(&mut self, body: &Bytes) -> Result<bool, Error> {
        if !self.stream.write_rest()? {
            return Ok(false);
        }
        self.stream.rest.extend_from_slice(body);
        self.stream.write_rest()?;
        Ok(true)
    }

    fn burst(&self) -> u64 {
        u64::try_from((WRITE_MAX / self.stream.body.len()).max(1)).expect("at most 65,536")
    }

    fn send_burst(&mut self, content: &Content, from: u64, count: u64) -> Result<(), Error> {
        if count == 1 {
            return self.stream.write_all(&content.body(from));
        }
        let mut writes = std::mem::take(&mut self.stream.writes);
        writes.clear();
        (from..from + count).for_each(|n| content.append(n, &mut writes));
        let written = self.stream.write_all(&writes);
        self.stream.writes = writes;
        written
    }

    fn end(&mut self, sent: u64) -> Result<Outcome, Error> {
        let rest = std::mem::take(&mut self.stream.rest);
        self.stream.write_all(&rest)?;
        self.stream.tcp.shutdown(Shutdown::Write).map_err(Error::io("end a connection"))?;
        self.control.say_end(sent)?;
        self.discard_answers()?;
        let outcome = self.control.hear_outcome()?;
        // Our end is closed and theirs is not: the last moment at which the kernel still knows this.
        let stats = udpair::tcp::kernel_stats(&self.stream.tcp);
        self.facts = Facts {
            controller: controller(&self.stream.tcp),
            retransmits: stats.retransmits,
            path_mtu: stats.path_mtu,
            ..Facts::default()
        };
        Ok(outcome)
    }

    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn reason(&mut self) -> Option<String> {
        self.control.reason()
    }
}

/// The side that answers.
pub(crate) struct Server<'a> {
    control: &'a mut Control,
    stream: Stream,
    patience: Duration,
}

impl<'a> Server<'a> {
    /// Has `control`, on which an order came, and the connection for its messages, on which the token came. Where that
    /// makes no progress for `patience`, the run is over.
    pub(crate) fn new(
        control: &'a mut Control,
        tcp: TcpStream,
        size: usize,
        patience: Duration,
    ) -> Result<Self, Error> {
        // Late by a tick of the kernel, and without a system call for each message: the figures stay what they are.
        let stream = tcp
            .set_read_timeout(Some(patience))
            .and_then(|()| tcp.set_write_timeout(Some(patience)))
            .and_then(|()| Stream::new(tcp, size))
            .map_err(Error::io("set up a connection"))?;
        Ok(Self { control, stream, patience })
    }

    /// What an error of the connection for the messages is.
    fn failed(&self, error: Error) -> Error {
        match error {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::WouldBlock => {
                Error::Stalled { patience: self.patience }
            }
            other => other,
        }
    }

    /// Keeps the connection for the messages until the client has gone.
    pub(crate) fn see_off(self) {
        self.control.see_off();
    }
}

impl Link for Server<'_> {
    fn recv(&mut self, wait: Option<Duration>) -> Result<Heard, Error> {
        match self.stream.recv(wait)? {
            Got::Body => Ok(Heard::Body),
            Got::Nothing if wait.is_none() => Err(Error::Stalled { patience: self.patience }),
            Got::Nothing => Ok(Heard::Nothing),
            Got::End => self.control.hear_end(self.patience).map(|sent| Heard::End { sent }),
        }
    }

    fn body(&self) -> &[u8] {
        &self.stream.body
    }
}

impl ServerLink for Server<'_> {
    fn reply(&mut self) -> Result<(), Error> {
        let body = std::mem::take(&mut self.stream.body);
        let written = self.stream.write_all(&body);
        self.stream.body = body;
        written.map_err(|error| self.failed(error))
    }

    fn sink(&mut self, content: &Content, _lossy: bool) -> Result<Outcome, Error> {
        let mut buffer = vec![0; READ_MAX];
        // Message and byte in it that come next.
        let (mut n, mut at) = (0_u64, 0);
        loop {
            let len = self.stream.tcp.read(&mut buffer).map_err(Error::io("receive"));
            let len = len.map_err(|error| self.failed(error))?;
            if len == 0 {
                break;
            }
            let mut part = &buffer[..len];
            while !part.is_empty() {
                let (here, later) = part.split_at(part.len().min(content.size() - at));
                content.check_part(n, at, here)?;
                at += here.len();
                part = later;
                if at == content.size() {
                    (n, at) = (n + 1, 0);
                }
            }
        }
        let sent = self.control.hear_end(self.patience)?;
        if at != 0 || n != sent {
            return Err(Error::Ended);
        }
        let size = u64::try_from(content.size()).expect("at most 16 MiB");
        Ok(Outcome { received: n, bytes: n * size, ..Outcome::default() })
    }

    fn report(&mut self, outcome: Outcome) -> Result<(), Error> {
        self.control.say(&control::Reply::Outcome(outcome))
    }
}

/// The kernel's congestion controller for `tcp`.
pub(crate) fn controller(tcp: &TcpStream) -> Option<String> {
    SockRef::from(tcp)
        .tcp_congestion()
        .ok()
        .map(|name| String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned())
}
