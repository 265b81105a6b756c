//! The TCP back end: the same messages as over UDP, cut into records of a TCP stream. `spec/tcp.md`.
//!
//! ```text
//!  driven: verbs, waiting threads, keeper
//!     |                       |
//!    io  <--- outbox --->   core           sockets and no connection; connections and no socket
//!     |                       |
//!   stream                  entry          one socket; one connection and what of its output is under way
//!                             |
//!                           link           its protocol: bytes in, bytes out
//!                             |
//!            handshake, intake, receipts, asking, farewell
//! ```
//!
//! Of messages it knows only [`Messages`](crate::message::Messages): that they fill records, and want to be told what
//! has arrived. What TCP itself does, acknowledgement, order, congestion, is the kernel's.

mod asking;
mod bind;
mod core;
mod counters;
mod entry;
mod farewell;
mod handshake;
mod info;
mod intake;
mod io;
mod link;
mod outbox;
mod receipts;
mod strangers;
mod stream;
#[cfg(test)]
mod tests;

pub use bind::bind;
pub(super) use bind::open;
pub use info::kernel_stats;
