//! The format of a journal. A file starts with a line that names the format and its version. Records follow, one for each
//! event: `length (u32 LE) · CRC32C of the event (u32 LE) · event`. The length is that of the event, which is MessagePack:
//! structs are arrays of their fields in order, and enums are maps from the name of the variant to its content.
//!
//! New variants, and new fields at the end of a struct with a default, keep the version: older files are read as before, and
//! an older runner counts the events that it cannot interpret. Any other change raises the version, and the reader of the
//! old one stays.

use crate::event::RunEvent;

/// The first line of a journal, before the number of its version.
pub(super) const MAGIC: &str = "runner-journal/";
/// The version that is written.
pub const VERSION: u32 = 4;
/// The oldest version that can be read.
pub const OLDEST_VERSION: u32 = 4;

/// An event of a greater length is taken to be damaged.
pub(super) const MAX_EVENT_BYTES: usize = 64 << 20;
/// Bytes of a record before its event.
pub(super) const HEADER_BYTES: usize = 8;

/// The first line of a file.
pub fn first_line() -> String {
    format!("{MAGIC}{VERSION}\n")
}

/// Appends the record of an event to `bytes`.
pub fn frame(event: &RunEvent, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend([0; HEADER_BYTES]);
    rmp_serde::encode::write(bytes, event).expect("an event is plain data, and memory can be written");
    let (header, event) = bytes[start..].split_at_mut(HEADER_BYTES);
    let length = u32::try_from(event.len()).expect("an event is far below 4 GiB");
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..].copy_from_slice(&crc32c::crc32c(event).to_le_bytes());
}
