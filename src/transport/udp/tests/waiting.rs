//! Waiting: limits, several interests, any connection, tasks.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{LONG, config, connect, loopback, pair, transports};
use crate::message::{Select, SendError};
use crate::transport::{Config, ConnectError, Connection, Interest, RecvError, WaitError, WaitSlot};

/// Short enough to wait for in a test.
const SHORT: Duration = Duration::from_millis(20);

#[test]
fn a_wait_that_nothing_ends_times_out() {
    let (near, _far) = pair();
    assert_eq!(near.recv_timeout(SHORT).unwrap_err(), RecvError::TimedOut);
    assert_eq!(near.recv_timeout(Duration::ZERO).unwrap_err(), RecvError::TimedOut);
    let until = near.transport().now() + SHORT;
    let interests = [Interest::Incoming, Interest::AnyConnection, Interest::Closed(near.id())];
    assert_eq!(near.transport().wait(&interests, Some(until)).unwrap_err(), WaitError::TimedOut);
    assert!(near.transport().now() >= until);
}

#[test]
fn a_wait_of_no_time_at_all_still_looks_at_the_socket() {
    let (near, far) = pair();
    far.send(vec![1]).unwrap();
    far.flush_timeout(LONG).unwrap();
    far.send(vec![2]).unwrap();
    // Loopback has delivered before the call returned; whoever drains it, it is there.
    assert!(near.recv_timeout(Duration::ZERO).is_ok());
    assert!(near.recv_timeout(LONG).is_ok());
}

#[test]
fn ready_names_the_interest_and_the_connection() {
    let (caller, listener) = transports(&config());
    let (near_a, far_a) = connect(&caller, &listener);
    let (near_b, far_b) = connect(&caller, &listener);
    let ready = |interests: &[Interest]| {
        let ready = listener.transport().wait(interests, Some(listener.transport().now() + LONG)).unwrap();
        (ready.index, ready.connection)
    };
    near_b.send(vec![1]).unwrap();
    let both = [Interest::Readable(far_a.id(), Select::Any), Interest::Readable(far_b.id(), Select::Any)];
    assert_eq!(ready(&both), (1, Some(far_b.id())));
    assert_eq!(ready(&[Interest::AnyConnection]), (0, Some(far_b.id())));
    near_a.send(vec![1]).unwrap();
    assert_eq!(ready(&[Interest::AnyConnection]), (0, Some(far_a.id())), "the other one was taken out");
}

#[test]
fn a_connection_comes_back_into_the_queue_when_recv_left_more() {
    let (near, far) = pair();
    for i in 0..3 {
        near.send(vec![i]).unwrap();
    }
    near.flush_timeout(LONG).unwrap();
    let any = || far.transport().wait(&[Interest::AnyConnection], Some(far.transport().now() + SHORT));
    for _ in 0..3 {
        assert_eq!(any().unwrap().connection, Some(far.id()));
        assert!(far.try_recv().unwrap().is_some());
    }
    assert_eq!(any().unwrap_err(), WaitError::TimedOut);
}

#[test]
fn what_would_block_is_news_when_it_is_possible() {
    let (near, far) = pair();
    let any = |limit| near.transport().wait(&[Interest::AnyConnection], Some(near.transport().now() + limit));
    // Full at both ends: what is queued here goes on its way until the peer's credit is used up.
    loop {
        match near.try_send_on(0, 0, vec![0; 1 << 20]) {
            Ok(_) => continue,
            Err(error) => assert_eq!(error, SendError::WouldBlock),
        }
        match any(SHORT) {
            Ok(ready) => assert_eq!(ready.connection, Some(near.id())),
            Err(error) => break assert_eq!(error, WaitError::TimedOut),
        }
    }
    let taker = far.transport().clone().spawn("taker", move || while far.recv_timeout(LONG).is_ok() {}).unwrap();
    assert_eq!(any(LONG).unwrap().connection, Some(near.id()));
    near.try_send_on(0, 0, vec![0; 1]).unwrap();
    assert!(near.close(0).all_taken());
    taker.join().unwrap();
}

#[test]
fn a_channel_of_its_own_is_not_given_to_whoever_asks_for_any() {
    let (near, far) = pair();
    assert!(far.try_recv_on(4).unwrap().is_none());
    near.send_on(4, 40, vec![4]).unwrap();
    near.send_on(0, 0, vec![0]).unwrap();
    near.flush_timeout(LONG).unwrap();
    assert_eq!(far.recv_timeout(LONG).unwrap().channel, 0);
    assert!(far.try_recv().unwrap().is_none());
    let own = far.recv_on_timeout(4, LONG).unwrap();
    assert_eq!((own.channel, own.tag), (4, 40));
}

#[test]
fn timers_run_while_a_thread_polls_busily_and_a_message_ends_its_poll() {
    // The call that is answered has to fit in as well, on a machine that is busy with other things.
    let config = Config { busy_poll: Some(LONG), connect_timeout: Duration::from_secs(2), ..config() };
    let (caller, listener) = transports(&config);
    let (near, far) = connect(&caller, &listener);
    let polling = caller.spawn("poll", move || near.recv_timeout(LONG).unwrap()).unwrap();
    let silent = UdpSocket::bind(loopback()).unwrap();
    let result = Connection::connect(&caller, silent.local_addr().unwrap());
    assert!(matches!(result, Err(ConnectError::TimedOut { .. })), "{result:?}");
    far.send(vec![1]).unwrap();
    polling.join().unwrap();
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_task_is_woken_by_the_keeper_when_no_thread_waits() {
    let (near, far) = pair();
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    let mut slot = WaitSlot::new();
    let interests = [Interest::Readable(far.id(), Select::Any)];
    for round in 0..3 {
        assert_eq!(far.transport().poll_wait(&mut slot, &interests, &mut cx), Poll::Pending, "round {round}");
        assert!(!flag.0.swap(false, Ordering::SeqCst));
        near.send(vec![round]).unwrap();
        near.flush_timeout(LONG).unwrap();
        assert!(flag.0.swap(false, Ordering::SeqCst), "what arrived has woken the task before it was acknowledged");
        let Poll::Ready(Ok(ready)) = far.transport().poll_wait(&mut slot, &interests, &mut cx) else { panic!() };
        assert_eq!((ready.index, ready.connection), (0, Some(far.id())));
        assert!(far.try_recv().unwrap().is_some());
    }
    assert_eq!(far.transport().poll_wait(&mut slot, &interests, &mut cx), Poll::Pending);
    drop(slot);
    near.send(vec![9]).unwrap();
    near.flush_timeout(LONG).unwrap();
    assert!(!flag.0.load(Ordering::SeqCst), "a slot that is gone wakes nobody");
}
