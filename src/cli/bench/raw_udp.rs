//! Raw UDP, as good as a careful program makes it: connected sockets, ppoll for the timed wait, and for `bulk`
//! batches (`raw_udp_bulk`). What is lost stays lost and is counted. A TCP connection to the same port number carries
//! the control protocol.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;

use super::args::Workload;
use super::content::Content;
use super::control::{self, Control, Order, Outcome, Ready, Reply};
use super::error::Error;
use super::link::{ClientLink, Facts, Heard, Link, ServerLink};
use super::raw_udp_bulk::{Receiver, Sender};
use super::sockets::Sockets;
use super::{answer, wait};

/// The most that one datagram carries over IPv4: 65,535 less the headers of IP and UDP.
pub(crate) const DATAGRAM_MAX: usize = 65_507;

/// What a frame of 1,500 bytes carries over IPv4.
pub(crate) const BULK_SIZE: usize = 1_472;

/// What is asked for as receive buffer and as send buffer; the system may give less.
pub(crate) const BUFFER: usize = 4 << 20;

/// Asks for large buffers, and returns what the receive buffer really is.
pub(crate) fn set_buffers(socket: &UdpSocket) -> Option<u64> {
    let socket = SockRef::from(socket);
    // Less than asked for is still worth having, and is reported.
    let _less = (socket.set_recv_buffer_size(BUFFER), socket.set_send_buffer_size(BUFFER));
    socket.recv_buffer_size().ok().and_then(|len| u64::try_from(len).ok())
}

/// A connected socket, and the last datagram that it gave.
struct Datagrams {
    udp: UdpSocket,
    buffer: Vec<u8>,
    len: usize,
}

impl Datagrams {
    fn new(udp: UdpSocket) -> Self {
        Self { udp, buffer: vec![0; DATAGRAM_MAX + 1], len: 0 }
    }

    /// Takes a datagram if there is one.
    fn take(&mut self) -> Result<bool, Error> {
        match rustix::net::recv(&self.udp, &mut self.buffer, RecvFlags::DONTWAIT) {
            Ok((len, _)) => self.len = len,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(Error::io("receive")(error.into())),
        }
        Ok(true)
    }

    fn body(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Returns whether there was room.
    fn send(&self, body: &[u8], flags: SendFlags) -> Result<bool, Error> {
        loop {
            match rustix::net::send(&self.udp, body, flags) {
                // A local packet filter drops with an error: lost like any other.
                Ok(_) | Err(Errno::PERM) => return Ok(true),
                Err(Errno::AGAIN | Errno::NOBUFS) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::io("send")(error.into())),
            }
        }
    }

    fn send_waiting(&self, body: &[u8]) -> Result<(), Error> {
        while !self.send(body, SendFlags::empty())? {
            wait::writable(&self.udp).map_err(|error| Error::io("send")(error.into()))?;
        }
        Ok(())
    }
}

/// The side that sends.
pub(crate) struct Client {
    control: Control,
    datagrams: Datagrams,
    bulk: Option<Sender>,
}

impl Client {
    /// Connects to a server and tells it what is wanted.
    pub(crate) fn connect(to: &[SocketAddr], order: Order) -> Result<(Self, Ready), Error> {
        let (to, tcp) = control::connect(to)?;
        let failed = |source| Error::Connect { address: to.to_string(), source };
        let local = tcp.local_addr().map_err(failed)?.ip();
        let mut control = Control::new(tcp).map_err(Error::io("set up a connection"))?;
        let udp = UdpSocket::bind((local, 0)).and_then(|udp| udp.connect(to).map(|()| udp)).map_err(failed)?;
        set_buffers(&udp);
        let udp_port = udp.local_addr().map_err(failed)?.port();
        let bulk = match order.workload {
            Workload::Bulk => Some(Sender::new(&udp, to, order.size).map_err(Error::io("set up a socket"))?),
            Workload::Echo | Workload::Rate => None,
        };
        let ready = control.order(Order { udp_port: Some(udp_port), ..order })?;
        Ok((Self { control, datagrams: Datagrams::new(udp), bulk }, ready))
    }
}

impl Link for Client {
    fn recv(&mut self, wait: Option<Duration>) -> Result<Heard, Error> {
        let ready = wait::readable(&self.datagrams.udp, wait).map_err(|error| Error::io("wait")(error.into()))?;
        Ok(if ready && self.datagrams.take()? { Heard::Body } else { Heard::Nothing })
    }

    fn body(&self) -> &[u8] {
        self.datagrams.body()
    }
}

impl ClientLink for Client {
    fn send(&mut self, body: &Bytes) -> Result<(), Error> {
        self.datagrams.send_waiting(body)
    }

    fn try_send(&mut self, body: &Bytes) -> Result<bool, Error> {
        self.datagrams.send(body, SendFlags::DONTWAIT)
    }

    fn burst(&self) -> u64 {
        self.bulk.as_ref().map_or(1, Sender::burst)
    }

    fn send_burst(&mut self, content: &Content, from: u64, count: u64) -> Result<(), Error> {
        let sender = self.bulk.as_mut().expect("made for bulk, which alone sends bursts");
        sender.send(&self.datagrams.udp, content, from, count)
    }

    fn check_alive(&mut self) -> Result<(), Error> {
        // The server speaks only when the run is over, or has failed.
        match self.control.hear::<Reply>(Some(Duration::ZERO))? {
            None => Ok(()),
            Some(Reply::Error { reason }) => Err(Error::Remote(reason)),
            Some(_) => Err(Error::Ended),
        }
    }

    fn end(&mut self, sent: u64) -> Result<Outcome, Error> {
        self.control.say_end(sent)?;
        self.control.hear_outcome()
    }

    fn facts(&self) -> Facts {
        let segmentation = self.bulk.as_ref().map(|bulk| bulk.burst() > 1);
        Facts { sockets: Sockets::of_udp(&self.datagrams.udp, BUFFER, segmentation), ..Facts::default() }
    }

    fn reason(&mut self) -> Option<String> {
        self.control.reason()
    }
}

/// The side that answers.
pub(crate) struct Server<'a> {
    control: &'a mut Control,
    datagrams: Datagrams,
    bulk: Option<Receiver>,
    /// The client's end was heard: nothing more comes on the control connection.
    ended: bool,
    patience: Duration,
}

impl<'a> Server<'a> {
    /// Has `control`, on which `order` came, and a socket connected to the client; tells it to go on. Where nothing
    /// comes for `patience`, the run is over.
    pub(crate) fn new(
        control: &'a mut Control,
        udp: UdpSocket,
        order: &Order,
        patience: Duration,
    ) -> Result<Self, Error> {
        let receive_buffer = set_buffers(&udp);
        let bulk = match order.workload {
            Workload::Bulk => Some(Receiver::new(&udp).map_err(Error::io("set up a socket"))?),
            Workload::Echo | Workload::Rate => None,
        };
        control.say(&Reply::Ready(Ready { receive_buffer, ..Ready::default() }))?;
        Ok(Self { control, datagrams: Datagrams::new(udp), bulk, ended: false, patience })
    }

    fn take(&mut self) -> Result<bool, Error> {
        match &mut self.bulk {
            Some(receiver) => receiver.take(&self.datagrams.udp),
            None => self.datagrams.take(),
        }
    }
}

impl Link for Server<'_> {
    fn recv(&mut self, wait: Option<Duration>) -> Result<Heard, Error> {
        // In bulk there is nearly always another one, in the others there never is.
        if self.bulk.is_some() && self.take()? {
            return Ok(Heard::Body);
        }
        let udp = &self.datagrams.udp;
        let at_most = Some(wait.unwrap_or(self.patience));
        let ready = if self.ended {
            wait::readable(udp, at_most).map(|data| [data, false])
        } else {
            wait::either_readable(udp, self.control.stream(), at_most)
        };
        let [data, control] = ready.map_err(|error| Error::io("wait")(error.into()))?;
        if data && self.take()? {
            return Ok(Heard::Body);
        }
        if control {
            let sent = self.control.hear_end(self.patience)?;
            self.ended = true;
            return Ok(Heard::End { sent });
        }
        if !data && wait.is_none() {
            return Err(Error::Stalled { patience: self.patience });
        }
        Ok(Heard::Nothing)
    }

    fn body(&self) -> &[u8] {
        self.bulk.as_ref().map_or_else(|| self.datagrams.body(), Receiver::body)
    }
}

impl ServerLink for Server<'_> {
    fn reply(&mut self) -> Result<(), Error> {
        self.datagrams.send_waiting(self.datagrams.body())
    }

    fn sink(&mut self, content: &Content, lossy: bool) -> Result<Outcome, Error> {
        answer::sink(self, content, lossy)
    }

    fn report(&mut self, outcome: Outcome) -> Result<(), Error> {
        self.control.say(&Reply::Outcome(outcome))
    }
}
