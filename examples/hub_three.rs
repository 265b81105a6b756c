//! Three hubs, each of which tells the others what it sees, on named channels that hold the newest value. `left` and
//! `right` go to `middle`: to it they are local, to them it is remote. One of the two links is UDP, the other TCP.
//!
//! `cargo run --example hub_three`

use std::error::Error;
use std::time::Duration;

use udpair::node::{Hub, Side};
use udpair::{Config, tcp, udp};

const SOON: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let any = "127.0.0.1:0".parse()?;
    let (over_udp, over_tcp) = (udp::bind(any, Config::insecure_plain())?, tcp::bind(any, Config::insecure_plain())?);
    let (udp_at, tcp_at) = (over_udp.local_addr(), over_tcp.local_addr());
    let middle = Hub::start("middle", [over_udp, over_tcp])?;
    let left = Hub::start("left", [udp::bind(any, Config::insecure_plain())?])?;
    let right = Hub::start("right", [tcp::bind(any, Config::insecure_plain())?])?;
    left.connect("middle", udp_at)?;
    right.connect("middle", tcp_at)?;

    left.write_to_remote("seen", "a cat")?;
    right.write_to_remote("seen", "a dog")?;
    for _ in 0..2 {
        let (from, what) = middle.changed_timeout("seen", SOON)?;
        println!("middle: {from} sees {}", what.get::<String>()?);
    }
    assert_eq!(middle.get_local("seen")?.len(), 2);
    assert!(middle.get_remote("seen")?.is_empty(), "middle went to nobody");
    for peer in middle.connections() {
        println!("middle: {} {}", peer.name, if peer.side == Side::Local { "came to us" } else { "is whom we called" });
    }

    let told = middle.write_all("order", "look up")?;
    println!("middle: told {told}");
    for hub in [&left, &right] {
        let (from, order) = hub.changed_timeout("order", SOON)?;
        println!("{}: {from} says {:?}", hub.name(), order.get::<String>()?);
    }
    middle.write_to_name("left", "order", "look down")?;
    left.changed_timeout("order", SOON)?;
    let order = left.get_by_name("middle", "order")?.ok_or("no order")?;
    println!("left: the newest order is {:?}, and stays to be read", order.get::<String>()?);

    for hub in [left, right, middle] {
        hub.close();
    }
    Ok(())
}
