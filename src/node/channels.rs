//! Named channels on one connection.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::control::Hello;
use super::engine::ToPeer;
use super::link::{Link, Waited};
use super::value::{Draft, Stamped};
use super::{Kind, Name, ReadError, Role, Value, ValueLimits, WriteError};
use crate::content::{Content, IntoContent};
use crate::message::CloseReport;
use crate::time::Timestamp;
use crate::transport::{Connection, FlushError, LINGER};

/// Named channels on one connection: what a peer wrote last can be read, again and again, or every value in order.
///
/// ```no_run
/// use udpair::node::Channels;
/// # fn connect() -> udpair::Connection { unreachable!() }
///
/// let channels = Channels::new(connect());
/// channels.write("pose", "x=1 y=2")?; // the newest value counts
/// channels.send("log", "moved")?; // every value counts
/// if let Some(pose) = channels.latest("pose")? {
///     println!("{}", pose.get::<String>()?);
/// }
/// let next = channels.changed("pose")?; // waits for one that this handle has not given yet
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A channel is what its sender makes it by its first use: *latest* by [`write`](Self::write), read by
/// [`latest`](Self::latest) and [`changed`](Self::changed); *queued* by [`send`](Self::send), read by
/// [`recv`](Self::recv). The two directions have nothing in common. A slow reader costs one value of memory on a latest
/// channel; on a queued one it holds back its sender.
///
/// A handle is one reader: [`changed`](Self::changed) gives each value once. A clone is another reader of the same
/// connection, which has seen what the original had. Any number of threads may call at once.
///
/// Newest values that nobody here reads stay in the connection. As many bytes of them as its credit
/// ([`Limits::credit_connection`](crate::message::Limits::credit_connection), 64 MiB) cost nothing, and those beyond it
/// take of the credit. While they hold nearly all of that, too, as twenty unread images of 6 MB do, nothing newer
/// comes, on any channel: a late reader then gets the value that was the newest when the credit was spent, and newer
/// ones once it has read enough. Names still come. Where a peer writes long values on many channels, read all of them
/// now and then, or grant more.
///
/// What was read is held, to be read again, up to 256 MiB of all channels together ([`ValueLimits::held_len_max`]; for
/// the peers of a node [`NodeConfig::held_len_max`](super::NodeConfig::held_len_max)). A value with which it would be
/// more is passed over, and whoever comes upon it is told so ([`ReadError::TooMuchHeld`]): the channel has what it had
/// before, the others go on.
///
/// There is no thread behind it: whoever waits reads the socket itself, and what the peer says is worked off in the
/// call that comes next, whichever it is. The connection must not be used for anything else. Dropping the last handle
/// closes it in the background, as for any [`Connection`]. `spec/node.md`.
pub struct Channels {
    link: Arc<Link>,
    /// Where it is a node's peer, whose newest values the node keeps for its return.
    node: Option<ToPeer>,
    /// The versions that this handle has given, by channel.
    seen: Mutex<BTreeMap<Name, u64>>,
}

impl Channels {
    /// Speaks of named channels on `conn`; the other side must do so too. Reads values up to the limits that are the
    /// default. Does not block.
    #[must_use]
    pub fn new(conn: Connection) -> Self {
        Self::with_limits(conn, ValueLimits::default())
    }

    /// As [`new`](Self::new), with other limits for the values that are read.
    #[must_use]
    pub fn with_limits(conn: Connection, limits: ValueLimits) -> Self {
        let link = Link::new(conn, Role::Plain, None, limits, 0);
        link.greet(Hello { role: Role::Plain, instance: 0, name: None });
        Self::of(Arc::new(link), None)
    }

    pub(super) fn of(link: Arc<Link>, node: Option<ToPeer>) -> Self {
        Self { link, node, seen: Mutex::default() }
    }

    /// Writes the newest value of a latest channel; the one before is superseded, wherever it is. Blocks while the send
    /// queue is full, which several channels of long values can make it; not where this is the peer of a node, for then
    /// it is as [`Hub::write_to_name`](super::Hub::write_to_name).
    ///
    /// # Errors
    /// [`WriteError`], never `Full`. Nothing was written then.
    pub fn write(&self, name: &str, value: impl IntoContent) -> Result<(), WriteError> {
        match &self.node {
            Some(node) => node.write(name, value.into_content()?),
            None => self.put(name, Kind::Latest, value.into_content()?),
        }
    }

    /// As [`write`](Self::write), without waiting. Does not block.
    ///
    /// # Errors
    /// [`WriteError`]; `Full` while the send queue is.
    pub fn try_write(&self, name: &str, value: impl IntoContent) -> Result<(), WriteError> {
        match &self.node {
            Some(node) => node.write(name, value.into_content()?),
            None => self.link.write(name, Kind::Latest, &self.stamp(value.into_content()?)),
        }
    }

    /// Writes a value to a queued channel: every one arrives, in order. Blocks while the send queue is full; its
    /// [age](Value::age) counts from the call, that wait included. Of two sends at once either may be first.
    ///
    /// # Errors
    /// [`WriteError`], never `Full`. Nothing was written then.
    pub fn send(&self, name: &str, value: impl IntoContent) -> Result<(), WriteError> {
        self.put(name, Kind::Queued, value.into_content()?)
    }

    /// As [`send`](Self::send), without waiting. Does not block.
    ///
    /// # Errors
    /// [`WriteError`]; `Full` while the send queue is.
    pub fn try_send(&self, name: &str, value: impl IntoContent) -> Result<(), WriteError> {
        self.link.write(name, Kind::Queued, &self.stamp(value.into_content()?))
    }

    /// The newest value of a latest channel; `None` before the first has come. It can be read again, also when the
    /// connection has ended. Does not block.
    ///
    /// # Errors
    /// [`ReadError::Name`], [`ReadError::Kind`]; [`ReadError::TooMuchHeld`], once for each value that is passed over:
    /// asked again it gives what it gave before.
    pub fn latest(&self, name: &str) -> Result<Option<Value>, ReadError> {
        let Some((value, version)) = self.link.newest(name)? else { return Ok(None) };
        self.mark(name, version)?;
        Ok(Some(value))
    }

    /// Waits for a value of a latest channel that this handle has not given yet, by this or by
    /// [`latest`](Self::latest), and gives the newest. Blocks.
    ///
    /// # Errors
    /// [`ReadError`], never `TimedOut`.
    pub fn changed(&self, name: &str) -> Result<Value, ReadError> {
        self.change(name, None)
    }

    /// As [`changed`](Self::changed), for at most `timeout`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn changed_timeout(&self, name: &str, timeout: Duration) -> Result<Value, ReadError> {
        self.change(name, Some(self.link.now() + timeout))
    }

    /// As [`changed`](Self::changed), without waiting: `None` where there is no such value. Does not block.
    ///
    /// # Errors
    /// [`ReadError`], never `TimedOut`.
    pub fn try_changed(&self, name: &str) -> Result<Option<Value>, ReadError> {
        self.at_once(|| self.newer(name))
    }

    /// Waits for the next value of a queued channel. Each is given once, to whichever handle asks. Blocks.
    ///
    /// # Errors
    /// [`ReadError`], never `TimedOut`.
    pub fn recv(&self, name: &str) -> Result<Value, ReadError> {
        self.until(name, None, || self.link.take(name))
    }

    /// As [`recv`](Self::recv), for at most `timeout`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn recv_timeout(&self, name: &str, timeout: Duration) -> Result<Value, ReadError> {
        self.until(name, Some(self.link.now() + timeout), || self.link.take(name))
    }

    /// As [`recv`](Self::recv), without waiting: `None` where no value is there. Does not block.
    ///
    /// # Errors
    /// [`ReadError`], never `TimedOut`.
    pub fn try_recv(&self, name: &str) -> Result<Option<Value>, ReadError> {
        self.at_once(|| self.link.take(name))
    }

    /// The names of the channels that the peer has used, in their order, with their kinds. Does not block.
    #[must_use]
    pub fn names(&self) -> Vec<(Name, Kind)> {
        self.link.names()
    }

    /// Works off what the peer has said meanwhile and answers its questions, as every other call does. For programs
    /// that neither read nor write for long: else the peer does not know how old our values are. Does not block.
    pub fn attend(&self) {
        self.link.attend();
    }

    /// Waits until everything written so far, and meanwhile, has arrived: the peer's library has it, its application
    /// perhaps not. Superseded values count as arrived. Blocks for as long as others write without a pause:
    /// [`Connection::flush_timeout`] of the [`connection`](Self::connection) waits no longer than it may, but does not
    /// count values that a full queue keeps waiting here.
    ///
    /// # Errors
    /// As [`Connection::flush`].
    pub fn flush(&self) -> Result<(), FlushError> {
        self.put_pending(None);
        self.connection().flush()
    }

    /// Closes the connection when everything written has arrived, at most 5 s later: the peer can still read it then,
    /// and of values that nobody reads it need not be waited for, as [`Connection::close`] does. The report says what
    /// was taken and what arrived. Codes from 4,294,967,040 on belong to the library. Blocks.
    pub fn close(&self, code: u32) -> CloseReport {
        let until = self.link.now() + LINGER;
        // What has not arrived by then, the report says.
        self.put_pending(Some(until));
        let _ = self.connection().flush_timeout(until.saturating_since(self.link.now()));
        self.connection().close_within(code, Duration::ZERO)
    }

    /// The connection, to be looked at. What is sent or received on it directly breaks the protocol of the channels.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.link.connection()
    }

    fn stamp(&self, content: Content) -> Stamped {
        self.link.stamp(Draft::new(content))
    }

    fn put(&self, name: &str, kind: Kind, content: Content) -> Result<(), WriteError> {
        let value = self.stamp(content);
        loop {
            let seen = self.link.rings();
            match self.link.write(name, kind, &value) {
                Err(WriteError::Full) => self.link.wait(seen, [Some(self.link.room_for(name)), None], None)?,
                other => return other,
            };
        }
    }

    /// Waits until what found no room has found it, at most until then, or there is no connection any more.
    fn put_pending(&self, until: Option<Timestamp>) {
        loop {
            let seen = self.link.rings();
            self.link.put_pending();
            let rooms = self.link.wants_room();
            if rooms == [None; 2] || self.link.wait(seen, rooms, until) != Ok(Waited::Look) {
                return;
            }
        }
    }

    fn change(&self, name: &str, until: Option<Timestamp>) -> Result<Value, ReadError> {
        self.until(name, until, || self.newer(name))
    }

    fn newer(&self, name: &str) -> Result<Option<Value>, ReadError> {
        let Some((value, version)) = self.link.newest(name)? else { return Ok(None) };
        Ok(self.mark(name, version)?.then_some(value))
    }

    /// Notes that a version was given. True where this handle had not given it.
    fn mark(&self, name: &str, version: u64) -> Result<bool, ReadError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = seen.get_mut(name) {
            let newer = *before < version;
            *before = version.max(*before);
            return Ok(newer);
        }
        seen.insert(Name::new(name)?, version);
        Ok(true)
    }

    /// Looks once.
    fn at_once(&self, look: impl Fn() -> Result<Option<Value>, ReadError>) -> Result<Option<Value>, ReadError> {
        // Asked first: what came before the end is there when the end is seen.
        let gone = self.link.gone();
        match (look()?, gone) {
            (None, Some(gone)) => Err(gone.into()),
            (value, _) => Ok(value),
        }
    }

    /// Looks until there is something.
    fn until(
        &self,
        name: &str,
        until: Option<Timestamp>,
        look: impl Fn() -> Result<Option<Value>, ReadError>,
    ) -> Result<Value, ReadError> {
        loop {
            let seen = self.link.rings();
            if let Some(value) = self.at_once(&look)? {
                return Ok(value);
            }
            if self.link.wait(seen, [self.link.values_of(name), None], until)? == Waited::TimedOut {
                return Err(ReadError::TimedOut);
            }
        }
    }
}

impl Clone for Channels {
    fn clone(&self) -> Self {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { link: Arc::clone(&self.link), node: self.node.clone(), seen: Mutex::new(seen) }
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("connection", self.connection()).finish_non_exhaustive()
    }
}
