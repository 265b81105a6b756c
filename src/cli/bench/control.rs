//! The bench's own protocol, version 1: what the two sides say to each other beside the messages that are measured.
//! `spec/bench.md`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};

use super::args::{Delivery, Transport, Workload};
use super::clock;
use super::error::Error;
use super::wait;
use crate::cli::call::Unreached;

/// Of the protocol.
pub(crate) const VERSION: u32 = 1;

/// The most bytes that one utterance may have.
pub(crate) const LINE_MAX: usize = 4_096;

/// How long the client waits for the server's first word: a run before ours may have to end.
pub(crate) const READY_WAIT: Duration = Duration::from_secs(30);

/// How long the server waits for what a client says first.
pub(crate) const OPENING_WAIT: Duration = Duration::from_secs(5);

/// How long a run may make no progress before the server ends it: others want to be served.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a bare connection may take to be made, all addresses of a name together.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Connects to the first of `to` that answers, one after another.
pub(crate) fn connect(to: &[SocketAddr]) -> Result<(SocketAddr, TcpStream), Error> {
    let wait = CONNECT_WAIT / u32::try_from(to.len().max(1)).unwrap_or(u32::MAX);
    let mut unreached = Unreached::default();
    for addr in to {
        match TcpStream::connect_timeout(addr, wait) {
            Ok(tcp) => return Ok((*addr, tcp)),
            Err(error) => unreached = unreached.and_io(*addr, &error),
        }
    }
    Err(Error::Unreached(unreached))
}

/// What the client says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// First: what is wanted.
    Run(Order),
    /// Everything was sent: so many messages.
    End {
        /// How many.
        sent: u64,
    },
}

/// What the client wants of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// [`VERSION`] of whoever asks.
    pub(crate) version: u32,
    /// Must be the server's own.
    pub(crate) transport: Transport,
    /// What will come.
    pub(crate) workload: Workload,
    /// `None` for bare sockets.
    pub(crate) delivery: Option<Delivery>,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// The client's UDP port, for raw-udp.
    pub(crate) udp_port: Option<u16>,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// Messages may come.
    Ready(Ready),
    /// The run is over, or never began.
    Error {
        /// For whoever sits at the client.
        reason: String,
    },
    /// Everything that came was taken and checked.
    Outcome(Outcome),
}

/// The server's answer to an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// What the second connection of raw-tcp begins with.
    pub(crate) token: Option<String>,
    /// The server's congestion controller.
    pub(crate) controller: Option<String>,
    /// Bytes that the server's receive buffer really holds, for UDP.
    pub(crate) receive_buffer: Option<u64>,
}

/// What the server saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Messages that it took, each once.
    pub(crate) received: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// CPU seconds of its process since it said that it was ready.
    pub(crate) cpu_s: f64,
    /// For how long nothing more had come when it gave up waiting for what was missing.
    pub(crate) quiet_us: u64,
}

impl Outcome {
    /// What the server says of a run of `sent` messages, where that can be.
    pub(crate) fn checked(self, sent: u64) -> Result<Self, Error> {
        let Self { received, cpu_s, .. } = self;
        if received <= sent && cpu_s.is_finite() && cpu_s >= 0.0 {
            return Ok(self);
        }
        Err(Error::Protocol(format!("it took {received} of {sent} messages, in {cpu_s} s of CPU time")))
    }
}

impl Order {
    /// Why this side cannot do it, if so.
    pub(crate) fn refusal(&self, serves: Transport) -> Option<String> {
        use super::plan::{size_max, size_min};
        if self.version != VERSION {
            return Some(format!("this server speaks version {VERSION} of the bench's protocol, not {}", self.version));
        }
        if self.transport != serves {
            return Some(format!("this server measures {serves}, not {}", self.transport));
        }
        if self.transport.is_raw() == self.delivery.is_some() {
            return Some("a delivery mode goes with udp and tcp, and only with those".to_owned());
        }
        let (least, most) = (size_min(serves, self.delivery), size_max(serves, self.delivery));
        (!(least..=most).contains(&self.size))
            .then(|| format!("a message has {least} to {most} bytes, not {}", self.size))
    }
}

/// `value` as it is said, without a line's end.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("numbers, words and strings are always JSON")
}

/// What was said.
pub(crate) fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(line).map_err(|error| Error::Protocol(error.to_string()))
}

/// The control connection of a raw run: one utterance a line.
#[derive(Debug)]
pub(crate) struct Control {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Control {
    /// Speaks on `stream`.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        keep_alive(&stream)?;
        Ok(Self { stream, heard: Vec::new() })
    }

    /// The connection, to wait for it.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Says `value`.
    pub(crate) fn say(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let mut line = encode(value);
        line.push(b'\n');
        self.stream.write_all(&line).map_err(|_| Error::Ended)
    }

    /// What the other side says next; `None` where it has not said it all within `wait`.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self, wait: Option<Duration>) -> Result<Option<T>, Error> {
        let until = wait.map(|wait| clock::now() + wait);
        loop {
            if let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return decode(&line).map(Some);
            }
            if self.heard.len() >= LINE_MAX {
                return Err(Error::Protocol(format!("a line of more than {LINE_MAX} bytes")));
            }
            let left = until.map(|until| until.saturating_duration_since(clock::now()));
            if !wait::readable(&self.stream, left).map_err(|e| Error::io("wait")(e.into()))? {
                return Ok(None);
            }
            let mut chunk = [0; 512];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return Err(Error::Ended),
                Ok(len) => self.heard.extend_from_slice(&chunk[..len]),
            }
        }
    }

    /// Says what is wanted and waits until the server is ready.
    pub(crate) fn order(&mut self, order: Order) -> Result<Ready, Error> {
        self.say(&Request::Run(order))?;
        match self.hear(Some(READY_WAIT))? {
            Some(Reply::Ready(ready)) => Ok(ready),
            Some(Reply::Error { reason }) => Err(Error::Refused(reason)),
            Some(Reply::Outcome(_)) => Err(Error::Protocol("an outcome before the run".to_owned())),
            None => Err(Error::Silent { seconds: READY_WAIT.as_secs() }),
        }
    }

    /// Says that everything was sent.
    pub(crate) fn say_end(&mut self, sent: u64) -> Result<(), Error> {
        self.say(&Request::End { sent })
    }

    /// What the server saw.
    pub(crate) fn hear_outcome(&mut self) -> Result<Outcome, Error> {
        match self.hear(None)? {
            Some(Reply::Outcome(outcome)) => Ok(outcome),
            Some(Reply::Error { reason }) => Err(Error::Remote(reason)),
            Some(Reply::Ready(_)) | None => Err(Error::Protocol("no outcome after the run".to_owned())),
        }
    }

    /// The order that a client begins with.
    pub(crate) fn hear_order(&mut self) -> Result<Order, Error> {
        match self.hear(Some(OPENING_WAIT))? {
            Some(Request::Run(order)) => Ok(order),
            Some(Request::End { .. }) => Err(Error::Protocol("an end before the run".to_owned())),
            None => Err(Error::Silent { seconds: OPENING_WAIT.as_secs() }),
        }
    }

    /// How many messages the client says that it has sent; it has to say so within `patience`.
    pub(crate) fn hear_end(&mut self, patience: Duration) -> Result<u64, Error> {
        match self.hear(Some(patience))? {
            Some(Request::End { sent }) => Ok(sent),
            None => Err(Error::Stalled { patience }),
            Some(Request::Run(_)) => Err(Error::Protocol("a run within a run".to_owned())),
        }
    }

    /// Waits, for a while, until the client has gone: until then it may ask its kernel about the run's connection.
    pub(crate) fn see_off(&mut self) {
        let _gone_or_late = wait::readable(&self.stream, Some(OPENING_WAIT));
    }

    /// Why the server ended the run, where it has said so; waits a little for it.
    pub(crate) fn reason(&mut self) -> Option<String> {
        match self.hear(Some(Duration::from_millis(100))) {
            Ok(Some(Reply::Error { reason })) => Some(reason),
            _ => None,
        }
    }
}

/// A dead machine at the other end is noticed within some 11 s, as udpair's own transports would.
pub(crate) fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let (time, interval) = (Duration::from_secs(5), Duration::from_secs(2));
    SockRef::from(stream)
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn order() -> Order {
        Order {
            version: VERSION,
            transport: Transport::RawUdp,
            workload: Workload::Echo,
            delivery: None,
            size: 64,
            udp_port: Some(4_242),
        }
    }

    fn pair() -> (Control, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Control::new(listener.accept().unwrap().0).unwrap(), stream)
    }

    #[test]
    fn utterances_are_those_of_the_spec() {
        let said = |value: &dyn Fn() -> Vec<u8>| String::from_utf8(value()).unwrap();
        assert_eq!(
            said(&|| encode(&Request::Run(order()))),
            r#"{"run":{"version":1,"transport":"raw-udp","workload":"echo","delivery":null,"size":64,"udp_port":4242}}"#
        );
        assert_eq!(said(&|| encode(&Request::End { sent: 7 })), r#"{"end":{"sent":7}}"#);
        assert_eq!(
            said(&|| encode(&Reply::Ready(Ready { receive_buffer: Some(9), ..Ready::default() }))),
            r#"{"ready":{"token":null,"controller":null,"receive_buffer":9}}"#
        );
        assert_eq!(said(&|| encode(&Reply::Error { reason: "no".to_owned() })), r#"{"error":{"reason":"no"}}"#);
        let outcome = Outcome { received: 1, bytes: 2, cpu_s: 0.5, quiet_us: 3 };
        assert_eq!(
            said(&|| encode(&Reply::Outcome(outcome))),
            r#"{"outcome":{"received":1,"bytes":2,"cpu_s":0.5,"quiet_us":3}}"#
        );
    }

    #[test]
    fn what_a_later_version_adds_is_ignored() {
        let line = br#"{"end":{"sent":7,"mood":"good"}}"#;
        assert_eq!(decode::<Request>(line).unwrap(), Request::End { sent: 7 });
    }

    #[test]
    fn a_server_that_took_more_than_was_sent_is_not_believed() {
        let outcome = Outcome { received: 7, bytes: 0, cpu_s: 0.5, quiet_us: 0 };
        assert!(outcome.checked(7).is_ok());
        for bad in [Outcome { received: 8, ..outcome }, Outcome { cpu_s: -0.1, ..outcome }] {
            assert!(matches!(bad.checked(7), Err(Error::Protocol(_))), "{bad:?}");
        }
    }

    #[test]
    fn lines_arrive_in_pieces_and_several_at_once() {
        let (mut control, mut peer) = pair();
        peer.write_all(br#"{"end":{"se"#).unwrap();
        assert_eq!(control.hear::<Request>(Some(Duration::ZERO)).unwrap(), None);
        peer.write_all(b"nt\":1}}\n{\"end\":{\"sent\":2}}\n").unwrap();
        assert_eq!(control.hear_end(PATIENCE).unwrap(), 1);
        assert_eq!(control.hear_end(PATIENCE).unwrap(), 2);
        drop(peer);
        assert!(matches!(control.hear_end(PATIENCE), Err(Error::Ended)));
    }

    #[test]
    fn nonsense_and_endless_lines_are_refused() {
        let (mut control, mut peer) = pair();
        peer.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        assert!(matches!(control.hear_order(), Err(Error::Protocol(_))));
        let (mut control, mut peer) = pair();
        peer.write_all(&[b' '; LINE_MAX + 512]).unwrap();
        assert!(matches!(control.hear_order(), Err(Error::Protocol(_))));
    }

    #[test]
    fn a_server_refuses_what_it_cannot_do() {
        let good = order();
        assert_eq!(good.refusal(Transport::RawUdp), None);
        let bad = [
            Order { version: VERSION + 1, ..good },
            Order { transport: Transport::RawTcp, ..good },
            Order { delivery: Some(Delivery::Ordered), ..good },
            Order { size: 7, ..good },
            Order { size: 65_508, ..good },
        ];
        for order in bad {
            assert!(order.refusal(Transport::RawUdp).is_some(), "{order:?}");
        }
    }
}
