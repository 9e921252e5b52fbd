//! Records and how they are framed: `length (u32 LE) · CRC32C (u32 LE) · type (u8) · payload`, the checksum over type and
//! payload, the length without the first eight bytes. Payloads are postcard. A file starts with [`MAGIC`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::window::Batch;
use crate::resources::reading::Reading;

/// The first bytes of a file.
pub const MAGIC: &[u8] = b"runner-windows/2\n";

/// A record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// Which run this is; the first record.
    Run(Manifest),
    /// A phase begins.
    PhaseStarted {
        /// The phase's place in the plan.
        phase: u16,
        /// Microseconds since 1970, UTC.
        at: i64,
    },
    /// What a worker recorded.
    Windows(Batch),
    /// A phase has drained.
    PhaseEnded {
        /// The phase's place in the plan.
        phase: u16,
        /// How long it ran, without the drain.
        ran: Duration,
    },
    /// What was read of a host.
    Reading(Reading),
}

/// Which run a file belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The runner's version.
    pub runner: String,
    /// The plan's name.
    pub plan: String,
    /// The plan's digest.
    pub digest: String,
    /// What chance depended on.
    pub seed: u64,
    /// How many workers hand over windows.
    pub workers: u16,
}

/// The largest payload that is believed to be one.
const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// A record as it stands in a file.
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

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq)]
pub enum Unframed<'b> {
    /// A record, and what follows.
    Record(Box<Record>, &'b [u8]),
    /// A whole record of a type that this version does not know, and what follows.
    Unknown(&'b [u8]),
    /// Less than a record, or a damaged one.
    Broken,
}

/// Takes the first record off some bytes.
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
