//! How old the value is that a reader has, over links that lose packets: a latest channel against a queued one. In
//! virtual time, from one seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use udpair::node::{Channels, Kind, ReadError, Value};
use udpair::sim::{Host, HostError, LinkConfig, Sim};
use udpair::transport::ControllerKind;
use udpair::{Config, Connection, Listener};

use crate::FULL;
use crate::heap::{alone, held};
use crate::numbers::Durations;

const SEED: u64 = 5;
/// A thousand updates a second of 1 KiB, and somebody who looks at moments of its own.
const PERIOD: Duration = Duration::from_millis(1);
const LOOK: Duration = Duration::from_micros(937);
const LEN: usize = 1_024;
const DELAY: Duration = Duration::from_micros(200);

/// What a reader had.
#[derive(Clone, Default)]
struct Seen {
    /// The age of the value at each look.
    ages: Durations,
    /// How many values were read.
    values: u64,
    /// Where the age that the library gave was wrong by more than it said.
    wrong: u64,
}

/// Writes for so many periods.
fn write(channels: &Channels, host: &Host, kind: Kind, updates: u64) -> Result<(), HostError> {
    let begun = host.now();
    for at in 0..updates {
        let mut content = vec![0; LEN + 8];
        content.truncate(LEN);
        content[..8].copy_from_slice(&host.now().as_nanos().to_be_bytes());
        match kind {
            Kind::Latest => channels.write("pose", content)?,
            Kind::Queued => channels.send("pose", content)?,
        }
        channels.connection().transport().sleep_until(begun + PERIOD * u32::try_from(at + 1)?);
        channels.attend();
    }
    Ok(())
}

/// Everything that there is to read, and the newest of that.
fn read(channels: &Channels, kind: Kind, seen: &mut Seen) -> Result<Option<Value>, ReadError> {
    let mut newest = None;
    loop {
        let value = match kind {
            Kind::Latest => channels.try_changed("pose")?,
            Kind::Queued => channels.try_recv("pose")?,
        };
        let Some(value) = value else { return Ok(newest) };
        seen.values += 1;
        newest = Some(value);
    }
}

/// The settings of both sides. With a window that never closes, what is left of the ages is loss alone.
fn config(is_fixed: bool) -> Config {
    let mut config = Config::insecure_plain();
    if is_fixed {
        config.controller = ControllerKind::Fixed { window: 256 << 10 };
    }
    config
}

fn run(kind: Kind, is_fixed: bool, (delay, loss_ppm): (Duration, u32), updates: u64) -> Seen {
    let sim = Sim::new(SEED);
    let (writer, reader) = (sim.host("writer"), sim.host("reader"));
    let link = LinkConfig { delay, loss_ppm, ..LinkConfig::default() };
    sim.network(|network| network.configure_both(writer.id(), reader.id(), link));
    let addr = reader.addr(7_000);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let result = Arc::clone(&seen);
    sim.spawn(&writer, move |host| {
        let transport = host.bind(host.addr(0), config(is_fixed))?;
        let channels = Channels::new(Connection::connect(&transport, addr)?);
        write(&channels, &host, kind, updates)?;
        channels.close(0);
        Ok(())
    });
    sim.spawn(&reader, move |host| {
        let transport = host.bind(addr, config(is_fixed))?;
        let channels = Channels::new(Listener::new(Arc::clone(&transport)).accept()?);
        let (mut seen, mut newest) = (Seen::default(), None::<Value>);
        let begun = host.now();
        for look in 1.. {
            transport.sleep_until(begun + LOOK * look);
            newest = match read(&channels, kind, &mut seen) {
                Ok(read) => read.or(newest),
                Err(ReadError::Gone(_)) => break,
                Err(error) => return Err(error.into()),
            };
            let Some(value) = &newest else { continue };
            let written = u64::from_be_bytes(value.content.body[..8].try_into()?);
            let age = Duration::from_nanos(host.now().as_nanos() - written);
            seen.ages.push(age);
            let told = value.age(host.now());
            seen.wrong += u64::from(told.is_some_and(|told| told.age.abs_diff(age) > told.uncertainty));
        }
        *result.lock().expect("one thread runs at a time") = seen;
        Ok(())
    });
    sim.run().unwrap();
    seen.lock().unwrap().clone()
}

/// Three runs over the same link: a latest channel, the same with a window that never closes, a queued one.
fn compare(delay: Duration, loss_ppm: u32, updates: u64) -> [Seen; 3] {
    [(Kind::Latest, false), (Kind::Latest, true), (Kind::Queued, false)].map(|(kind, is_fixed)| {
        let seen = run(kind, is_fixed, (delay, loss_ppm), updates);
        let (delay, percent, kind) = (format!("{delay:?}"), loss_ppm / 10_000, format!("{kind:?}"));
        let window = if is_fixed { "fixed" } else { "NewReno" };
        println!("{delay:>6} {percent:>3} % {kind:>7} {window:>8} {} {:>8}", seen.ages.row(), seen.values);
        assert_eq!(seen.wrong, 0, "ages that are not what they are said to be");
        assert!(seen.ages.len() as u64 > updates * 9 / 10);
        seen
    })
}

#[test]
fn a_latest_value_is_fresh_whatever_is_lost() {
    let _alone = alone();
    let updates = if FULL { 30_000 } else { 3_000 };
    println!("{updates} updates of {LEN} bytes, {PERIOD:?} apart, seed {SEED}; ages at looks {LOOK:?} apart");
    println!(
        "{:>6} {:>5} {:>7} {:>8} {:>9} {:>9} {:>9} {:>8}",
        "delay", "loss", "channel", "window", "p50", "p99", "max", "values"
    );
    let p99 = |seen: &Seen| seen.ages.permille(990);
    for (loss_ppm, in_a_row) in [(0, 0), (50_000, 2), (200_000, 4)] {
        let [latest, fixed, queued] = compare(DELAY, loss_ppm, updates);
        assert!(p99(&latest) <= p99(&queued));
        assert!(latest.ages.permille(500) <= DELAY + PERIOD, "half of the looks find one of the last two");
        // A lost update is old when the next one is there, and that is all: unless the window is closed meanwhile, as
        // NewReno does where a fifth of all packets is lost.
        assert!(p99(&fixed) <= DELAY + PERIOD * (in_a_row + 1), "{:?}", p99(&fixed));
        assert!(p99(&latest) <= DELAY + PERIOD * (in_a_row * in_a_row + 1), "{:?}", p99(&latest));
    }
    // Where the way is longer the window lets fewer pass than are written: what queues grows older and older.
    for loss_ppm in [50_000, 200_000] {
        let [latest, _, queued] = compare(Duration::from_millis(5), loss_ppm, updates);
        assert!(p99(&latest) * 4 <= p99(&queued), "{:?} against {:?}", p99(&latest), p99(&queued));
    }
}

/// What both sides hold, as the writer sees it: after a while, and after a minute in which nobody read.
fn memory(kind: Kind, updates: u64) -> (i64, i64) {
    let sim = Sim::new(SEED);
    let (writer, reader) = (sim.host("writer"), sim.host("reader"));
    let addr = reader.addr(7_000);
    let counts = Arc::new(Mutex::new((0, 0)));
    let result = Arc::clone(&counts);
    sim.spawn(&writer, move |host| {
        let transport = host.bind(host.addr(0), Config::insecure_plain())?;
        let channels = Channels::new(Connection::connect(&transport, addr)?);
        write(&channels, &host, kind, 1_000)?;
        let early = held();
        write(&channels, &host, kind, updates)?;
        *result.lock().expect("one thread runs at a time") = (early, held());
        channels.send("done", "")?;
        channels.close(0);
        Ok(())
    });
    sim.spawn(&reader, move |host| {
        let transport = host.bind(addr, Config::insecure_plain())?;
        let channels = Channels::new(Listener::new(transport).accept()?);
        host.sleep(PERIOD * u32::try_from(updates + 900)?);
        // The newest is there, and with it the end.
        if kind == Kind::Latest {
            let value = channels.changed("pose")?;
            assert!(value.number >= updates + 800, "{}", value.number);
        }
        channels.recv("done")?;
        Ok(())
    });
    sim.run().unwrap();
    *counts.lock().unwrap()
}

#[test]
fn memory_is_flat_while_a_reader_sleeps_for_a_minute() {
    let _alone = alone();
    let updates = if FULL { 60_000 } else { 6_000 };
    let (early, late) = memory(Kind::Latest, updates);
    let slept = Duration::from_millis(updates);
    println!("a reader sleeps for {slept:?}: both sides hold {early} bytes after 1 s, then {late}");
    assert!((late - early).abs() < 64 << 10, "{} bytes more", late - early);
    // So that the count is known to see it: a queued channel keeps what was written, up to its credit.
    let (early, late) = memory(Kind::Queued, if FULL { 10_000 } else { 6_000 });
    println!("a queued channel, for comparison: {early} bytes after 1 s, then {late}");
    assert!(late - early > 4 << 20, "{} bytes more", late - early);
}
