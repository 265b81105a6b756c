//! The tool as a process, and trees of files to send.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

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
pub(crate) fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// A datagram of noise, or one that looks like ours at the front.
pub(crate) fn noise(seed: &mut u64, datagram: &mut [u8]) -> usize {
    let len = usize::try_from(next(seed) % 1_500).expect("small");
    for chunk in datagram[..len].chunks_mut(8) {
        let bytes = next(seed).to_le_bytes();
        chunk.copy_from_slice(&bytes[..chunk.len()]);
    }
    if len > 30 && next(seed).is_multiple_of(2) {
        datagram[0] = 0x10 | u8::try_from(next(seed) % 2).expect("small");
        datagram[1] = u8::try_from(next(seed) % 8).expect("small");
        // Half of those with a right checksum: noise must not even reach the parser otherwise.
        if next(seed).is_multiple_of(2) {
            repair(&mut datagram[..len]);
        }
    }
    len
}

/// Makes the checksum right.
fn repair(datagram: &mut [u8]) {
    if let Some((content, checksum)) = datagram.split_last_chunk_mut::<4>() {
        *checksum = crc32fast::hash(content).to_be_bytes();
    }
}

/// Changes a real datagram of `len` bytes at the front of `buffer`: some of its bytes, or its length. Mostly its
/// checksum is right afterwards. Returns how long it is then.
pub(crate) fn mutate(seed: &mut u64, buffer: &mut [u8], len: usize) -> usize {
    let mut any = |below: usize| usize::try_from(next(seed)).expect("64 bits") % below.max(1);
    let len = match any(4) {
        0 => any(len + 1),
        1 => (len + any(40)).min(buffer.len()),
        _ => len,
    };
    for _ in 0..any(5) {
        // Most of what decides stands in front.
        let reach = if any(2) == 0 { len } else { len.min(40) };
        if reach > 0 {
            let (at, bits) = (any(reach), any(256));
            buffer[at] ^= u8::try_from(bits).expect("a byte");
        }
    }
    if any(8) > 0 {
        repair(&mut buffer[..len]);
    }
    len
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

/// How many files there are below `root`; none where it is not there.
pub(crate) fn count_files(root: &Path) -> usize {
    let mut count = 0;
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => left.extend(entries.filter_map(Result::ok).map(|entry| entry.path())),
            Err(_) => count += usize::from(path.is_file()),
        }
    }
    count
}

/// The names below `root` with the hashes of what they hold; directories hold nothing.
fn hashes(root: &Path) -> BTreeMap<PathBuf, Option<blake3::Hash>> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let name = path.strip_prefix(root).expect("below the root").to_owned();
        if path.is_dir() {
            left.extend(fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
            found.insert(name, None);
        } else {
            found.insert(name, Some(hash(&path)));
        }
    }
    found
}

fn hash(path: &Path) -> blake3::Hash {
    let mut file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut file, &mut hasher).expect("readable");
    hasher.finalize()
}

/// That both hold the same names with the same bytes, by their hashes; how many files that are.
pub(crate) fn same_tree(a: &Path, b: &Path) -> usize {
    let (in_a, in_b) = (hashes(a), hashes(b));
    assert!(in_a.keys().eq(in_b.keys()), "other names in {} than in {}", b.display(), a.display());
    for (name, hash) in &in_a {
        assert_eq!(hash, &in_b[name], "{} differs in {} and {}", name.display(), a.display(), b.display());
    }
    in_a.values().flatten().count()
}
