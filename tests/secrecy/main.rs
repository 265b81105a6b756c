//! What passes over the network while two pair by a code and talk: nothing that was said, nothing of the words, and
//! nothing that is made of them or of a key; over UDP and over TCP. And what a wrong guess brings.
//!
//! Once through a relay that keeps every byte, and once, with root, `ip` and `tshark`, in what tshark captures in a
//! network namespace, discovery included. Both must find what is there to be found: words that were said in plain mode,
//! the ids that are public.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod capture;
mod guess;
mod needles;
#[path = "../relay/mod.rs"]
mod relay;
mod session;

use std::io::BufRead as _;
use std::process::Stdio;

use udpair::Psk;
use udpair::pairing::Carrier;

use capture::Capture;
use needles::Needles;
use relay::Relay;

/// What makes the test [`in_the_namespace`] talk.
const ROLE: &str = "UDPAIR_SECRECY_TALKS";
/// Some needles are so short that one of them turns up in every hundredth ciphertext; not so often in a row.
const ATTEMPTS: usize = 3;

const CARRIERS: [Carrier; 2] = [Carrier::Udp, Carrier::Tcp];

fn relay(carrier: Carrier, listener: std::net::SocketAddr) -> Relay {
    match carrier {
        Carrier::Udp => Relay::over_udp(listener, |_, _| {}),
        Carrier::Tcp => Relay::over_tcp(listener, |_, _| {}),
    }
}

/// All bytes that passed, the pieces of each direction one after the other.
fn passed(relay: &Relay) -> Vec<u8> {
    let mut seen = relay.seen();
    seen.sort_by_key(|(side, _)| *side == relay::Side::Listener);
    seen.into_iter().flat_map(|(_, bytes)| bytes).collect()
}

/// Searches what `talk` let pass, and where it finds what might be there by chance, what it lets pass then.
fn search(mut talk: impl FnMut() -> Option<(Needles, Vec<u8>)>) {
    for attempt in 1.. {
        let Some((needles, haystack)) = talk() else { return };
        assert!(haystack.len() > 10_000, "too little passed to say anything: {} bytes", haystack.len());
        needles.assert_public_ones_are_in(&haystack);
        let found = needles.found_in(&haystack);
        if found.iter().all(|needle| needle.is_short()) && attempt < ATTEMPTS {
            if found.is_empty() {
                return;
            }
            continue;
        }
        assert!(found.is_empty(), "in {} bytes: {found:?}", haystack.len());
        return;
    }
}

#[test]
fn a_relay_sees_nothing_of_what_two_say_who_paired_by_a_code() {
    for carrier in CARRIERS {
        search(|| {
            let (needles, relay) = session::paired(carrier, |address, code| {
                let relay = relay(carrier, address);
                let peer = session::pairing(carrier).join_at(relay.addr, code).expect("the same words");
                (peer, relay)
            });
            Some((needles, passed(&relay)))
        });
    }
}

#[test]
fn a_relay_sees_nothing_of_what_two_say_who_have_a_key() {
    for carrier in CARRIERS {
        search(|| {
            let psk = Psk::generate().expect("random bytes");
            let (needles, relay) = session::with_key(carrier, &psk, |address| relay(carrier, address));
            Some((needles, passed(&relay)))
        });
    }
}

/// A relay that sees nothing because it is blind would pass all of this.
#[test]
fn a_relay_sees_what_two_say_in_plain_mode() {
    for carrier in CARRIERS {
        let relay = session::plain(carrier, |address| relay(carrier, address));
        assert!(needles::contains(&passed(&relay), session::SAID_IN_PLAIN.as_bytes()));
    }
}

#[test]
fn tshark_sees_nothing_of_it_either() {
    search(|| {
        let capture = Capture::start()?;
        let mut talk = capture.command(&std::env::current_exe().expect("this test"));
        talk.args(["--exact", "in_the_namespace", "--nocapture"]).env(ROLE, "1").stdout(Stdio::piped());
        let mut talk = talk.spawn().expect("this test starts once more");
        let lines = std::io::BufReader::new(talk.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let needles: Needles = lines.filter_map(|line| needles::parse(&line)).collect();
        assert!(talk.wait().expect("it ends").success(), "what was to be captured has failed");
        let captured = capture.finish();
        println!("{} bytes captured, {} needles", captured.len(), needles.len());
        assert!(needles::contains(&captured, session::SAID_IN_PLAIN.as_bytes()), "tshark is blind");
        Some((needles, captured))
    });
}

/// No test of its own: what runs in the namespace.
#[test]
fn in_the_namespace() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    for carrier in CARRIERS {
        let (needles, ()) =
            session::paired(carrier, |_, code| (session::pairing(carrier).join(code).expect("the same words"), ()));
        needles.print();
        let (needles, _) = session::with_key(carrier, &Psk::generate().expect("random bytes"), |address| address);
        needles.print();
        session::plain(carrier, |address| address);
    }
}
