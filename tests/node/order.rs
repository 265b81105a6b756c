//! Values that several threads write at once.

use udpair::node::Hub;

use crate::hubs::hub;
use crate::pair::{Pair, content};

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
