//! Both machines over an in-memory medium, in virtual time.

mod finding;
mod hostile;
mod medium;
mod nameplates;
