//! A camera, 1080p in colour, thirty frames a second, to four viewers, of which one is slow: each shows the newest
//! frame, and none holds up another.
//!
//! `cargo run --release --example camera`            over UDP
//! `cargo run --release --example camera -- tcp`     over TCP

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udpair::content::Image;
use udpair::node::{Client, Host, ReadError};
use udpair::{Config, Transport, tcp, udp};

const WIDTH: usize = 1_920;
const HEIGHT: usize = 1_080;
const FRAMES: u32 = 60;
const PERIOD: Duration = Duration::from_nanos(33_333_333);

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let over_tcp = std::env::args().any(|arg| arg == "tcp");
    let bind = move || -> Result<Arc<dyn Transport>, _> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        if over_tcp { tcp::bind(any, Config::insecure_plain()) } else { udp::bind(any, Config::insecure_plain()) }
    };
    let transport = bind()?;
    let host = Host::start([Arc::clone(&transport)])?;
    let mut viewers = Vec::new();
    for (name, shows_for) in [("one", 0), ("two", 0), ("three", 0), ("slow", 5)] {
        let own = bind()?;
        let client = Client::start(name, &own, host.local_addr())?;
        viewers.push(transport.spawn(name, move || view(&client, &own, PERIOD * shows_for))?);
    }

    let mut pixels = vec![0_u8; WIDTH * HEIGHT * 3];
    let start = transport.now();
    for frame in 0..FRAMES {
        // A bar that wanders.
        let row = (frame as usize * 16) % HEIGHT;
        pixels[row * WIDTH * 3..][..WIDTH * 3].fill(u8::try_from(frame)?);
        host.write_image_all(Image::from_pixels(&pixels, WIDTH, HEIGHT, 3)?)?;
        transport.sleep_until(start + PERIOD * (frame + 1));
    }
    host.write_all("end", "of the film")?;
    for viewer in viewers {
        viewer.join()??;
    }
    host.close();
    Ok(())
}

/// Shows the newest frame for some time, and then the next newest, until the film ends.
fn view(client: &Client, transport: &Arc<dyn Transport>, shows_for: Duration) -> Outcome {
    let (mut shown, mut ages) = (0, Vec::new());
    while client.host().and_then(|host| host.latest("end").ok().flatten()).is_none() {
        let frame = match client.changed_timeout("image", PERIOD * 3) {
            Ok(frame) => frame,
            Err(ReadError::TimedOut) => continue,
            Err(error) => return Err(error.into()),
        };
        shown += 1;
        ages.extend(frame.age(client.now()).map(|age| age.age));
        assert_eq!(frame.get::<Image>()?.pixels().ok_or("not pixels")?.shape(), [HEIGHT, WIDTH, 3]);
        transport.sleep_until(transport.now() + shows_for);
    }
    ages.sort_unstable();
    println!(
        "{}: {shown} of {FRAMES} frames, {:?} old in the middle",
        client.name(),
        ages.get(ages.len() / 2).copied().unwrap_or_default()
    );
    client.close();
    Ok(())
}
