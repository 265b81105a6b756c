//! What stands around the frames of an established connection, in every mode. `spec/security.md`, sections "Sealed
//! packets" and "Sealed records"; in plain mode a checksum.
//!
//! Whoever writes packets or records asks for a header, appends frames, leaves [`Protection::trailer_len`] bytes and
//! has the end written; whoever reads them has them opened. Neither asks for the mode.

use core::time::Duration;

use super::generation::{Generations, Opener, Sealer};
pub use super::generation::{OpenError, SealError};
use super::packet::Cipher;
use super::secret::Secret;
use crate::time::Timestamp;
use crate::wire::{
    ConnectionCid, DATA_HEADER_LEN, DataHeader, Mode, RECORD_HEADER_LEN, RecordKind, finish_record, put_crc,
    put_record_len, start_data, start_record,
};

/// A connection's protection in both directions. Used for packets or for records, not for both.
#[derive(Debug)]
pub struct Protection {
    mode: Mode,
    generations: Generations,
    /// In sealed modes, and in no other.
    sealed: Option<Box<Sealed>>,
}

#[derive(Debug)]
struct Sealed {
    sealer: Sealer,
    opener: Opener,
    /// Records sealed and opened: the numbers of the next ones.
    records_out: u64,
    records_in: u64,
}

/// The first secrets of both directions.
#[derive(Clone, Copy, Debug)]
pub struct Secrets<'a> {
    /// Of what we send.
    pub ours: &'a Secret<32>,
    /// Of what we receive.
    pub theirs: &'a Secret<32>,
}

impl Protection {
    /// A checksum.
    #[must_use]
    pub const fn plain() -> Self {
        Self { mode: Mode::Plain, generations: Generations::STANDARD, sealed: None }
    }

    /// A seal.
    ///
    /// # Panics
    /// In [`Mode::Plain`].
    #[must_use]
    pub fn sealed(mode: Mode, cipher: Cipher, secrets: Secrets<'_>) -> Self {
        assert!(mode.is_sealed(), "nothing is sealed in plain mode");
        let (sealer, opener) = (Sealer::new(cipher, secrets.ours), Opener::new(cipher, secrets.theirs));
        let sealed = Sealed { sealer, opener, records_out: 0, records_in: 0 };
        Self { mode, generations: Generations::STANDARD, sealed: Some(Box::new(sealed)) }
    }

    #[doc(hidden)]
    /// For tests: the same with other [`Generations`], where nothing was sealed or opened yet.
    #[must_use]
    pub fn with_generations(self, generations: Generations) -> Self {
        let sealed = self.sealed.map(|sealed| {
            let Sealed { sealer, opener, .. } = *sealed;
            let (sealer, opener) = (sealer.with_generations(generations), opener.with_generations(generations));
            Box::new(Sealed { sealer, opener, records_out: 0, records_in: 0 })
        });
        Self { generations, sealed, ..self }
    }

    /// The mode.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What seals; `None` where nothing does.
    #[must_use]
    pub fn cipher(&self) -> Option<Cipher> {
        self.sealed.as_ref().map(|sealed| sealed.sealer.cipher())
    }

    /// Bytes that follow the frames.
    #[must_use]
    pub const fn trailer_len(&self) -> usize {
        self.mode.trailer_len()
    }

    /// Appends the header of packet `number`, for the peer's connection `cid`.
    pub fn start_packet(&self, out: &mut Vec<u8>, cid: ConnectionCid, number: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are sent")]
        let number_low = number as u32;
        let key_phase = self.mode.is_sealed() && self.generations.key_phase(number);
        start_data(out, &DataHeader { mode: self.mode, key_phase, cid, number_low });
    }

    /// Ends the packet that began at index `from`: nothing of it may be changed afterwards, nor sent after an error.
    pub fn finish_packet(&mut self, out: &mut Vec<u8>, from: usize, number: u64) -> Result<(), SealError> {
        match &mut self.sealed {
            None => put_crc(out, from),
            Some(sealed) => sealed.sealer.seal(number, out, from, DATA_HEADER_LEN)?,
        }
        Ok(())
    }

    /// The frames of a data packet that [`Packet::decode`](crate::wire::Packet::decode) has accepted: in plain mode
    /// that has checked it, in others it is opened in place. `number` is the header's in full, and was not received
    /// before; `keep` as for [`Opener::open`].
    pub fn open_packet<'a>(
        &mut self,
        now: Timestamp,
        keep: Duration,
        header: &DataHeader,
        number: u64,
        datagram: &'a mut [u8],
    ) -> Result<&'a [u8], OpenError> {
        if header.mode != self.mode {
            return Err(OpenError::Forged);
        }
        let Some(sealed) = &mut self.sealed else {
            let end = datagram.len().saturating_sub(self.mode.trailer_len());
            return datagram.get(DATA_HEADER_LEN..end).ok_or(OpenError::Forged);
        };
        if header.key_phase != self.generations.key_phase(number) {
            sealed.opener.count_forged();
            return Err(OpenError::Forged);
        }
        sealed.opener.open(now, keep, number, datagram, DATA_HEADER_LEN)
    }

    /// Appends the header of a record of frames.
    pub fn start_record(&self, out: &mut Vec<u8>) {
        start_record(out, self.mode, RecordKind::Frames);
    }

    /// Ends the record that began at index `from`, the next one that is sent. After an error it must not be sent.
    ///
    /// # Panics
    /// When the body is longer than [`RECORD_BODY_MAX`](crate::wire::RECORD_BODY_MAX).
    pub fn finish_record(&mut self, out: &mut Vec<u8>, from: usize) -> Result<(), SealError> {
        let Some(sealed) = &mut self.sealed else {
            finish_record(out, from);
            return Ok(());
        };
        put_record_len(out, from);
        sealed.sealer.seal(sealed.records_out, out, from, RECORD_HEADER_LEN)?;
        sealed.records_out += 1;
        Ok(())
    }

    /// The frames of the next record of frames, all of which `record` is. [`Record::decode`] has accepted it. An error
    /// ends the connection.
    ///
    /// [`Record::decode`]: crate::wire::Record::decode
    pub fn open_record<'a>(&mut self, record: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        let Some(sealed) = &mut self.sealed else {
            let end = record.len().saturating_sub(self.mode.trailer_len());
            return record.get(RECORD_HEADER_LEN..end).ok_or(OpenError::Forged);
        };
        // Nothing overtakes anything in a stream, so old keys are not kept and no time matters.
        let number = sealed.records_in;
        let opened = sealed.opener.open(Timestamp::ZERO, Duration::ZERO, number, record, RECORD_HEADER_LEN)?;
        sealed.records_in += 1;
        Ok(opened)
    }

    /// Packets that were not sealed by the peer.
    #[must_use]
    pub fn forged(&self) -> u64 {
        self.sealed.as_ref().map_or(0, |sealed| sealed.opener.forged())
    }
}
