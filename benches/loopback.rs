//! What the whole library costs over the kernel's loopback interface: our UDP and our TCP through the same trait, both
//! ends in this process, on a thread each. Round trips depend on how soon the system wakes a thread.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use udpair::transport::{BindError, JoinHandle};
use udpair::{Client, Config, Connection, Host, Listener, Transport};

type Bind = fn(SocketAddr, Config) -> Result<Arc<dyn Transport>, BindError>;

const TRANSPORTS: [(&str, Bind); 2] = [("udp", udpair::udp::bind), ("tcp", udpair::tcp::bind)];

const STUCK: Duration = Duration::from_secs(60);
const ECHO_LEN: usize = 64;
const BULK_LEN: usize = 1 << 20;
/// Messages of a bulk transfer that are sent before its end is waited for.
const BULK_COUNT: usize = 16;

/// A connection to a thread of this process that does something with what comes.
struct Served {
    connection: Connection,
    /// Ends with the connection.
    server: JoinHandle<()>,
    /// The client's transport, which goes last.
    _transport: Arc<dyn Transport>,
}

impl Served {
    fn new(bind: Bind, serve: fn(&Connection, Bytes)) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let transport = || bind(any, Config::insecure_plain()).expect("a port of this machine");
        let (client, server) = (transport(), transport());
        let to = server.local_addr();
        let listener = Listener::new(Arc::clone(&server));
        let main = move || {
            let connection = listener.accept().expect("the client calls");
            while let Ok(message) = connection.recv() {
                serve(&connection, message.into_bytes(BULK_LEN).expect("all of it"));
            }
        };
        let server = server.spawn("server", main).expect("a thread");
        let connection = Connection::connect(&client, to).expect("the server listens");
        Self { connection, server, _transport: client }
    }

    fn end(self) {
        self.connection.close(0);
        self.server.join().expect("it does not panic");
    }
}

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loopback echo 64 B");
    for (name, bind) in TRANSPORTS {
        let served = Served::new(bind, |connection, body| {
            connection.send(body).expect("the client waits for it");
        });
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                served.connection.send(Bytes::from_static(&[7; ECHO_LEN])).expect("there is room");
                let back = served.connection.recv().expect("it comes back");
                assert_eq!(black_box(back.into_bytes(ECHO_LEN).expect("all of it")).len(), ECHO_LEN);
            });
        });
        served.end();
    }
}

fn bulk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loopback bulk 1 MiB messages");
    group.throughput(Throughput::Bytes((BULK_LEN * BULK_COUNT) as u64)).sample_size(10);
    for (name, bind) in TRANSPORTS {
        let served = Served::new(bind, |_, body| assert_eq!(black_box(body).len(), BULK_LEN));
        // Different bytes in turn, so that the sender does not read the same megabyte over and over.
        let bodies: Vec<Bytes> =
            (0..BULK_COUNT).map(|at| vec![u8::try_from(at).expect("few"); BULK_LEN].into()).collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for body in &bodies {
                    served.connection.send(body.clone()).expect("the server takes it");
                }
                served.connection.flush().expect("the server is there");
            });
        });
        served.end();
    }
}

/// A client comes to a host, writes a value, and goes when it is there: all that an application waits for at the ends
/// of a connection.
fn visit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loopback visit of a client");
    group.sample_size(20);
    for (name, bind) in TRANSPORTS {
        let transport = || bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Config::insecure_plain()).expect("a port");
        let host = Host::start([transport()]).expect("a thread");
        let mut at = 0_u64;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at += 1;
                let client = Client::start("visitor", &transport(), host.local_addr()).expect("the host listens");
                client.write("count", at.to_string()).expect("the host is there");
                let count = || host.get("visitor", "count").expect("it was written");
                while count().get::<String>().expect("text") != at.to_string() {
                    host.changed("count").expect("it was written");
                }
                client.close();
                while !host.clients().is_empty() {
                    assert!(host.next_event(STUCK).is_some());
                }
            });
        });
        host.close();
    }
}

criterion_group!(benches, echo, bulk, visit);
criterion_main!(benches);
