//! What becomes of values for which a slow peer has no room at once.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use udpair::Config;
use udpair::node::{Hub, WriteError};
use udpair::sim::{Host, LinkConfig, Sim};

use crate::pair::STUCK;

/// How often each channel is written, and how often it can be.
const ROUNDS: u32 = 300;
const PERIOD: Duration = Duration::from_millis(10);
/// What is held for sending.
const SEND_QUEUE: u64 = 256 << 10;
/// The last value of a channel.
const LAST: u8 = 255;

/// A writer and a reader, and between them so many bits a second.
fn link(rate: u64) -> (Sim, [Host; 2]) {
    let sim = Sim::new(1);
    let [writer, reader] = ["writer", "reader"].map(|name| sim.host(name));
    let link = LinkConfig { delay: Duration::from_millis(1), rate_bps: Some(rate), ..LinkConfig::default() };
    sim.network(|network| network.configure_both(writer.id(), reader.id(), link));
    (sim, [writer, reader])
}

/// The writer's hub, connected to the reader's.
fn writer_to(reader: SocketAddr, host: &Host) -> Result<Hub, Box<dyn Error + Send + Sync>> {
    let mut config = Config::insecure_plain();
    config.limits.send_queue = SEND_QUEUE;
    let hub = Hub::start("writer", [host.bind(host.addr(0), config)?])?;
    hub.connect("reader", reader)?;
    Ok(hub)
}

/// Writes values of these lengths on these channels, in this order, each [`PERIOD`], over a link of `rate` bits a
/// second. Returns how many of each channel were read, the last of each among them.
fn read_of<const N: usize>(rate: u64, channels: [(&'static str, usize); N]) -> [usize; N] {
    let (sim, [writer, reader]) = link(rate);
    let addr = reader.addr(7_000);
    sim.spawn(&writer, move |host| {
        let hub = writer_to(addr, &host)?;
        for round in 0..ROUNDS {
            for (name, len) in channels {
                hub.write_all(name, vec![0; len])?;
            }
            host.sleep(PERIOD);
            assert_eq!(hub.connections().len(), 1, "round {round}");
        }
        for (name, len) in channels {
            hub.write_all(name, vec![LAST; len])?;
        }
        hub.close();
        Ok(())
    });
    let (read, told) = mpsc::channel();
    sim.spawn(&reader, move |host| {
        let transport = host.bind(addr, Config::insecure_plain())?;
        let hub = Hub::start("reader", [transport.clone()])?;
        let readers = channels.map(|(name, _)| {
            let hub = hub.clone();
            let read = move || {
                let next = || hub.changed_timeout(name, STUCK).unwrap().1.content.body[0];
                1 + std::iter::repeat_with(next).take_while(|byte| *byte != LAST).count()
            };
            transport.spawn(name, read).unwrap()
        });
        read.send(readers.map(|reader| reader.join().unwrap()))?;
        hub.close();
        Ok(())
    });
    sim.run().unwrap();
    told.recv().unwrap()
}

#[test]
fn channels_have_their_turns_whatever_their_names() {
    // A third of what is written has room on the link, and far less than one of each in the queue.
    for names in [["a", "b", "c"], ["c", "b", "a"]] {
        let read = read_of(50_000_000, names.map(|name| (name, 60_000)));
        println!("{names:?}: {read:?}");
        let (least, most) = (read.iter().min().unwrap(), read.iter().max().unwrap());
        assert!(*least > 50 && most - least <= 3, "{names:?}: {read:?}");
    }
}

#[test]
fn a_short_value_does_not_wait_behind_long_ones() {
    let cameras = ["a", "b", "c", "d"];
    for name in ["0pose", "zpose"] {
        let [short, long @ ..] = read_of(
            50_000_000,
            [(name, 8), (cameras[0], 150_000), (cameras[1], 150_000), (cameras[2], 150_000), (cameras[3], 150_000)],
        );
        println!("{name}: {short}, of the others {long:?}");
        assert!(short > 290, "{name}: {short} of {ROUNDS}");
        assert!(long.iter().all(|read| (10..60).contains(read)), "{long:?}");
    }
}

#[test]
fn a_value_that_is_too_long_is_told_though_there_is_no_room_and_leaves_the_one_before() {
    let (sim, [writer, reader]) = link(1_000_000);
    let addr = reader.addr(7_000);
    sim.spawn(&writer, move |host| {
        let hub = writer_to(addr, &host)?;
        for name in ["a", "b", "c", "d", "e"] {
            hub.write_all(name, vec![0; 100_000])?;
        }
        hub.write_all("big", vec![1; 100_000])?;
        let max = 9_174_776;
        for len in [max + 1, 20 << 20] {
            let error = hub.write_all("big", vec![2; len]).unwrap_err();
            let WriteError::TooLarge { len: told, max: most } = error else { panic!("{error:?}") };
            assert_eq!((told, most), (len as u64, max as u64));
        }
        hub.close();
        Ok(())
    });
    sim.spawn(&reader, move |host| {
        let hub = Hub::start("reader", [host.bind(addr, Config::insecure_plain())?])?;
        assert_eq!(hub.changed_timeout("big", STUCK)?.1.content.body[0], 1);
        hub.close();
        Ok(())
    });
    sim.run().unwrap();
}
