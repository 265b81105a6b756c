//! Bells: what threads tell each other while they wait for the network.

use std::sync::Arc;
use std::task::{Context, Poll};

use udpair::message::Select;
use udpair::transport::{Bell, Interest, WaitError, WaitSlot};

use crate::pair::{Pair, SHORT, STUCK, receive};

pub(crate) fn a_ring_ends_a_wait_for_the_network(pair: Pair) {
    let (client, _server) = pair.connect();
    let bell = Bell::hang(&pair.client);
    let (seen, ringer) = (bell.rings(), bell.clone());
    let ringing = pair.beside(move || ringer.ring());
    let interests = [Interest::Readable(client.id(), Select::Any), bell.interest(seen)];
    let ready = pair.client.wait(&interests, Some(pair.client.now() + STUCK)).unwrap();
    assert_eq!((ready.index, ready.connection), (1, None));
    ringing.join().unwrap();
    // It has been rung since, whoever waits and however late.
    assert_eq!(pair.client.wait(&[bell.interest(seen)], None).unwrap().index, 0);
    let interests = [bell.interest(bell.rings())];
    assert_eq!(pair.client.wait(&interests, Some(pair.client.now() + SHORT)), Err(WaitError::TimedOut));
}

pub(crate) fn a_ring_wakes_everybody_who_waits_for_it(pair: Pair) {
    let bell = Bell::hang(&pair.server);
    let seen = bell.rings();
    let (begun, told) = (Bell::hang(&pair.client), Arc::clone(&pair.client));
    let waiting = [0, 1, 2].map(|_| {
        let (bell, begun, server) = (bell.clone(), begun.clone(), Arc::clone(&pair.server));
        pair.beside(move || {
            begun.ring();
            server.wait(&[bell.interest(seen)], Some(server.now() + STUCK))
        })
    });
    while begun.rings() < 3 {
        told.wait(&[begun.interest(begun.rings())], Some(told.now() + SHORT)).ok();
    }
    bell.ring();
    for waiter in waiting {
        assert_eq!(waiter.join().unwrap().unwrap().index, 0);
    }
}

pub(crate) fn a_thread_waits_at_two_transports(pair: Pair) {
    let (client, server) = pair.connect();
    let bell = Bell::hang(&pair.client);
    let mut slot = WaitSlot::new();
    let sending = pair.beside(move || client.send("over here").unwrap());
    loop {
        let seen = bell.rings();
        let interests = [Interest::Readable(server.id(), Select::Any)];
        match pair.server.poll_wait(&mut slot, &interests, &mut Context::from_waker(bell.waker())) {
            Poll::Ready(ready) => break assert_eq!(ready.unwrap().connection, Some(server.id())),
            Poll::Pending => {
                pair.client.wait(&[bell.interest(seen)], Some(pair.client.now() + STUCK)).unwrap();
            }
        }
    }
    assert_eq!(receive(&server), "over here");
    sending.join().unwrap();
}

pub(crate) fn a_bell_that_is_gone_ends_the_wait_for_it(pair: Pair) {
    let bell = Bell::hang(&pair.client);
    let interest = bell.interest(bell.rings());
    let dropping = pair.beside(move || drop(bell));
    assert_eq!(pair.client.wait(&[interest], Some(pair.client.now() + STUCK)).unwrap().index, 0);
    dropping.join().unwrap();
}

/// A waker may be the last to know of a bell, and is dropped while the transport is locked.
pub(crate) fn a_bell_may_go_before_whoever_would_ring_it(pair: Pair) {
    let (_client, server) = pair.connect();
    let bell = Bell::hang(&pair.server);
    let mut slot = WaitSlot::new();
    let interests = [Interest::Readable(server.id(), Select::Any)];
    let mut cx = Context::from_waker(bell.waker());
    assert!(pair.server.poll_wait(&mut slot, &interests, &mut cx).is_pending());
    drop(bell);
    drop(slot);
}

pub(crate) fn chance_is_another_each_time(pair: Pair) {
    let drawn = [&pair.client, &pair.server, &pair.client].map(|transport| transport.chance().unwrap());
    assert_ne!(drawn[0], drawn[1]);
    assert_ne!(drawn[0], drawn[2]);
}
