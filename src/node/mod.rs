//! Named channels that hold the latest value, and nodes that speak of them: `spec/node.md`.
//!
//! [`Channels`] are those of one connection. All of it stands on [`Transport`](crate::Transport) and its time, so that
//! it runs over UDP, TCP and in the simulator alike; nothing here may know which.

mod channels;
mod control;
mod error;
mod link;
mod name;
mod names;
mod offset;
mod value;

pub use channels::{Channels, VALUE_LEN_MAX};
pub use control::{CONTROL_CHANNEL, Control, Hello, Kind, NAMES_MAX, Role, TIME_CHANNEL, Time, VERSION};
pub use error::{Gone, ReadError, Reason, WriteError};
pub use name::{Name, NameError};
pub use value::{Age, Raw, Value};
