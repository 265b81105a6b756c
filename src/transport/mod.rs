//! One bound address with any number of connections, whatever carries them: the [`Transport`] trait, its back ends and
//! the handles over it.
//!
//! This floor has the sockets, the threads and the clock. It must not know how a datagram is laid out or when a packet
//! counts as lost: that is `wire`'s and `proto`'s. The back ends on real sockets are for Linux so far: they stand on
//! its timers and signals as descriptors.
//!
//! Above this floor nobody touches `std::time` or `std::thread`, so that the same program runs over a simulated
//! network.

use core::net::SocketAddr;
use core::task::{Context, Poll};
use core::time::Duration;

use bytes::Bytes;

use crate::message::{
    Arrival, ChannelConfig, CloseReport, ConfigureError, End, Limits, MessageId, ReadError, Select, SendError, State,
    Wanted, Whole, WriteError,
};
use crate::slots::ConnectionId;
use crate::time::Timestamp;

mod bell;
mod buffers;
mod clock;
mod config;
mod connection;
mod cpu;
pub mod discovery;
mod driven;
mod error;
mod interest;
mod listener;
mod message;
pub mod pairing;
mod psk;
mod random;
mod reader;
pub(crate) mod sim;
mod site;
mod spawn;
mod stats;
pub mod tcp;
pub mod udp;
mod writer;

pub use bell::{Bell, BellId};
pub use config::Config;
pub use connection::Connection;
pub use cpu::has_aes;
pub use error::{AcceptError, BindError, ConnectError, FlushError, IntoBytesError, RecvError, WaitError};
pub use interest::{Interest, Ready, WaitSlot};
pub use listener::{Incoming, Listener};
pub use message::{Body, Message};
pub use psk::{ParsePskError, Psk};
pub use reader::MessageReader;
pub use spawn::{JoinHandle, Joiner, Panicked};
pub use stats::{Stats, TransportStats};
pub use writer::MessageWriter;

pub use crate::proto::ControllerKind;

/// How long a connection whose last handle was dropped waits, in the background, until the peer's application has
/// taken what was sent. Also the linger of [`Connection::close`]. `spec/message.md`, section "The end".
pub const LINGER: Duration = Duration::from_secs(5);

/// What to do with a connection that a peer established. `spec/message.md`, section "The end".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Take it.
    Accept,
    /// Do not take it; the peer's calls end with this code.
    Refuse(u32),
}

/// One bound address with any number of connections.
///
/// The verbs never wait: what is not possible now is answered with "would block", and [`wait`](Self::wait) (for
/// threads) or [`poll_wait`](Self::poll_wait) (for tasks) tells when it is. A thread that waits does the transport's
/// work meanwhile: it reads the socket itself, for everybody. So the shortest way from a datagram to its message is
/// *one* thread waiting per transport; where several wait, one reads and wakes the others.
///
/// What is not possible says why in an error of its own kind for each verb. Lengths are in bytes, channels are numbered
/// from 0, and those from 65,280 on belong to the library. `spec/message.md` says what the verbs mean to the peer.
///
/// A connection that is unknown, because it was [released](Self::release), behaves as one that was closed with code 0.
///
/// Most programs use the handles instead: [`Listener`], [`Connection`].
pub trait Transport: Send + Sync {
    /// The address that it is bound to. Does not block.
    fn local_addr(&self) -> SocketAddr;

    /// The address of a connection's peer, while the connection is known. Does not block.
    fn peer_addr(&self, conn: ConnectionId) -> Option<SocketAddr>;

    /// The limits that every connection of this transport has. Does not block.
    fn limits(&self) -> Limits;

    /// What is known of one connection; empty where it is not known. Does not block, but makes some system calls.
    fn stats(&self, conn: ConnectionId) -> Stats;

    /// What is known of the transport. Does not block, but makes some system calls.
    fn transport_stats(&self) -> TransportStats;

    /// Begins to call `remote`. [`Interest::Connected`] holds when that has led to something; [`state`](Self::state)
    /// then says to what, at the latest after [`Config::connect_timeout`] (default 5 s). A `send` before that would
    /// block. Does not block.
    ///
    /// # Errors
    /// Where the call cannot even begin: [`ConnectError::Address`], [`ConnectError::TooMany`], [`ConnectError::Io`],
    /// [`ConnectError::Unreachable`].
    fn connect(&self, remote: SocketAddr) -> Result<ConnectionId, ConnectError>;

    /// The next connection that a peer established, if there is one. It is taken out of the backlog when it is
    /// [answered](Self::answer). Does not block.
    ///
    /// # Errors
    /// [`AcceptError::NotListening`] where the transport was bound with a backlog of 0.
    fn incoming(&self) -> Result<Option<ConnectionId>, AcceptError>;

    /// Says whether a connection that [`incoming`](Self::incoming) gave is wanted. A refused one is released with it.
    /// Does not block.
    fn answer(&self, conn: ConnectionId, answer: Answer);

    /// The key by which the two sides of a sealed connection may meet again, with [`Config::psk`] on both; the same on
    /// both sides, and nobody else has it. `None` before it is established and where it is plain. Does not wait.
    fn device_key(&self, conn: ConnectionId) -> Option<Psk>;

    /// Where the connection stands in its life. Does not block.
    fn state(&self, conn: ConnectionId) -> State;

    /// Chooses how messages travel on an outgoing channel. Default: `Ordered`, priority 3 (0 goes first, 7 last). Does
    /// not block. `spec/message.md`, section "Delivery modes".
    ///
    /// # Errors
    /// [`ConfigureError`]: the mode is fixed by a message already sent, the values cannot be, or the connection has
    /// ended.
    fn configure(&self, conn: ConnectionId, channel: u16, config: ChannelConfig) -> Result<(), ConfigureError>;

    /// Queues a message. The library has it then; whether the peer does, [`Interest::Flushed`] tells. Does not block.
    ///
    /// # Errors
    /// `WouldBlock` while the queue is full ([`Interest::Writable`] tells when it is not); `TooLarge`; `Closing` or
    /// `Ended`.
    fn send(&self, conn: ConnectionId, channel: u16, tag: u16, body: Bytes) -> Result<MessageId, SendError>;

    /// Begins a message that is written piece by piece, of length `len` where that is known. Does not block.
    ///
    /// # Errors
    /// As [`send`](Self::send), and `NotStreamable` on a `Latest` or `Unreliable` channel.
    fn begin(&self, conn: ConnectionId, channel: u16, tag: u16, len: Option<u64>) -> Result<MessageId, SendError>;

    /// Adds to a message that was begun; returns how many bytes were taken, at least one unless `bytes` is empty. Does
    /// not block.
    ///
    /// # Errors
    /// `WouldBlock` while the queue is full ([`Interest::StreamWritable`] tells when it is not); `Stopped` where the
    /// peer does not want the rest; `Length`; `Unknown` where it is finished or was reset; `Ended`.
    fn write(&self, conn: ConnectionId, channel: u16, id: MessageId, bytes: &[u8]) -> Result<usize, WriteError>;

    /// Ends a message that was begun. Does not block.
    ///
    /// # Errors
    /// As [`write`](Self::write), without `WouldBlock`.
    fn finish(&self, conn: ConnectionId, channel: u16, id: MessageId) -> Result<(), WriteError>;

    /// Gives a message up that has not arrived; the peer's reader fails with `code`. Where it has arrived nothing
    /// happens. Does not block. `spec/message.md`, section "Giving up and refusing".
    fn reset(&self, conn: ConnectionId, channel: u16, id: MessageId, code: u32);

    /// Takes the next message, if there is one. `Select::Any`: in the order in which they became complete, never of
    /// library channels nor of a channel on which `Select::One` was ever asked for on this connection. Does not block.
    ///
    /// # Errors
    /// Why the connection is no more, once everything that arrived was taken; at once where it was this side that
    /// closed or aborted.
    fn recv(&self, conn: ConnectionId, select: Select) -> Result<Option<Arrival>, End>;

    /// Takes the next message as one buffer, whatever its length, if it is one that is wanted; else it stays the next,
    /// and what is known of it is told. `None` while there is none, or not all of it: what would come as a stream is
    /// put together in memory then, and is given to nobody, nor anything behind it on what was selected, before it is
    /// whole or turns out to be too long. [`Interest::Readable`] tells when that is. A stream that will never be whole
    /// is handed over as it is; whoever reads it learns why. Does not block. `spec/message.md`, section "Messages".
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    fn recv_whole(&self, conn: ConnectionId, select: Select, wanted: &Wanted<'_>) -> Result<Option<Whole>, End>;

    /// Reads from a message that arrived as a stream; 0 is its end (where `buf` is not empty). Does not block.
    ///
    /// # Errors
    /// `WouldBlock` while nothing is there ([`Interest::StreamReadable`] tells when); `Reset` where the peer gave it
    /// up; `Unknown` where it was read to its end or stopped; `Ended`.
    fn read(&self, conn: ConnectionId, channel: u16, id: MessageId, buf: &mut [u8]) -> Result<usize, ReadError>;

    /// Tells the peer that the rest of an incoming stream is not wanted. Does not block. `spec/message.md`, section
    /// "Giving up and refusing".
    fn stop(&self, conn: ConnectionId, channel: u16, id: MessageId, code: u32);

    /// Begins to close: nothing more can be sent, and when the peer's application has taken everything, or `linger` is
    /// over, the connection ends. [`Interest::Closed`] holds when that has happened and the peer knows, or cannot be
    /// told. A second close changes nothing. Does not block. `spec/message.md`, section "The end".
    fn close(&self, conn: ConnectionId, code: u32, linger: Duration);

    /// What became of everything that was sent, once the wait of a close of ours is over; `None` before. Does not
    /// block.
    fn close_report(&self, conn: ConnectionId) -> Option<CloseReport>;

    /// Ends the connection now; what has not arrived is lost. Does not block.
    fn abort(&self, conn: ConnectionId, code: u32);

    /// No handle is left: the transport closes the connection in the background, unless it is closing already, with
    /// code 0 and a linger of [`LINGER`], and then forgets it. Never blocks; what is under way dies with the process.
    fn release(&self, conn: ConnectionId);

    /// Waits until one of `interests` holds, at most until `until` (`None`: for ever), and says which. Returns at once
    /// where one already holds. **Blocks**, and does the transport's I/O meanwhile.
    ///
    /// # Errors
    /// `TimedOut`, or `Broken` where the transport itself failed. Nothing was taken then: it can be called again.
    fn wait(&self, interests: &[Interest], until: Option<Timestamp>) -> Result<Ready, WaitError>;

    /// As [`wait`](Self::wait), for tasks: pending until the task is woken. `slot` is the task's place among those who
    /// wait; dropping it gives the place up, so a future over this may be dropped at any time and nothing is lost. Does
    /// not block; while no thread waits, the keeper reads the socket.
    ///
    /// # Errors
    /// `Broken` where the transport itself failed.
    fn poll_wait(
        &self,
        slot: &mut WaitSlot,
        interests: &[Interest],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ready, WaitError>>;

    /// Hangs a bell, for threads to tell each other something: see [`Bell`], which takes it down again. Does not block.
    fn hang_bell(&self) -> BellId;

    /// Rings a bell: its count rises by one, and whoever waits for that is woken. Does not block, and is no call of
    /// the system's where nobody waits.
    fn ring(&self, bell: BellId);

    /// How often a bell was rung; `None` where it is gone. Does not block.
    fn rings(&self, bell: BellId) -> Option<u64>;

    /// Takes a bell down; whoever waits for it is woken. Does not block.
    fn take_down(&self, bell: BellId);

    /// 32 bytes to seed a generator with: the operating system's, which nobody can guess; in a simulated world those
    /// of its seed. Does not block.
    ///
    /// # Errors
    /// What the operating system says where it has none.
    fn chance(&self) -> std::io::Result<[u8; 32]>;

    /// The transport's clock. Does not block.
    fn now(&self) -> Timestamp;

    /// Blocks the calling thread until `until`. Connections are served meanwhile.
    fn sleep_until(&self, until: Timestamp);

    /// Runs `main` on a thread of its own. Use `spawn` of `dyn Transport`, which hands back a result. Does not block.
    ///
    /// # Errors
    /// What the operating system says where it gives no more threads.
    fn spawn_thread(&self, name: &str, main: Box<dyn FnOnce() + Send>) -> std::io::Result<Joiner>;
}
