//! Pairing on real sockets, on the loopback interface only.
#![expect(
    clippy::disallowed_methods,
    reason = "the other side of a pairing is another program, with a clock of its own"
)]

use core::task::{Context, Waker};
use core::time::Duration;
use std::io;
use std::sync::Mutex;

use super::*;
use crate::pairing::Interface;
use crate::time::Timestamp;
use crate::transport::discovery::Medium;
use crate::transport::site::Over;
use crate::transport::{AcceptError, ConnectError, Interest, WaitSlot};

/// For what fails only by waiting, and for what waits only where something failed.
const SHORT: Duration = Duration::from_millis(300);
const STUCK: Duration = Duration::from_secs(20);

fn pairing() -> Pairing {
    Pairing::new().interface("lo").timeout(STUCK)
}

/// The code with other words, from the list.
fn mistyped(invite: &Invite) -> String {
    let other = (0..=255_u8)
        .map(|n| Words::from_entropy([n; 4]))
        .find(|words| *words != invite.code().words)
        .expect("a million pairs of words");
    format!("{}-{other}", invite.code().nameplate)
}

#[test]
fn two_sides_pair_by_a_code_and_both_derive_the_same_device_key() {
    let mut invite = pairing().invite().unwrap();
    let code = invite.code().to_string();
    let joiner = std::thread::spawn(move || {
        let peer = pairing().join(&code).unwrap();
        peer.send("hello").unwrap();
        let key = peer.transport().device_key(peer.id()).unwrap();
        let report = peer.close(0);
        assert!(report.all_taken(), "{report:?}");
        key.to_text().to_string()
    });
    let peer = invite.accept_timeout(STUCK).unwrap();
    assert_eq!(peer.recv().unwrap().into_bytes(100).unwrap(), "hello");
    let key = peer.transport().device_key(peer.id()).unwrap();
    peer.close(0);
    assert_eq!(joiner.join().unwrap(), *key.to_text());
}

#[test]
fn over_tcp_too_if_the_inviter_says_so() {
    let mut invite = pairing().carrier(Carrier::Tcp).invite().unwrap();
    let code = invite.code().to_string();
    let joiner = std::thread::spawn(move || {
        let peer = pairing().join(&code).unwrap();
        peer.send("hello").unwrap();
        assert!(peer.close(0).all_taken());
    });
    let peer = invite.accept_timeout(STUCK).unwrap();
    assert_eq!(peer.recv().unwrap().into_bytes(100).unwrap(), "hello");
    assert!(peer.transport().device_key(peer.id()).is_some());
    peer.close(0);
    joiner.join().unwrap();
}

#[test]
fn wrong_words_burn_the_invite_and_both_are_told() {
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        // Tests that run beside this one may offer the same nameplate, and a refusal is doubted then.
        assert!((0..5).any(|_| wrong_words(&pairing().carrier(carrier))), "five nameplates that others have");
    }
}

/// False where somebody else offered the nameplate, too.
fn wrong_words(pairing: &Pairing) -> bool {
    let mut invite = pairing.invite().unwrap();
    let wrong = mistyped(&invite);
    let right = invite.code().to_string();
    let other_side = pairing.clone();
    let joiner = std::thread::spawn(move || other_side.join(&wrong).map(drop).unwrap_err());
    let error = invite.accept_timeout(STUCK).unwrap_err();
    assert!(matches!(error, InviteError::Burnt), "{error}");
    let error = joiner.join().unwrap();
    if matches!(error, JoinError::Disputed) {
        return false;
    }
    assert!(matches!(error, JoinError::WrongWords), "{error}");
    let error = pairing.join_at(([127, 0, 0, 1], invite.local_addr().port()).into(), &right).unwrap_err();
    assert!(matches!(error, JoinError::Burnt), "{error}");
    assert!(matches!(invite.accept_timeout(SHORT), Err(InviteError::Burnt)), "it stays so");
    true
}

#[test]
fn a_burnt_invite_can_be_given_up_at_once_and_the_next_has_its_port() {
    let invite = pairing().invite_on(0).unwrap();
    let (port, wrong) = (invite.local_addr().port(), mistyped(&invite));
    let joiner = std::thread::spawn(move || pairing().join_at(([127, 0, 0, 1], port).into(), &wrong).map(drop));
    assert!(matches!(invite.accept(), Err(InviteError::Burnt)));
    assert!(matches!(joiner.join().unwrap(), Err(JoinError::WrongWords)));
    assert_eq!(pairing().invite_on(port).unwrap().local_addr().port(), port);
}

/// Whoever is woken may drop the transport before the answer to the wrong words has left the outbox.
#[test]
fn a_transport_dropped_while_its_last_answer_waits_to_leave_is_gone() {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let words: Words = "maple-otter".parse().unwrap();
    let transport = pairing().bind(Carrier::Udp, 0, Secret::Words(&words).security(InviteId([7; 8])), 8).unwrap();
    let address: SocketAddr = ([127, 0, 0, 1], transport.local_addr().port()).into();
    let joiner = std::thread::spawn(move || pairing().join_at(address, "42-otter-maple").map(drop));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut slot = WaitSlot::default();
    while transport.incoming() != Err(AcceptError::InviteBurnt) {
        if transport.poll_wait(&mut slot, &[Interest::Incoming], &mut Context::from_waker(&waker)).is_pending() {
            std::thread::park();
        }
    }
    drop((slot, transport));
    assert!(matches!(joiner.join().unwrap(), Err(JoinError::WrongWords)));
    assert_eq!(pairing().invite_on(address.port()).unwrap().local_addr().port(), address.port());
}

#[test]
fn who_comes_by_a_used_code_is_told_so_at_once() {
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        // As above.
        assert!((0..5).any(|_| used(&pairing().carrier(carrier))), "five nameplates that others have");
    }
}

/// False where somebody else offered the nameplate, too.
fn used(pairing: &Pairing) -> bool {
    let mut invite = pairing.invite().unwrap();
    let code = invite.code().to_string();
    let (other_side, same) = (pairing.clone(), code.clone());
    let first = std::thread::spawn(move || other_side.join(&same).unwrap());
    let peer = invite.accept_timeout(STUCK).unwrap();
    drop(invite);
    let error = pairing.join(&code).unwrap_err();
    assert!(matches!(error, JoinError::Used | JoinError::Disputed), "{error}");
    drop((peer, first.join().unwrap()));
    matches!(error, JoinError::Used)
}

#[test]
fn an_invite_that_lies_around_past_its_time_lets_nobody_in() {
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        let past = Pairing { lifetime: Duration::ZERO, ..pairing().carrier(carrier) };
        let invite = past.invite_on(0).unwrap();
        let address = ([127, 0, 0, 1], invite.local_addr().port()).into();
        let error = pairing().carrier(carrier).join_at(address, &invite.code().to_string()).unwrap_err();
        assert!(matches!(error, JoinError::Used), "{error}");
        assert!(matches!(invite.accept(), Err(InviteError::Expired)));
    }
}

#[test]
fn a_guest_who_has_left_again_is_told_of_for_there_will_be_no_other() {
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        for abort in [false, true] {
            let pairing = pairing().carrier(carrier);
            let mut invite = pairing.invite_on(0).unwrap();
            let address = ([127, 0, 0, 1], invite.local_addr().port()).into();
            let guest = pairing.join_at(address, &invite.code().to_string()).unwrap();
            if abort {
                guest.abort(7);
            } else {
                guest.close(7);
            }
            drop(guest);
            let peer = invite.accept_timeout(STUCK).unwrap();
            let error = peer.recv().unwrap_err();
            assert!(matches!(error, crate::transport::RecvError::Ended(_)), "{carrier:?}, abort {abort}: {error}");
        }
    }
}

#[test]
fn a_code_that_carries_the_address_needs_no_discovery() {
    let mut invite = pairing().invite_on(0).unwrap();
    let code = format!("{}@127.0.0.1:{}", invite.code(), invite.local_addr().port());
    let joiner = std::thread::spawn(move || pairing().join(&code).unwrap().close(3));
    let peer = invite.accept_timeout(STUCK).unwrap();
    assert!(peer.recv().is_err());
    peer.close(0);
    joiner.join().unwrap();
}

#[test]
fn the_old_way_host_number_port_and_words() {
    let mut invite = pairing().invite_on(0).unwrap();
    let (port, words) = (invite.local_addr().port(), invite.words().to_string());
    let joiner = std::thread::spawn(move || pairing().join_host(0, port, &words).unwrap().close(0));
    let peer = invite.accept_timeout(STUCK).unwrap();
    peer.close(0);
    joiner.join().unwrap();
    drop((peer, invite));
    // The port is free again.
    let again = pairing().invite_on(port).unwrap();
    assert_eq!(again.local_addr().port(), port);
}

#[test]
fn nobody_there_is_said_with_the_interfaces_that_were_tried() {
    // As above: another test's invite may have just this number.
    let nobody = || {
        let invite = pairing().invite().unwrap();
        let number = (invite.code().nameplate.number() + 1) % 100;
        let code = format!("{number:02}-{}", invite.code().words);
        pairing().timeout(SHORT).join(&code).unwrap_err()
    };
    let error = (0..5).map(|_| nobody()).find(|error| matches!(error, JoinError::NobodyAnswered(_)));
    let error = error.expect("five nameplates that others have");
    assert!(error.to_string().starts_with("nobody answered on lo"), "{error}");
}

#[test]
fn a_joiner_that_insists_on_the_other_transport_is_told_so_long_before_its_time_is_over() {
    let mut invite = pairing().invite().unwrap();
    let code = invite.code().to_string();
    let inviter = std::thread::spawn(move || invite.accept_timeout(STUCK).map(|peer| peer.close(0)).map(drop));
    let error = pairing().carrier(Carrier::Tcp).timeout(10 * STUCK).join(&code).unwrap_err();
    assert!(matches!(error, JoinError::OtherCarrier { offered: Carrier::Udp, .. }), "{error}");
    // The invite waited less long than the joiner might have.
    pairing().join(&code).unwrap().close(0);
    inviter.join().unwrap().unwrap();
}

/// This machine, where each TCP connection of a race takes a while. It notes what is allowed for one.
#[derive(Debug, Default)]
struct Slow {
    takes: Duration,
    /// How long all of them took.
    taken: Mutex<Duration>,
    races: Mutex<Vec<Duration>>,
    /// The connect timeouts of the transports.
    transports: Mutex<Vec<Duration>>,
}

impl Site for Slow {
    fn now(&self) -> Timestamp {
        System.now() + *self.taken.lock().unwrap()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        System.fill_random(bytes)
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        System.interfaces()
    }

    fn medium(&self) -> io::Result<Box<dyn Medium>> {
        System.medium()
    }

    fn open(&self, carrier: Carrier, addr: SocketAddr, config: &Config) -> Result<Arc<dyn Joining>, BindError> {
        self.transports.lock().unwrap().push(config.connect_timeout);
        System.open(carrier, addr, config)
    }

    fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        System.resolve(name, port)
    }

    fn try_tcp(&self, address: SocketAddr, timeout: Duration, over: Over) -> io::Result<()> {
        self.races.lock().unwrap().push(timeout);
        *self.taken.lock().unwrap() += self.takes;
        System.try_tcp(address, timeout, over)
    }
}

fn with_connect_timeout(connect_timeout: Duration) -> Config {
    Config { connect_timeout, ..Config::insecure_plain() }
}

#[test]
fn a_call_over_tcp_to_an_address_that_was_told_has_one_connect_timeout_in_all() {
    let (timeout, takes) = (2 * STUCK, STUCK);
    let site = Arc::new(Slow { takes, ..Slow::default() });
    let mut invite = pairing().carrier(Carrier::Tcp).invite_on(0).unwrap();
    let (code, port) = (invite.code().to_string(), invite.local_addr().port());
    let joiner = Pairing::on(Arc::clone(&site) as Arc<dyn Site>).carrier(Carrier::Tcp);
    let joiner = joiner.config(with_connect_timeout(timeout));
    let joiner = std::thread::spawn(move || joiner.join_at(([127, 0, 0, 1], port).into(), &code).unwrap().close(0));
    invite.accept_timeout(STUCK).unwrap().close(0);
    joiner.join().unwrap();
    assert_eq!(*site.races.lock().unwrap(), [timeout]);
    let left = site.transports.lock().unwrap().clone();
    assert!(!left.is_empty() && left.iter().all(|left| *left <= timeout - takes), "{left:?}");
}

#[test]
fn a_call_over_tcp_to_what_was_found_is_given_up_soon_for_it_is_repeated() {
    for (connect_timeout, allowed) in [(2 * STUCK, Duration::from_secs(2)), (SHORT, SHORT)] {
        let site = Arc::new(Slow::default());
        let mut invite = pairing().carrier(Carrier::Tcp).invite().unwrap();
        let code = invite.code().to_string();
        let mut joiner = Pairing::on(Arc::clone(&site) as Arc<dyn Site>).interface("lo").timeout(STUCK);
        joiner.config = with_connect_timeout(connect_timeout);
        // Whether it comes about is of no interest here.
        let joiner = std::thread::spawn(move || drop(joiner.join(&code)));
        drop(invite.accept_timeout(STUCK));
        joiner.join().unwrap();
        let races = site.races.lock().unwrap().clone();
        assert!(!races.is_empty() && races.iter().all(|timeout| *timeout == allowed), "{races:?}");
        assert!(site.transports.lock().unwrap().iter().all(|timeout| *timeout == connect_timeout));
    }
}

#[test]
fn a_call_without_any_time_ends_as_one_that_nobody_answered() {
    let here = (Ipv4Addr::LOCALHOST, 0);
    let (udp, tcp) = (std::net::UdpSocket::bind(here).unwrap(), std::net::TcpListener::bind(here).unwrap());
    for (carrier, silent) in [(Carrier::Udp, udp.local_addr()), (Carrier::Tcp, tcp.local_addr())] {
        let pairing = pairing().carrier(carrier).config(with_connect_timeout(Duration::ZERO));
        let error = pairing.join_at(silent.unwrap(), "42-maple-otter").unwrap_err();
        assert!(matches!(error, JoinError::Connect(ConnectError::TimedOut { .. })), "{carrier:?}: {error:?}");
    }
}

#[test]
fn what_is_no_code_is_refused_without_a_datagram() {
    for code in ["", "42", "42-maple", "42-maple-qqqqq", "1234-maple-otter", "42-maple-otter@nowhere"] {
        assert!(matches!(pairing().join(code), Err(JoinError::Code(_))), "{code}");
    }
}

#[test]
fn devices_that_remember_each_other_meet_again_without_a_code_and_as_often_as_they_like() {
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        let psk = Psk::generate().unwrap();
        let mut invite = pairing().carrier(carrier).invite_device(&psk).unwrap();
        let joiner = std::thread::spawn(move || {
            for _ in 0..3 {
                let peer = pairing().join_device(&psk).unwrap();
                peer.send("it is me").unwrap();
                assert!(peer.close(0).all_taken());
            }
        });
        for _ in 0..3 {
            let peer = invite.accept_timeout(STUCK).unwrap();
            assert_eq!(peer.recv().unwrap().into_bytes(100).unwrap(), "it is me");
            peer.close(0);
        }
        joiner.join().unwrap();
        assert!(matches!(invite.accept_timeout(SHORT), Err(InviteError::Expired)));
    }
}

#[test]
fn who_has_the_id_of_a_key_and_not_the_key_gets_nowhere_and_burns_nothing() {
    let psk = Psk::generate().unwrap();
    let text = psk.to_text();
    let other = if text.ends_with('0') { "1" } else { "0" };
    let forged: Psk = format!("{}{other}", &text[..text.len() - 1]).parse().unwrap();
    let mut invite = pairing().invite_device(&psk).unwrap();
    let inviter = std::thread::spawn(move || invite.accept_timeout(STUCK).map(|peer| peer.close(0)).map(drop));
    let error = pairing().join_device(&forged).unwrap_err();
    assert!(matches!(error, JoinError::SomebodyElse), "{error:?}");
    pairing().join_device(&psk).unwrap().close(0);
    inviter.join().unwrap().unwrap();
}
