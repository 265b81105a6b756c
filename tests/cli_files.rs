//! `udpair send` and `udpair recv` as a user runs them, over loopback, and against peers that this file plays itself.

#![cfg(all(unix, feature = "cli"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

#[path = "cli_files/receivers.rs"]
mod receivers;
#[path = "cli_files/several.rs"]
mod several;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use udpair::transport::{Body, RecvError};
use udpair::{Config, Connection, Transport};

/// The transports that every test runs over.
const TRANSPORTS: [&str; 2] = ["udp", "tcp"];

/// Longer than anything takes: only a bug waits for it.
const STUCK: Duration = Duration::from_secs(60);
/// Silence after which a peer is given up, where a test waits for that.
const SHORT: [&str; 2] = ["--timeout", "0.3"];
/// The same where a living peer has to answer within it, on a machine that is busy with other things.
const PATIENCE: [&str; 2] = ["--timeout", "2"];

const HELLO: u16 = 1;
const OFFER: u16 = 2;
const WANT: u16 = 3;
const DATA: u16 = 4;
const HASH: u16 = 5;
const DONE: u16 = 6;
const ERROR: u16 = 7;
const END: u16 = 8;

fn tool(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpair"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running `udpair recv`, killed when dropped.
struct Receiver {
    child: Child,
    stdout: BufReader<ChildStdout>,
    addr: String,
}

impl Receiver {
    fn start(transport: &str, dir: &Path, args: &[&str]) -> Self {
        let mut command = tool(&["recv", "--listen", "127.0.0.1:0", "--insecure-plain", "--transport", transport]);
        command.arg("--dir").arg(dir).args(args);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, stdout, addr }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, what it said on stdout after its address, and on stderr.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stdout, stderr)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sender(transport: &str, to: &str, paths: &[&Path], args: &[&str]) -> Command {
    let mut command = tool(&["send", "--to", to, "--insecure-plain", "--transport", transport]);
    command.args(args).args(paths);
    command
}

fn send(transport: &str, to: &str, paths: &[&Path]) -> Output {
    sender(transport, to, paths, &[]).output().unwrap()
}

/// What a report says of both sides alike: the counts.
fn counts(report: &str) -> (String, String) {
    let (_, rest) = report.trim_end().split_once(' ').unwrap_or_else(|| panic!("{report:?}"));
    let (arrived, _) = rest.split_once(" in ").unwrap_or_else(|| panic!("{report:?}"));
    let (_, left) = rest.split_once("; ").unwrap_or_else(|| panic!("{report:?}"));
    let (left, _) = left.split_once(" failed").unwrap_or_else(|| panic!("{report:?}"));
    (arrived.to_owned(), left.to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
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
    let time = std::time::UNIX_EPOCH + Duration::new(mtime_s, 987_654_321);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory with a tree `root` to send, and one to receive it.
fn places() -> (TempDir, TempDir) {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = from.path().join("root");
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    fs::write(root.join("nothing"), "").unwrap();
    fs::write(root.join("sub/big"), (0..=250).cycle().take(3_000_000).collect::<Vec<u8>>()).unwrap();
    fs::write(root.join("sub/deep/small"), "small").unwrap();
    let set_all = [("nothing", 0o400), ("sub/big", 0o755), ("sub/deep/small", 0o604), ("sub/deep", 0o555)];
    for (path, mode) in set_all.into_iter().chain([("sub", 0o700), ("empty", 0o750), ("", 0o711)]) {
        set(&root.join(path), mode, 1_000_000_000 + u64::from(mode));
    }
    (from, to)
}

#[test]
fn files_and_trees_arrive_as_they_were() {
    for transport in TRANSPORTS {
        let (from, to) = places();
        fs::write(from.path().join("single"), "one file").unwrap();
        fs::write(from.path().join("void"), "").unwrap();
        let receiver = Receiver::start(transport, to.path(), &["--once"]);
        let paths = [from.path().join("root"), from.path().join("single"), from.path().join("void")];
        let sent = send(transport, &receiver.addr, &[&paths[0], &paths[1], &paths[2]]);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        let (code, report, stderr) = receiver.end();
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(counts(&text(&sent.stdout)), counts(&report));
        assert_eq!(counts(&report), ("5 files, 4 directories, 3000013 bytes".into(), "0 skipped, 0".into()));
        assert_eq!(stderr + &text(&sent.stderr), "", "no bar where there is no terminal");
        assert_eq!(listing(to.path()), listing(from.path()));
    }
}

#[test]
fn thousands_of_small_files_arrive() {
    for transport in TRANSPORTS {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = from.path().join("root");
        for at in 0..2_000 {
            let dir = root.join(format!("{}", at % 50));
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(format!("{at}")), format!("{at}").repeat(at % 300)).unwrap();
        }
        let receiver = Receiver::start(transport, to.path(), &["--once"]);
        let sent = send(transport, &receiver.addr, &[&root]);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        assert_eq!(receiver.end().0, Some(0));
        assert_eq!(listing(to.path()), listing(from.path()));
    }
}

#[test]
fn links_are_skipped_and_what_is_missing_fails() {
    for transport in TRANSPORTS {
        let (from, to) = places();
        symlink("/etc/passwd", from.path().join("root/link")).unwrap();
        let receiver = Receiver::start(transport, to.path(), &["--once"]);
        let sent = send(transport, &receiver.addr, &[&from.path().join("missing"), &from.path().join("root")]);
        assert_eq!(sent.status.code(), Some(8));
        let stderr = text(&sent.stderr);
        assert!(stderr.contains("skipped root/link: symbolic link"), "{stderr}");
        assert!(stderr.contains("missing: No such file"), "{stderr}");
        let (code, report, _) = receiver.end();
        assert_eq!((code, counts(&report).1), (Some(8), "1 skipped, 1".to_owned()));
        assert_eq!(counts(&text(&sent.stdout)), counts(&report));
        assert!(fs::symlink_metadata(to.path().join("root/link")).is_err());
    }
}

#[test]
fn what_is_there_stays_unless_it_may_be_replaced() {
    for transport in TRANSPORTS {
        let (from, to) = places();
        fs::create_dir_all(to.path().join("root/sub")).unwrap();
        fs::write(to.path().join("root/sub/big"), "mine").unwrap();
        let receiver = Receiver::start(transport, to.path(), &["--once"]);
        let sent = send(transport, &receiver.addr, &[&from.path().join("root")]);
        assert_eq!(sent.status.code(), Some(8));
        assert!(text(&sent.stderr).contains("failed root/sub/big: the peer says: is there already"));
        let (code, report, stderr) = receiver.end();
        assert_eq!((code, counts(&report).1), (Some(8), "0 skipped, 1".to_owned()));
        assert!(stderr.contains("failed root/sub/big: is there already"), "{stderr}");
        assert_eq!(fs::read(to.path().join("root/sub/big")).unwrap(), b"mine");
        assert_eq!(fs::read(to.path().join("root/sub/deep/small")).unwrap(), b"small");

        let receiver = Receiver::start(transport, to.path(), &["--once", "--overwrite"]);
        let sent = send(transport, &receiver.addr, &[&from.path().join("root")]);
        assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
        assert_eq!(receiver.end().0, Some(0));
        assert_eq!(listing(to.path()), listing(from.path()));
    }
}

#[test]
fn one_sender_after_another_until_interrupted() {
    for transport in TRANSPORTS {
        let (from, to) = places();
        let receiver = Receiver::start(transport, to.path(), &[]);
        for path in ["root/nothing", "root/sub/big", "root/nothing", "root/sub"] {
            let sent = send(transport, &receiver.addr, &[&from.path().join(path)]);
            let again = to.path().join("nothing").exists() && path == "root/nothing" && to.path().join("big").exists();
            assert_eq!(sent.status.code(), Some(if again { 8 } else { 0 }), "{path}: {}", text(&sent.stderr));
        }
        receiver.signal(Signal::INT);
        let (code, reports, _) = receiver.end();
        assert_eq!(code, Some(130));
        assert_eq!(reports.lines().count(), 4, "{reports}");
    }
}

#[test]
fn plain_text_must_be_asked_for() {
    for args in [&["send", "file", "--to", "127.0.0.1:9"][..], &["recv", "--listen", "127.0.0.1:0"]] {
        let output = tool(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("--insecure-plain"), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    assert_eq!(tool(&["send", "--nonsense"]).output().unwrap().status.code(), Some(2));
    let help = tool(&["recv", "--help"]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("130  interrupted"));
}

#[test]
fn addresses_that_cannot_be_used() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for transport in TRANSPORTS {
        for bad in ["nonsense", "127.0.0.1", "127.0.0.1:notaport", "127.0.0.1:0"] {
            let output = send(transport, bad, &[file.path()]);
            assert_eq!(output.status.code(), Some(7), "{bad}: {}", text(&output.stderr));
        }
        let dir = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(transport, dir.path(), &[]);
        for bad in ["nonsense", "192.0.2.1:0", &receiver.addr] {
            let args = ["recv", "--listen", bad, "--insecure-plain", "--transport", transport];
            let output = tool(&args).current_dir(dir.path()).output().unwrap();
            assert_eq!(output.status.code(), Some(7), "{bad}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn nobody_there_and_nobody_answering() {
    let file = tempfile::NamedTempFile::new().unwrap();
    // Bound, and silent: the kernel takes the TCP connection, the datagrams lie unread.
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let silent = [("udp", udp.local_addr().unwrap()), ("tcp", tcp.local_addr().unwrap())];
    for (transport, addr) in silent.into_iter().filter(|(transport, _)| TRANSPORTS.contains(transport)) {
        let output = sender(transport, &addr.to_string(), &[file.path()], &SHORT).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{transport}: {}", text(&output.stderr));
    }
    drop((udp, tcp));
    for (transport, addr) in silent.into_iter().filter(|(transport, _)| TRANSPORTS.contains(transport)) {
        let output = send(transport, &addr.to_string(), &[file.path()]);
        assert_eq!(output.status.code(), Some(3), "{transport}: {}", text(&output.stderr));
    }
}

/// A file that takes for ever to send and no room on the sender's disk.
fn endless(dir: &Path) -> PathBuf {
    let path = dir.join("endless");
    fs::File::create(&path).unwrap().set_len(1 << 42).unwrap();
    path
}

/// Waits until something has begun to arrive in `dir`.
fn await_partial(dir: &Path) {
    let start = Instant::now();
    while is_empty(dir) {
        assert!(start.elapsed() < STUCK, "nothing has begun to arrive");
        std::thread::yield_now();
    }
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn the_sender_learns_that_the_receiver_was_killed() {
    for transport in TRANSPORTS {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut receiver = Receiver::start(transport, to.path(), &PATIENCE);
        let child = sender(transport, &receiver.addr, &[&endless(from.path())], &PATIENCE).spawn().unwrap();
        await_partial(to.path());
        receiver.child.kill().unwrap();
        let sent = child.wait_with_output().unwrap();
        assert_eq!(sent.status.code(), Some(4), "{transport}: {}", text(&sent.stderr));
        assert!(!text(&sent.stderr).is_empty());
        assert!(!to.path().join("endless").exists());
    }
}

#[test]
fn the_receiver_learns_that_the_sender_was_killed() {
    for transport in TRANSPORTS {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let receiver = Receiver::start(transport, to.path(), &[&PATIENCE[..], &["--once"]].concat());
        let mut child = sender(transport, &receiver.addr, &[&endless(from.path())], &PATIENCE).spawn().unwrap();
        await_partial(to.path());
        child.kill().unwrap();
        child.wait().unwrap();
        let (code, report, stderr) = receiver.end();
        assert_eq!((code, &*report), (Some(4), ""), "{transport}: {stderr}");
        assert!(is_empty(to.path()), "what was partial is gone");
    }
}

#[test]
fn an_interrupt_cleans_up_and_tells_the_peer() {
    for transport in TRANSPORTS {
        for interrupted in ["receiver", "sender"] {
            let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let receiver = Receiver::start(transport, to.path(), &["--once"]);
            let child = sender(transport, &receiver.addr, &[&endless(from.path())], &[]).spawn().unwrap();
            await_partial(to.path());
            if interrupted == "receiver" {
                receiver.signal(Signal::TERM);
            } else {
                kill_process(Pid::from_child(&child), Signal::INT).unwrap();
            }
            let sent = child.wait_with_output().unwrap();
            let (code, _, stderr) = receiver.end();
            let told = "the peer ended the transfer: it was interrupted";
            if interrupted == "receiver" {
                assert_eq!((code, sent.status.code()), (Some(130), Some(4)), "{transport}: {stderr}");
                assert!(text(&sent.stderr).contains(told), "{transport}: {}", text(&sent.stderr));
            } else {
                assert_eq!((code, sent.status.code()), (Some(4), Some(130)), "{transport}: {stderr}");
                assert!(stderr.contains(told), "{transport}: {stderr}");
            }
            assert!(is_empty(to.path()), "{transport} {interrupted}: what was partial is gone");
        }
    }
}

#[test]
fn a_transfer_that_broke_off_is_gone_on_with() {
    for transport in TRANSPORTS {
        let to = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(transport, to.path(), &["--resume"]);
        let hostile = Peer::connect(transport, &receiver.addr);
        hostile.control(HELLO, b"udpf\0\x01\0\0");
        hostile.control(OFFER, &offer(0, 0, 4, b"file"));
        assert_eq!(hostile.expect(WANT), [0, 0]);
        hostile.data(DATA, b"\0ab");
        while fs::read_dir(to.path()).unwrap().next().is_none_or(|entry| entry.unwrap().metadata().unwrap().len() < 2) {
            std::thread::yield_now();
        }
        hostile.connection.abort(1);

        // Until the receiver has noticed, the file is still the first one's, and an offer of it is an error.
        let (again, wanted) = (0..1_000)
            .find_map(|_| {
                let again = Peer::connect(transport, &receiver.addr);
                again.control(HELLO, b"udpf\0\x01\0\0");
                again.control(OFFER, &offer(0, 0, 4, b"file"));
                let (tag, body) = again.next_but_greeting();
                (tag == WANT).then_some((again, body))
            })
            .expect("what broke off is noticed some time");
        assert_eq!(wanted, [0, 2]);
        again.data(DATA, b"\0cd");
        again.data(HASH, &[&[0], blake3::hash(b"abcd").as_bytes().as_slice()].concat());
        assert_eq!(again.expect(DONE), [0]);
        assert_eq!(fs::read(to.path().join("file")).unwrap(), b"abcd");
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_full_disk_is_named_on_both_sides() {
    for transport in TRANSPORTS {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("big"), vec![1; 3 << 20]).unwrap();
        fs::write(from.path().join("small"), "small").unwrap();
        // A file system of one MiB that only the receiver sees.
        let script = format!(
            "mount -t tmpfs -o size=1m none {to} && exec {tool} recv --listen 127.0.0.1:0 --dir {to} --insecure-plain \
             --transport {transport} --once",
            to = to.path().display(),
            tool = env!("CARGO_BIN_EXE_udpair"),
        );
        let unshare = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let mount = format!("mount -t tmpfs none {}", to.path().display());
        if !unshare(&mount).output().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: this system lets us mount nothing");
            return;
        }
        let receiver = Receiver::run(unshare(&script));
        let sent = send(transport, &receiver.addr, &[&from.path().join("big"), &from.path().join("small")]);
        assert_eq!(sent.status.code(), Some(5), "{}", text(&sent.stderr));
        assert!(text(&sent.stderr).contains("failed big: the peer says: No space left"), "{}", text(&sent.stderr));
        let (code, report, stderr) = receiver.end();
        assert_eq!(code, Some(5), "{stderr}");
        assert_eq!(counts(&report), ("1 file, 0 directories, 5 bytes".into(), "0 skipped, 1".into()));
    }
}

/// The other end of a transfer, played by the test: bytes as `spec/files.md` has them.
struct Peer {
    connection: Connection,
}

impl Peer {
    fn bind(transport: &str) -> Arc<dyn Transport> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        match transport {
            "udp" => udpair::udp::bind(any, Config::insecure_plain()).unwrap(),
            _ => udpair::tcp::bind(any, Config::insecure_plain()).unwrap(),
        }
    }

    fn connect(transport: &str, to: &str) -> Self {
        Self { connection: Connection::connect(&Self::bind(transport), to.parse().unwrap()).unwrap() }
    }

    fn control(&self, tag: u16, body: &[u8]) {
        self.connection.send_on(0, tag, body.to_vec()).unwrap();
    }

    fn data(&self, tag: u16, body: &[u8]) {
        self.connection.send_on(1, tag, body.to_vec()).unwrap();
    }

    /// The next message, whatever it is.
    fn next(&self) -> (u16, Vec<u8>) {
        let message = self.connection.recv().unwrap();
        let Body::Whole(body) = message.body else { panic!("messages of this protocol are short") };
        (message.tag, body.to_vec())
    }

    fn next_but_greeting(&self) -> (u16, Vec<u8>) {
        loop {
            match self.next() {
                (HELLO, _) => (),
                other => return other,
            }
        }
    }

    /// The body of the next message but a greeting, which must be a `tag`.
    fn expect(&self, tag: u16) -> Vec<u8> {
        let (found, body) = self.next_but_greeting();
        assert_eq!(found, tag, "{body:?}");
        body
    }

    /// How the connection ended, once it has.
    fn end(&self) -> RecvError {
        loop {
            if let Err(end) = self.connection.recv() {
                return end;
            }
        }
    }
}

/// The body of an OFFER; all numbers below 64.
fn offer(number: u8, kind: u8, size: u8, path: &[u8]) -> Vec<u8> {
    let mode_and_time = [1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [&[number, kind], mode_and_time.as_slice(), &[size], path].concat()
}

#[test]
fn a_hostile_sender_writes_nothing_outside() {
    for transport in TRANSPORTS {
        let (temp, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = temp.path().join("dir");
        fs::create_dir(&dir).unwrap();
        symlink(outside.path(), dir.join("link")).unwrap();
        let receiver = Receiver::start(transport, &dir, &["--once"]);
        let hostile = Peer::connect(transport, &receiver.addr);
        hostile.control(HELLO, b"udpf\0\x01\0\0");
        let absolute = outside.path().join("x").into_os_string().into_encoded_bytes();
        let paths: [&[u8]; 6] = [b"../x", &absolute, b"..", b"a/../../x", b"", b"x\0"];
        for (number, path) in (0..).zip(paths) {
            hostile.control(OFFER, &offer(number, 0, 0, path));
            assert_eq!(hostile.expect(ERROR)[..2], [number, 3], "{path:?}");
        }
        hostile.control(OFFER, &offer(6, 1, 0, b"link"));
        assert_eq!(hostile.expect(ERROR)[..2], [6, 8]);
        hostile.control(OFFER, &offer(7, 0, 0, b"link/x"));
        assert_eq!(hostile.expect(ERROR)[..2], [7, 8]);
        // Content that nobody asked for ends it.
        hostile.data(DATA, b"\x07x");
        assert!(hostile.connection.recv().is_err());
        let (code, _, stderr) = receiver.end();
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("the peer broke the file protocol"), "{stderr}");
        assert!(is_empty(outside.path()));
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }
}

#[test]
fn content_that_differs_from_its_hash_is_refused() {
    for transport in TRANSPORTS {
        let dir = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(transport, dir.path(), &["--once"]);
        let peer = Peer::connect(transport, &receiver.addr);
        peer.control(HELLO, b"udpf\0\x01\0\0");
        peer.control(OFFER, &offer(0, 0, 4, b"file"));
        assert_eq!(peer.expect(WANT), [0, 0]);
        peer.data(DATA, b"\0abcd");
        peer.data(HASH, &[0; 33]);
        assert_eq!(peer.expect(ERROR)[..2], [0, 6]);
        let end = [0, 0, 0, 0, 1, 6];
        peer.control(END, &end);
        assert_eq!(peer.expect(END), end);
        peer.connection.close(0);
        let (code, report, stderr) = receiver.end();
        assert_eq!(code, Some(9), "{stderr}");
        assert_eq!(counts(&report).1, "0 skipped, 1");
        assert!(is_empty(dir.path()));
    }
}
