//! The records of a journal and their framing: `length (u32 LE) · CRC32C (u32 LE) · type (u8) · payload`. The
//! checksum covers type and payload. The length excludes the first eight bytes. Payloads are postcard. A file starts
//! with [`MAGIC`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::window::Batch;
use crate::resources::reading::Reading;

/// The first bytes of a journal, with the version of its format.
pub const MAGIC: &[u8] = b"runner-windows/3\n";

/// A record of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// Identifies the run; always the first record.
    Run(Manifest),
    /// A phase begins.
    PhaseStarted {
        /// The index of the phase in the plan.
        phase: u16,
        /// Microseconds since 1970, UTC.
        at: i64,
    },
    /// The windows that a worker handed over.
    Windows(Batch),
    /// A phase has drained.
    PhaseEnded {
        /// The index of the phase in the plan.
        phase: u16,
        /// How long it ran, without the drain.
        ran: Duration,
    },
    /// A reading of a host.
    Reading(Reading),
}

/// Identifies the run of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the runner.
    pub runner: String,
    pub plan: String,
    /// The digest of the plan's files.
    pub digest: String,
    /// The seed of all random streams.
    pub seed: u64,
    /// The number of workers that hand over windows.
    pub workers: u16,
}

/// A record with a greater length is taken to be damaged.
const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// Frames a record for the file.
pub fn frame(record: &Record) -> Vec<u8> {
    let kind = match record {
        Record::Run(_) => 0,
        Record::PhaseStarted { .. } => 1,
        Record::Windows(_) => 2,
        Record::PhaseEnded { .. } => 3,
        Record::Reading(_) => 4,
    };
    let mut body = vec![kind];
    body = postcard::to_extend(record, body).expect("a record is plain data");
    let mut framed = u32::try_from(body.len()).expect("a record is far below 4 GiB").to_le_bytes().to_vec();
    framed.extend(crc32c::crc32c(&body).to_le_bytes());
    framed.extend(body);
    framed
}

/// The result of reading one record.
#[derive(Debug, PartialEq)]
pub enum Unframed<'b> {
    /// A record, and the bytes that follow it.
    Record(Box<Record>, &'b [u8]),
    /// A complete record of a type that this version does not know, and the bytes that follow it.
    Unknown(&'b [u8]),
    /// An incomplete or damaged record.
    Broken,
}

/// Reads the first record.
pub fn unframe(bytes: &[u8]) -> Unframed<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Unframed::Broken };
    let Some((checksum, rest)) = rest.split_first_chunk::<4>() else { return Unframed::Broken };
    let length = u32::from_le_bytes(*length) as usize;
    if length == 0 || length > MAX_PAYLOAD_BYTES || length > rest.len() {
        return Unframed::Broken;
    }
    let (body, rest) = rest.split_at(length);
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Unframed::Broken;
    }
    if body[0] > 4 {
        return Unframed::Unknown(rest);
    }
    match postcard::from_bytes(&body[1..]) {
        Ok(record) => Unframed::Record(Box::new(record), rest),
        Err(_) => Unframed::Broken,
    }
}
