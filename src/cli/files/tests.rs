//! Sender and receiver against each other, and each against a hostile peer, without a connection between them.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::message::{CONTENT_LEN, CONTROL, DATA, Kind, Message, Meta, Offer, Reason, Totals, UNSETTLED_MAX, VERSION};
use super::outcome::{Broken, Notice};
use super::place::Place;
use super::receiver::{Policy, Receiver, Unfinished};
use super::sender::Sender;
use super::step::{Outgoing, Step};
use super::writer::Existing;

const POLICY: Policy = Policy { existing: Existing::Keep, unfinished: Unfinished::Remove };

/// What a transfer of `paths` into `dir` comes to: the totals of both sides, and what each told its user.
struct Outcome {
    totals: Totals,
    sender_says: Vec<String>,
    receiver_says: Vec<String>,
}

fn transfer(paths: &[&Path], dir: &Path, existing: Existing) -> Outcome {
    let mut sender = Sender::new(owned(paths), (0, 0));
    let mut receiver = Receiver::new(Place::open(dir).unwrap(), Policy { existing, ..POLICY });
    let (mut sender_says, mut receiver_says) = (Vec::new(), Vec::new());
    // Like a connection: content may be overtaken, nothing else changes places.
    let (mut control, mut data) = (VecDeque::new(), VecDeque::new());
    loop {
        let mut finished = answers(&mut receiver, &mut sender, &mut receiver_says);
        match sender.poll() {
            Step::Send(outgoing) if outgoing.channel == CONTROL => control.push_back(outgoing),
            Step::Send(outgoing) => data.push_back(outgoing),
            Step::Say(notice) => sender_says.push(notice.to_string()),
            Step::Again => (),
            Step::Wait => {
                let next = control.pop_front().or_else(|| data.pop_front()).expect("nobody waits for ever");
                receive(&mut receiver, &next).unwrap();
            }
            Step::Finished => {
                finished &= control.is_empty() && data.is_empty();
                assert!(finished, "the sender is done before the receiver");
                assert_eq!(sender.totals(), receiver.totals());
                return Outcome { totals: *sender.totals(), sender_says, receiver_says };
            }
        }
    }
}

/// Carries the receiver's answers to the sender. True when the receiver is done.
fn answers(receiver: &mut Receiver, sender: &mut Sender, says: &mut Vec<String>) -> bool {
    loop {
        match receiver.poll() {
            Step::Send(Outgoing { channel, tag, body }) => {
                sender.handle(channel, &Message::decode(tag, &body).unwrap()).unwrap();
            }
            Step::Say(notice) => says.push(notice.to_string()),
            Step::Again => (),
            Step::Wait => return false,
            Step::Finished => return true,
        }
    }
}

fn receive(receiver: &mut Receiver, outgoing: &Outgoing) -> Result<(), Broken> {
    receiver.handle(outgoing.channel, &Message::decode(outgoing.tag, &outgoing.body)?)
}

fn owned(paths: &[&Path]) -> Vec<PathBuf> {
    paths.iter().map(|path| path.to_path_buf()).collect()
}

/// Path, permission bits, time, content (a directory has none).
type Found = (PathBuf, u32, (i64, i64), Option<Vec<u8>>);

/// Everything below `dir`, sorted.
fn listing(dir: &Path) -> Vec<Found> {
    let mut all = Vec::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                left.push(path.clone());
            }
            let content = metadata.is_file().then(|| fs::read(&path).unwrap());
            let time = (metadata.mtime(), metadata.mtime_nsec());
            all.push((path.strip_prefix(dir).unwrap().to_path_buf(), metadata.mode() & 0o777, time, content));
        }
    }
    all.sort_unstable();
    all
}

fn set(path: &Path, mode: u32, mtime_s: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(mtime_s, 123_456_789);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Two directories: one with a tree to send, one to receive it.
fn places() -> (TempDir, TempDir) {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = from.path().join("root");
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    fs::write(root.join("nothing"), "").unwrap();
    fs::write(root.join("sub/big"), vec![7; 2 * CONTENT_LEN + 1]).unwrap();
    fs::write(root.join("sub/deep/small"), "small").unwrap();
    for (at, (path, mode)) in
        [("nothing", 0o400), ("sub/big", 0o755), ("sub/deep/small", 0o604), ("sub/deep", 0o555), ("sub", 0o700)]
            .into_iter()
            .chain([("empty", 0o750), ("", 0o711)])
            .enumerate()
    {
        set(&root.join(path), mode, 1_000_000_000 + at as u64);
    }
    (from, to)
}

#[test]
fn a_tree_arrives_as_it_was() {
    let (from, to) = places();
    let outcome = transfer(&[&from.path().join("root")], to.path(), Existing::Keep);
    let bytes = 2 * CONTENT_LEN as u64 + 6;
    assert_eq!(outcome.totals, Totals { files: 3, directories: 4, bytes, ..Totals::default() });
    assert!(outcome.sender_says.is_empty() && outcome.receiver_says.is_empty());
    assert_eq!(listing(to.path()), listing(from.path()));
}

#[test]
fn many_small_files_arrive() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = from.path().join("root");
    let files = 3 * UNSETTLED_MAX;
    for at in 0..files {
        let dir = root.join(format!("{}", at % 100));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{at}")), format!("{at}")).unwrap();
    }
    let outcome = transfer(&[&root], to.path(), Existing::Keep);
    assert_eq!((outcome.totals.files, outcome.totals.directories), (files as u64, 101));
    assert_eq!(listing(to.path()), listing(from.path()));
}

#[test]
fn what_is_there_stays_and_the_rest_arrives() {
    let (from, to) = places();
    fs::create_dir_all(to.path().join("root/sub")).unwrap();
    fs::write(to.path().join("root/sub/big"), "mine").unwrap();
    set(&to.path().join("root"), 0o755, 5);
    let outcome = transfer(&[&from.path().join("root")], to.path(), Existing::Keep);
    assert_eq!((outcome.totals.files, outcome.totals.failed), (2, 1));
    assert_eq!(outcome.totals.reason, Some(Reason::Exists));
    assert_eq!(outcome.receiver_says, ["failed root/sub/big: is there already (--overwrite replaces)"]);
    assert_eq!(outcome.sender_says, ["failed root/sub/big: the peer says: is there already (--overwrite replaces)"]);
    assert_eq!(fs::read(to.path().join("root/sub/big")).unwrap(), b"mine");
    assert_eq!(fs::metadata(to.path().join("root")).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn replacing_makes_it_equal() {
    let (from, to) = places();
    fs::create_dir_all(to.path().join("root/sub")).unwrap();
    fs::write(to.path().join("root/sub/big"), "mine").unwrap();
    let outcome = transfer(&[&from.path().join("root")], to.path(), Existing::Replace);
    assert_eq!(outcome.totals.failed, 0);
    assert_eq!(listing(to.path()), listing(from.path()));
}

#[test]
fn a_directory_in_a_files_way_and_the_reverse() {
    let (from, to) = places();
    fs::create_dir_all(to.path().join("root/nothing")).unwrap();
    fs::write(to.path().join("root/sub"), "a file").unwrap();
    for existing in [Existing::Keep, Existing::Replace] {
        let outcome = transfer(&[&from.path().join("root")], to.path(), existing);
        // sub, sub/big, sub/deep and sub/deep/small fail with it.
        assert_eq!((outcome.totals.files, outcome.totals.directories, outcome.totals.failed), (0, 2, 5));
        assert_eq!(outcome.totals.reason, Some(Reason::Several));
        assert_eq!(fs::read(to.path().join("root/sub")).unwrap(), b"a file");
    }
}

#[test]
fn two_paths_of_one_name_do_not_overwrite_each_other() {
    let (from, to) = places();
    fs::write(from.path().join("small"), "other").unwrap();
    let paths = [&*from.path().join("root/sub/deep/small"), &*from.path().join("small")];
    let outcome = transfer(&paths, to.path(), Existing::Keep);
    assert_eq!((outcome.totals.files, outcome.totals.failed), (1, 1));
    assert_eq!(fs::read(to.path().join("small")).unwrap(), b"small");
}

#[test]
fn links_are_skipped_and_what_is_missing_fails_without_stopping_the_rest() {
    let (from, to) = places();
    symlink("nothing", from.path().join("root/link")).unwrap();
    let outcome = transfer(&[&from.path().join("missing"), &from.path().join("root")], to.path(), Existing::Keep);
    assert_eq!((outcome.totals.files, outcome.totals.skipped, outcome.totals.failed), (3, 1, 1));
    assert_eq!(outcome.sender_says.len(), 2);
    assert_eq!(outcome.sender_says[1], "skipped root/link: symbolic link");
    assert!(fs::symlink_metadata(to.path().join("root/link")).is_err());
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_fails_and_leaves_nothing() {
    let (from, to) = places();
    let (path, other) = (from.path().join("root/sub/big"), from.path().join("root/sub/deep/small"));
    let mut sender = Sender::new(vec![path.clone(), other], (0, 0));
    let mut receiver = Receiver::new(Place::open(to.path()).unwrap(), POLICY);
    let mut says = Vec::new();
    let mut pieces = 0;
    loop {
        match sender.poll() {
            Step::Send(outgoing) => {
                if outgoing.channel == DATA {
                    pieces += 1;
                    fs::File::options().write(true).open(&path).unwrap().set_len(CONTENT_LEN as u64 + 1).unwrap();
                }
                receive(&mut receiver, &outgoing).unwrap();
                answers(&mut receiver, &mut sender, &mut says);
            }
            Step::Say(Notice { name, .. }) => assert_eq!(name, "big"),
            Step::Finished => break,
            Step::Again | Step::Wait => (),
        }
    }
    assert!(pieces > 1);
    assert_eq!(receiver.totals().reason, Some(Reason::Changed));
    assert_eq!((receiver.totals().files, receiver.totals().failed), (1, 1));
    assert_eq!(says, ["failed big: the peer says: changed while it was sent"]);
    let names: Vec<_> = listing(to.path()).into_iter().map(|(path, ..)| path).collect();
    assert_eq!(names, [Path::new("small")]);
}

/// A receiver that has been greeted, and the directory that it writes into, inside another one.
fn greeted() -> (TempDir, Receiver) {
    let temp = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::new(Place::open(&temp.path().join("in")).unwrap(), POLICY);
    receiver.handle(CONTROL, &Message::Hello { version: VERSION, files: 0, bytes: 0 }).unwrap();
    assert_eq!(receiver.poll(), Step::Send(Outgoing::new(CONTROL, &Message::Hello { version: 1, files: 0, bytes: 0 })));
    assert_eq!(receiver.poll(), Step::Wait);
    (temp, receiver)
}

const META: Meta = Meta { mode: 0o600, mtime_s: 0, mtime_ns: 0 };

fn offer(number: u64, kind: Kind, size: u64, path: &[u8]) -> Message<'_> {
    Message::Offer(Offer { number, kind, meta: META, size, path })
}

/// The reason of the ERROR that the receiver answers with.
fn refused(receiver: &mut Receiver) -> Option<Reason> {
    let mut reason = None;
    loop {
        match receiver.poll() {
            Step::Send(Outgoing { tag, body, .. }) => {
                if let Ok(Message::Error { reason: said, .. }) = Message::decode(tag, &body) {
                    reason = Some(said);
                }
            }
            Step::Say(_) => (),
            _ => return reason,
        }
    }
}

#[test]
fn a_hostile_sender_cannot_leave_the_directory() {
    let (temp, mut receiver) = greeted();
    symlink(temp.path(), temp.path().join("in/link")).unwrap();
    let paths: [&[u8]; 8] = [b"../x", b"/tmp/x", b"..", b"", b"a/../../x", b"./x", b"x/", b"x\0y"];
    for (number, path) in paths.into_iter().enumerate() {
        receiver.handle(CONTROL, &offer(number as u64, Kind::File, 0, path)).unwrap();
        assert_eq!(refused(&mut receiver), Some(Reason::Name), "{path:?}");
    }
    receiver.handle(CONTROL, &offer(8, Kind::Begin, 0, b"link")).unwrap();
    assert_eq!(refused(&mut receiver), Some(Reason::NotDirectory));
    receiver.handle(CONTROL, &offer(9, Kind::File, 0, b"link/x")).unwrap();
    assert_eq!(refused(&mut receiver), Some(Reason::NotDirectory));
    receiver.handle(CONTROL, &offer(10, Kind::End, 0, b"link")).unwrap();
    assert_eq!(refused(&mut receiver), Some(Reason::Directory));
    receiver.handle(CONTROL, &offer(11, Kind::Begin, 0, b"..")).unwrap();
    assert_eq!(refused(&mut receiver), Some(Reason::Name));
    receiver.handle(CONTROL, &offer(12, Kind::End, 0, b"..")).unwrap();
    assert_eq!(refused(&mut receiver), Some(Reason::Directory));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(temp.path().join("in")).unwrap().count(), 1);
    assert_eq!(receiver.totals().failed, 11);
}

#[test]
fn a_hostile_sender_cannot_replace_what_another_one_has_sent_half_of() {
    let policy = Policy { existing: Existing::Replace, ..POLICY };
    let temp = tempfile::tempdir().unwrap();
    let begin = || {
        let mut receiver = Receiver::new(Place::open(temp.path()).unwrap(), policy);
        receiver.handle(CONTROL, &Message::Hello { version: VERSION, files: 0, bytes: 0 }).unwrap();
        receiver
    };
    let (mut honest, mut hostile) = (begin(), begin());
    honest.handle(CONTROL, &offer(0, Kind::File, 4, b"file")).unwrap();
    honest.handle(DATA, &Message::Data { number: 0, content: b"1234" }).unwrap();
    let partial = listing(temp.path()).remove(0).0.into_os_string().into_encoded_bytes();
    for (number, kind) in [Kind::File, Kind::Begin].into_iter().enumerate() {
        hostile.handle(CONTROL, &offer(number as u64, kind, 4, &partial)).unwrap();
        assert_eq!(refused(&mut hostile), Some(Reason::Name));
    }
    honest.handle(DATA, &Message::Hash { number: 0, hash: *blake3::hash(b"1234").as_bytes() }).unwrap();
    assert_eq!(refused(&mut honest), None);
    assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"1234");
}

#[test]
fn a_link_that_appears_after_the_offer_is_not_followed() {
    let (temp, mut receiver) = greeted();
    receiver.handle(CONTROL, &offer(0, Kind::Begin, 0, b"a")).unwrap();
    receiver.handle(CONTROL, &offer(1, Kind::File, 1, b"a/x")).unwrap();
    receiver.handle(CONTROL, &offer(2, Kind::End, 0, b"a")).unwrap();
    receiver.handle(CONTROL, &offer(3, Kind::File, 1, b"y")).unwrap();
    fs::remove_dir(temp.path().join("in/a")).unwrap();
    symlink(temp.path(), temp.path().join("in/a")).unwrap();
    receiver.handle(DATA, &Message::Data { number: 1, content: b"x" }).unwrap();
    assert_eq!(refused(&mut receiver), Some(Reason::NotDirectory));
    receiver.handle(DATA, &Message::Hash { number: 1, hash: [0; 32] }).unwrap();
    assert!(!temp.path().join("x").exists());
}

#[test]
fn content_that_differs_from_its_hash_is_not_kept() {
    let (temp, mut receiver) = greeted();
    receiver.handle(CONTROL, &offer(0, Kind::File, 4, b"file")).unwrap();
    receiver.handle(DATA, &Message::Data { number: 0, content: b"1234" }).unwrap();
    assert_eq!(fs::read_dir(temp.path().join("in")).unwrap().count(), 1);
    receiver.handle(DATA, &Message::Hash { number: 0, hash: *blake3::hash(b"1235").as_bytes() }).unwrap();
    assert_eq!(refused(&mut receiver), Some(Reason::Integrity));
    assert_eq!(fs::read_dir(temp.path().join("in")).unwrap().count(), 0);
}

#[test]
fn a_name_taken_during_the_transfer_is_told_as_one_taken_before() {
    type Take = fn(&Path);
    let taken: [(Take, &str); 2] = [
        (|path| fs::write(path, "mine").unwrap(), "failed file: is there already (--overwrite replaces)"),
        (|path| fs::create_dir(path).unwrap(), "failed file: a directory of that name is there"),
    ];
    for (take, told) in taken {
        let (temp, mut receiver) = greeted();
        receiver.handle(CONTROL, &offer(0, Kind::File, 4, b"file")).unwrap();
        receiver.handle(DATA, &Message::Data { number: 0, content: b"1234" }).unwrap();
        take(&temp.path().join("in/file"));
        receiver.handle(DATA, &Message::Hash { number: 0, hash: *blake3::hash(b"1234").as_bytes() }).unwrap();
        receiver.handle(CONTROL, &offer(1, Kind::File, 4, b"file")).unwrap();
        let mut says = Vec::new();
        loop {
            match receiver.poll() {
                Step::Say(notice) => says.push(notice.to_string()),
                Step::Send(_) => (),
                _ => break,
            }
        }
        assert_eq!(says, [told; 2], "during its transfer, and at its offer");
    }
}

#[test]
fn a_receiver_that_is_dropped_leaves_nothing_partial() {
    let (temp, mut receiver) = greeted();
    receiver.handle(CONTROL, &offer(0, Kind::File, 4, b"file")).unwrap();
    receiver.handle(DATA, &Message::Data { number: 0, content: b"12" }).unwrap();
    drop(receiver);
    assert_eq!(fs::read_dir(temp.path().join("in")).unwrap().count(), 0);
}

#[test]
fn what_was_kept_is_not_sent_again() {
    let (from, to) = places();
    let path = from.path().join("root/sub/big");
    let policy = Policy { unfinished: Unfinished::Keep, ..POLICY };
    let (mut says, mut pieces) = (Vec::new(), Vec::new());
    for stop in [true, false] {
        let mut sender = Sender::new(vec![path.clone()], (0, 0));
        let mut receiver = Receiver::new(Place::open(to.path()).unwrap(), policy);
        loop {
            match sender.poll() {
                Step::Send(outgoing) => {
                    receive(&mut receiver, &outgoing).unwrap();
                    answers(&mut receiver, &mut sender, &mut says);
                    if let Ok(Message::Data { content, .. }) = Message::decode(outgoing.tag, &outgoing.body) {
                        pieces.push(content.len());
                        if stop {
                            break;
                        }
                    }
                }
                Step::Finished => break,
                Step::Again => (),
                other => panic!("{other:?}"),
            }
        }
        drop(receiver);
        assert_eq!(to.path().join("big").exists(), !stop);
    }
    assert_eq!(pieces, [CONTENT_LEN, CONTENT_LEN, 1]);
    assert_eq!(fs::read(to.path().join("big")).unwrap(), fs::read(path).unwrap());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
}

#[test]
fn what_was_kept_and_is_wrong_goes() {
    let temp = tempfile::tempdir().unwrap();
    let policy = Policy { unfinished: Unfinished::Keep, ..POLICY };
    let begin = || {
        let mut receiver = Receiver::new(Place::open(temp.path()).unwrap(), policy);
        receiver.handle(CONTROL, &Message::Hello { version: VERSION, files: 0, bytes: 0 }).unwrap();
        receiver.handle(CONTROL, &offer(0, Kind::File, 4, b"file")).unwrap();
        receiver
    };
    let mut receiver = begin();
    receiver.handle(DATA, &Message::Data { number: 0, content: b"xx" }).unwrap();
    drop(receiver);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    let mut receiver = begin();
    assert_eq!(receiver.bytes(), 2);
    receiver.handle(DATA, &Message::Data { number: 0, content: b"34" }).unwrap();
    receiver.handle(DATA, &Message::Hash { number: 0, hash: *blake3::hash(b"1234").as_bytes() }).unwrap();
    assert_eq!(refused(&mut receiver), Some(Reason::Integrity));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn violations_are_found() {
    let hash = *blake3::hash(b"12").as_bytes();
    let file = || offer(0, Kind::File, 2, b"file");
    let data = |content| Message::Data { number: 0, content };
    let scripts: [(&str, Vec<(u16, Message<'_>)>); 14] = [
        ("a second greeting", vec![(CONTROL, Message::Hello { version: 1, files: 0, bytes: 0 })]),
        ("a number left out", vec![(CONTROL, offer(1, Kind::File, 0, b"a"))]),
        ("a number twice", vec![(CONTROL, file()), (CONTROL, file())]),
        ("an offer on the data channel", vec![(DATA, file())]),
        ("content on the control channel", vec![(CONTROL, file()), (CONTROL, data(b"1"))]),
        ("content of nothing", vec![(DATA, data(b"1"))]),
        ("too much", vec![(CONTROL, file()), (DATA, data(b"123"))]),
        ("too much, later", vec![(CONTROL, file()), (DATA, data(b"12")), (DATA, data(b"3"))]),
        ("too little", vec![(CONTROL, file()), (DATA, data(b"1")), (DATA, Message::Hash { number: 0, hash })]),
        ("an end before its begin", vec![(CONTROL, offer(0, Kind::End, 0, b"a"))]),
        ("another end", vec![(CONTROL, offer(0, Kind::Begin, 0, b"a")), (CONTROL, offer(1, Kind::End, 0, b"b"))]),
        ("a file elsewhere", vec![(CONTROL, offer(0, Kind::Begin, 0, b"a")), (CONTROL, offer(1, Kind::File, 0, b"b"))]),
        ("the end too early", vec![(CONTROL, file()), (CONTROL, Message::End(Totals::default()))]),
        ("other totals", vec![(CONTROL, Message::End(Totals { files: 1, ..Totals::default() }))]),
    ];
    for (what, script) in scripts {
        let (_temp, mut receiver) = greeted();
        let (last, first) = script.split_last().unwrap();
        for (channel, message) in first {
            receiver.handle(*channel, message).unwrap();
        }
        assert!(matches!(receiver.handle(last.0, &last.1), Err(Broken::Violation(_))), "{what}");
    }
}

#[test]
fn offers_ahead_at_the_limit() {
    let (_temp, mut receiver) = greeted();
    let names: Vec<String> = (0..=UNSETTLED_MAX).map(|at| format!("{at}")).collect();
    for (number, name) in names.iter().enumerate() {
        let taken = receiver.handle(CONTROL, &offer(number as u64, Kind::File, 1, name.as_bytes()));
        assert_eq!(taken.is_ok(), number < UNSETTLED_MAX, "{number}");
    }
}

#[test]
fn another_version_is_told_apart_from_nonsense() {
    let hello = Message::Hello { version: 2, files: 0, bytes: 0 };
    let temp = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::new(Place::open(temp.path()).unwrap(), POLICY);
    assert_eq!(receiver.handle(CONTROL, &hello), Err(Broken::Version(2)));
    assert_eq!(Sender::new(Vec::new(), (0, 0)).handle(CONTROL, &hello), Err(Broken::Version(2)));
    let mut receiver = Receiver::new(Place::open(temp.path()).unwrap(), POLICY);
    assert!(receiver.handle(CONTROL, &Message::Done { number: 0 }).is_err());
}

/// A sender of one file of four bytes that has offered it.
fn offered() -> (TempDir, Sender) {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("file"), "1234").unwrap();
    let mut sender = Sender::new(vec![temp.path().join("file")], (1, 4));
    assert_eq!(sender.poll(), Step::Send(Outgoing::new(CONTROL, &Message::Hello { version: 1, files: 1, bytes: 4 })));
    assert!(matches!(sender.poll(), Step::Send(Outgoing { channel: CONTROL, .. })));
    assert_eq!(sender.poll(), Step::Wait);
    sender.handle(CONTROL, &Message::Hello { version: 1, files: 0, bytes: 0 }).unwrap();
    (temp, sender)
}

#[test]
fn a_sender_sends_what_is_missing_and_the_hash_of_all() {
    let (_temp, mut sender) = offered();
    sender.handle(CONTROL, &Message::Want { number: 0, from: 3 }).unwrap();
    assert_eq!(sender.poll(), Step::Again);
    assert_eq!(sender.poll(), Step::Send(Outgoing::new(DATA, &Message::Data { number: 0, content: b"4" })));
    let hash = *blake3::hash(b"1234").as_bytes();
    assert_eq!(sender.poll(), Step::Send(Outgoing::new(DATA, &Message::Hash { number: 0, hash })));
    assert_eq!(sender.poll(), Step::Wait);
    sender.handle(CONTROL, &Message::Done { number: 0 }).unwrap();
    let totals = Totals { files: 1, bytes: 4, ..Totals::default() };
    assert_eq!(sender.poll(), Step::Send(Outgoing::new(CONTROL, &Message::End(totals))));
    assert_eq!(sender.poll(), Step::Wait);
    sender.handle(CONTROL, &Message::End(totals)).unwrap();
    assert_eq!(sender.poll(), Step::Finished);
}

#[test]
fn a_full_disk_stops_the_file_and_only_it() {
    let (_temp, mut sender) = offered();
    sender.handle(CONTROL, &Message::Want { number: 0, from: 0 }).unwrap();
    assert!(matches!(sender.poll(), Step::Send(Outgoing { channel: DATA, .. })));
    let error = Message::Error { number: 0, reason: Reason::DiskFull, text: "no \u{1b}[1mroom" };
    sender.handle(CONTROL, &error).unwrap();
    let Step::Say(notice) = sender.poll() else { panic!("the user is told") };
    assert_eq!(notice.to_string(), "failed file: the peer says: no \\u{1b}[1mroom");
    let stopped = Message::Error { number: 0, reason: Reason::Stopped, text: "" };
    assert_eq!(sender.poll(), Step::Send(Outgoing::new(DATA, &stopped)));
    assert_eq!(sender.totals().exit(), crate::cli::exit::Exit::DiskFull);
    assert!(matches!(sender.poll(), Step::Send(Outgoing { channel: CONTROL, .. })));
}

#[test]
fn a_receiver_that_breaks_the_rules_is_found_out() {
    let scripts: [&[Message<'_>]; 8] = [
        &[Message::Done { number: 0 }],
        &[Message::Done { number: 1 }],
        &[Message::Want { number: 1, from: 0 }],
        &[Message::Want { number: 0, from: 5 }],
        &[Message::Want { number: 0, from: 0 }, Message::Want { number: 0, from: 0 }],
        &[Message::Error { number: 1, reason: Reason::Other, text: "" }],
        &[Message::End(Totals::default())],
        &[Message::Hash { number: 0, hash: [0; 32] }],
    ];
    for script in scripts {
        let (_temp, mut sender) = offered();
        let (last, first) = script.split_last().unwrap();
        for message in first {
            sender.handle(CONTROL, message).unwrap();
        }
        assert!(matches!(sender.handle(CONTROL, last), Err(Broken::Violation(_))), "{script:?}");
    }
}
