//! The TCP back end on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use udpair::{Config, Connection, Listener, Transport};

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn bind() -> Arc<dyn Transport> {
    udpair::transport::tcp::bind(any(), Config::insecure_plain()).unwrap()
}

#[test]
fn connect_and_echo() {
    let server = bind();
    let client = bind();
    let addr = server.local_addr();
    let listener = Listener::new(server);
    let serving = std::thread::spawn(move || {
        let conn = listener.accept().unwrap();
        for _ in 0..10 {
            let message = conn.recv().unwrap();
            conn.send(message.into_bytes(100).unwrap()).unwrap();
        }
        conn.recv().unwrap_err()
    });
    let conn = Connection::connect(&client, addr).unwrap();
    for n in 0..10_u8 {
        conn.send(vec![n; 10]).unwrap();
        assert_eq!(conn.recv().unwrap().into_bytes(100).unwrap(), vec![n; 10]);
    }
    let report = conn.close(3);
    assert!(report.all_taken(), "{report:?}");
    println!("{:?}", serving.join().unwrap());
}
