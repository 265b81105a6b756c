//! What a node holds of each peer's newest values.

use udpair::node::{Event, Hub, ReadError};

use crate::hubs::{config, hub};
use crate::pair::{Pair, STUCK, content};

/// One that holds 50,000 bytes of each peer's values.
fn reader(pair: &Pair) -> Hub {
    Hub::start_with("reader", [pair.another(|_| {})], config(|config| config.held_len_max = 50_000)).unwrap()
}

/// Writes to the channel of the one that it is connected to, and waits until it is there.
fn write(hub: &Hub, channel: &str, at: usize, len: usize) {
    hub.write_all(channel, content(at, len)).unwrap();
    hub.peer("reader").unwrap().flush().unwrap();
}

/// Who wrote what, and how long it is.
fn changed(reader: &Hub, channel: &str) -> Result<(String, usize), ReadError> {
    reader.changed_timeout(channel, STUCK).map(|(name, value)| (name.to_string(), value.content.body.len()))
}

fn refused(len: u64, held: u64) -> Result<(String, usize), ReadError> {
    Err(ReadError::TooMuchHeld { len, held, max: 50_000 })
}

pub(crate) fn a_peer_that_writes_too_much_is_told_of_and_keeps_no_other_from_being_heard(pair: Pair) {
    let (a, b, c) = (reader(&pair), hub(&pair, "b"), hub(&pair, "c"));
    b.connect("reader", a.local_addr()).unwrap();
    c.connect("reader", a.local_addr()).unwrap();
    write(&b, "pose", 1, 40_000);
    assert_eq!(changed(&a, "pose"), Ok(("b".to_owned(), 40_000)));
    // Each has room of its own.
    write(&c, "cam", 2, 50_000);
    assert_eq!(changed(&a, "cam"), Ok(("c".to_owned(), 50_000)));
    // It is b's turn, and then it was.
    write(&b, "cam", 3, 10_001);
    write(&c, "cam", 4, 49_999);
    assert_eq!(changed(&a, "cam"), refused(10_001, 40_000));
    write(&b, "cam", 5, 10_002);
    assert_eq!(changed(&a, "cam"), Ok(("c".to_owned(), 49_999)));
    assert_eq!(changed(&a, "cam"), refused(10_002, 40_000));
    write(&b, "cam", 6, 10_000);
    assert_eq!(changed(&a, "cam"), Ok(("b".to_owned(), 10_000)));
    // Whoever asks for those of all gets what there was; whoever asks for one is told.
    write(&b, "pose", 7, 40_001);
    assert_eq!(a.get_all("pose").unwrap()[0].1.content.body, content(1, 40_000));
    write(&b, "pose", 8, 40_001);
    let told = a.get_by_name("b", "pose").map(|_| (String::new(), 0));
    assert_eq!(told, refused(40_001, 10_000));
    assert_eq!(a.get_by_name("b", "pose").unwrap().unwrap().content.body, content(1, 40_000));
    [a, b, c].iter().for_each(Hub::close);
}

pub(crate) fn what_one_left_behind_takes_no_room_from_its_return(pair: Pair) {
    let a = reader(&pair);
    for round in 0..2 {
        let b = hub(&pair, "b");
        b.connect("reader", a.local_addr()).unwrap();
        write(&b, "pose", round, 50_000);
        assert_eq!(changed(&a, "pose"), Ok(("b".to_owned(), 50_000)));
        // Nobody reads this before it leaves, and it is more than may be held.
        write(&b, "pose", 9, 50_001);
        b.close();
        while !matches!(a.next_event(STUCK).unwrap(), Event::Left { .. }) {}
        assert_eq!(a.get_by_name("b", "pose").unwrap().unwrap().content.body, content(round, 50_000));
    }
    a.close();
}
