//! Acknowledgements: counted datagram by datagram.
