//! When the system has no descriptor left. In a process of its own, because limits are a process's.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use udpair::Connection;

use crate::raw::{STUCK, accept, bind};

const CHILD: &str = "UDPAIR_TEST_FEW_DESCRIPTORS";

#[test]
fn a_listener_without_descriptors_waits_and_does_not_spin() {
    if std::env::var_os(CHILD).is_none() {
        let this = std::env::current_exe().unwrap();
        let args = ["--exact", "descriptors::a_listener_without_descriptors_waits_and_does_not_spin", "--nocapture"];
        let output = Command::new(this).args(args).env(CHILD, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let server = bind(|_| {});
    let client = bind(|config| config.backlog = 0);
    let conn = Connection::connect(&client, server.local_addr()).unwrap();
    let served = accept(&server);
    // Callers until the process has no descriptor left, neither for them nor to accept them.
    let limit = getrlimit(Resource::Nofile);
    let taken = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(taken + 20), maximum: limit.maximum }).unwrap();
    let mut callers = Vec::new();
    while let Ok(caller) = TcpStream::connect(server.local_addr()) {
        callers.push(caller);
    }
    assert!(callers.len() > 2, "{}", callers.len());
    // The connections that there are go on, and waiting costs no more than before.
    let before = server.transport_stats().receive_calls.unwrap();
    for n in 0..10_u8 {
        conn.send(vec![n]).unwrap();
        assert_eq!(served.recv_timeout(STUCK).unwrap().into_bytes(1).unwrap(), vec![n]);
        assert!(served.recv_timeout(Duration::from_millis(50)).is_err());
    }
    println!("{:?}", server.transport_stats());
    let calls = server.transport_stats().receive_calls.unwrap() - before;
    assert!(calls < 200, "{calls} looks at the sockets in half a second with 10 messages");
    // Descriptors again: whoever calls is served.
    drop(callers);
    setrlimit(Resource::Nofile, limit).unwrap();
    let _late = Connection::connect(&client, server.local_addr()).unwrap();
    accept(&server).send("welcome").unwrap();
}
