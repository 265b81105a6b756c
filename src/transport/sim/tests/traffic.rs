//! Transports between simulated hosts.

use std::io::{Read, Write};

use super::*;
use crate::message::{End, Select};
use crate::network::{Burst, LinkConfig};
use crate::transport::{
    AcceptError, Body, ConnectError, Connection, Interest, Listener, Panicked, RecvError, WaitError, WaitSlot,
};

const PORT: u16 = 7_000;

fn config() -> Config {
    Config::insecure_plain()
}

fn listen(host: &Host) -> Result<Listener, HostError> {
    Ok(Listener::new(host.bind(host.addr(PORT), config())?))
}

fn call(host: &Host, addr: SocketAddr) -> Result<Connection, ConnectError> {
    Connection::connect(&host.bind(host.addr(0), config()).unwrap(), addr)
}

/// A server and a client with nothing yet to do.
fn pair(seed: u64, link: LinkConfig) -> (Sim, Host, Host) {
    let sim = Sim::new(seed);
    let (server, client) = (sim.host("server"), sim.host("client"));
    sim.network(|network| network.configure_both(server.id(), client.id(), link));
    (sim, server, client)
}

fn rough() -> LinkConfig {
    LinkConfig {
        jitter: Duration::from_micros(200),
        loss_ppm: 50_000,
        burst: Some(Burst { enter_ppm: 10_000, leave_ppm: 300_000, loss_good_ppm: 0, loss_bad_ppm: 900_000 }),
        duplicate_ppm: 50_000,
        reorder_ppm: 50_000,
        flip_ppm: 10_000,
        truncate_ppm: 10_000,
        ..LinkConfig::default()
    }
}

/// Three clients and a server that answers each on a thread of its own, over bad links. Returns the trace.
fn exchange(seed: u64) -> Vec<String> {
    let (sim, lines) = (Sim::new(seed), Notes::default());
    sim.network(|network| {
        network.configure_default(rough());
        let lines = lines.clone();
        network.trace(move |packet| lines.add(packet.to_string()));
    });
    let server = sim.host("server");
    let addr = server.addr(PORT);
    sim.serve(&server, |host| {
        let listener = listen(&host)?;
        loop {
            let peer = listener.accept()?;
            let transport = Arc::clone(peer.transport());
            transport.spawn("answers", move || {
                while let Ok(message) = peer.recv() {
                    let body = message.into_bytes(100_000).unwrap();
                    peer.send(body).unwrap();
                }
            })?;
        }
    });
    for number in 0..3_u8 {
        let client = sim.host(&format!("client {number}"));
        sim.spawn(&client, move |host| {
            let peer = call(&host, addr)?;
            for round in 0..20 {
                let body = vec![number; round * 150];
                peer.send(body.clone())?;
                assert_eq!(peer.recv()?.into_bytes(100_000)?, body);
                host.sleep(Duration::from_millis(1));
            }
            assert!(peer.close(0).all_taken());
            Ok(())
        });
    }
    sim.run().unwrap();
    lines.all()
}

#[test]
fn the_trace_of_a_run_is_the_same_for_a_seed_although_the_threads_are_real() {
    let trace = exchange(1);
    assert!(trace.len() > 200);
    for _ in 0..3 {
        assert_eq!(exchange(1), trace);
    }
    assert_ne!(exchange(2), trace);
}

#[test]
fn a_round_trip_takes_virtual_time_only() {
    let link = LinkConfig { delay: Duration::from_secs(1), ..LinkConfig::default() };
    let (sim, server, client) = pair(1, link);
    let addr = server.addr(PORT);
    sim.spawn(&server, |host| {
        let peer = listen(&host)?.accept()?;
        peer.send(peer.recv()?.into_bytes(10)?)?;
        peer.close(0);
        Ok(())
    });
    sim.spawn(&client, move |host| {
        let peer = call(&host, addr)?;
        let sent = host.now();
        peer.send("ping")?;
        peer.recv()?;
        assert_eq!(host.now().saturating_since(sent), Duration::from_secs(2));
        peer.close(0);
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn an_answer_carries_the_acknowledgement_of_what_it_answers() {
    const ROUND_TRIPS: u64 = 100;
    let (sim, server, client) = pair(1, LinkConfig::default());
    let addr = server.addr(PORT);
    sim.spawn(&server, |host| {
        let peer = listen(&host)?.accept()?;
        while let Ok(message) = peer.recv() {
            peer.send(message.into_bytes(100)?)?;
        }
        Ok(())
    });
    sim.spawn(&client, move |host| {
        let peer = call(&host, addr)?;
        let sent = || host.network(|network| network.counters().sent);
        host.sleep(SECOND); // the search for the path's MTU is over
        let before = sent();
        for _ in 0..ROUND_TRIPS {
            peer.send("ping")?;
            peer.recv()?;
        }
        assert_eq!(sent() - before, 2 * ROUND_TRIPS);
        peer.close(0);
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn a_megabyte_streamed_arrives_over_a_bad_link() {
    let (sim, server, client) = pair(3, rough());
    let addr = server.addr(PORT);
    let body: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    let expected = body.clone();
    sim.spawn(&server, move |host| {
        let peer = listen(&host)?.accept()?;
        let Body::Stream(mut reader) = peer.recv()?.body else { panic!("the length was not announced") };
        let mut got = Vec::new();
        reader.read_to_end(&mut got)?;
        assert!(got == expected);
        peer.close(0);
        Ok(())
    });
    sim.spawn(&client, move |host| {
        let peer = call(&host, addr)?;
        let mut writer = peer.begin(0, 0, None)?;
        writer.write_all(&body)?;
        writer.finish()?;
        assert!(peer.close(0).all_taken());
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn waits_time_out_in_virtual_time() {
    let (sim, server, client) = pair(1, LinkConfig::default());
    let addr = server.addr(PORT);
    sim.spawn(&server, |host| {
        let listener = listen(&host)?;
        assert_eq!(listener.accept_timeout(Duration::ZERO).map(drop), Err(AcceptError::TimedOut));
        let peer = listener.accept()?;
        let before = host.now();
        assert_eq!(peer.recv_timeout(3 * SECOND).map(drop), Err(RecvError::TimedOut));
        assert_eq!(host.now(), before + 3 * SECOND);
        peer.abort(5);
        Ok(())
    });
    sim.spawn(&client, move |host| {
        let error = call(&host, addr)?.recv().map(drop).unwrap_err();
        assert_eq!(error, RecvError::Ended(End::AbortedByPeer { code: 5 }));
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn a_port_where_nobody_listens_is_unreachable_and_a_silent_host_times_out() {
    let (sim, server, client) = pair(1, LinkConfig::default());
    let (addr, (from, to)) = (server.addr(PORT), (server.id(), client.id()));
    sim.spawn(&client, move |host| {
        let error = call(&host, addr).map(drop).unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
        host.network(|network| network.partition(from, to));
        let before = host.now();
        let error = call(&host, addr).map(drop).unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
        assert_eq!(host.now().saturating_since(before), 5 * SECOND);
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn addresses_are_bound_as_in_the_real_world() {
    let (sim, server, client) = pair(1, LinkConfig::default());
    let (v4, v6) = (server.addr(PORT), server.addr_v6(PORT));
    let everywhere: SocketAddr = "[::]:7000".parse().unwrap();
    sim.spawn(&server, move |host| {
        let transport = host.bind(everywhere, config())?;
        assert_eq!(transport.local_addr(), everywhere);
        assert!(matches!(host.bind(v4, config()), Err(BindError::AddressInUse { addr }) if addr == v4));
        let elsewhere = "10.0.0.2:1".parse()?;
        assert!(matches!(host.bind(elsewhere, config()), Err(BindError::AddressNotAvailable { .. })));
        let (one, other) = (host.bind(host.addr(0), config())?, host.bind(host.addr(0), config())?);
        assert_ne!(one.local_addr().port(), other.local_addr().port());
        let listener = Listener::new(transport);
        for _ in 0..2 {
            let peer = listener.accept()?;
            let from = peer.peer_addr().unwrap();
            peer.send(from.ip().to_string())?;
            assert!(peer.close(0).all_taken());
        }
        drop(listener);
        host.sleep(SECOND);
        host.bind(v4, config())?;
        Ok(())
    });
    sim.spawn(&client, move |host| {
        for (own, addr) in [(host.addr(0), v4), (host.addr_v6(0), v6)] {
            let peer = Connection::connect(&host.bind(own, config())?, addr)?;
            assert_eq!(peer.recv()?.into_bytes(100)?, own.ip().to_string());
            peer.close(0);
        }
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn a_thread_of_a_host_can_be_waited_for() {
    let (sim, server, _) = pair(1, LinkConfig::default());
    sim.spawn(&server, |host| {
        let transport = host.bind(host.addr(PORT), config())?;
        let inner = Arc::clone(&transport);
        let thread = transport.spawn("sleeper", move || {
            inner.sleep_until(inner.now() + SECOND);
            17
        })?;
        assert_eq!(thread.join(), Ok(17));
        assert_eq!(transport.now(), Timestamp::ZERO + SECOND);
        assert_eq!(transport.spawn("quick", || 1)?.join(), Ok::<i32, Panicked>(1));
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn a_world_where_all_wait_for_each_other_is_stuck_and_says_for_what() {
    let (sim, server, client) = pair(6, LinkConfig::default());
    sim.spawn(&server, |host| {
        listen(&host)?.accept()?;
        Ok(())
    });
    sim.spawn(&client, |host| {
        let transport = host.bind(host.addr(PORT), config())?;
        let own = Arc::clone(&transport);
        let thread = transport.spawn("waits", move || own.wait(&[Interest::AnyConnection], None).map(drop))?;
        let _ = thread.join();
        Ok(())
    });
    let error = sim.run().unwrap_err().to_string();
    let expected = "everybody waits at 0.000000000s and nothing is due:\n    \
                    server/main waits for [Incoming] at 10.0.0.1:7000\n    \
                    client/main waits for the end of client/waits\n    \
                    client/waits waits for [AnyConnection] at 10.0.0.2:7000 (seed 6)";
    assert_eq!(error, expected);
}

#[test]
fn outside_of_the_world_nobody_can_wait_in_it() {
    let (sim, server, _) = pair(1, LinkConfig::default());
    let transport = server.bind(server.addr(PORT), config()).unwrap();
    let error = transport.wait(&[Interest::Incoming], None).unwrap_err();
    assert_eq!(error, WaitError::Broken(std::io::ErrorKind::Unsupported));
    transport.sleep_until(Timestamp::FAR_FUTURE);
    drop(sim);
}

#[test]
fn a_task_is_woken_when_what_it_waits_for_has_come() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    let (sim, server, client) = pair(1, LinkConfig::default());
    let addr = server.addr(PORT);
    sim.spawn(&server, |host| {
        let peer = listen(&host)?.accept()?;
        host.sleep(SECOND);
        peer.send("late")?;
        peer.close(0);
        Ok(())
    });
    sim.spawn(&client, move |host| {
        let peer = call(&host, addr)?;
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let (mut slot, mut cx) = (WaitSlot::new(), Context::from_waker(&waker));
        let interest = [Interest::Readable(peer.id(), Select::Any)];
        assert!(peer.transport().poll_wait(&mut slot, &interest, &mut cx).is_pending());
        host.sleep(SECOND / 2);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        host.sleep(SECOND);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(peer.transport().poll_wait(&mut slot, &interest, &mut cx).is_ready());
        peer.close(0);
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn a_thousand_connections_are_served_by_one_thread() {
    const PEERS: usize = 1_000;
    let (sim, server, client) = pair(1, LinkConfig::default());
    let addr = server.addr(PORT);
    sim.spawn(&server, |host| {
        let transport = host.bind(host.addr(PORT), Config { backlog: PEERS, ..config() })?;
        let listener = Listener::new(Arc::clone(&transport));
        let mut peers = std::collections::BTreeMap::new();
        let mut served = 0;
        while served < PEERS {
            let ready = transport.wait(&[Interest::Incoming, Interest::AnyConnection], None)?;
            if let Some(peer) = ready.connection.and_then(|id| peers.get(&id)) {
                let peer: &Connection = peer;
                while let Ok(Some(message)) = peer.try_recv() {
                    peer.send(message.into_bytes(100)?)?;
                    served += 1;
                }
            } else if let Some(peer) = listener.try_accept()? {
                peers.insert(peer.id(), peer);
            }
        }
        for peer in peers.values() {
            peer.close(0);
        }
        Ok(())
    });
    sim.spawn(&client, move |host| {
        let transport = host.bind(host.addr(0), config())?;
        let peers: Vec<_> = (0..PEERS).map(|_| Connection::connect(&transport, addr).unwrap()).collect();
        for (number, peer) in peers.iter().enumerate() {
            peer.send(number.to_string())?;
        }
        for (number, peer) in peers.iter().enumerate() {
            assert_eq!(peer.recv()?.into_bytes(100)?, number.to_string());
        }
        Ok(())
    });
    sim.run().unwrap();
}
