//! The server of the two baselines: a TCP listener for the control protocol, and beside it what the messages take.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;

use super::answer::answer;
use super::args::Transport;
use super::control::{Control, OPENING_WAIT, Order, Outcome, Ready, Reply, encode};
use super::error::Error;
use super::raw_tcp::TOKEN_LEN;
use super::serve::Log;
use super::{clock, raw_tcp, raw_udp, wait};

/// How many ports are tried where the system chooses one that is free for TCP but not for UDP.
const PORTS_TRIED_MAX: usize = 16;

/// How many others may knock while the connection for a run's messages is awaited.
const STRANGERS_MAX: usize = 16;

/// How long each of them may take to say its first line: the client does it at once.
const STRANGER_WAIT: Duration = Duration::from_secs(1);

/// One baseline's server.
pub(crate) struct RawServer {
    transport: Transport,
    control: TcpListener,
    at: SocketAddr,
    patience: Duration,
}

impl RawServer {
    /// Listens at `listen`. A run that makes no progress for `patience` is over.
    pub(crate) fn bind(listen: SocketAddr, transport: Transport, patience: Duration) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: listen.to_string(), source };
        let tries = if transport == Transport::RawUdp && listen.port() == 0 { PORTS_TRIED_MAX } else { 1 };
        let mut tried = 0;
        loop {
            tried += 1;
            let control = TcpListener::bind(listen).map_err(failed)?;
            let at = control.local_addr().map_err(failed)?;
            let server = Self { transport, control, at, patience };
            // Every run binds a socket of its own, so that nothing of an earlier one is left in it.
            match server.transport {
                Transport::RawUdp => match UdpSocket::bind(at) {
                    Ok(_) => return Ok(server),
                    Err(error) if tried == tries => return Err(failed(error)),
                    Err(_) => {}
                },
                _ => return Ok(server),
            }
        }
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.at
    }

    /// Waits for a client and answers its run; only an error of the listener itself is one.
    pub(crate) fn serve_one(&self, log: &Log) -> Result<(), Error> {
        let (peer, done) = self.answer_one()?;
        log.run(Some(peer), &done);
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "who, and what came of it")]
    fn answer_one(&self) -> Result<(SocketAddr, Result<(Order, Outcome), Error>), Error> {
        let (tcp, peer) = self.control.accept().map_err(Error::io("accept a connection"))?;
        let mut control = match Control::new(tcp) {
            Ok(control) => control,
            Err(error) => return Ok((peer, Err(Error::io("set up a connection")(error)))),
        };
        let done = self.run(&mut control, peer);
        if let Err(error) = &done {
            // It may be gone.
            let _told = control.say(&Reply::Error { reason: error.in_full() });
        }
        Ok((peer, done))
    }

    fn run(&self, control: &mut Control, peer: SocketAddr) -> Result<(Order, Outcome), Error> {
        let order = control.hear_order()?;
        if let Some(reason) = order.refusal(self.transport) {
            return Err(Error::Usage(reason));
        }
        let outcome = match self.transport {
            Transport::RawUdp => {
                let udp = self.udp(SocketAddr::new(peer.ip(), udp_port(&order)?))?;
                answer(&order, &mut raw_udp::Server::new(control, udp, &order, self.patience)?)?
            }
            _ => {
                let tcp = self.messages_connection(control)?;
                let mut server = raw_tcp::Server::new(control, tcp, order.size, self.patience)?;
                let outcome = answer(&order, &mut server)?;
                server.see_off();
                outcome
            }
        };
        Ok((order, outcome))
    }

    /// A socket that hears nobody but `client`.
    fn udp(&self, client: SocketAddr) -> Result<UdpSocket, Error> {
        UdpSocket::bind(self.at)
            .and_then(|udp| udp.connect(client).map(|()| udp))
            .map_err(|source| Error::Listen { address: self.at.to_string(), source })
    }

    /// Tells the client a token and waits for the connection that begins with it.
    fn messages_connection(&self, control: &mut Control) -> Result<TcpStream, Error> {
        let token = token()?;
        let ready =
            Ready { token: Some(token.clone()), controller: raw_tcp::controller(control.stream()), ..Ready::default() };
        control.say(&Reply::Ready(ready))?;
        let until = clock::now() + OPENING_WAIT;
        for _ in 0..STRANGERS_MAX {
            let left = until.saturating_duration_since(clock::now());
            if !wait::readable(&self.control, Some(left)).map_err(|e| Error::io("wait")(e.into()))? {
                return Err(Error::Silent { seconds: OPENING_WAIT.as_secs() });
            }
            let (mut tcp, _) = self.control.accept().map_err(Error::io("accept a connection"))?;
            if begins_with(&mut tcp, &token, STRANGER_WAIT) {
                return Ok(tcp);
            }
            refuse_as_busy(&mut tcp);
        }
        Err(Error::Protocol("the connection for the messages never came".to_owned()))
    }
}

fn udp_port(order: &Order) -> Result<u16, Error> {
    order.udp_port.ok_or_else(|| Error::Protocol("raw-udp without a port".to_owned()))
}

/// Not to be guessed by another client.
fn token() -> Result<String, Error> {
    let number = SysRng.try_next_u64().map_err(|error| Error::Protocol(error.to_string()))?;
    Ok(format!("{number:0TOKEN_LEN$x}"))
}

/// Whether the first line on `tcp` is the token and comes within `wait`; takes nothing beyond it.
fn begins_with(tcp: &mut TcpStream, token: &str, wait: Duration) -> bool {
    let until = clock::now() + wait;
    let mut line = [0; TOKEN_LEN + 1];
    let mut len = 0;
    while len < line.len() {
        let left = until.saturating_duration_since(clock::now());
        if !matches!(wait::readable(tcp, Some(left)), Ok(true)) {
            return false;
        }
        match tcp.read(&mut line[len..]) {
            Ok(0) | Err(_) => return false,
            Ok(read) => len += read,
        }
    }
    line[..TOKEN_LEN] == *token.as_bytes() && line[TOKEN_LEN] == b'\n'
}

fn refuse_as_busy(tcp: &mut TcpStream) {
    let mut line = encode(&Reply::Error { reason: "busy with another run".to_owned() });
    line.push(b'\n');
    // Nobody we know: whether it hears this is its own affair.
    let _told = tcp.write_all(&line);
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::args::Workload;
    use super::super::content::Content;
    use super::super::control::VERSION;
    use super::super::link::ClientLink;
    use super::*;

    #[test]
    fn tokens_have_their_length_and_differ() {
        let (a, b) = (token().unwrap(), token().unwrap());
        assert_eq!((a.len(), b.len()), (TOKEN_LEN, TOKEN_LEN));
        assert_ne!(a, b);
    }

    #[test]
    fn only_the_token_opens_and_nothing_behind_it_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let check = |said: &[u8]| {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(said).unwrap();
            drop(client);
            let mut server = listener.accept().unwrap().0;
            let opened = begins_with(&mut server, "0123456789abcdef", OPENING_WAIT);
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).unwrap();
            (opened, rest)
        };
        assert_eq!(check(b"0123456789abcdef\nfirst message"), (true, b"first message".to_vec()));
        assert!(!check(b"0123456789abcdeF\n").0);
        assert!(!check(b"0123456789abcdef").0);
        assert!(!check(br#"{"run":{"version":1}}"#).0);
    }

    #[test]
    fn a_port_that_udp_cannot_have_is_refused() {
        let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap();
        assert!(matches!(RawServer::bind(taken, Transport::RawUdp, OPENING_WAIT), Err(Error::Listen { .. })));
    }
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the raw baselines have no transport that would give a thread")]
    fn a_client_that_stops_half_way_does_not_hold_the_server() {
        const PATIENCE: Duration = Duration::from_millis(200);
        const SIZE: usize = 32 << 10;
        fn connect(at: SocketAddr, order: Order) -> Box<dyn ClientLink> {
            match order.transport {
                Transport::RawTcp => Box::new(raw_tcp::Client::connect(&[at], order).unwrap().0),
                _ => Box::new(raw_udp::Client::connect(&[at], order).unwrap().0),
            }
        }
        // With nothing, after one message, and while the answers are not taken.
        let stop: [fn(&mut dyn ClientLink, &Content); 3] = [
            |_, _| {},
            |client, content| client.send(&content.body(0)).unwrap(),
            |client, content| {
                let _ended = (0..).try_for_each(|n| client.send(&content.body(n)));
            },
        ];
        for (transport, workload) in [Transport::RawTcp, Transport::RawUdp]
            .into_iter()
            .flat_map(|transport| [Workload::Echo, Workload::Bulk].map(|workload| (transport, workload)))
        {
            let server = RawServer::bind(([127, 0, 0, 1], 0).into(), transport, PATIENCE).unwrap();
            let at = server.local_addr();
            let order = Order { version: VERSION, transport, workload, delivery: None, size: SIZE, udp_port: None };
            let content = move || Content::new(SIZE, transport == Transport::RawUdp);
            // Datagrams that nobody takes are lost: they hold up nobody.
            let stops = if (transport, workload) == (Transport::RawTcp, Workload::Echo) { 3 } else { 2 };
            for stop in stop.into_iter().take(stops) {
                let (go, gone) = std::sync::mpsc::channel::<()>();
                let client = thread::spawn(move || {
                    let mut client = connect(at, order);
                    stop(&mut *client, &content());
                    // Until the server has ended the run.
                    let _ended = gone.recv();
                });
                let (_, done) = server.answer_one().unwrap();
                assert!(matches!(done, Err(Error::Stalled { patience: PATIENCE })), "{transport} {workload}: {done:?}");
                drop(go);
                client.join().unwrap();
            }
            // And the next one is served.
            let client = thread::spawn(move || {
                let mut client = connect(at, order);
                client.send(&content().body(0)).unwrap();
                client.end(1).unwrap()
            });
            let (_, done) = server.answer_one().unwrap();
            assert_eq!(done.unwrap().1.received, 1);
            assert_eq!(client.join().unwrap().received, 1);
        }
    }
}
