//! A node that calls a host.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use super::engine::{Engine, Event, NodeConfig};
use super::timeout::Timeout;
use super::{Channels, IMAGE, JoinError, Name, ReadError, Role, Value, WriteError};
use crate::content::IntoContent;
use crate::time::Timestamp;
use crate::transport::{Connection, Transport};

/// What a client calls its host.
const HOST: &str = "host";

/// A node that calls a [`Host`](super::Host), under a name that nobody else there has. What a written value is and what
/// a handle is, [`Hub`](super::Hub) says.
#[derive(Clone)]
pub struct Client {
    engine: Engine,
    timeout: Timeout,
}

impl Client {
    /// Calls the host at `addr` and waits until it has greeted. Blocks, at most for the transport's connect timeout and
    /// [`NodeConfig::greet_timeout`].
    ///
    /// # Errors
    /// [`JoinError`]: `Gone(ByPeer(NameTaken))` where another client is called so.
    pub fn start(name: &str, transport: &Arc<dyn Transport>, addr: SocketAddr) -> Result<Self, JoinError> {
        Self::start_with(name, transport, addr, NodeConfig::default())
    }

    /// As [`start`](Self::start), with other settings.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        name: &str,
        transport: &Arc<dyn Transport>,
        addr: SocketAddr,
        config: NodeConfig,
    ) -> Result<Self, JoinError> {
        let client = Self::new(name, transport, config)?;
        client.engine.connect(HOST, transport, addr)?;
        Ok(client)
    }

    /// As [`start`](Self::start), on a connection that there is already, as one by a code:
    /// `Client::start_on("robot", udpair::join("42-maple-otter")?)`. Lost, it cannot be had again.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_on(name: &str, conn: Connection) -> Result<Self, JoinError> {
        let transport = Arc::clone(conn.transport());
        let client = Self::new(name, &transport, NodeConfig::default())?;
        client.engine.connect_on(HOST, conn)?;
        Ok(client)
    }

    fn new(name: &str, transport: &Arc<dyn Transport>, config: NodeConfig) -> Result<Self, JoinError> {
        let engine = Engine::start(Role::Client, name, vec![Arc::clone(transport)], config)?;
        Ok(Self { engine, timeout: Timeout::new() })
    }

    /// Its name. Does not block.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.engine.name()
    }

    /// The time on the clock by which the age of values counts. Does not block.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// True while the host is there. Does not block.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.engine.peers().is_empty()
    }

    /// The channels of the host: see [`Hub::peer`](super::Hub::peer). `None` while it is away. Does not block.
    #[must_use]
    pub fn host(&self) -> Option<Channels> {
        self.engine.channels(HOST)
    }

    /// How long [`get`](Self::get) waits for a first value; for all handles. Default 5 s.
    pub fn set_timeout(&self, timeout: Duration) {
        self.timeout.set(timeout);
    }

    /// The newest value of a channel of the host's; waits for the first, as long as [`set_timeout`](Self::set_timeout)
    /// says. Where the host is away, the last. Blocks.
    ///
    /// # Errors
    /// [`ReadError::TimedOut`], [`ReadError::NoSuchPeer`] where the host has left, [`ReadError::Name`],
    /// [`ReadError::Kind`]; [`ReadError::TooMuchHeld`], once for each value that is passed over; [`ReadError::Gone`]
    /// when the client is closed.
    pub fn get(&self, channel: &str) -> Result<Value, ReadError> {
        self.engine.first(HOST, channel, self.engine.until(self.timeout.get()))
    }

    /// Waits for a value of a channel that this handle has not given by this call yet. Blocks, also while the host is
    /// away, and when it has left: that is an [event](Self::next_event).
    ///
    /// # Errors
    /// [`ReadError::Name`]; [`ReadError::TooMuchHeld`], once for each value that is passed over; [`ReadError::Gone`]
    /// when the client is closed.
    pub fn changed(&self, channel: &str) -> Result<Value, ReadError> {
        self.engine.changed(channel, None).map(|(_, value)| value)
    }

    /// As [`changed`](Self::changed), for at most `timeout`.
    ///
    /// # Errors
    /// As [`changed`](Self::changed), and [`ReadError::TimedOut`].
    pub fn changed_timeout(&self, channel: &str, timeout: Duration) -> Result<Value, ReadError> {
        self.engine.changed(channel, Some(self.engine.until(timeout))).map(|(_, value)| value)
    }

    /// Writes the newest value of a channel. Where the host is away and is called again, it gets it then. Does not
    /// block.
    ///
    /// # Errors
    /// [`WriteError`]; `NoSuchPeer` where the host has left.
    pub fn write(&self, channel: &str, value: impl IntoContent) -> Result<(), WriteError> {
        self.engine.write_to_name(HOST, channel, value.into_content()?)
    }

    /// [`get`](Self::get) on the channel `image`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_image(&self) -> Result<Value, ReadError> {
        self.get(IMAGE)
    }

    /// [`write`](Self::write) on the channel `image`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_image(&self, image: impl IntoContent) -> Result<(), WriteError> {
        self.write(IMAGE, image)
    }

    /// Waits for the next event: the host left, or is there again. `None` after `timeout`, or when the client is
    /// closed. Blocks.
    #[must_use]
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        self.engine.next_event(Some(self.engine.until(timeout)))
    }

    /// The next event, if there is one. Does not block.
    #[must_use]
    pub fn try_event(&self) -> Option<Event> {
        self.engine.try_event()
    }

    /// Closes the connection, when what was written has arrived or after [`NodeConfig::linger`] (5 s), and ends every
    /// wait. Blocks.
    pub fn close(&self) {
        self.engine.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", self.name()).finish_non_exhaustive()
    }
}
