//! Two endpoints joined by a small network in virtual time.

mod bulk;
mod downgrade;
mod end;
mod establish;
mod flood;
mod handshake;
mod hostile;
mod net;
mod path;
mod policy;
mod replay;
mod sealed;
mod tamper;
mod timing;
