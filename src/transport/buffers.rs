//! The kernel's buffers of a socket.

use std::io;

use socket2::Socket;

/// What is asked of the system: to send and to receive, in bytes; where nothing is, the system decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Buffers {
    pub(super) send: Option<usize>,
    pub(super) receive: Option<usize>,
}

impl Buffers {
    /// Asks. The system gives less where its limit is lower, and says so when asked what it gave.
    pub(super) fn set(self, socket: &Socket) -> io::Result<()> {
        // The system takes a C int; what is larger would wrap around to next to nothing.
        let most = |len: usize| len.min(i32::MAX as usize);
        if let Some(len) = self.send {
            socket.set_send_buffer_size(most(len))?;
        }
        if let Some(len) = self.receive {
            socket.set_recv_buffer_size(most(len))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};

    #[test]
    fn a_huge_buffer_asked_for_is_not_a_tiny_one_given() {
        let given = |asked| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
            Buffers { send: asked, receive: asked }.set(&socket).unwrap();
            (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap())
        };
        // 2^32 is 0 in 32 bits.
        let (huge, some) = (given(Some(1 << 32)), given(Some(64 << 10)));
        assert!(huge.0 >= some.0 && huge.1 >= some.1, "{huge:?} {some:?}");
    }
}
