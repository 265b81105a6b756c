//! udpair's own transports, through the handles that every application has: messages on one channel, the control
//! protocol on another of the same connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use udpair::message::{ChannelConfig, SendError};
use udpair::transport::RecvError;
use udpair::{Config, Connection, Listener};

use super::answer::{self, answer};
use super::args::{Delivery, Transport};
use super::clock;
use super::content::{Content, SIZE_MAX};
use super::control::{LINE_MAX, OPENING_WAIT, Order, Outcome, READY_WAIT, Ready, Reply, Request, decode, encode};
use super::error::Error;
use super::link::{ClientLink, Facts, Heard, Link, ServerLink};
use super::serve::Log;
use super::sockets::Sockets;
use crate::cli::call::{any_for, call};

/// The channel of the messages that are measured.
const MESSAGES: u16 = 0;
/// The channel of the control protocol, Ordered.
const CONTROL: u16 = 1;

/// How long a side that has nothing more to say waits for the other to have heard it.
const LINGER: Duration = Duration::from_secs(2);

/// A connection, and the message that it gave last.
struct Channels {
    connection: Connection,
    body: Bytes,
}

enum Got {
    Body,
    Said(Bytes),
    Nothing,
}

impl Channels {
    fn new(connection: Connection) -> Self {
        Self { connection, body: Bytes::new() }
    }

    /// What is promised for the messages of this side.
    fn deliver(&self, delivery: Option<Delivery>) -> Result<(), Error> {
        use udpair::message::Delivery as Mode;
        let delivery = match delivery {
            None | Some(Delivery::Ordered) => Mode::Ordered,
            Some(Delivery::Unordered) => Mode::Unordered,
            Some(Delivery::Latest) => Mode::Latest,
            Some(Delivery::Unreliable) => Mode::Unreliable,
        };
        let config = ChannelConfig { delivery, ..ChannelConfig::default() };
        self.connection.configure(MESSAGES, config).map_err(|e| Error::io("configure a channel")(e.into()))
    }

    fn recv(&mut self, wait: Option<Duration>) -> Result<Got, Error> {
        let message = match wait {
            None => self.connection.recv(),
            Some(wait) => self.connection.recv_timeout(wait),
        };
        let message = match message {
            Ok(message) => message,
            Err(RecvError::TimedOut) => return Ok(Got::Nothing),
            Err(error) => return Err(Error::io("receive")(error.into())),
        };
        let channel = message.channel;
        let max = if channel == CONTROL { LINE_MAX } else { SIZE_MAX };
        let body = message.into_bytes(max).map_err(|e| Error::io("receive")(e.into()))?;
        match channel {
            MESSAGES => {
                self.body = body;
                Ok(Got::Body)
            }
            CONTROL => Ok(Got::Said(body)),
            other => Err(Error::Protocol(format!("a message on channel {other}"))),
        }
    }

    /// What is said within `wait`; messages before it are dropped, and buy no time.
    fn hear<T: DeserializeOwned>(&mut self, wait: Option<Duration>) -> Result<Option<T>, Error> {
        let until = wait.map(|wait| clock::now() + wait);
        loop {
            let left = until.map(|until| until.saturating_duration_since(clock::now()));
            match self.recv(left)? {
                Got::Said(said) => return decode(&said).map(Some),
                Got::Nothing => return Ok(None),
                Got::Body => {}
            }
        }
    }

    fn send_on(&self, channel: u16, body: Bytes) -> Result<(), Error> {
        self.connection.send_on(channel, 0, body).map(drop).map_err(|e| Error::io("send")(e.into()))
    }

    fn say(&self, value: &impl serde::Serialize) -> Result<(), Error> {
        self.send_on(CONTROL, encode(value).into())
    }
}

/// The side that sends.
pub(crate) struct Client {
    channels: Channels,
    facts: Facts,
}

impl Client {
    /// Connects to a server and tells it what is wanted.
    pub(crate) fn connect(to: &[SocketAddr], order: Order, mut config: Config) -> Result<(Self, Ready), Error> {
        config.backlog = 0;
        let timeout = config.connect_timeout;
        let transport = bind(order.transport, any_for(to), config)?;
        let connection = call(&transport, to, timeout).map_err(Error::Unreached)?;
        let mut channels = Channels::new(connection);
        channels.deliver(order.delivery)?;
        channels.say(&Request::Run(order))?;
        match channels.hear(Some(READY_WAIT))? {
            Some(Reply::Ready(ready)) => Ok((Self { channels, facts: Facts::default() }, ready)),
            Some(Reply::Error { reason }) => Err(Error::Refused(reason)),
            Some(Reply::Outcome(_)) => Err(Error::Protocol("an outcome before the run".to_owned())),
            None => Err(Error::Silent { seconds: READY_WAIT.as_secs() }),
        }
    }

    fn outcome(said: Reply) -> Result<Outcome, Error> {
        match said {
            Reply::Outcome(outcome) => Ok(outcome),
            Reply::Error { reason } => Err(Error::Remote(reason)),
            Reply::Ready(_) => Err(Error::Protocol("ready twice".to_owned())),
        }
    }
}

impl Link for Client {
    fn recv(&mut self, wait: Option<Duration>) -> Result<Heard, Error> {
        match self.channels.recv(wait)? {
            Got::Body => Ok(Heard::Body),
            Got::Nothing => Ok(Heard::Nothing),
            Got::Said(said) => Self::outcome(decode(&said)?).and(Err(Error::Ended)),
        }
    }

    fn body(&self) -> &[u8] {
        &self.channels.body
    }
}

impl ClientLink for Client {
    fn send(&mut self, body: &Bytes) -> Result<(), Error> {
        self.channels.send_on(MESSAGES, body.clone())
    }

    fn try_send(&mut self, body: &Bytes) -> Result<bool, Error> {
        match self.channels.connection.try_send_on(MESSAGES, 0, body.clone()) {
            Ok(_) => Ok(true),
            Err(SendError::WouldBlock) => Ok(false),
            Err(error) => Err(Error::io("send")(error.into())),
        }
    }

    fn end(&mut self, sent: u64) -> Result<Outcome, Error> {
        self.channels.say(&Request::End { sent })?;
        let said = self.channels.hear(None)?.ok_or(Error::Ended)?;
        let outcome = Self::outcome(said)?;
        let stats = self.channels.connection.stats();
        self.facts = Facts {
            controller: stats.controller,
            retransmits: stats.retransmits,
            path_mtu: stats.path_mtu,
            sockets: Sockets::of_transport(&stats.transport),
        };
        self.channels.connection.close_within(0, LINGER);
        Ok(outcome)
    }

    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn reason(&mut self) -> Option<String> {
        match self.channels.hear(Some(Duration::from_millis(100))) {
            Ok(Some(Reply::Error { reason })) => Some(reason),
            _ => None,
        }
    }
}

/// The side that answers.
struct Server {
    channels: Channels,
}

impl Link for Server {
    fn recv(&mut self, wait: Option<Duration>) -> Result<Heard, Error> {
        match self.channels.recv(wait)? {
            Got::Body => Ok(Heard::Body),
            Got::Nothing => Ok(Heard::Nothing),
            Got::Said(said) => match decode(&said)? {
                Request::End { sent } => Ok(Heard::End { sent }),
                Request::Run(_) => Err(Error::Protocol("a run within a run".to_owned())),
            },
        }
    }

    fn body(&self) -> &[u8] {
        &self.channels.body
    }
}

impl ServerLink for Server {
    fn reply(&mut self) -> Result<(), Error> {
        self.channels.send_on(MESSAGES, self.channels.body.clone())
    }

    fn sink(&mut self, content: &Content, lossy: bool) -> Result<Outcome, Error> {
        answer::sink(self, content, lossy)
    }

    fn report(&mut self, outcome: Outcome) -> Result<(), Error> {
        self.channels.say(&Reply::Outcome(outcome))
    }
}

/// One of udpair's transports, waiting for runs.
pub(crate) struct LibraryServer {
    transport: Transport,
    listener: Listener,
}

impl LibraryServer {
    /// Listens at `listen`.
    pub(crate) fn bind(listen: SocketAddr, transport: Transport, config: Config) -> Result<Self, Error> {
        let listener = Listener::new(bind(transport, listen, config)?);
        Ok(Self { transport, listener })
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Waits for a client and answers its run; only an error of the listener itself is one.
    pub(crate) fn serve_one(&self, log: &Log) -> Result<(), Error> {
        let connection = self.listener.accept().map_err(|e| Error::io("accept a connection")(e.into()))?;
        let peer = connection.peer_addr();
        let mut server = Server { channels: Channels::new(connection) };
        let done = self.run(&mut server);
        if let Err(error) = &done {
            // It may be gone.
            let _told = server.channels.say(&Reply::Error { reason: error.in_full() });
        }
        server.channels.connection.close_within(0, LINGER);
        log.run(peer, &done);
        Ok(())
    }

    fn run(&self, server: &mut Server) -> Result<(Order, Outcome), Error> {
        let order = match server.channels.hear(Some(OPENING_WAIT))? {
            Some(Request::Run(order)) => order,
            Some(Request::End { .. }) => return Err(Error::Protocol("an end before the run".to_owned())),
            None => return Err(Error::Silent { seconds: OPENING_WAIT.as_secs() }),
        };
        if let Some(reason) = order.refusal(self.transport) {
            return Err(Error::Usage(reason));
        }
        server.channels.deliver(order.delivery)?;
        let stats = server.channels.connection.stats();
        let receive_buffer = stats.transport.receive_buffer.and_then(|len| u64::try_from(len).ok());
        server.channels.say(&Reply::Ready(Ready { token: None, controller: stats.controller, receive_buffer }))?;
        let outcome = answer(&order, server)?;
        Ok((order, outcome))
    }
}

fn bind(transport: Transport, at: SocketAddr, config: Config) -> Result<Arc<dyn udpair::Transport>, Error> {
    let bound = match transport {
        Transport::Tcp => udpair::tcp::bind(at, config),
        _ => udpair::udp::bind(at, config),
    };
    bound.map_err(|error| Error::Listen { address: at.to_string(), source: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_without_saying_what_they_want_is_not_listened_to_for_ever() {
        let (any, plain) = (([127, 0, 0, 1], 0).into(), Config::insecure_plain);
        let server = LibraryServer::bind(any, Transport::Udp, plain()).unwrap();
        let transport = bind(Transport::Udp, any, plain()).unwrap();
        let client = Connection::connect(&transport, server.local_addr()).unwrap();
        let flood = transport.spawn("flood", move || while client.send("no order").is_ok() {}).unwrap();
        let mut channels = Channels::new(server.listener.accept().unwrap());
        assert!(matches!(channels.hear::<Request>(Some(Duration::from_millis(50))), Ok(None)));
        channels.connection.abort(0);
        flood.join().unwrap();
    }
}
