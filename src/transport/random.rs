//! Random bytes that nobody can predict: the one file that asks the operating system for them.

use std::io;

use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

/// Fills `bytes`. Where it fails they are good for nothing.
pub(super) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    SysRng.try_fill_bytes(bytes).map_err(io::Error::other)
}

/// What a generator begins with.
pub(super) fn seed() -> io::Result<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    fill(&mut *seed)?;
    Ok(seed)
}
