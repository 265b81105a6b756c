//! From the key agreement's result to the keys of a session. `spec/security.md`, sections "Keys" and "Confirmation".

use ring::{digest, hkdf, hmac};

use super::secret::Secret;
use crate::wire::CONFIRM_LEN;

/// In front of every label, so that no other protocol's keys are these.
const LABEL_PREFIX: &[u8] = b"udpair 1 ";

/// What both sides have seen: HELLO2 and SHARE as they went over the wire, without their checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript([u8; 32]);

impl Transcript {
    /// From the two packets without checksums.
    #[must_use]
    pub fn new(hello2: &[u8], share: &[u8]) -> Self {
        Self(sha256(&[&sha256(&[hello2]), &sha256(&[share])]))
    }
}

/// SHA-256 of `parts`, one after the other.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// HKDF-Expand with the key `prk` and the label to as many bytes as `out` has.
fn expand(prk: &hkdf::Prk, label: &str, out: &mut [u8]) {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let info = [LABEL_PREFIX, label.as_bytes()];
    let okm = prk.expand(&info, Len(out.len())).expect("at most 255 hashes of output");
    okm.fill(out).expect("as long as it was asked for");
}

/// HKDF-Expand with `secret` as the key.
pub(super) fn derive<const N: usize>(secret: &Secret<32>, label: &str) -> Secret<N> {
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret.expose());
    Secret::filled(|out| expand(&prk, label, out))
}

/// Everything that a session derives from its key agreement.
#[derive(Clone, Debug)]
pub struct SessionKeys {
    transcript: Transcript,
    confirm_j: Secret<32>,
    confirm_i: Secret<32>,
    /// The first secret from joiner to inviter.
    pub j2i: Secret<32>,
    /// The first secret from inviter to joiner.
    pub i2j: Secret<32>,
    /// For the application.
    pub exporter: Secret<32>,
    /// By which the two may meet again.
    pub device: Secret<32>,
}

/// Which confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The joiner's.
    J,
    /// The inviter's.
    I,
}

impl SessionKeys {
    /// From the result of the key agreement.
    #[must_use]
    pub fn new(transcript: Transcript, isk: &Secret<64>) -> Self {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &transcript.0).extract(isk.expose());
        let secret = |label| Secret::filled(|out: &mut [u8; 32]| expand(&prk, label, out));
        Self {
            transcript,
            confirm_j: secret("confirm-j"),
            confirm_i: secret("confirm-i"),
            j2i: secret("j2i"),
            i2j: secret("i2j"),
            exporter: secret("exporter"),
            device: secret("device"),
        }
    }

    fn confirm_key(&self, which: Confirmation) -> hmac::Key {
        let secret = if which == Confirmation::J { &self.confirm_j } else { &self.confirm_i };
        hmac::Key::new(hmac::HMAC_SHA256, secret.expose())
    }

    /// The tag that proves the key.
    #[must_use]
    pub fn tag(&self, which: Confirmation) -> [u8; CONFIRM_LEN] {
        let mut tag = [0; CONFIRM_LEN];
        tag.copy_from_slice(hmac::sign(&self.confirm_key(which), &self.transcript.0).as_ref());
        tag
    }

    /// True when `tag` is the right one, in constant time.
    #[must_use]
    pub fn is_right(&self, which: Confirmation, tag: &[u8; CONFIRM_LEN]) -> bool {
        hmac::verify(&self.confirm_key(which), &self.transcript.0, tag).is_ok()
    }
}
