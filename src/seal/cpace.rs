//! CPace over ristretto255 with SHA-512: draft-irtf-cfrg-cpace-21, with initiator and responder. `spec/security.md`,
//! section "Key agreement".

use core::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use ring::digest;
use zeroize::{Zeroize, Zeroizing};

use super::secret::{Prs, Secret};
use crate::wire::KeyShare;

/// Names the suite in the hash that gives the generator.
const DSI: &[u8] = b"CPaceRistretto255";
/// Names it in the hash that gives the key.
const DSI_ISK: &[u8] = b"CPaceRistretto255_ISK";
/// What SHA-512 takes in at a time: what comes after the secret begins in another block than the secret.
const HASH_BLOCK_LEN: usize = 128;

/// Appends the length of `part` in LEB128, then `part`.
pub(super) fn put_lv(out: &mut Vec<u8>, part: &[u8]) {
    let mut len = part.len();
    while len >= 0x80 {
        out.push((len & 0x7f | 0x80).to_le_bytes()[0]);
        len >>= 7;
    }
    out.push(len.to_le_bytes()[0]);
    out.extend_from_slice(part);
}

/// All `parts`, each with its length.
pub(super) fn lv_cat(parts: &[&[u8]]) -> Vec<u8> {
    // Room for all of it at once, so that no secret is left behind in a vector that became too small.
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 10).sum());
    parts.iter().for_each(|part| put_lv(&mut out, part));
    out
}

fn sha512(bytes: &[u8]) -> Secret<64> {
    Secret::filled(|out| out.copy_from_slice(digest::digest(&digest::SHA512, bytes).as_ref()))
}

fn generator_string(prs: &[u8], ci: &[u8], sid: &[u8]) -> Zeroizing<Vec<u8>> {
    // Lengths below 128 take one byte each; a longer secret fills the block anyway.
    let zeros = [0; HASH_BLOCK_LEN];
    let pad = (HASH_BLOCK_LEN - 1).saturating_sub(1 + DSI.len()).saturating_sub(1 + prs.len());
    Zeroizing::new(lv_cat(&[DSI, prs, &zeros[..pad], ci, sid]))
}

fn generator(prs: &[u8], ci: &[u8], sid: &[u8]) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(sha512(&generator_string(prs, ci, sid)).expose())
}

/// Which of the two this side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The joiner, whose share comes first.
    Initiator,
    /// The inviter.
    Responder,
}

/// A share and the data that is bound to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'a> {
    /// The share.
    pub(super) share: &'a KeyShare,
    /// The data.
    pub(super) data: &'a [u8],
}

/// One side of one agreement, between its own share and its peer's.
pub(super) struct Run {
    sid: Vec<u8>,
    scalar: Scalar,
    share: KeyShare,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Run(..)")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.scalar.zeroize();
    }
}

impl Run {
    /// Begins. `entropy` is 64 random bytes that are used for nothing else.
    #[must_use]
    pub(super) fn start(prs: &Prs, ci: &[u8], sid: &[u8], entropy: &[u8; 64]) -> Self {
        Self::with_scalar(prs.expose(), ci, sid, Scalar::from_bytes_mod_order_wide(entropy))
    }

    fn with_scalar(prs: &[u8], ci: &[u8], sid: &[u8], scalar: Scalar) -> Self {
        let mut generator = generator(prs, ci, sid);
        let share = (generator * scalar).compress().to_bytes();
        generator.zeroize();
        Self { sid: sid.to_vec(), scalar, share }
    }

    /// Our share, for the peer.
    #[must_use]
    pub(super) const fn share(&self) -> &KeyShare {
        &self.share
    }

    /// The key, from the peer's share. `None` where that is no share: it does not decode, or is the identity. `ours`
    /// and `theirs` are what is bound to the shares.
    #[must_use]
    pub(super) fn finish(&self, role: Role, ours: &[u8], peer: Bound<'_>) -> Option<Secret<64>> {
        let point = CompressedRistretto(*peer.share).decompress()?;
        let mut common = point * self.scalar;
        if common.is_identity() {
            return None;
        }
        let encoded = Zeroizing::new(common.compress().to_bytes());
        common.zeroize();
        let ours = Bound { share: &self.share, data: ours };
        let (first, second) = if role == Role::Initiator { (ours, peer) } else { (peer, ours) };
        let parts = [DSI_ISK, &self.sid, &*encoded, first.share, first.data, second.share, second.data];
        Some(sha512(&Zeroizing::new(lv_cat(&parts))))
    }
}

/// True for what decodes and is not the identity: with such a share, and no secret, a run can be finished.
pub(super) fn is_share(share: &KeyShare) -> bool {
    CompressedRistretto(*share).decompress().is_some_and(|point| !point.is_identity())
}

#[cfg(test)]
#[path = "tests/cpace.rs"]
mod tests;
