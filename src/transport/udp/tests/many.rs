//! Many connections on one transport.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{LONG, config, connect, transports};
use crate::transport::{Config, Interest, RecvError};

#[test]
fn a_hundred_connections_are_served_by_one_waiting_thread() {
    const COUNT: usize = 100;
    const ROUNDS: u8 = 5;
    let (caller, listener) = transports(&Config { backlog: COUNT, ..config() });
    let server = listener.transport().clone();
    let pairs: Vec<_> = (0..COUNT).map(|_| connect(&caller, &listener)).collect();
    let (near, far): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let serving = server.clone().spawn("server", move || {
        let mut open: BTreeMap<_, _> = far.into_iter().map(|conn| (conn.id(), conn)).collect();
        while !open.is_empty() {
            let ready = server.wait(&[Interest::AnyConnection], Some(server.now() + LONG)).unwrap();
            let id = ready.connection.unwrap();
            match open[&id].try_recv() {
                Ok(Some(message)) => drop(open[&id].send(message.into_bytes(1).unwrap()).unwrap()),
                Ok(None) => {}
                Err(RecvError::Ended(_)) => drop(open.remove(&id)),
                Err(error) => panic!("{error}"),
            }
        }
    });
    for round in 0..ROUNDS {
        for conn in &near {
            conn.send(vec![round]).unwrap();
        }
        for conn in &near {
            assert_eq!(conn.recv_timeout(LONG).unwrap().into_bytes(1).unwrap(), [round].as_slice());
        }
    }
    for conn in near {
        assert!(conn.close_within(0, Duration::from_secs(1)).all_taken());
    }
    serving.unwrap().join().unwrap();
}

#[test]
fn several_threads_each_wait_for_their_own_connection() {
    const COUNT: usize = 8;
    let (caller, listener) = transports(&config());
    let pairs: Vec<_> = (0..COUNT).map(|_| connect(&caller, &listener)).collect();
    let threads: Vec<_> = pairs
        .iter()
        .map(|(_, far)| {
            let far = far.clone();
            far.transport().clone().spawn("echo", move || super::echo(&far)).unwrap()
        })
        .collect();
    let clients: Vec<_> = pairs
        .into_iter()
        .map(|(near, far)| {
            drop(far);
            near.transport().clone().spawn("client", move || {
                for i in 0..200u32 {
                    near.send(i.to_be_bytes().to_vec()).unwrap();
                    let back = near.recv_timeout(LONG).unwrap().into_bytes(4).unwrap();
                    assert_eq!(back, i.to_be_bytes().as_slice());
                }
                assert!(near.close(0).all_taken());
            })
        })
        .collect();
    for client in clients {
        client.unwrap().join().unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
}
