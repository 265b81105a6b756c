//! Two endpoints joined by a small network in virtual time.

mod bulk;
mod end;
mod establish;
mod net;
mod policy;
