//! A sensor that measures more often than anybody looks: the reader gets the newest value, and nothing piles up.
//!
//! `cargo run --example latest`            over UDP
//! `cargo run --example latest -- tcp`     over TCP

use std::error::Error;
use std::time::Duration;

use udpair::{ChannelConfig, Config, Connection, Delivery, Listener, tcp, udp};

/// The channel that both sides agreed on.
const TEMPERATURE: u16 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let bind = if std::env::args().any(|arg| arg == "tcp") { tcp::bind } else { udp::bind };
    let any = "127.0.0.1:0".parse()?;
    let listener = Listener::new(bind(any, Config::insecure_plain())?);
    let transport = bind(any, Config::insecure_plain())?;
    let sensor = Connection::connect(&transport, listener.local_addr())?;
    let display = listener.accept()?;

    sensor.configure(TEMPERATURE, ChannelConfig::new(Delivery::Latest))?;
    for look in 0..3 {
        for value in 0..1_000 {
            sensor.send_on(
                TEMPERATURE,
                0,
                format!("{:.1} degrees", 20.0 + f64::from(look) + f64::from(value) / 1e4),
            )?;
        }
        sensor.flush()?;
        // Of a thousand values only the newest is here.
        let shown = display.recv_on_timeout(TEMPERATURE, Duration::from_secs(1))?;
        println!("value {} of {}: {:?}", shown.id.0 + 1, (look + 1) * 1_000, shown.into_bytes(100)?);
    }
    sensor.close(0);
    Ok(())
}
