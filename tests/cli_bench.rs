//! `udpair bench` as a user runs it: real processes on the loopback interface, few messages.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

const KEYS: [&str; 19] = [
    "transport",
    "security",
    "workload",
    "delivery",
    "size",
    "sent",
    "received",
    "p50_us",
    "p99_us",
    "p999_us",
    "max_us",
    "bytes",
    "seconds",
    "goodput_bps",
    "cpu_s_client",
    "cpu_s_server",
    "controller",
    "retransmits",
    "path_mtu",
];

const OURS: [&str; 2] = ["udp", "tcp"];

const TRANSPORTS: [&str; 4] = ["udp", "tcp", "raw-tcp", "raw-udp"];

fn udpair(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpair"));
    command.arg("bench").args(args.split_whitespace()).stdin(Stdio::null());
    command
}

/// A `bench serve`, ended when dropped.
struct Server {
    child: Child,
    at: String,
    stderr: Option<ChildStderr>,
}

impl Server {
    fn start(transport: &str, listen: &str) -> Self {
        Self::run_it(&format!("--listen {listen} --transport {transport} --insecure-plain"))
    }

    fn sealed(transport: &str, seal: &str) -> Self {
        Self::run_it(&format!("--listen 127.0.0.1:0 --transport {transport} {seal}"))
    }

    fn run_it(args: &str) -> Self {
        let mut child = udpair(&format!("serve {args}")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take());
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let at = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        assert_ne!(at.parse::<SocketAddr>().unwrap().port(), 0);
        Self { child, at, stderr }
    }

    fn local(transport: &str) -> Self {
        Self::start(transport, "127.0.0.1:0")
    }

    fn run(&self, args: &str) -> Output {
        udpair(&format!("run --to {} --insecure-plain {args}", self.at)).output().unwrap()
    }

    /// Runs `args` with `--json -` and returns the value that standard output holds.
    #[track_caller]
    fn measure(&self, args: &str) -> Value {
        let output = self.run(&format!("{args} --json -"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args}: {stderr}");
        assert!(stderr.contains("received"), "the table goes to standard error: {stderr}");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        has_the_keys(&value);
        value
    }

    /// Ends the server and returns what it said.
    fn end(mut self) -> String {
        self.child.kill().unwrap();
        let mut said = String::new();
        self.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[track_caller]
fn has_the_keys(value: &Value) {
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), KEYS.len(), "{value}");
    for key in KEYS {
        assert!(object.contains_key(key), "{key}: {value}");
    }
}

#[track_caller]
fn percentiles_rise(value: &Value) {
    let times = ["p50_us", "p99_us", "p999_us", "max_us"].map(|key| value[key].as_f64().unwrap());
    assert!(times[0] > 0.0 && times.is_sorted(), "{value}");
}

/// What every workload's result says alike; with nothing lost unless the transport may lose.
#[track_caller]
fn counted(value: &Value, transport: &str, size: u64, count: u64) {
    assert_eq!(value["transport"], transport);
    assert_eq!(value["size"], size);
    assert_eq!(value["sent"], count);
    let received = value["received"].as_u64().unwrap();
    assert!(received == count || transport == "raw-udp" && received < count, "{value}");
    assert_eq!(value["bytes"], received * size);
    for key in ["seconds", "cpu_s_client", "cpu_s_server"] {
        assert!(value[key].as_f64().unwrap() > 0.0, "{key}: {value}");
    }
    let ours = |word: &str| if transport.starts_with("raw") { Value::Null } else { word.into() };
    assert_eq!((&value["delivery"], &value["security"]), (&ours("ordered"), &ours("plain")));
    applies(value, transport);
}

/// Keys that apply to some transports only.
#[track_caller]
fn applies(value: &Value, transport: &str) {
    assert_eq!(value["controller"].is_null(), transport == "raw-udp", "{value}");
    if transport == "raw-udp" {
        assert!(value["retransmits"].is_null() && value["path_mtu"].is_null(), "{value}");
    } else if transport == "udp" || kernel_tells() {
        assert!(value["retransmits"].is_u64() && value["path_mtu"].as_u64() >= Some(1_200), "{value}");
    } else {
        assert!(value["retransmits"].is_null() && value["path_mtu"].is_null(), "{value}");
    }
}

/// A kernel built without INET_DIAG does not tell what it knows of TCP.
fn kernel_tells() -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stats = udpair::tcp::kernel_stats(&socket);
    stats.retransmits.is_some() && stats.path_mtu.is_some()
}

#[test]
fn one_server_answers_run_after_run_of_every_workload() {
    for transport in TRANSPORTS {
        let server = Server::local(transport);
        let with = |rest: &str| server.measure(&format!("--transport {transport} {rest}"));

        let echo = with("--workload echo --count 30 --size 100");
        counted(&echo, transport, 100, 30);
        percentiles_rise(&echo);
        assert!(echo["goodput_bps"].is_null());

        let rate = with("--workload rate --count 30 --rate 3000");
        counted(&rate, transport, 1_024, 30);
        percentiles_rise(&rate);

        let bulk = with("--workload bulk --count 200 --size 1000");
        counted(&bulk, transport, 1_000, 200);
        assert!(bulk["p50_us"].is_null() && bulk["max_us"].is_null(), "{bulk}");
        assert!(bulk["goodput_bps"].as_f64().unwrap() > 0.0, "{bulk}");

        assert!(server.end().lines().count() >= 2, "one line a run, the last one perhaps still unsaid");
    }
}

#[test]
fn every_delivery_mode_over_both_of_our_transports() {
    for transport in OURS {
        let server = Server::local(transport);
        for delivery in ["ordered", "unordered", "latest", "unreliable"] {
            let reliable = ["ordered", "unordered"].contains(&delivery);
            for (workload, count, size) in [("echo", 20, 64), ("rate", 20, 1_024), ("bulk", 300, 1_100)] {
                let args = format!("--workload {workload} --count {count} --size {size} --delivery {delivery}");
                let value = server.measure(&format!("--transport {transport} {args}"));
                assert_eq!((&value["delivery"], &value["sent"]), (&delivery.into(), &count.into()), "{value}");
                applies(&value, transport);
                let received = value["received"].as_u64().unwrap();
                assert_eq!(value["bytes"], received * size);
                // The newest value always arrives, and what a loopback interface carries is seldom lost altogether.
                assert!(if reliable { received == count } else { (1..=count).contains(&received) }, "{value}");
            }
        }
    }
}

#[test]
fn a_mode_with_a_limit_of_its_own_has_that_limit() {
    for transport in OURS {
        let server = Server::local(transport);
        let args = format!("--transport {transport} --workload echo --count 3 --delivery unreliable --size");
        assert_eq!(server.measure(&format!("{args} 1100"))["received"], 3);
        fails(server.run(&format!("{args} 1101")), 2, "1100");
    }
}

#[test]
fn a_time_in_place_of_a_count() {
    for transport in TRANSPORTS {
        let server = Server::local(transport);
        let bulk = server.measure(&format!("--transport {transport} --workload bulk --seconds 0.05"));
        assert!(bulk["sent"].as_u64().unwrap() > 0);
        let rate = server.measure(&format!("--transport {transport} --workload rate --seconds 0.05 --rate 1000"));
        assert_eq!(rate["sent"], 50);
    }
}

#[test]
fn sizes_that_do_not_divide_anything() {
    let server = Server::local("raw-tcp");
    for size in [1, 7, 65_537, 300_001] {
        for workload in ["echo", "rate", "bulk"] {
            let args = format!("--transport raw-tcp --workload {workload} --count 5 --size {size}");
            counted(&server.measure(&args), "raw-tcp", size, 5);
        }
    }
    for transport in OURS {
        let server = Server::local(transport);
        for size in [0, 1, 1_139, 65_537, 300_001] {
            for workload in ["echo", "rate", "bulk"] {
                let args = format!("--transport {transport} --workload {workload} --count 5 --size {size}");
                counted(&server.measure(&args), transport, size, 5);
            }
        }
    }
    let server = Server::local("raw-udp");
    for size in [8, 65_507] {
        let args = format!("--transport raw-udp --workload echo --count 5 --size {size}");
        counted(&server.measure(&args), "raw-udp", size, 5);
    }
}

/// Bound, so that nobody else can have it, and not listening.
fn bound(domain: Domain, address: &str) -> std::io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.bind(&address.parse::<SocketAddr>().unwrap().into())?;
    Ok(socket)
}

#[test]
fn over_ipv6() {
    if bound(Domain::IPV6, "[::1]:0").is_err() {
        eprintln!("skipped: no IPv6 here");
        return;
    }
    for transport in TRANSPORTS {
        let server = Server::start(transport, "[::1]:0");
        let args = format!("--transport {transport} --workload echo --count 3");
        counted(&server.measure(&args), transport, 64, 3);
    }
}

#[test]
fn json_in_a_file_leaves_the_table_on_standard_output() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("result.json");
    let server = Server::local("raw-tcp");
    let output = server.run(&format!("--transport raw-tcp --workload echo --count 3 --json {}", path.display()));
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("p99.9"));
    has_the_keys(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
}

#[track_caller]
fn fails(output: Output, exit: i32, word: &str) {
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    assert!(stderr.contains(word), "{word:?} is not in {stderr:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn without_the_plain_text_switch_nothing_goes() {
    for args in ["serve --listen 127.0.0.1:0", "run --to 127.0.0.1:9 --workload echo"] {
        fails(udpair(args).output().unwrap(), 2, "--insecure-plain");
    }
}

#[test]
fn a_key_seals_udp_and_tcp_and_nothing_bare() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let made = Command::new(env!("CARGO_BIN_EXE_udpair")).arg("key").arg(&key).status().unwrap();
    assert!(made.success());
    let sealed = format!("--psk-file {}", key.display());
    for transport in ["udp", "tcp"] {
        let server = Server::sealed(transport, &sealed);
        let args = format!("--to {} --transport {transport} --workload echo --count 10", server.at);
        let output = udpair(&format!("run {args} {sealed}")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(!udpair(&format!("run {args} --insecure-plain")).output().unwrap().status.success());
    }
    for transport in ["raw-udp", "raw-tcp"] {
        let args = format!("run --to 127.0.0.1:9 --transport {transport} --workload echo {sealed}");
        fails(udpair(&args).output().unwrap(), 2, "cannot be sealed");
    }
}

#[test]
fn arguments_that_do_not_go_together() {
    for (args, word) in [
        ("--transport raw-tcp --workload echo --delivery ordered", "--delivery"),
        ("--transport raw-udp --workload bulk --size 65508", "65507"),
        ("--transport raw-tcp --workload echo --rate 5", "--rate"),
        ("--transport raw-tcp --workload echo --count 0", "--count"),
        ("--transport raw-tcp --workload echo --seconds=-1", "--seconds"),
    ] {
        let args = format!("run --to 127.0.0.1:9 --insecure-plain {args}");
        fails(udpair(&args).output().unwrap(), 2, word);
    }
    fails(udpair("run --to nonsense --insecure-plain --workload echo").output().unwrap(), 7, "nonsense");
}

#[test]
fn nobody_listens() {
    let socket = bound(Domain::IPV4, "127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap().as_socket().unwrap();
    for transport in TRANSPORTS {
        let args = format!("run --to {at} --transport {transport} --workload echo --insecure-plain");
        fails(udpair(&args).output().unwrap(), 3, "cannot connect");
    }
}

#[test]
fn an_address_in_use() {
    let server = Server::local("raw-tcp");
    let args = format!("serve --listen {} --transport raw-tcp --insecure-plain", server.at);
    fails(udpair(&args).output().unwrap(), 7, "cannot listen");
}

#[test]
fn a_server_of_another_transport_says_which() {
    let server = Server::local("raw-tcp");
    fails(server.run("--transport raw-udp --workload echo"), 3, "this server measures raw-tcp");
    // And is still there.
    server.measure("--transport raw-tcp --workload echo --count 1");
}

#[test]
fn strangers_do_not_end_a_server() {
    let server = Server::local("raw-tcp");
    let mut stranger = TcpStream::connect(&server.at).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    server.measure("--transport raw-tcp --workload echo --count 1");
}

#[test]
fn a_server_that_dies_ends_the_run_with_an_error() {
    for transport in TRANSPORTS {
        let mut server = Server::local(transport);
        let args = "--insecure-plain --workload echo --seconds 3600";
        let run = udpair(&format!("run --to {} --transport {transport} {args}", server.at))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Before, while or after the client connects: it has to end, and to say that it failed.
        server.child.kill().unwrap();
        let output = run.wait_with_output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("udpair: "));
    }
}

/// Returns when the process has worked for a tenth of a second: long after it has connected.
#[cfg(target_os = "linux")]
fn is_at_it(process: &Child) {
    const TICKS: u64 = 10;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
        // Behind the name, which may hold anything: state, ten more, user time, system time.
        let mut rest = stat.rsplit(')').next().unwrap().split_whitespace().skip(11);
        let mut ticks = || rest.next().unwrap().parse::<u64>().unwrap();
        if ticks() + ticks() >= TICKS {
            return;
        }
        assert_ne!(stat.rsplit(')').next().unwrap().trim_start().chars().next(), Some('Z'), "it has ended: {stat}");
        thread::yield_now();
    }
}

/// Over UDP nobody says that the peer is gone: its silence does, when the idle timeout is over.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_dies_in_the_middle_of_a_run() {
    let runs = OURS.iter().flat_map(|transport| ["echo", "bulk"].map(|workload| (*transport, workload)));
    let runs: Vec<_> = runs
        .map(|(transport, workload)| {
            let mut server = Server::local(transport);
            let args = format!("--transport {transport} --workload {workload} --seconds 3600 --insecure-plain");
            let run = udpair(&format!("run --to {} {args}", server.at))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            is_at_it(&run);
            server.child.kill().unwrap();
            (transport, run)
        })
        .collect();
    for (transport, run) in runs {
        let (exit, word) = if transport == "udp" { (4, "fell silent") } else { (1, "broke") };
        fails(run.wait_with_output().unwrap(), exit, word);
    }
}

#[test]
fn a_server_whose_standard_error_nobody_reads_goes_on() {
    for transport in TRANSPORTS {
        let mut server = Server::local(transport);
        server.stderr.take();
        for _ in 0..3 {
            server.measure(&format!("--transport {transport} --workload echo --count 2"));
        }
    }
}

#[test]
fn a_terminal_obeys_nothing_that_a_server_says() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        BufReader::new(&client).read_line(&mut String::new()).unwrap();
        client.write_all(b"{\"error\":{\"reason\":\"\\u001b]0;mine\\u0007\\nudpair: well done\"}}\n").unwrap();
    });
    let args = format!("run --to {to} --transport raw-udp --workload echo --count 2 --insecure-plain");
    let output = udpair(&args).output().unwrap();
    server.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "udpair: the other side refuses: \\u{1b}]0;mine\\u{7}\\nudpair: well done\n");
}

#[test]
fn a_child_ends_with_its_standard_input() {
    let mut child = udpair("serve --listen 127.0.0.1:0 --transport raw-tcp --insecure-plain --child")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_whole_bench() {
    let output = udpair("--quick --json -").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let runs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let subjects = || {
        let raw = ["raw-tcp", "raw-udp"].map(|transport| (transport, Value::Null));
        let ours = OURS.into_iter().flat_map(|of| [(of, "plain".into()), (of, "sealed".into())]);
        ours.chain(raw)
    };
    assert_eq!(runs.len(), 3 * subjects().count() * 4);
    runs.iter().for_each(has_the_keys);
    for (transport, security) in subjects() {
        let of = |run: &&Value| run["transport"] == transport && run["security"] == security;
        assert_eq!(runs.iter().filter(of).count(), 3 * 4, "{transport} {security}");
        let name = if security == "sealed" { format!("{transport}-sealed") } else { transport.to_owned() };
        assert!(stderr.contains(&format!("│ {name} ")), "{name}: {stderr}");
    }
    for word in
        ["CPU", "GSO", "loopback MTU", "asked for", "Gbit/s", "p99.9", "at both ends", "path MTU", "Sealed against"]
    {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
}
