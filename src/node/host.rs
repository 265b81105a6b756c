//! A node that clients call.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use super::engine::{Engine, Event, NodeConfig, PeerInfo, StartError};
use super::timeout::Timeout;
use super::{Channels, IMAGE, JoinError, Name, NameError, ReadError, Role, Value, WriteError};
use crate::content::IntoContent;
use crate::time::Timestamp;
use crate::transport::{Connection, Transport};

/// The middle of a star: [`Client`](super::Client)s call it, each under a name of its own, and it reads from and writes
/// to them on named channels. What a written value is, how waiting goes and what a handle is, [`Hub`](super::Hub) says.
///
/// ```
/// use udpair::node::{Client, Host};
/// use udpair::{Config, udp};
///
/// let bind = || udp::bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain());
/// let host = Host::start([bind()?])?;
/// let client = Client::start("robot", &bind()?, host.local_addr())?;
/// client.write("pose", "x=1 y=2")?;
/// assert_eq!(host.get("robot", "pose")?.get::<String>()?, "x=1 y=2");
/// client.close();
/// host.close();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    timeout: Timeout,
}

impl Host {
    /// Begins, and takes whoever comes to one of the transports. Does not block.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(transports: impl IntoIterator<Item = Arc<dyn Transport>>) -> Result<Self, StartError> {
        Self::start_with(transports, NodeConfig::default())
    }

    /// As [`start`](Self::start), with other settings.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_with(
        transports: impl IntoIterator<Item = Arc<dyn Transport>>,
        config: NodeConfig,
    ) -> Result<Self, StartError> {
        let engine = Engine::start(Role::Host, "host", transports.into_iter().collect(), config)?;
        Ok(Self { engine, timeout: Timeout::new() })
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

    /// How long [`get`](Self::get) waits for a first value; for all handles. Default 5 s.
    pub fn set_timeout(&self, timeout: Duration) {
        self.timeout.set(timeout);
    }

    /// Takes a client on a connection that there is already, as one by a code: `host.welcome(invite.accept()?)`. Waits
    /// until it has said who it is, and gives that. Blocks, at most for [`NodeConfig::greet_timeout`].
    ///
    /// # Errors
    /// [`JoinError::Gone`]: it was not taken, or left; [`JoinError::Closed`]. The connection is closed then.
    pub fn welcome(&self, conn: Connection) -> Result<Name, JoinError> {
        self.engine.welcome(conn)
    }

    /// The clients that are there, by name. Does not block.
    #[must_use]
    pub fn clients(&self) -> Vec<PeerInfo> {
        self.engine.peers()
    }

    /// The channels of one client: see [`Hub::peer`](super::Hub::peer). Does not block.
    #[must_use]
    pub fn client(&self, name: &str) -> Option<Channels> {
        self.engine.channels(name)
    }

    /// Closes the connection to a client in the background. False where there is none of this name. Does not block.
    pub fn disconnect(&self, name: &str) -> bool {
        self.engine.disconnect(name)
    }

    /// The newest value of a client's channel; waits for the first, as long as [`set_timeout`](Self::set_timeout) says.
    /// Of one that has left, the last, as long as no more than 64 have left since and [`NodeConfig::kept_len_max`]
    /// allows. Blocks.
    ///
    /// # Errors
    /// [`ReadError::NoSuchPeer`], [`ReadError::TimedOut`], [`ReadError::Name`], [`ReadError::Kind`];
    /// [`ReadError::TooMuchHeld`], once for each value that is passed over; [`ReadError::Gone`] when the host is
    /// closed.
    pub fn get(&self, client: &str, channel: &str) -> Result<Value, ReadError> {
        self.engine.first(client, channel, self.engine.until(self.timeout.get()))
    }

    /// The newest value of a channel of every client that has one, by name; where that may not be held
    /// ([`NodeConfig::held_len_max`]), what it had before, and nothing tells. Does not block.
    ///
    /// # Errors
    /// [`NameError`]: `channel` is no name.
    pub fn get_all(&self, channel: &str) -> Result<Vec<(Name, Value)>, NameError> {
        self.engine.newest_of(None, channel)
    }

    /// Waits for a value of a channel that this handle has not given by this call yet, of any client, also of one that
    /// has left meanwhile. Blocks.
    ///
    /// # Errors
    /// [`ReadError::Name`]; [`ReadError::TooMuchHeld`], once for each value of whichever client that is passed over:
    /// the next call goes on with the others; [`ReadError::Gone`] when the host is closed.
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

    /// Writes the newest value of a channel for one client. Does not block.
    ///
    /// # Errors
    /// [`WriteError`]; `NoSuchPeer` where it is not there.
    pub fn write(&self, client: &str, channel: &str, value: impl IntoContent) -> Result<(), WriteError> {
        self.engine.write_to_name(client, channel, value.into_content()?)
    }

    /// Writes the newest value of a channel for every client, and for whoever comes later; returns how many are there
    /// to get it. Does not block.
    ///
    /// # Errors
    /// As [`Hub::write_all`](super::Hub::write_all).
    pub fn write_all(&self, channel: &str, value: impl IntoContent) -> Result<usize, WriteError> {
        self.engine.write_all(channel, value.into_content()?)
    }

    /// [`get`](Self::get) on the channel `image`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_image(&self, client: &str) -> Result<Value, ReadError> {
        self.get(client, IMAGE)
    }

    /// [`get_all`](Self::get_all) on the channel `image`.
    ///
    /// # Errors
    /// As [`get_all`](Self::get_all).
    pub fn get_image_all(&self) -> Result<Vec<(Name, Value)>, NameError> {
        self.get_all(IMAGE)
    }

    /// [`write`](Self::write) on the channel `image`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_image(&self, client: &str, image: impl IntoContent) -> Result<(), WriteError> {
        self.write(client, IMAGE, image)
    }

    /// [`write_all`](Self::write_all) on the channel `image`.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub fn write_image_all(&self, image: impl IntoContent) -> Result<usize, WriteError> {
        self.write_all(IMAGE, image)
    }

    /// Waits for the next event: who came, who left. `None` after `timeout`, or when the host is closed. Blocks.
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

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("local_addr", &self.local_addr()).finish_non_exhaustive()
    }
}
