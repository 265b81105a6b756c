//! A camera: 1080p pictures thirty times a second to four who look.

use std::net::SocketAddr;
use std::time::Duration;

use udpair::content::{Image, tag};
use udpair::node::{Client, Host};

use crate::FULL;
use crate::child::{Child, bind, cpu, say, wait_for_the_end};
use crate::heap::alone;
use crate::numbers::Durations;

const VIEWERS: usize = 4;
const WIDTH: usize = if FULL { 1_920 } else { 320 };
const HEIGHT: usize = if FULL { 1_080 } else { 240 };
const FRAMES: usize = if FULL { 300 } else { 30 };
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 30);
const STUCK: Duration = Duration::from_secs(60);

/// Frame `number`: every row says which it is.
fn frame(number: usize) -> Image {
    let mut pixels = vec![u8::try_from(number % 251).unwrap(); WIDTH * HEIGHT * 3];
    for row in pixels.chunks_exact_mut(WIDTH * 3) {
        row[..8].copy_from_slice(&(number as u64).to_be_bytes());
    }
    Image::from_pixels(&pixels, WIDTH, HEIGHT, 3).unwrap()
}

/// Which frame it is; every row must be of the same.
fn number_of(image: &Image) -> usize {
    let pixels = image.pixels().unwrap();
    assert_eq!(pixels.shape(), [HEIGHT, WIDTH, 3]);
    let mut rows = pixels.data().chunks_exact(WIDTH * 3).map(|row| row[..8].to_vec());
    let first = rows.next().unwrap();
    assert!(rows.all(|row| row == first), "a frame of several");
    usize::try_from(u64::from_be_bytes(first.try_into().unwrap())).unwrap()
}

/// Those who look, each on a thread with a transport of its own.
pub(crate) fn viewers(transport: &str, host: SocketAddr, count: usize) {
    let looking: Vec<_> = (0..count)
        .map(|at| {
            let own = bind(transport);
            let client = Client::start(&format!("viewer {at}"), &own, host).unwrap();
            own.spawn("viewer", move || look(&client)).unwrap()
        })
        .collect();
    say("all there");
    for looked in looking {
        say(&looked.join().unwrap());
    }
    say(&cpu().as_millis().to_string());
    wait_for_the_end();
}

/// Looks at every frame that comes, and tells of it.
fn look(client: &Client) -> String {
    let (mut ages, mut uncertain) = (Durations::default(), Duration::ZERO);
    let mut last = None;
    loop {
        let value = client.changed_timeout("image", STUCK).unwrap();
        assert_eq!(value.content.tag, tag::ARRAY);
        let number = number_of(&value.get().unwrap());
        assert!(last.is_none_or(|last| last < number), "{number} after {last:?}");
        if let Some(age) = value.age(client.now()) {
            ages.push(age.age);
            uncertain = uncertain.max(age.uncertainty);
        }
        last = Some(number);
        if number + 1 == FRAMES {
            break;
        }
    }
    client.close();
    let dropped = FRAMES - ages.len();
    format!("{}  dropped {dropped:>3} of {FRAMES}, age known to {} us", ages.row(), uncertain.as_micros())
}

fn camera(transport: &str) {
    let _alone = alone();
    let host = Host::start([bind(transport)]).unwrap();
    let mut child = Child::start("viewers", transport, host.local_addr(), VIEWERS);
    assert_eq!(child.says(), "all there");
    let (begun, cpu_before) = (host.now(), cpu());
    for number in 0..FRAMES {
        // A camera would have filled it.
        host.write_image_all(frame(number)).unwrap();
        let next = begun + PERIOD * u32::try_from(number + 1).unwrap();
        while host.now() < next {
            let _ = host.changed_timeout("nothing", next.saturating_since(host.now()));
        }
    }
    let took = host.now().saturating_since(begun);
    println!("{WIDTH} x {HEIGHT} x 3 to {VIEWERS} over {transport}, {FRAMES} frames in {took:?}; ages when looked at");
    println!("{:>9} {:>9} {:>9}", "p50", "p99", "max");
    for _ in 0..VIEWERS {
        println!("{}", child.says());
    }
    let viewers: u64 = child.says().parse().unwrap();
    let share = |cpu: Duration| cpu.as_secs_f64() / took.as_secs_f64();
    let own = share(cpu() - cpu_before);
    println!("processors used: {own:.2} by the camera, {:.2} by those who look", share(Duration::from_millis(viewers)));
    child.end();
    host.close();
}

#[test]
fn a_camera_over_udp_shows_the_newest_to_everybody() {
    camera("udp");
}

#[test]
fn a_camera_over_tcp_shows_the_newest_to_everybody() {
    camera("tcp");
}
