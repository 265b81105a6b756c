//! The sockets of one transport: a listener and its streams, polled through one epoll descriptor.

use core::mem::MaybeUninit;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::core::TcpCore;
use super::outbox::{Brought, Done, Job};
use super::receipts;
use super::stream::Stream;
use crate::time::Timestamp;
use crate::transport::buffers::Buffers;
use crate::transport::driven::{Drainer, Io, Received, Signal, Slept, Transmitted};
use crate::transport::{ConnectError, TransportStats};

/// What is read in one batch, all streams together.
const BATCH_LEN: usize = 512 * 1024;
/// A stream is not read where less of the batch is left; and so much of it each stream has that is ready, however many
/// there are.
const READ_LEN_MIN: usize = 16 * 1024;
/// What a stream that is not the only one may fill of a batch: it may be thousands of records, and whoever comes next
/// waits until they are handled.
const SHARE_MAX: usize = 128 * 1024;
/// Streams that are looked at in one batch.
const EVENTS_MAX: usize = 128;
/// Callers that are accepted in one batch.
const CALLERS_MAX: usize = 64;
/// The listener's key.
const LISTENER: u64 = 0;
/// The key of a waiting thread's signal. Those of streams lie between.
const SIGNAL: u64 = u64::MAX;

/// One thing that is ready, in the space of an atomic: the key, and in the lowest 16 bits what it is ready for.
struct Hint;

impl Hint {
    fn pack(event: &Event) -> u64 {
        let flags = u64::from({ event.flags }.bits()) & 0xffff;
        { event.data }.u64() << 16 | flags
    }

    const fn unpack(hint: u64) -> (u64, EventFlags) {
        (hint >> 16, EventFlags::from_bits_truncate((hint & 0xffff) as u32))
    }
}

/// See the module.
pub(super) struct TcpIo {
    epoll: OwnedFd,
    /// `None` where nobody is to call.
    listener: Option<TcpListener>,
    local: SocketAddr,
    asked: Buffers,
    streams: Mutex<BTreeMap<u64, Arc<Stream>>>,
    next_key: AtomicU64,
    /// The signal of the thread that slept here last: it is polled with the streams.
    signal: Mutex<Option<Arc<Signal>>>,
    /// What a sleep has found, unless that was several things.
    hint: AtomicU64,
    transmit_calls: AtomicU64,
    given: (Option<usize>, Option<usize>),
}

/// The receive token.
pub(super) struct Rx {
    buffer: Vec<u8>,
    brought: Vec<Brought>,
    /// What was ready when the last look was taken and did not fit into the batch: it has its turn before anything is
    /// asked for again, or one that is always ready could take every batch.
    due: VecDeque<(u64, EventFlags)>,
    /// What each stream may fill of a batch in this round.
    share: usize,
}

/// The transmit token.
#[derive(Default)]
pub(super) struct Tx {
    jobs: VecDeque<Job>,
    done: Vec<Done>,
}

impl Rx {
    pub(super) fn new() -> Self {
        Self::of(BATCH_LEN)
    }

    /// With batches of `len` bytes.
    fn of(len: usize) -> Self {
        Self { buffer: vec![0; len], brought: Vec::new(), due: VecDeque::new(), share: len }
    }
}

impl TcpIo {
    /// Polls `listener`, where there is one. `asked` is set for each of its streams; `given` is what that
    /// came to: to send, to receive.
    pub(super) fn new(
        listener: Option<TcpListener>,
        local: SocketAddr,
        asked: Buffers,
        given: (Option<usize>, Option<usize>),
    ) -> io::Result<Self> {
        let io = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            listener,
            local,
            asked,
            streams: Mutex::default(),
            next_key: AtomicU64::new(LISTENER + 1),
            signal: Mutex::default(),
            hint: AtomicU64::new(0),
            transmit_calls: AtomicU64::new(0),
            given,
        };
        if let Some(listener) = &io.listener {
            epoll::add(&io.epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        }
        Ok(io)
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Stream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls `signal` with the streams, in place of another thread's.
    fn poll_signal(&self, signal: &Arc<Signal>) -> Result<(), Errno> {
        let mut polled = self.signal.lock().unwrap_or_else(PoisonError::into_inner);
        if polled.as_ref().is_some_and(|polled| Arc::ptr_eq(polled, signal)) {
            return Ok(());
        }
        if let Some(old) = polled.take() {
            epoll::delete(&self.epoll, &*old)?;
        }
        epoll::add(&self.epoll, &**signal, EventData::new_u64(SIGNAL), EventFlags::IN)?;
        *polled = Some(Arc::clone(signal));
        Ok(())
    }

    fn key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    fn accept(&self, brought: &mut Vec<Brought>) {
        let Some(listener) = &self.listener else { return };
        for _ in 0..CALLERS_MAX {
            match self.accept_one(listener) {
                Ok((stream, remote)) => brought.push(Brought::Caller { stream, remote }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if is_short(&error) => {
                    // Now, not by a job: whoever waits would come here again and again until that is done.
                    self.watch_callers(false);
                    return brought.push(Brought::Short);
                }
                // A caller that is gone again, or whose socket cannot be used.
                Err(_) => {}
            }
        }
    }

    fn watch_callers(&self, on: bool) {
        if let Some(listener) = &self.listener {
            let flags = if on { EventFlags::IN } else { EventFlags::empty() };
            // It was added when the transport was bound, so this cannot fail.
            let _ = epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENER), flags);
        }
    }

    fn accept_one(&self, listener: &TcpListener) -> io::Result<(Arc<Stream>, SocketAddr)> {
        let (socket, remote) = listener.accept()?;
        let stream = Arc::new(Stream::accepted(socket, self.key(), self.asked)?);
        // First into the table: whoever finds it ready looks there.
        self.streams().insert(stream.key, Arc::clone(&stream));
        if let Err(error) = stream.watch_input(&self.epoll, true) {
            self.streams().remove(&stream.key);
            return Err(error);
        }
        Ok((stream, remote))
    }

    /// Asks for everything that is ready now, and gives each its share. True where there may be more than that.
    fn ask(&self, rx: &mut Rx) -> bool {
        let mut events = [const { MaybeUninit::<Event>::uninit() }; EVENTS_MAX];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Only an interruption can go wrong, and what is ready stays so.
        let events = epoll::wait(&self.epoll, &mut events[..], Some(&now)).map_or(&[][..], |(events, _)| events);
        rx.due.extend(events.iter().map(|event| ({ event.data }.u64(), event.flags)));
        rx.share = self.share(rx.buffer.len(), rx.due.len());
        events.len() == EVENTS_MAX
    }

    /// What each of `ready` streams may fill of a batch of `len` bytes.
    fn share(&self, len: usize, ready: usize) -> usize {
        if self.streams().len() <= 1 { len } else { (len / ready.max(1)).clamp(READ_LEN_MIN, SHARE_MAX) }
    }

    /// Looks at what has something. True where it may have more.
    fn look_at(&self, key: u64, flags: EventFlags, rx: &mut Filling<'_>) -> bool {
        if key == LISTENER {
            self.accept(rx.brought);
            return false;
        }
        // One that was dropped meanwhile has nothing to say, and a signal is for the thread whose it is.
        let stream = self.streams().get(&key).cloned();
        stream.is_some_and(|stream| self.look(&stream, flags, rx))
    }

    fn look(&self, stream: &Stream, flags: EventFlags, rx: &mut Filling<'_>) -> bool {
        let key = stream.key;
        let told = EventFlags::OUT | EventFlags::ERR | EventFlags::HUP;
        if stream.is_connecting() {
            let connected = stream.connected().and_then(|()| {
                stream.watch_output(&self.epoll, false)?;
                stream.watch_input(&self.epoll, true)
            });
            rx.brought.push(match connected {
                Ok(()) => Brought::Room { key },
                Err(error) => self.failed(stream, &error),
            });
            return false;
        }
        let input = stream.watches_input();
        if flags.contains(EventFlags::OUT) || (!input && flags.intersects(told)) {
            rx.brought.push(match stream.watch_output(&self.epoll, false) {
                Ok(()) => Brought::Room { key },
                Err(error) => self.failed(stream, &error),
            });
        }
        input
            && flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::ERR | EventFlags::HUP)
            && self.read(stream, flags, rx)
    }

    /// Reads until nothing is left. True where the stream's share was used up before.
    fn read(&self, stream: &Stream, flags: EventFlags, rx: &mut Filling<'_>) -> bool {
        let ends = flags.intersects(EventFlags::RDHUP | EventFlags::ERR | EventFlags::HUP);
        let end = rx.buffer.len().min(rx.filled + rx.share);
        loop {
            let room = &mut rx.buffer[rx.filled..end];
            if room.is_empty() {
                return true;
            }
            match (&stream.socket).read(room) {
                Ok(0) => {
                    let _ = stream.watch_input(&self.epoll, false);
                    rx.brought.push(Brought::End { key: stream.key });
                    return false;
                }
                Ok(len) => {
                    let full = len == room.len();
                    rx.brought.push(Brought::Bytes { key: stream.key, range: rx.filled..rx.filled + len });
                    rx.filled += len;
                    if !full && !ends {
                        return false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let failed = self.failed(stream, &error);
                    rx.brought.push(failed);
                    return false;
                }
            }
        }
    }

    fn failed(&self, stream: &Stream, error: &io::Error) -> Brought {
        stream.unwatch(&self.epoll);
        Brought::Failed { key: stream.key, kind: error.kind() }
    }

    fn run(&self, job: Job) -> Option<Done> {
        match job {
            Job::Watch { id, stream } => {
                self.streams().insert(stream.key, Arc::clone(&stream));
                let watched = stream.watch_output(&self.epoll, true);
                return watched.err().map(|error| Done::Failed { id, kind: error.kind() });
            }
            Job::Write { id, stream, mut chunk } => {
                self.transmit_calls.fetch_add(1, Ordering::Relaxed);
                let error = loop {
                    match (&stream.socket).write(chunk.rest()) {
                        Ok(len) => {
                            chunk.written += len;
                            if chunk.rest().is_empty() {
                                return Some(Done::Written { id, chunk });
                            }
                            break None;
                        }
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break None,
                        Err(error) => break Some(error),
                    }
                };
                // The kernel took what it had room for; it tells when it has more.
                return Some(match error.or_else(|| stream.watch_output(&self.epoll, true).err()) {
                    None => Done::Stuck { id, chunk },
                    Some(error) => Done::Failed { id, kind: error.kind() },
                });
            }
            Job::Shut { stream } => {
                // Fails where the peer has gone already.
                let _ = stream.socket.shutdown(std::net::Shutdown::Write);
            }
            Job::Drop { stream } => {
                stream.unwatch(&self.epoll);
                self.streams().remove(&stream.key);
            }
            Job::Accept { on } => self.watch_callers(on),
        }
        None
    }
}

/// The receive token while it is being filled.
struct Filling<'a> {
    buffer: &'a mut [u8],
    filled: usize,
    share: usize,
    brought: &'a mut Vec<Brought>,
}

impl Filling<'_> {
    const fn has_room(&self) -> bool {
        self.buffer.len() - self.filled >= READ_LEN_MIN
    }
}

/// The system has no descriptor, or no memory, for another socket.
fn is_short(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

impl Io for TcpIo {
    type Core = TcpCore;
    type Rx = Rx;
    type Tx = Tx;

    /// So long may a receipt of ours wait, and meanwhile TCP does without us.
    const LEASE: Duration = receipts::DELAY_MAX;

    fn source(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn call(&self, remote: SocketAddr) -> Result<Stream, ConnectError> {
        Stream::connect(self.local, remote, self.key(), self.asked)
    }

    fn forget_signal(&self) {
        if let Some(signal) = self.signal.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It is polled, so this cannot fail.
            let _ = epoll::delete(&self.epoll, &*signal);
        }
    }

    fn sleep(&self, signal: &Arc<Signal>, timeout: Option<&Timespec>) -> Option<Result<Slept, ErrorKind>> {
        // Epoll counts in milliseconds. What is left then is slept by a poll, which is exact.
        let timeout = match timeout {
            Some(timeout) if timeout.tv_sec == 0 && timeout.tv_nsec < 2_000_000 => return None,
            Some(timeout) => {
                Some(Timespec { tv_sec: timeout.tv_sec, tv_nsec: timeout.tv_nsec / 1_000_000 * 1_000_000 })
            }
            None => None,
        };
        self.poll_signal(signal).ok()?;
        let mut events = [const { MaybeUninit::<Event>::uninit() }; 2];
        let events = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok((events, _)) => &*events,
            Err(Errno::INTR) => &[],
            Err(errno) => return Some(Err(io::Error::from(errno).kind())),
        };
        let signalled = events.iter().any(|event| { event.data }.u64() == SIGNAL);
        let readable = events.len() > usize::from(signalled);
        if let [event] = events
            && readable
        {
            self.hint.store(Hint::pack(event), Ordering::Relaxed);
        }
        Some(Ok(Slept { readable, signalled, ..Slept::default() }))
    }

    fn receive(&self, rx: &mut Rx) -> Received {
        rx.brought.clear();
        let hint = Hint::unpack(self.hint.swap(0, Ordering::Relaxed));
        if rx.due.is_empty() && !hint.1.is_empty() {
            rx.due.push_back(hint);
            rx.share = self.share(rx.buffer.len(), 1);
        }
        let (mut more, mut asked) = (false, false);
        // What a sleep or an earlier look has found may have been taken or dropped meanwhile.
        while rx.brought.is_empty() && !asked {
            if rx.due.is_empty() {
                more |= self.ask(rx);
                asked = true;
            }
            let Rx { buffer, brought, due, share } = &mut *rx;
            let mut filling = Filling { buffer, filled: 0, share: *share, brought };
            while filling.has_room()
                && let Some((key, flags)) = due.pop_front()
            {
                more |= self.look_at(key, flags, &mut filling);
            }
        }
        let more = more || !rx.due.is_empty();
        match (rx.brought.is_empty(), more) {
            (true, _) => Received::Nothing,
            (false, true) => Received::More,
            (false, false) => Received::Last,
        }
    }

    fn handle(&self, rx: &mut Rx, core: &mut TcpCore, now: Timestamp, _by: Drainer) {
        for brought in rx.brought.drain(..) {
            core.handle(now, brought, &mut rx.buffer);
        }
    }

    fn take(&self, core: &mut TcpCore, tx: &mut Tx) -> bool {
        tx.done.drain(..).for_each(|done| core.on_done(done));
        core.take_jobs(&mut tx.jobs)
    }

    fn transmit(&self, tx: &mut Tx) -> Transmitted {
        while let Some(job) = tx.jobs.pop_front() {
            let done = self.run(job);
            tx.done.extend(done);
        }
        Transmitted::Done
    }

    fn stats(&self, stats: &mut TransportStats) {
        stats.transmit_calls = Some(self.transmit_calls.load(Ordering::Relaxed));
        stats.send_buffer_asked = self.asked.send;
        stats.receive_buffer_asked = self.asked.receive;
        (stats.send_buffer, stats.receive_buffer) = self.given;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};

    use rustix::event::{PollFd, PollFlags, poll};

    /// A listener, and `count` streams to it: both ends of each.
    fn streams(count: usize, asked: Buffers) -> (TcpIo, Vec<(TcpStream, Arc<Stream>)>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let local = listener.local_addr().unwrap();
        let io = TcpIo::new(Some(listener), local, asked, (None, None)).unwrap();
        let mut brought = Vec::new();
        let pairs = (0..count).map(|_| {
            let far = TcpStream::connect(local).unwrap();
            far.set_nonblocking(true).unwrap();
            await_input(io.listener.as_ref().unwrap());
            io.accept(&mut brought);
            let Some(Brought::Caller { stream, .. }) = brought.pop() else { panic!("nobody calls") };
            (far, stream)
        });
        let pairs = pairs.collect();
        (io, pairs)
    }

    #[test]
    fn buffers_that_were_asked_for_are_those_of_every_connection() {
        let sizes = |stream: &Stream| {
            let socket = socket2::SockRef::from(&stream.socket);
            (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap())
        };
        // More than anybody begins with, and within what most users may have.
        let asked = Buffers { send: Some(180 << 10), receive: Some(190 << 10) };
        let tuned = Buffers::default();
        for (asked, least) in [(asked, (180 << 10, 190 << 10)), (tuned, (1, 1))] {
            let (io, pairs) = streams(1, asked);
            let called = io.call(io.local).unwrap();
            for stream in [&*pairs[0].1, &called] {
                let given = sizes(stream);
                assert!(given.0 >= least.0 && given.1 >= least.1, "{asked:?}: {given:?}");
            }
        }
        let given = |asked| sizes(&streams(1, asked).0.call(loopback_of_nobody()).unwrap());
        let small = Buffers { send: Some(20 << 10), receive: Some(20 << 10) };
        assert!(given(small).1 < given(asked).1, "no more than was asked for, either");
    }

    /// An address that takes calls, and answers none.
    fn loopback_of_nobody() -> SocketAddr {
        static NOBODY: std::sync::OnceLock<TcpListener> = std::sync::OnceLock::new();
        NOBODY.get_or_init(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).local_addr().unwrap()
    }

    fn await_input(fd: &impl AsFd) {
        poll(&mut [PollFd::new(fd, PollFlags::IN)], None).unwrap();
    }

    /// Writes as much as the kernel takes.
    fn flood(mut far: &TcpStream) {
        while far.write(&[7; 64 * 1024]).is_ok() {}
    }

    fn brought(rx: &Rx, stream: &Stream) -> usize {
        let of = |brought: &Brought| match brought {
            Brought::Bytes { key, range } if *key == stream.key => range.len(),
            _ => 0,
        };
        rx.brought.iter().map(of).sum()
    }

    #[test]
    fn a_signal_raised_after_its_thread_has_gone_does_not_keep_the_keeper_awake() {
        let (io, _) = streams(0, Buffers::default());
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let readable = || poll(&mut [PollFd::new(&io.epoll, PollFlags::IN)], Some(&now)).unwrap() > 0;
        let signal = Arc::new(Signal::new().unwrap());
        io.poll_signal(&signal).unwrap();
        assert!(!readable());
        std::task::Waker::from(Arc::clone(&signal)).wake();
        assert!(readable(), "it is there for a thread that sleeps");
        io.forget_signal();
        assert!(!readable(), "the keeper would be woken for nothing, again and again");
        io.forget_signal();
        // The thread waits here once more.
        io.poll_signal(&signal).unwrap();
        assert!(readable());
    }

    #[test]
    fn a_stream_that_is_always_full_leaves_the_others_their_turn() {
        let (io, pairs) = streams(4, Buffers::default());
        let (flooding, others) = pairs.split_first().unwrap();
        // Room for two shares: of four streams that are ready two wait for the next batch.
        let mut rx = Rx::of(2 * READ_LEN_MIN);
        for round in 0..20 {
            for (far, near) in others {
                (&mut &*far).write_all(b"word").unwrap();
                await_input(&near.socket);
            }
            let (mut full, mut words) = (0, vec![0; others.len()]);
            // A turn each is four shares, in two batches at the least; what is brought by then counts.
            for _ in 0..4 {
                flood(&flooding.0);
                await_input(&flooding.1.socket);
                assert_ne!(io.receive(&mut rx), Received::Nothing);
                full += brought(&rx, &flooding.1);
                for (word, (_, near)) in words.iter_mut().zip(others) {
                    *word += brought(&rx, near);
                }
            }
            assert_eq!(words, [4; 3], "round {round}: {full} bytes of the one that floods");
            assert!(full > 0, "round {round}: it has its turn too");
        }
    }

    #[test]
    fn one_stream_alone_fills_the_batch() {
        let (io, pairs) = streams(1, Buffers::default());
        let mut rx = Rx::of(2 * READ_LEN_MIN);
        let mut most = 0;
        // How much of what was written has come is the kernel's affair.
        for _ in 0..1_000 {
            flood(&pairs[0].0);
            await_input(&pairs[0].1.socket);
            assert_ne!(io.receive(&mut rx), Received::Nothing);
            most = most.max(brought(&rx, &pairs[0].1));
        }
        assert_eq!(most, 2 * READ_LEN_MIN);
    }
}
