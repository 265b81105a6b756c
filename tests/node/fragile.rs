//! A transport that can be broken, as where the system takes a socket away.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use udpair::Transport;
use udpair::message::{
    Arrival, ChannelConfig, CloseReport, ConfigureError, End, Limits, MessageId, ReadError, Select, SendError, State,
    Wanted, Whole, WriteError,
};
use udpair::slots::ConnectionId;
use udpair::time::Timestamp;
use udpair::transport::{
    AcceptError, Answer, Bell, BellId, ConnectError, Interest, Joiner, Psk, Ready, Stats, TransportStats, WaitError,
    WaitSlot,
};

/// Does what another does, until nothing can be waited for any more.
pub(crate) struct Fragile {
    inner: Arc<dyn Transport>,
    /// Rung when it breaks.
    broken: Bell,
}

impl Fragile {
    pub(crate) fn new(inner: Arc<dyn Transport>) -> Arc<Self> {
        let broken = Bell::hang(&inner);
        Arc::new(Self { inner, broken })
    }

    /// From now on every wait fails, those under way too.
    pub(crate) fn shatter(&self) {
        self.broken.ring();
    }

    /// Those, and that it breaks.
    fn and_broken(&self, interests: &[Interest]) -> Vec<Interest> {
        let mut all = vec![self.broken.interest(0)];
        all.extend_from_slice(interests);
        all
    }
}

fn which(ready: Ready) -> Result<Ready, WaitError> {
    match ready.index.checked_sub(1) {
        Some(index) => Ok(Ready { index, ..ready }),
        None => Err(WaitError::Broken(ErrorKind::BrokenPipe)),
    }
}

/// What goes on as before.
macro_rules! pass_on {
    ($(fn $verb:ident(&self $(, $name:ident: $what:ty)*) $(-> $result:ty)?;)+) => {
        $(fn $verb(&self $(, $name: $what)*) $(-> $result)? { self.inner.$verb($($name),*) })+
    };
}

impl Transport for Fragile {
    fn wait(&self, interests: &[Interest], until: Option<Timestamp>) -> Result<Ready, WaitError> {
        which(self.inner.wait(&self.and_broken(interests), until)?)
    }

    fn poll_wait(
        &self,
        slot: &mut WaitSlot,
        interests: &[Interest],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ready, WaitError>> {
        self.inner.poll_wait(slot, &self.and_broken(interests), cx).map(|ready| which(ready?))
    }

    pass_on! {
        fn local_addr(&self) -> SocketAddr;
        fn peer_addr(&self, conn: ConnectionId) -> Option<SocketAddr>;
        fn limits(&self) -> Limits;
        fn stats(&self, conn: ConnectionId) -> Stats;
        fn transport_stats(&self) -> TransportStats;
        fn connect(&self, remote: SocketAddr) -> Result<ConnectionId, ConnectError>;
        fn incoming(&self) -> Result<Option<ConnectionId>, AcceptError>;
        fn answer(&self, conn: ConnectionId, answer: Answer);
        fn device_key(&self, conn: ConnectionId) -> Option<Psk>;
        fn state(&self, conn: ConnectionId) -> State;
        fn configure(&self, conn: ConnectionId, channel: u16, config: ChannelConfig) -> Result<(), ConfigureError>;
        fn send(&self, conn: ConnectionId, channel: u16, tag: u16, body: Bytes) -> Result<MessageId, SendError>;
        fn begin(&self, conn: ConnectionId, channel: u16, tag: u16, len: Option<u64>) -> Result<MessageId, SendError>;
        fn write(&self, conn: ConnectionId, channel: u16, id: MessageId, bytes: &[u8]) -> Result<usize, WriteError>;
        fn finish(&self, conn: ConnectionId, channel: u16, id: MessageId) -> Result<(), WriteError>;
        fn reset(&self, conn: ConnectionId, channel: u16, id: MessageId, code: u32);
        fn recv(&self, conn: ConnectionId, select: Select) -> Result<Option<Arrival>, End>;
        fn recv_whole(&self, conn: ConnectionId, select: Select, wanted: &Wanted<'_>) -> Result<Option<Whole>, End>;
        fn read(&self, conn: ConnectionId, channel: u16, id: MessageId, buf: &mut [u8]) -> Result<usize, ReadError>;
        fn stop(&self, conn: ConnectionId, channel: u16, id: MessageId, code: u32);
        fn close(&self, conn: ConnectionId, code: u32, linger: Duration);
        fn close_report(&self, conn: ConnectionId) -> Option<CloseReport>;
        fn abort(&self, conn: ConnectionId, code: u32);
        fn release(&self, conn: ConnectionId);
        fn hang_bell(&self) -> BellId;
        fn ring(&self, bell: BellId);
        fn rings(&self, bell: BellId) -> Option<u64>;
        fn take_down(&self, bell: BellId);
        fn chance(&self) -> std::io::Result<[u8; 32]>;
        fn now(&self) -> Timestamp;
        fn sleep_until(&self, until: Timestamp);
        fn spawn_thread(&self, name: &str, main: Box<dyn FnOnce() + Send>) -> std::io::Result<Joiner>;
    }
}
