//! A node that listens and connects.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use super::engine::{Engine, Event, NodeConfig, PeerInfo, Side, StartError};
use super::{Channels, IMAGE, JoinError, Name, NameError, ReadError, Role, Value, WriteError};
use crate::content::IntoContent;
use crate::time::Timestamp;
use crate::transport::{Connection, Transport};

/// One of many equals: it listens, connects to others, and speaks with all of them on named channels.
///
/// ```
/// use udpair::node::Hub;
/// use udpair::{Config, udp};
///
/// let bind = || udp::bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain());
/// let (one, other) = (Hub::start("one", [bind()?])?, Hub::start("other", [bind()?])?);
/// one.connect("other", other.local_addr())?; // "other" is what it is called here
/// one.write_all("pose", "x=1 y=2")?;
/// let (from, pose) = other.changed("pose")?;
/// assert_eq!((from.as_ref(), pose.get::<String>()?), ("one", "x=1 y=2".to_owned()));
/// one.close();
/// other.close();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// *Written* values are those of latest channels: only the newest counts. Whoever joins later gets it, and whoever
/// comes back. A peer that stalls holds up nobody: for each of its channels the newest value waits for it. Where every
/// value counts, [`peer`](Self::peer) gives the [`Channels`] of one peer, whose `send` blocks while that peer's queue
/// is full and has nothing to do with the others.
///
/// Its transports may be of different kinds; each is to listen for one node only. All take part in one thread of the
/// hub's own, which takes and greets peers and reads no values: whoever waits for those reads the socket itself. Where
/// a hub has peers at several transports, that is the one with the most; news from the others takes a wake more.
///
/// What a peer writes and nobody here reads takes of its connection's credit: see [`Channels`].
///
/// A handle is one reader: [`changed`](Self::changed) gives each value once. A clone is another reader of the same hub.
/// Any number of threads may call at once. Dropping the last handle closes it in the background; a program that ends
/// calls [`close`](Self::close). `spec/node.md`.
#[derive(Clone)]
pub struct Hub {
    engine: Engine,
}

impl Hub {
    /// Begins, under a name that its peers know it by, and takes whoever comes to one of the transports. Does not
    /// block.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(name: &str, transports: impl IntoIterator<Item = Arc<dyn Transport>>) -> Result<Self, StartError> {
        Self::start_with(name, transports, NodeConfig::default())
    }

    /// As [`start`](Self::start), with other settings.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_with(
        name: &str,
        transports: impl IntoIterator<Item = Arc<dyn Transport>>,
        config: NodeConfig,
    ) -> Result<Self, StartError> {
        let engine = Engine::start(Role::Hub, name, transports.into_iter().collect(), config)?;
        Ok(Self { engine })
    }

    /// Its name. Does not block.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.engine.name()
    }

    /// The address of its first transport. Does not block.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.engine.home().local_addr()
    }

    /// The time on the clock by which the age of values counts. Does not block.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// Calls the hub at `addr` from the first transport and waits until it has greeted; it is called `name` here.
    /// Blocks, at most for the transport's connect timeout and [`NodeConfig::greet_timeout`].
    ///
    /// # Errors
    /// [`JoinError`]: `NameTaken` where a peer is called so here; `Connect`; `Gone(ByPeer(NameTaken))` where a peer
    /// over there is called as this hub is; `Disconnected`; `Closed`.
    pub fn connect(&self, name: &str, addr: SocketAddr) -> Result<(), JoinError> {
        self.engine.connect(name, self.engine.home(), addr)
    }

    /// As [`connect`](Self::connect), from another transport, which need not be one of the hub's.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_from(&self, transport: &Arc<dyn Transport>, name: &str, addr: SocketAddr) -> Result<(), JoinError> {
        self.engine.connect(name, transport, addr)
    }

    /// As [`connect`](Self::connect), on a connection that there is already, as one by a code:
    /// `hub.connect_on("other", udpair::join("42-maple-otter")?)`. The other side calls [`welcome`](Self::welcome) with
    /// its end. Lost, it cannot be had again; on an error it is closed.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_on(&self, name: &str, conn: Connection) -> Result<(), JoinError> {
        self.engine.connect_on(name, conn)
    }

    /// Takes a peer on a connection that there is already, as one by a code: `hub.welcome(invite.accept()?)`. Waits
    /// until it has said who it is, and gives that. Blocks, at most for [`NodeConfig::greet_timeout`].
    ///
    /// # Errors
    /// [`JoinError::Gone`]: it was not taken, or left; [`JoinError::Closed`]. The connection is closed then.
    pub fn welcome(&self, conn: Connection) -> Result<Name, JoinError> {
        self.engine.welcome(conn)
    }

    /// Closes the connection to a peer in the background, and does not call it again; one that is away or being called
    /// is given up. What the connection has taken has [`NodeConfig::linger`] to be read; what found no room there is
    /// not sent any more. False where there is none of this name. Does not block.
    pub fn disconnect(&self, name: &str) -> bool {
        self.engine.disconnect(name)
    }

    /// The peers that are there, by name. Does not block.
    #[must_use]
    pub fn connections(&self) -> Vec<PeerInfo> {
        self.engine.peers()
    }

    /// The channels of one peer, for everything that can be done with one connection: values in order
    /// ([`send`](Channels::send), [`recv`](Channels::recv)), waiting for this peer alone. They are those of this
    /// connection, and end with it; but a value that is [written](Channels::write) there is one of this hub's for this
    /// peer, as by [`write_to_name`](Self::write_to_name): it never blocks, and a peer that comes back gets it again.
    /// `None` where the peer is not there. Does not block.
    #[must_use]
    pub fn peer(&self, name: &str) -> Option<Channels> {
        self.engine.channels(name)
    }

    /// The newest value of a channel of every peer that has one, by name; where that may not be held
    /// ([`NodeConfig::held_len_max`]), what it had before, and nothing tells. Does not block.
    ///
    /// # Errors
    /// [`NameError`]: `channel` is no name.
    pub fn get_all(&self, channel: &str) -> Result<Vec<(Name, Value)>, NameError> {
        self.engine.newest_of(None, channel)
    }

    /// As [`get_all`](Self::get_all), of the peers that came to us.
    ///
    /// # Errors
    /// As [`get_all`](Self::get_all).
    pub fn get_local(&self, channel: &str) -> Result<Vec<(Name, Value)>, NameError> {
        self.engine.newest_of(Some(Side::Local), channel)
    }

    /// As [`get_all`](Self::get_all), of the peers that we went to.
    ///
    /// # Errors
    /// As [`get_all`](Self::get_all).
    pub fn get_remote(&self, channel: &str) -> Result<Vec<(Name, Value)>, NameError> {
        self.engine.newest_of(Some(Side::Remote), channel)
    }

    /// The newest value of a channel of one peer; `None` before the first has come. Of one that is away or has left,
    /// the last, as long as no more than 64 have left since and [`NodeConfig::kept_len_max`] allows. One that has come
    /// again may be another program of that name: what it was before is past, so that there is `None` until its values
    /// have come again, which takes a round trip. Does not block.
    ///
    /// # Errors
    /// [`ReadError::NoSuchPeer`], [`ReadError::Name`], [`ReadError::Kind`]; [`ReadError::TooMuchHeld`], once for each
    /// value that is passed over.
    pub fn get_by_name(&self, name: &str, channel: &str) -> Result<Option<Value>, ReadError> {
        self.engine.newest(name, channel)
    }

    /// Waits for a value of a channel that this handle has not given by this call yet, of any peer, and gives the
    /// newest of that peer, also when it has left meanwhile. Peers take turns. Blocks.
    ///
    /// # Errors
    /// [`ReadError::Name`]; [`ReadError::TooMuchHeld`], once for each value of whichever peer that is passed over: the
    /// next call goes on with the others; [`ReadError::Gone`] when the hub is closed.
    pub fn changed(&self, channel: &str) -> Result<(Name, Value), ReadError> {
        self.engine.changed(channel, None)
    }

    /// As [`changed`](Self::changed), for at most `timeout`.
    ///
    /// # Errors
    /// As [`changed`](Self::changed), and [`ReadError::TimedOut`].
    pub fn changed_timeout(&self, channel: &str, timeout: Duration) -> Result<(Name, Value), ReadError> {
        self.engine.changed(channel, Some(self.engine.until(timeout)))
    }

    /// Writes the newest value of a channel for every peer, and for whoever joins later; returns how many are there to
    /// get it. Does not block.
    ///
    /// # Errors
    /// [`WriteError`], where a peer cannot have it (others have got it then): `TooLarge`, `Kind`, `TooManyNames`; or
    /// where nobody can: `Name`, `Gone` when the hub is closed.
    pub fn write_all(&self, channel: &str, value: impl IntoContent) -> Result<usize, WriteError> {
        self.engine.write_all(channel, value.into_content()?)
    }

    /// Writes the newest value of a channel for one peer. Where it is away and is called again, or comes back, it gets
    /// the value then. Does not block.
    ///
    /// # Errors
    /// [`WriteError::NoSuchPeer`], and as [`write_all`](Self::write_all).
    pub fn write_to_name(&self, name: &str, channel: &str, value: impl IntoContent) -> Result<(), WriteError> {
        self.engine.write_to_name(name, channel, value.into_content()?)
    }

    /// As [`write_all`](Self::write_all), for the peers that came to us.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub fn write_to_local(&self, channel: &str, value: impl IntoContent) -> Result<usize, WriteError> {
        self.engine.write_to_side(Side::Local, channel, value.into_content()?)
    }

    /// As [`write_all`](Self::write_all), for the peers that we went to.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub fn write_to_remote(&self, channel: &str, value: impl IntoContent) -> Result<usize, WriteError> {
        self.engine.write_to_side(Side::Remote, channel, value.into_content()?)
    }

    /// [`write_all`](Self::write_all) on the channel `image`.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub fn write_image_all(&self, image: impl IntoContent) -> Result<usize, WriteError> {
        self.write_all(IMAGE, image)
    }

    /// [`write_to_name`](Self::write_to_name) on the channel `image`.
    ///
    /// # Errors
    /// As [`write_to_name`](Self::write_to_name).
    pub fn write_image_to_name(&self, name: &str, image: impl IntoContent) -> Result<(), WriteError> {
        self.write_to_name(name, IMAGE, image)
    }

    /// [`write_to_local`](Self::write_to_local) on the channel `image`.
    ///
    /// # Errors
    /// As [`write_to_local`](Self::write_to_local).
    pub fn write_image_to_local(&self, image: impl IntoContent) -> Result<usize, WriteError> {
        self.write_to_local(IMAGE, image)
    }

    /// [`write_to_remote`](Self::write_to_remote) on the channel `image`.
    ///
    /// # Errors
    /// As [`write_to_remote`](Self::write_to_remote).
    pub fn write_image_to_remote(&self, image: impl IntoContent) -> Result<usize, WriteError> {
        self.write_to_remote(IMAGE, image)
    }

    /// Waits for the next event: who came, who left. Each is given once, to whichever handle asks; of those that nobody
    /// asks for the newest 1,024 are kept. `None` after `timeout`, or when the hub is closed. Blocks.
    #[must_use]
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        self.engine.next_event(Some(self.engine.until(timeout)))
    }

    /// The next event, if there is one. Does not block.
    #[must_use]
    pub fn try_event(&self) -> Option<Event> {
        self.engine.try_event()
    }

    /// Closes all connections, when what was written has arrived or after [`NodeConfig::linger`] (5 s), and ends every
    /// wait. Blocks.
    pub fn close(&self) {
        self.engine.close();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("name", self.name()).field("local_addr", &self.local_addr()).finish_non_exhaustive()
    }
}
