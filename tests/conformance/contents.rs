//! Content: text, bytes, arrays, images, values; asking for one kind and getting no other.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use udpair::Config;
use udpair::content::{
    Array, Content, Image, ImageFormat, IntoContent, Order, RecvContentError, SendContentError, tag,
};
use udpair::message::{End, MessageId, ReadError, SendError};
use udpair::transport::Interest;

use crate::pair::{Pair, SHORT, STUCK, bytes_of, content};

/// Items that tell where they belong.
fn items(len: usize) -> Vec<f64> {
    (0..len).map(|at| f64::from(u32::try_from(at * 7 % 1_000_003).expect("small")) / 8.0 - 1_000.0).collect()
}

/// A long message is one that comes as a stream already from 16 KiB on.
fn short_messages(config: &mut Config) {
    config.limits.message_len_max = 16 << 10;
}

pub(crate) fn content_of_every_kind_arrives_as_what_it_is(pair: Pair) {
    let (client, server) = pair.connect();
    client.send_text("naïve 文字 🦀").unwrap();
    client.send_text("").unwrap();
    client.send_bytes(content(1, 100_000)).unwrap();
    client.send("sent without a tag").unwrap();
    client.send_array(&[1_u16, 2, 3, 4, 5, 6], &[2, 3]).unwrap();
    let fortran = Array::from_data(">f4".parse().unwrap(), &[3, 2], Order::Fortran, &[7; 24]).unwrap();
    client.send_as(&fortran).unwrap();
    let png = b"\x89PNG\r\n\x1a\n and what follows";
    client.send_image(Image::from_file(&png[..]).unwrap()).unwrap();
    client.send_image(Image::from_pixels(&[9_u8; 60], 5, 4, 3).unwrap()).unwrap();
    client.on(7).send_text("on a channel").unwrap();
    client.on(7).send_as(Content { tag: 40_000, body: content(3, 10) }).unwrap();

    let apart = server.on(7).within(STUCK);
    assert!(
        matches!(apart.recv_bytes(), Err(RecvContentError::Kind { .. })),
        "the channel is its readers' from here on"
    );
    let server = server.contents().within(STUCK);
    assert_eq!(server.recv_text().unwrap(), "naïve 文字 🦀");
    assert_eq!(server.recv_text().unwrap(), "");
    assert_eq!(server.recv_bytes().unwrap(), content(1, 100_000));
    assert_eq!(server.recv_bytes().unwrap(), "sent without a tag");
    let array = server.recv_array().unwrap();
    assert_eq!((array.shape(), &array.items::<u16>().unwrap()[..]), (&[2, 3][..], &[1, 2, 3, 4, 5, 6][..]));
    assert_eq!(server.recv_array().unwrap(), fortran);
    let image = server.recv_image().unwrap();
    assert_eq!((image.format(), &image.file().unwrap()[..]), (ImageFormat::Png, &png[..]));
    assert_eq!(server.recv_image().unwrap().pixels().unwrap().shape(), [4, 5, 3]);
    assert_eq!(apart.recv_as::<String>().unwrap(), "on a channel");
    let own = apart.recv_as::<Content>().unwrap();
    assert_eq!(own, Content { tag: 40_000, body: content(3, 10) });
    assert!(client.close(0).all_taken());
}

pub(crate) fn a_million_items_arrive_whole_and_equal(pair: Pair) {
    let (client, server) = pair.connect();
    let sender = pair.beside(move || {
        client.send_array(&items(1_000_000), &[1_000, 1_000]).unwrap();
        client.close(0)
    });
    let array = server.contents().within(STUCK).recv_array().unwrap();
    assert_eq!((array.shape(), array.len()), (&[1_000, 1_000][..], 1_000_000));
    assert!(*array.items::<f64>().unwrap() == items(1_000_000));
    assert!(sender.join().unwrap().all_taken());
}

pub(crate) fn an_array_longer_than_any_buffer_arrives_whole(pair: Pair) {
    let (client, server) = pair.connect();
    let len = 5_000_000; // 40 MB: more than a message, a channel's credit and the send queue hold
    let sender = pair.beside(move || {
        client.send_array(&items(len), &[len]).unwrap();
        client.send_text("and what follows").unwrap();
        client.close(0)
    });
    let server = server.contents().within(STUCK);
    assert!(*server.recv_array().unwrap().items::<f64>().unwrap() == items(len));
    assert_eq!(server.recv_text().unwrap(), "and what follows");
    assert!(sender.join().unwrap().all_taken());
}

pub(crate) fn the_wrong_kind_is_told_and_the_message_kept(pair: Pair) {
    let (client, server) = pair.with(short_messages).connect();
    let contents = [
        "text".into_content().unwrap(),
        content(1, 20).into_content().unwrap(),
        Array::from_slice(&[1.5], &[]).unwrap().into_content().unwrap(),
        Array::from_slice(&items(9_000), &[9_000]).unwrap().into_content().unwrap(),
        Image::from_file(&b"\xff\xd8\xff"[..]).unwrap().into_content().unwrap(),
        Content { tag: 6, body: content(2, 30) },
        Content { tag: 65_535, body: content(3, 50_000) },
    ];
    for content in &contents {
        client.send_as(content).unwrap();
    }
    let from_any = server.contents().within(STUCK);
    for (at, sent) in contents.iter().enumerate() {
        for _ in 0..2 {
            let asked: [(&[u16], Ask<'_>); 4] = [
                (&[tag::TEXT], &|| from_any.recv_text().err()),
                (&[tag::BYTES], &|| from_any.recv_bytes().err()),
                (&[tag::ARRAY], &|| from_any.recv_array().err()),
                (&[tag::PNG, tag::JPEG, tag::ARRAY], &|| from_any.recv_image().err()),
            ];
            for (_, ask) in asked.iter().filter(|(tags, _)| !tags.contains(&sent.tag)) {
                match ask() {
                    Some(RecvContentError::Kind { next }) => {
                        assert_eq!((next.tag, next.id, next.len), (sent.tag, MessageId(at as u64), len(sent)));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        // It is there for whoever asks for it in any other way, too.
        if at % 2 == 0 {
            assert_eq!(from_any.recv_as::<Content>().unwrap(), *sent);
        } else {
            let message = server.recv_timeout(STUCK).unwrap();
            assert_eq!((message.tag, message.id.0), (sent.tag, at as u64));
            assert_eq!(bytes_of(message), sent.body);
        }
    }
    assert!(client.close(0).all_taken());
}

/// Asks for one kind, and says what was wrong.
type Ask<'a> = &'a dyn Fn() -> Option<RecvContentError>;

fn len(content: &Content) -> Option<u64> {
    Some(content.body.len() as u64)
}

pub(crate) fn too_long_is_told_and_the_message_kept(pair: Pair) {
    let (client, server) = pair.with(short_messages).connect();
    for len in [100, 100_000] {
        client.on(1).send_bytes(content(len, len)).unwrap();
        let mut writer = client.begin(2, tag::BYTES, None).unwrap();
        writer.write_all(&content(len, len)).unwrap();
        writer.finish().unwrap();
        for channel in [1, 2] {
            let server = server.on(channel).within(STUCK);
            for max in [len - 1, 0] {
                match server.up_to(max).recv_bytes() {
                    Err(RecvContentError::TooLong { next, max: told }) => {
                        assert_eq!((next.channel, next.tag, told), (channel, tag::BYTES, max));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(server.up_to(len).recv_bytes().unwrap(), content(len, len));
        }
    }
    assert!(client.close(0).all_taken());
}

pub(crate) fn malformed_content_is_told_and_handed_over(pair: Pair) {
    let (client, server) = pair.connect();
    let object = b"\x93NUMPY\x01\x00\x36\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n";
    for (tag, body) in [(tag::TEXT, &b"\xff\xfe"[..]), (tag::ARRAY, object), (tag::ARRAY, b""), (tag::PNG, b"GIF89a")] {
        let sent = Content { tag, body: body.into() };
        client.send_as(&sent).unwrap();
        let server = server.contents().within(STUCK);
        let error = match tag {
            tag::TEXT => server.recv_text().err(),
            tag::ARRAY => server.recv_array().err(),
            _ => server.recv_image().err(),
        };
        match error {
            Some(RecvContentError::Malformed { channel: 0, source, .. }) => assert_eq!(source.content, sent),
            other => panic!("{other:?}"),
        }
    }
    client.send_text("the connection lives").unwrap();
    assert_eq!(server.contents().within(STUCK).recv_text().unwrap(), "the connection lives");
    assert!(client.close(0).all_taken());
}

pub(crate) fn a_call_that_times_out_half_way_loses_nothing(pair: Pair) {
    let (client, server) = pair.with(short_messages).connect();
    let array = Array::from_slice(&items(20_000), &[200, 100]).unwrap();
    let (first, second) = array.npy().split_at(90_001);
    let mut writer = client.begin(0, tag::ARRAY, None).unwrap();
    writer.write_all(first).unwrap();
    let server_on = server.contents();
    assert!(matches!(server_on.within(SHORT).recv_array(), Err(RecvContentError::TimedOut)));
    assert!(matches!(server_on.at_once().recv_array(), Err(RecvContentError::WouldBlock)));
    assert!(server.try_recv().unwrap().is_none(), "nobody is given a part of it");
    assert!(matches!(server_on.at_once().recv_text(), Err(RecvContentError::Kind { .. })), "what it is, is known");
    writer.write_all(second).unwrap();
    writer.finish().unwrap();
    assert_eq!(server_on.within(STUCK).recv_array().unwrap(), array);
    assert!(client.close(0).all_taken());
}

pub(crate) fn content_that_does_not_come_to_its_end_never_surfaces(pair: Pair) {
    let (client, server) = pair.with(short_messages).connect();
    let bytes = content(1, 100_000);
    let mut writer = client.begin(0, tag::BYTES, Some(200_000)).unwrap();
    writer.write_all(&bytes).unwrap();
    assert!(matches!(server.contents().within(SHORT).recv_bytes(), Err(RecvContentError::TimedOut)));
    writer.reset(9);
    match server.contents().within(STUCK).recv_bytes() {
        Err(RecvContentError::Cut(ReadError::Reset { code: 9 })) => {}
        other => panic!("{other:?}"),
    }
    let mut writer = client.begin(0, tag::BYTES, None).unwrap();
    writer.write_all(&bytes).unwrap();
    assert!(matches!(server.contents().within(SHORT).recv_bytes(), Err(RecvContentError::TimedOut)));
    client.abort(7);
    for _ in 0..2 {
        match server.contents().within(STUCK).recv_bytes() {
            Err(
                RecvContentError::Cut(ReadError::Ended(End::AbortedByPeer { code: 7 }))
                | RecvContentError::Ended(End::AbortedByPeer { code: 7 }),
            ) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn a_send_waits_as_long_as_it_was_told_to(pair: Pair) {
    let (client, server) = pair.with(|config| config.limits.send_queue = 8 << 10).connect();
    // Until nobody takes any more: what the peer grants, and then our own queue.
    let full = loop {
        match client.on(1).within(SHORT).send_bytes(content(0, 1 << 20)) {
            Ok(MessageId(id)) => assert!(id < 1_000, "a queue without end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, SendContentError::Send(SendError::TimedOut)), "{full}");
    match client.on(1).at_once().send_text("now or never") {
        Err(SendContentError::Send(SendError::WouldBlock)) => {}
        other => panic!("{other:?}"),
    }
    // The peer grants more when an eighth of its window is free.
    for _ in 0..4 {
        assert_eq!(server.on(1).within(STUCK).recv_bytes().unwrap(), content(0, 1 << 20));
    }
    client.on(1).within(STUCK).send_text("there is room again").unwrap();
}

pub(crate) fn whoever_serves_many_is_told_when_a_long_one_is_whole(pair: Pair) {
    let (client, server) = pair.with(short_messages).connect();
    let sent = items(300_000);
    client.send_array(&sent, &[sent.len()]).unwrap();
    client.send_text("behind it").unwrap();
    client.on(5).send_array(&sent, &[sent.len()]).unwrap();
    let transport = server.transport();
    let until = transport.now() + STUCK;
    let right = |got: Result<Array, RecvContentError>| match got {
        Ok(array) => {
            assert!(*array.items::<f64>().unwrap() == sent);
            true
        }
        Err(RecvContentError::WouldBlock) => false,
        Err(error) => panic!("{error}"),
    };
    let (mut array, mut text, mut apart) = (false, false, false);
    let mut turns = 0;
    while !(array && text && apart) {
        turns += 1;
        assert!(turns < 10_000, "told again and again of nothing");
        let mut got = false;
        if !apart {
            apart = right(server.on(5).at_once().recv_array());
            got |= apart;
        }
        if !array {
            array = right(server.contents().at_once().recv_array());
            got |= array;
        } else if !text {
            text = matches!(server.contents().at_once().recv_text().as_deref(), Ok("behind it"));
            got |= text;
        }
        if !got {
            let ready = transport.wait(&[Interest::AnyConnection], Some(until)).unwrap();
            assert_eq!(ready.connection, Some(server.id()));
        }
    }
}

pub(crate) fn threads_that_want_different_kinds_each_get_their_own(pair: Pair) {
    const EACH: usize = 150;
    let pair = pair.with(short_messages);
    let (client, server) = pair.connect();
    let texts = Arc::new(Mutex::new(Vec::new()));
    let arrays = Arc::new(Mutex::new(Vec::new()));
    let mut readers = Vec::new();
    for at in 0..4 {
        let (server, texts, arrays) = (server.clone(), Arc::clone(&texts), Arc::clone(&arrays));
        readers.push(pair.beside(move || {
            loop {
                let on = server.on(2).within(STUCK);
                let got = if at % 2 == 0 {
                    on.recv_text().map(|text| texts.lock().unwrap().push(text))
                } else {
                    on.recv_array().map(|array| arrays.lock().unwrap().push(array))
                };
                match got {
                    Ok(()) => {}
                    // The others' turn; nothing ever comes on channel 3, so this only waits.
                    Err(RecvContentError::Kind { .. }) => {
                        let _ = server.on(3).within(TURN).recv_text();
                    }
                    Err(RecvContentError::Ended(End::ClosedByPeer { .. })) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    let mut sent = Vec::new();
    for at in 0..EACH {
        client.on(2).send_text(format!("text {at}")).unwrap();
        // Some of them longer than a message is.
        let array = Array::from_slice(&items(at * 30), &[at * 30]).unwrap();
        client.on(2).send_as(&array).unwrap();
        sent.push(array);
    }
    assert!(client.close_within(0, STUCK).all_taken());
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    let mut got = texts.lock().unwrap().clone();
    got.sort_by_key(|text| text[5..].parse::<usize>().unwrap());
    assert_eq!(got, (0..EACH).map(|at| format!("text {at}")).collect::<Vec<_>>());
    let mut got = arrays.lock().unwrap().clone();
    got.sort_by_key(Array::len);
    assert!(got == sent);
}

/// How long a thread that has nothing to take leaves the others alone.
const TURN: Duration = Duration::from_micros(200);
