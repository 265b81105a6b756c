//! Both machines over an in-memory medium, in virtual time.

mod devices;
mod finding;
mod hostile;
mod medium;
mod nameplates;
