//! udpair's own transports, through the handles that every application has: messages on one channel, the control
//! protocol on another of the same connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use udpair::message::{ChannelConfig, SendError};
use udpair::transport::{Body, RecvError};
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
    /// Where something would be waited for without end: for how long at most.
    patience: Option<Duration>,
}

enum Got {
    Body,
    Said(Bytes),
    Nothing,
}

impl Channels {
    fn new(connection: Connection, patience: Option<Duration>) -> Self {
        Self { connection, body: Bytes::new(), patience }
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
        let message = match wait.or(self.patience) {
            None => self.connection.recv(),
            Some(wait) => self.connection.recv_timeout(wait),
        };
        let message = match message {
            Ok(message) => message,
            Err(RecvError::TimedOut) => {
                return match self.patience {
                    Some(patience) if wait.is_none() => Err(Error::Stalled { patience }),
                    _ => Ok(Got::Nothing),
                };
            }
            Err(error) => return Err(Error::io("receive")(error.into())),
        };
        let channel = message.channel;
        let max = if channel == CONTROL { LINE_MAX } else { SIZE_MAX };
        // What comes piece by piece could take any time.
        let Body::Whole(body) = message.body else {
            return Err(Error::Protocol("a message that is too long, or of unknown length".to_owned()));
        };
        if body.len() > max {
            return Err(Error::Protocol(format!("a message of {} bytes", body.len())));
        }
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
        let sent = match self.patience {
            None => self.connection.send_on(channel, 0, body),
            Some(patience) => self.connection.send_on_timeout(channel, 0, body, patience),
        };
        match (sent, self.patience) {
            (Ok(_), _) => Ok(()),
            (Err(SendError::TimedOut), Some(patience)) => Err(Error::Stalled { patience }),
            (Err(error), _) => Err(Error::io("send")(error.into())),
        }
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
        let mut channels = Channels::new(connection, None);
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
    patience: Duration,
}

impl LibraryServer {
    /// Listens at `listen`. A run that makes no progress for `patience` is over.
    pub(crate) fn bind(
        listen: SocketAddr,
        transport: Transport,
        config: Config,
        patience: Duration,
    ) -> Result<Self, Error> {
        let listener = Listener::new(bind(transport, listen, config)?);
        Ok(Self { transport, listener, patience })
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Waits for a client and answers its run; only an error of the listener itself is one.
    pub(crate) fn serve_one(&self, log: &Log) -> Result<(), Error> {
        let (peer, done) = self.answer_one()?;
        log.run(peer, &done);
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "who, and what came of it")]
    fn answer_one(&self) -> Result<(Option<SocketAddr>, Result<(Order, Outcome), Error>), Error> {
        let connection = self.listener.accept().map_err(|e| Error::io("accept a connection")(e.into()))?;
        let peer = connection.peer_addr();
        let mut server = Server { channels: Channels::new(connection, Some(self.patience)) };
        let done = self.run(&mut server);
        let connection = &server.channels.connection;
        if let Err(error) = &done {
            // It may be gone, or take nothing: nobody waits for it again.
            let said = encode(&Reply::Error { reason: error.in_full() });
            let _told = connection.try_send_on(CONTROL, 0, said);
        }
        connection.close_within(0, LINGER.min(self.patience));
        Ok((peer, done))
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
    use udpair::message::Limits;

    use super::super::args::Workload;
    use super::super::control::{PATIENCE, VERSION};
    use super::*;

    #[test]
    fn whoever_sends_without_saying_what_they_want_is_not_listened_to_for_ever() {
        let (any, plain) = (([127, 0, 0, 1], 0).into(), Config::insecure_plain);
        let server = LibraryServer::bind(any, Transport::Udp, plain(), PATIENCE).unwrap();
        let transport = bind(Transport::Udp, any, plain()).unwrap();
        let client = Connection::connect(&transport, server.local_addr()).unwrap();
        let flood = transport.spawn("flood", move || while client.send("no order").is_ok() {}).unwrap();
        let mut channels = Channels::new(server.listener.accept().unwrap(), None);
        assert!(matches!(channels.hear::<Request>(Some(Duration::from_millis(50))), Ok(None)));
        channels.connection.abort(0);
        flood.join().unwrap();
    }
    #[test]
    fn a_client_that_stops_half_way_does_not_hold_the_server() {
        const PATIENCE: Duration = Duration::from_millis(200);
        const SIZE: usize = 1_024;
        // With nothing, after one message, and while the answers are not taken.
        let stop: [fn(&mut Client); 3] = [
            |_| {},
            |client| client.send(&Content::new(SIZE, false).body(0)).unwrap(),
            |client| {
                let content = Content::new(SIZE, false);
                let _ended = (0..).try_for_each(|n| client.send(&content.body(n)));
            },
        ];
        let (any, small) = (([127, 0, 0, 1], 0).into(), 64 << 10);
        let config = move || {
            let mut config = Config::insecure_plain();
            config.limits =
                Limits { send_queue: small, credit_connection: small, credit_channel: small, ..Limits::default() };
            config
        };
        for (transport, workload) in [Transport::Udp, Transport::Tcp]
            .into_iter()
            .flat_map(|transport| [Workload::Echo, Workload::Bulk].map(|workload| (transport, workload)))
        {
            let server = LibraryServer::bind(any, transport, config(), PATIENCE).unwrap();
            let at = server.local_addr();
            let delivery = Some(Delivery::Ordered);
            let order = Order { version: VERSION, transport, workload, delivery, size: SIZE, udp_port: None };
            let stops = if workload == Workload::Echo { &stop[..] } else { &stop[..2] };
            for stop in stops {
                let stop = *stop;
                let held = move || {
                    let (mut client, _) = Client::connect(&[at], order, config()).unwrap();
                    stop(&mut client);
                    client
                };
                let client = server.listener.transport().spawn("client", held).unwrap();
                let (_, done) = server.answer_one().unwrap();
                assert!(matches!(done, Err(Error::Stalled { patience: PATIENCE })), "{transport} {workload}: {done:?}");
                drop(client.join().unwrap());
            }
            // And the next one is served.
            let next = move || {
                let (mut client, _) = Client::connect(&[at], order, config()).unwrap();
                client.send(&Content::new(SIZE, false).body(0)).unwrap();
                client.end(1).unwrap()
            };
            let client = server.listener.transport().spawn("client", next).unwrap();
            let (_, done) = server.answer_one().unwrap();
            assert_eq!(done.unwrap().1.received, 1);
            assert_eq!(client.join().unwrap().received, 1);
        }
    }
}
