//! The tool's commands that pair by a code, as two users run them: two processes, on the loopback interface only.

#![cfg(all(unix, feature = "cli"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

mod asked;
mod chat;
mod files;
mod hostile;
mod keys;
mod misuse;
mod pipe;
mod terminal;
mod tool;
mod words;

/// The transports that every test runs over.
const TRANSPORTS: [&str; 2] = ["udp", "tcp"];
