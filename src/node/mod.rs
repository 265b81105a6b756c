//! Named channels that hold the latest value, and nodes that speak of them: `spec/node.md`.
//!
//! [`Channels`] are those of one connection. A [`Hub`] connects to others and is connected to; a [`Host`] is called by
//! [`Client`]s. All of it stands on [`Transport`](crate::Transport) and its time, so that
//! it runs over UDP, TCP and in the simulator alike; nothing here may know which.

mod channels;
mod client;
mod control;
mod engine;
mod error;
mod held_len;
mod host;
mod hub;
mod last;
mod link;
mod name;
mod names;
mod offset;
mod stamps;
mod timeout;
mod value;
mod value_limits;

pub use channels::Channels;
pub use client::Client;
pub use control::{CONTROL_CHANNEL, Control, Hello, Kind, NAMES_MAX, Role, TIME_CHANNEL, Time, VERSION};
pub use engine::{Event, NodeConfig, PeerInfo, Reconnect, Side, StartError};
pub use error::{Gone, JoinError, ReadError, Reason, WriteError};
pub use host::Host;
pub use hub::Hub;
pub use name::{Name, NameError};
pub use value::{Age, Value};
pub use value_limits::ValueLimits;

/// The channel of images.
const IMAGE: &str = "image";
