//! What a run's sockets are like, as far as figures depend on it.

use std::fmt;
use std::net::UdpSocket;

use socket2::SockRef;
use udpair::transport::TransportStats;

/// The client's sockets; `None` where it does not apply or cannot be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sockets {
    /// Whether the kernel cuts one long buffer into datagrams (GSO).
    pub(crate) segmentation: Option<bool>,
    /// Bytes asked for as send buffer and as receive buffer each; where nothing is, the kernel lets them grow.
    pub(crate) asked: Option<usize>,
    /// Bytes given as send buffer.
    pub(crate) send: Option<usize>,
    /// Bytes given as receive buffer.
    pub(crate) receive: Option<usize>,
}

impl Sockets {
    /// Those of one of udpair's transports.
    pub(crate) fn of_transport(stats: &TransportStats) -> Self {
        Self {
            segmentation: stats.segmentation,
            asked: stats.send_buffer_asked.max(stats.receive_buffer_asked),
            send: stats.send_buffer,
            receive: stats.receive_buffer,
        }
    }

    /// A bare UDP socket, of which `asked` bytes each way were asked for.
    pub(crate) fn of_udp(udp: &UdpSocket, asked: usize, segmentation: Option<bool>) -> Self {
        let udp = SockRef::from(udp);
        let (send, receive) = (udp.send_buffer_size().ok(), udp.recv_buffer_size().ok());
        Self { segmentation, asked: Some(asked), send, receive }
    }
}

impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.segmentation {
            Some(true) => f.write_str("GSO, ")?,
            Some(false) => f.write_str("no GSO, ")?,
            None => {}
        }
        match (self.asked, self.send, self.receive) {
            (Some(asked), Some(send), Some(receive)) => {
                write!(
                    f,
                    "buffers of {} KiB asked for, {} to send and {} to receive given",
                    kib(asked),
                    kib(send),
                    kib(receive)
                )
            }
            (Some(asked), ..) => write!(f, "buffers of {} KiB asked for", kib(asked)),
            (None, Some(send), Some(receive)) => {
                let (send, receive) = (kib(send), kib(receive));
                write!(f, "buffers as the kernel tunes them, from {send} KiB to send and {receive} to receive on")
            }
            (None, ..) => f.write_str("buffers as the kernel tunes them"),
        }
    }
}

const fn kib(bytes: usize) -> usize {
    bytes >> 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_and_what_was_given_both_show() {
        let mut sockets =
            Sockets { segmentation: Some(true), asked: Some(4 << 20), send: Some(416 << 10), receive: Some(8 << 20) };
        assert_eq!(sockets.to_string(), "GSO, buffers of 4096 KiB asked for, 416 to send and 8192 to receive given");
        sockets.segmentation = Some(false);
        assert!(sockets.to_string().starts_with("no GSO, "));
        let tuned = Sockets { send: Some(16 << 10), receive: Some(128 << 10), ..Sockets::default() };
        let text = "buffers as the kernel tunes them, from 16 KiB to send and 128 to receive on";
        assert_eq!((tuned.to_string(), Sockets::default().to_string()), (text.to_owned(), text[..32].to_owned()));
    }

    #[test]
    fn a_socket_says_what_it_was_given() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets = Sockets::of_udp(&udp, 1 << 20, None);
        assert_eq!((sockets.asked, sockets.segmentation), (Some(1 << 20), None));
        assert!(sockets.send > Some(0) && sockets.receive > Some(0));
    }
}
