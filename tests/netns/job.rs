//! The tool as a process, and trees of files to send.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use udpair::proto::{self, Drained, Endpoint, Output, PathLimits};
use udpair::time::Timestamp;

/// The binary under test.
pub(crate) const TOOL: &str = env!("CARGO_BIN_EXE_udpair");

/// A running process of the tool. Ended, by its handle, when dropped.
pub(crate) struct Job {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    peak_kib: u64,
    /// What it listens on, where it said so.
    pub(crate) address: String,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    #[expect(dead_code, reason = "shown by Debug when an assertion fails")]
    pub(crate) stderr: String,
    pub(crate) peak_mib: u64,
}

impl Job {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool starts");
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let read = |mut from: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut text = String::new();
                let _ = from.read_to_string(&mut text);
                text
            })
        };
        Self {
            stdout: Some(read(Box::new(stdout))),
            stderr: Some(read(Box::new(stderr))),
            child,
            peak_kib: 0,
            address: String::new(),
        }
    }

    /// Starts a process that listens, and waits until it says on what.
    pub(crate) fn listening(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the tool starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let address =
            line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}")).to_owned();
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            text
        });
        Self { child, stdout: Some(rest), stderr: None, peak_kib: 0, address }
    }

    /// Waits for its end, watching its memory meanwhile.
    pub(crate) fn finish(&mut self) -> Ended {
        let [ended] = Self::finish_all([self]);
        ended
    }

    /// Waits for the end of all, watching their memory meanwhile.
    pub(crate) fn finish_all<const N: usize>(mut jobs: [&mut Self; N]) -> [Ended; N] {
        let (_never, ticks) = std::sync::mpsc::channel::<()>();
        let mut statuses = [None; N];
        while statuses.iter().any(Option::is_none) {
            for (job, status) in jobs.iter_mut().zip(&mut statuses) {
                job.peak_kib = job.peak_kib.max(job.status_kib("VmHWM:"));
                *status = status.or(job.child.try_wait().expect("our own child"));
            }
            let _ = ticks.recv_timeout(std::time::Duration::from_millis(2));
        }
        let mut statuses = statuses.into_iter().flatten();
        jobs.map(|job| job.ended(statuses.next().expect("one for each")))
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        let text =
            |reader: Option<JoinHandle<String>>| reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        Ended {
            code: status.code(),
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
            peak_mib: self.peak_kib.div_ceil(1024),
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        !self.has_ended()
    }

    pub(crate) fn resident_mib(&self) -> u64 {
        self.status_kib("VmRSS:").div_ceil(1024)
    }

    /// A figure of the process's own: `ip netns exec` becomes the program that it starts.
    fn status_kib(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next number of a xorshift generator: enough to tell bytes apart.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// What a real client sends from `socket` while it connects to `to` and says something.
pub(crate) fn record_client(socket: &UdpSocket, to: SocketAddr) -> Vec<Vec<u8>> {
    let mut endpoint = Endpoint::new(proto::Config { backlog: 0, ..proto::Config::default() }, [9; 32]);
    let began = Instant::now();
    let now = || Timestamp::from_nanos(1 + u64::try_from(began.elapsed().as_nanos()).expect("seconds"));
    let id = endpoint.connect(now(), to, PathLimits::unlimited(to)).expect("an address to call");
    let mut said = false;
    let (mut recorded, mut out, mut bytes) = (Vec::new(), Vec::new(), vec![0; 65_536]);
    for _ in 0..20 {
        said = said || endpoint.messages_mut(id).expect("known").send(0, 0, vec![7; 900].into()).is_ok();
        while let Output::Transmit(transmit) = endpoint.poll_output(now(), &mut out) {
            let segment = transmit.segment.unwrap_or(transmit.len);
            for datagram in out.chunks(segment) {
                recorded.push(datagram.to_vec());
                socket.send_to(datagram, to).expect("loopback");
            }
        }
        if let Ok((len, from)) = socket.recv_from(&mut bytes) {
            endpoint.handle_datagram(now(), from, None, &mut bytes[..len]);
            endpoint.handle_batch_end(Drained::ByWaiter);
        }
        endpoint.handle_timeout(now());
    }
    assert!(said, "not established");
    recorded
}

/// A datagram of noise, or a `real` one with some bytes changed, half of those with a right checksum again.
pub(crate) fn mutated(seed: &mut u64, real: &[Vec<u8>], datagram: &mut [u8]) -> usize {
    let any = |seed: &mut u64, below: usize| usize::try_from(next(seed) % below as u64).expect("below a usize");
    if next(seed).is_multiple_of(4) {
        let len = any(seed, datagram.len());
        for chunk in datagram[..len].chunks_mut(8) {
            let bytes = next(seed).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        return len;
    }
    let one = &real[any(seed, real.len())];
    let len = one.len().min(datagram.len());
    datagram[..len].copy_from_slice(&one[..len]);
    for _ in 0..=any(seed, 4) {
        let at = any(seed, len);
        datagram[at] = u8::try_from(next(seed) % 256).expect("a byte");
    }
    if next(seed).is_multiple_of(2) {
        let crc = crc32fast::hash(&datagram[..len - 4]);
        datagram[len - 4..len].copy_from_slice(&crc.to_be_bytes());
    }
    len
}

/// How many files there are in a tree.
pub(crate) fn count_files(root: &Path) -> usize {
    list(root).values().flatten().count()
}

/// A file of so many megabytes that no compression or repetition could make shorter.
pub(crate) fn make_file(path: &Path, megabytes: usize) {
    let mut file = std::io::BufWriter::new(fs::File::create(path).expect("a new file"));
    let mut seed = 42 + megabytes as u64;
    let mut block = vec![0u8; 1 << 20];
    for _ in 0..megabytes {
        for chunk in block.chunks_mut(8) {
            chunk.copy_from_slice(&next(&mut seed).to_le_bytes());
        }
        file.write_all(&block).expect("room on the disk");
    }
    file.flush().expect("room on the disk");
}

/// Files of many small sizes in nested directories.
pub(crate) fn make_tree(root: &Path, files: usize) {
    let mut seed = 7;
    for at in 0..files {
        let dir = root.join(format!("d{}", at % 17)).join(format!("e{}", at % 5));
        fs::create_dir_all(&dir).expect("a new directory");
        let len = usize::try_from(next(&mut seed) % 40_000).expect("small") * usize::from(at % 11 != 0);
        let content: Vec<u8> = (0..len).map(|_| u8::try_from(next(&mut seed) % 256).expect("a byte")).collect();
        fs::write(dir.join(format!("file {at}")), content).expect("room on the disk");
    }
}

fn list(root: &Path) -> BTreeMap<PathBuf, Option<PathBuf>> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let name = path.strip_prefix(root).expect("below the root").to_owned();
        if path.is_dir() {
            left.extend(fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
            found.insert(name, None);
        } else {
            found.insert(name, Some(path));
        }
    }
    found
}

/// That both hold the same names with the same bytes.
pub(crate) fn same_tree(a: &Path, b: &Path) {
    let (in_a, in_b) = (list(a), list(b));
    assert!(in_a.keys().eq(in_b.keys()), "other names in {} than in {}", b.display(), a.display());
    for (path_a, path_b) in in_a.values().zip(in_b.values()) {
        if let (Some(path_a), Some(path_b)) = (path_a, path_b) {
            same_file(path_a, path_b);
        }
    }
}

fn same_file(a: &Path, b: &Path) {
    let open = |path: &Path| fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut file_a, mut file_b) = (open(a), open(b));
    let (mut part_a, mut part_b) = (Vec::new(), Vec::new());
    loop {
        part_a.clear();
        part_b.clear();
        (&mut file_a).take(1 << 20).read_to_end(&mut part_a).expect("readable");
        (&mut file_b).take(1 << 20).read_to_end(&mut part_b).expect("readable");
        assert!(part_a == part_b, "{} and {} differ", a.display(), b.display());
        if part_a.is_empty() {
            return;
        }
    }
}
