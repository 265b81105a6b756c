//! `udpair recv`: several senders at once, each on a thread of its own, in constant memory.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use udpair::message::Limits;
use udpair::transport::pairing::DeviceInvite;
use udpair::{Connection, Listener, Transport};

use super::name::Escaped;
use super::place::Place;
use super::progress::Bars;
use super::receiver::{Policy, Receiver, Unfinished};
use super::transfers::{Transfer, Transfers};
use super::writer::Existing;
use super::{configure, drive, interrupt, print, report};
use crate::cli::args::RecvArgs;
use crate::cli::code;
use crate::cli::exit::{Exit, Failure, complain, say};
use crate::cli::peer::{Spoken, Told, Way, accept_known, failure, give_up};

/// Transfers that may be under way at a time.
const PLACES: usize = 8;
/// Senders that may wait for a place.
const BACKLOG: usize = 8;
/// How long whoever connects may take to greet, however patient the user is otherwise: a sender does it at once.
const GREETING_MAX: Duration = Duration::from_secs(2);
/// What one sender can make us hold: with all places taken that is 64 MiB, and as much for those who wait.
const LIMITS: Limits =
    Limits { message_len_max: 2 << 20, credit_connection: 8 << 20, credit_channel: 4 << 20, send_queue: 1 << 20 };

/// Receives: by a code from one sender; at an address, or by a key, from every sender that calls, or, with `--once`,
/// until the first has sent everything.
pub(crate) fn recv(args: &RecvArgs) -> Result<Exit, Failure> {
    let transfers = Transfers::new(PLACES, args.link.timeout());
    interrupt::install(&transfers)?;
    let code = Spoken::of(&args.code);
    let way = Way::of("--listen", args.listen.as_deref(), code.as_ref(), &args.link)?;
    let job = Job::new(args);
    job.open_place()?;
    let connection = match way {
        Way::At(addrs, sealed) => {
            let listener = Listener::new(args.link.bind(addrs[0], *sealed, LIMITS, BACKLOG)?);
            say(&format_args!("listening on {}", listener.local_addr()))?;
            return serve(Door::Address(listener), job, args.once, &transfers);
        }
        Way::Known(psk) => {
            let invite = args.link.invite_known(&psk, LIMITS, "udpair send PATH...")?;
            return serve(Door::Device(Box::new(invite)), job, args.once, &transfers);
        }
        Way::Join(code) => args.link.join(&code, LIMITS)?,
        Way::Invite => args.link.invite(LIMITS, Told::OnStdout, "udpair send PATH... --code CODE")?,
    };
    let transfer = transfers.begin(connection);
    let over = job.receive(&transfer);
    transfers.end(&transfer);
    over.result
}

/// Receives from whoever comes in at `door`.
fn serve(door: Door, job: Job, once: bool, transfers: &Arc<Transfers>) -> Result<Exit, Failure> {
    let (tell, told) = mpsc::channel();
    let transport = door.transport();
    let mut accepting = Accepting { door, job, transfers: Arc::clone(transfers), tell };
    let clock = Arc::clone(&transport);
    transport.spawn("udpair-accept", move || accepting.run(&clock)).map_err(|error| no_thread(&error))?;
    let ended = await_end(once, transfers, &told);
    // Those still under way are told, and remove what is partial.
    transfers.end_all(code::FAILED);
    transfers.await_none();
    ended
}

/// Something that whoever waits for the end hears of.
enum Heard {
    /// A transfer is over.
    Over(Over),
    /// Nobody can be accepted any more.
    Deaf(Failure),
}

/// How a transfer ended.
struct Over {
    result: Result<Exit, Failure>,
    /// The peer was a sender, and not somebody who connected and said nothing.
    greeted: bool,
}

/// Hears how transfers end until one of them ends the run.
fn await_end(once: bool, transfers: &Transfers, told: &mpsc::Receiver<Heard>) -> Result<Exit, Failure> {
    loop {
        let over = match told.recv() {
            Ok(Heard::Over(over)) => over,
            Ok(Heard::Deaf(failure)) => return Err(failure),
            Err(_) => return Err(Failure::new(Exit::Other, "nobody accepts senders any more")),
        };
        match over.result {
            Ok(exit) if once => return Ok(exit),
            _ if transfers.is_interrupted() => return Err(Failure::new(Exit::Interrupted, "interrupted")),
            // Another one may still send everything.
            Err(failure) if once && over.greeted && transfers.is_empty() => return Err(failure),
            Err(failure) => complain(&failure.message),
            Ok(_) => (),
        }
    }
}

/// Where senders come in.
enum Door {
    /// At an address.
    Address(Listener),
    /// Found by whoever has the key.
    Device(Box<DeviceInvite>),
}

impl Door {
    fn transport(&self) -> Arc<dyn Transport> {
        match self {
            Self::Address(listener) => Arc::clone(listener.transport()),
            Self::Device(invite) => invite.transport(),
        }
    }

    /// Waits for a sender and for a place. `None` where nobody is taken in any more.
    fn next(&mut self, transfers: &Transfers) -> Result<Option<Connection>, Failure> {
        match self {
            // Whoever waits for a place counts against the backlog.
            Self::Address(listener) => {
                let incoming = listener.incoming().map_err(|error| failure::accept(&error))?;
                if transfers.await_place() {
                    return Ok(Some(incoming.accept()));
                }
                incoming.refuse(code::FAILED);
            }
            Self::Device(invite) => {
                let connection = accept_known(invite)?;
                if transfers.await_place() {
                    return Ok(Some(connection));
                }
                connection.abort(code::FAILED);
            }
        }
        Ok(None)
    }
}

/// The thread that accepts.
struct Accepting {
    door: Door,
    job: Job,
    transfers: Arc<Transfers>,
    tell: mpsc::Sender<Heard>,
}

impl Accepting {
    fn run(&mut self, transport: &Arc<dyn Transport>) {
        loop {
            let failed = match self.next(transport) {
                Ok(true) => continue,
                Ok(false) => return,
                Err(failure) => failure,
            };
            // Where nobody listens any more the run is over anyway.
            let _ = self.tell.send(Heard::Deaf(failed));
            return;
        }
    }

    /// Waits for a sender and for a place, and begins. False where nobody is taken in any more.
    fn next(&mut self, transport: &Arc<dyn Transport>) -> Result<bool, Failure> {
        let Some(connection) = self.door.next(&self.transfers)? else { return Ok(false) };
        let transfer = self.transfers.begin(connection);
        let (job, transfers, tell) = (self.job.clone(), Arc::clone(&self.transfers), self.tell.clone());
        let own = Arc::clone(&transfer);
        let begun = transport.spawn("udpair-receive", move || {
            let guard = EndOnDrop { transfers, transfer: own };
            let over = job.receive(&guard.transfer);
            drop(guard);
            let _ = tell.send(Heard::Over(over));
        });
        if let Err(error) = begun {
            give_up(transfer.connection(), code::FAILED);
            self.transfers.end(&transfer);
            complain(&no_thread(&error).message);
        }
        Ok(true)
    }
}

/// Gives the place back, also after a panic.
struct EndOnDrop {
    transfers: Arc<Transfers>,
    transfer: Arc<Transfer>,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.transfers.end(&self.transfer);
    }
}

fn no_thread(error: &io::Error) -> Failure {
    Failure::new(Exit::Other, format!("the system gives no thread: {error}"))
}

/// What every sender's transfer is done by.
#[derive(Clone)]
struct Job {
    dir: OsString,
    policy: Policy,
    greeting: Duration,
    bars: Bars,
}

impl Job {
    fn new(args: &RecvArgs) -> Self {
        let policy = Policy {
            existing: if args.overwrite { Existing::Replace } else { Existing::Keep },
            unfinished: if args.resume { Unfinished::Keep } else { Unfinished::Remove },
        };
        Self { dir: args.dir.clone(), policy, greeting: args.link.timeout().min(GREETING_MAX), bars: Bars::default() }
    }

    fn open_place(&self) -> Result<Place, Failure> {
        let shown = Escaped(self.dir.as_bytes());
        Place::open(Path::new(&self.dir)).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                Failure::new(Exit::Usage, format!("--dir {shown} is no directory"))
            }
            _ => Failure::of_io(&format!("cannot put anything into --dir {shown}"), &error),
        })
    }

    /// One sender's transfer.
    fn receive(&self, transfer: &Transfer) -> Over {
        let peer = transfer.connection().peer_addr();
        let peer = peer.map_or_else(|| "a sender that has gone".to_owned(), |peer| peer.to_string());
        let mut greeted = false;
        let result = self.received(transfer, &peer, &mut greeted);
        let result = result.map_err(|Failure { exit, message }| Failure::new(exit, format!("{message} (from {peer})")));
        Over { result, greeted }
    }

    fn received(&self, transfer: &Transfer, peer: &str, greeted: &mut bool) -> Result<Exit, Failure> {
        let connection = transfer.connection();
        let begun = connection.transport().now();
        configure(connection)?;
        let place = self.open_place().inspect_err(|_| give_up(connection, code::FAILED))?;
        let mut receiver = Receiver::new(place, self.policy);
        let progress = self.bars.add(0);
        let received = drive::receive(transfer, &mut receiver, self.greeting, &progress);
        drop(progress);
        *greeted = receiver.is_greeted();
        if let Err(stop) = received {
            // What is partial goes first: the peer may take its time.
            drop(receiver);
            stop.tell(connection);
            return Err(stop.into());
        }
        connection.close(code::DONE);
        let line = report(receiver.totals(), "received", &peer, &**connection.transport(), begun);
        self.bars.above(|| print(&line));
        Ok(receiver.totals().exit())
    }
}
