//! Values that several threads write at once, and several peers.

use udpair::node::Hub;

use crate::hubs::hub;
use crate::pair::{Pair, STUCK, content};

/// Whoever writes last, it is the same value for those who are there and for those who come later.
pub(crate) fn writers_at_once_leave_everybody_with_the_same_value(pair: Pair) {
    const CHANNELS: usize = 400;
    let [a, b, c] = ["a", "b", "c"].map(|name| hub(&pair, name));
    [&b, &c].into_iter().for_each(|peer| peer.connect("a", a.local_addr()).unwrap());
    let writing = [0, 1, 2].map(|writer| {
        let a = a.clone();
        pair.beside(move || {
            for channel in 0..CHANNELS {
                a.write_all(&channel.to_string(), content(writer, 100)).unwrap();
                a.write_to_local(&channel.to_string(), content(writer, 110)).unwrap();
            }
        })
    });
    writing.into_iter().for_each(|writer| writer.join().unwrap());
    let late = hub(&pair, "late");
    late.connect("a", a.local_addr()).unwrap();
    for (name, reader) in [("b", &b), ("c", &c), ("late", &late)] {
        a.peer(name).unwrap().flush().unwrap();
        assert_eq!(reader.connections().len(), 1);
    }
    for channel in 0..CHANNELS {
        let [b, c, late] =
            [&b, &c, &late].map(|reader| reader.get_by_name("a", &channel.to_string()).unwrap().unwrap());
        assert_eq!(b.content, late.content, "channel {channel}");
        assert_eq!(c.content, late.content, "channel {channel}");
    }
    [a, b, c, late].iter().for_each(Hub::close);
}

/// A peer that has something new whenever somebody reads keeps nobody else from being heard, wherever it is.
pub(crate) fn a_busy_peer_at_one_transport_keeps_no_other_from_being_heard(pair: Pair) {
    for busy in [0, 1] {
        let transports = [0, 1].map(|_| pair.another(|_| {}));
        let addrs = transports.each_ref().map(|transport| transport.local_addr());
        let a = Hub::start("a", transports).unwrap();
        let peers = ["b", "c"].map(|name| hub(&pair, name));
        peers.iter().zip(addrs).for_each(|(peer, addr)| peer.connect("a", addr).unwrap());
        let say = |peer: &Hub, at| {
            peer.write_all("pose", content(at, 50)).unwrap();
            peer.peer("a").unwrap().flush().unwrap();
        };
        let (busy, quiet) = (&peers[busy], &peers[1 - busy]);
        say(quiet, 0);
        // From here on the reader knows where to wait for it.
        a.peer(quiet.name()).unwrap().attend();
        let heard = [1, 2, 3].map(|at| {
            say(busy, at);
            a.changed_timeout("pose", STUCK).unwrap().0
        });
        assert!(heard.contains(quiet.name()), "{} was not heard: {heard:?}", quiet.name());
        peers.iter().for_each(Hub::close);
        a.close();
    }
}
