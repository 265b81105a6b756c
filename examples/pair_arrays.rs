//! Two people, a spoken code, a text and a big array: each arrives whole or not at all, sealed, and in its own shape.
//!
//! `cargo run --example pair_arrays`                           both sides, on this machine
//! `cargo run --example pair_arrays -- invite`                 prints a code and waits
//! `cargo run --example pair_arrays -- join 42-maple-otter`    on another machine of the network

use std::error::Error;

use udpair::{Connection, Pairing};

const ROWS: usize = 2_500;
const COLUMNS: usize = 400;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["invite"] => {
            let invite = udpair::invite()?;
            println!("the code is {}", invite.code());
            send(&invite.accept()?)
        }
        ["join", code] => recv(&udpair::join(code)?),
        [] => {
            let here = Pairing::new().interface("lo");
            let invite = here.invite()?;
            println!("the code is {}", invite.code());
            let code = invite.code().to_string();
            std::thread::scope(|threads| -> Outcome {
                let joiner = threads.spawn(move || recv(&here.join(&code)?));
                send(&invite.accept()?)?;
                joiner.join().expect("it does not panic")
            })
        }
        _ => Err("pair_arrays [invite | join CODE]".into()),
    }
}

fn send(peer: &Connection) -> Outcome {
    let items: Vec<f64> = (0..1_000_000).map(f64::from).collect();
    peer.send_text("a million numbers follow")?;
    peer.send_array(&items, &[ROWS, COLUMNS])?;
    let report = peer.close(0);
    println!("sent; all taken: {}", report.all_taken());
    Ok(())
}

fn recv(peer: &Connection) -> Outcome {
    println!("received {:?}", peer.recv_text()?);
    let array = peer.recv_array()?;
    let items = array.items::<f64>()?;
    println!("received {} numbers of shape {:?}, the last is {}", items.len(), array.shape(), items[items.len() - 1]);
    peer.close(0);
    Ok(())
}
