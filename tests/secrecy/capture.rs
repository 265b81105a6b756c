//! What tshark captures on the loopback interface of a network namespace of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// A datagram of so many bytes is a mark: the capture has come so far.
const MARK_LENS: [usize; 2] = [77, 78];
/// Where the marks go: nobody listens there.
const MARK_PORT: u16 = 29_999;
/// A mark is sent again after so long.
const AGAIN: Duration = Duration::from_millis(50);
/// So often; only where nothing is captured at all.
const TIMES_MAX: usize = 400;

/// What makes the test [`mark`] send one, of so many bytes.
const ROLE: &str = "UDPAIR_SECRECY_MARK";

pub(crate) struct Capture {
    namespace: String,
    tshark: Child,
    lines: Receiver<String>,
    dir: tempfile::TempDir,
}

impl Capture {
    /// It is running. `None`, with the reason said, where the machine does not let us.
    pub(crate) fn start() -> Option<Self> {
        for (tool, arg) in [("ip", "-Version"), ("tshark", "--version")] {
            if Command::new(tool).arg(arg).output().is_err() {
                println!("skipped: no `{tool}` on this machine");
                return None;
            }
        }
        let namespace = format!("udpair-secrecy{}", std::process::id());
        if !run(&["netns", "add", &namespace]) {
            println!("skipped: network namespaces need root");
            return None;
        }
        assert!(run(&["-n", &namespace, "link", "set", "lo", "up"]));
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut tshark = in_namespace(&namespace, Path::new("tshark"));
        // A line for each packet as soon as it is there, beside the file.
        tshark.args(["-n", "-i", "lo", "-l", "-P", "-w"]).arg(dir.path().join("capture"));
        let mut tshark = tshark.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("tshark starts");
        let (tell, lines) = mpsc::channel();
        let stdout = BufReader::new(tshark.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Nobody listens any more when the test has failed.
                let _ = tell.send(line);
            }
        });
        let mut capture = Self { namespace, tshark, lines, dir };
        capture.wait_for_mark(MARK_LENS[0]);
        Some(capture)
    }

    /// A command whose traffic is captured.
    pub(crate) fn command(&self, program: &Path) -> Command {
        in_namespace(&self.namespace, program)
    }

    /// All that was captured, as it stands in the file.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.wait_for_mark(MARK_LENS[1]);
        let pid = rustix::process::Pid::from_child(&self.tshark);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours");
        self.tshark.wait().expect("tshark ends");
        std::fs::read(self.dir.path().join("capture")).expect("tshark's file")
    }

    /// Sends marks until one was captured: then everything before it was, too.
    fn wait_for_mark(&mut self, len: usize) {
        let told = format!("{MARK_PORT} Len={len}");
        for _ in 0..TIMES_MAX {
            let mut mark = self.command(&std::env::current_exe().expect("this test"));
            mark.args(["--exact", "capture::mark"]).env(ROLE, len.to_string()).stdout(Stdio::null());
            assert!(mark.status().expect("this test starts once more").success());
            while let Ok(line) = self.lines.recv_timeout(AGAIN) {
                if line.contains(&told) {
                    return;
                }
            }
            assert!(self.tshark.try_wait().expect("it is ours").is_none(), "tshark has ended");
        }
        panic!("tshark captures nothing");
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.tshark.kill();
        let _ = self.tshark.wait();
        run(&["netns", "del", &self.namespace]);
    }
}

fn in_namespace(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> bool {
    Command::new("ip").args(args).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// No test of its own: sends a mark.
#[test]
fn mark() {
    let Some(len) = std::env::var(ROLE).ok().and_then(|len| len.parse().ok()) else { return };
    let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.send_to(&vec![0; len], ("127.0.0.1", MARK_PORT)).unwrap();
}
