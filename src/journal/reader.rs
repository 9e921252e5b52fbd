//! Reads a journal up to its first incomplete or damaged record.

use crate::journal::format::{MAGIC, Record, Unframed, unframe};

/// The contents of a journal.
#[derive(Debug, Default, PartialEq)]
pub struct JournalContents {
    /// Its records, in order.
    pub records: Vec<Record>,
    /// The number of complete records of a type that this version does not know.
    pub unknown: usize,
    /// The number of bytes at the end that are not a complete, undamaged record.
    pub lost_bytes: usize,
}

/// Reads the complete records from the start, and stops at the first that is incomplete or damaged. `None` if the
/// bytes do not start with [`MAGIC`].
pub fn read(bytes: &[u8]) -> Option<JournalContents> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut contents = JournalContents::default();
    while !rest.is_empty() {
        rest = match unframe(rest) {
            Unframed::Record(record, rest) => {
                contents.records.push(*record);
                rest
            }
            Unframed::Unknown(rest) => {
                contents.unknown += 1;
                rest
            }
            Unframed::Broken => {
                contents.lost_bytes = rest.len();
                break;
            }
        };
    }
    Some(contents)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::format::frame;
    use crate::measure::window::{Batch, Window};

    fn records() -> Vec<Record> {
        let window = Window { scheduled: 3, started: 2, ..Window::default() };
        let batch = Batch { phase: 1, windows: [(7, window)].into(), settled_before: 8, ..Batch::default() };
        vec![
            Record::PhaseStarted { phase: 1, at: 1 },
            Record::Windows(batch),
            Record::PhaseEnded { phase: 1, ran: Duration::from_secs(9) },
        ]
    }

    fn file() -> Vec<u8> {
        records().iter().fold(MAGIC.to_vec(), |mut bytes, record| {
            bytes.extend(frame(record));
            bytes
        })
    }

    #[test]
    fn written_records_are_read_back() {
        assert_eq!(
            read(&file()).unwrap(),
            JournalContents { records: records(), ..JournalContents::default() }
        );
    }

    #[test]
    fn a_file_cut_anywhere_gives_its_whole_records() {
        let bytes = file();
        for length in MAGIC.len()..bytes.len() {
            let contents = read(&bytes[..length]).unwrap();
            assert!(records().starts_with(&contents.records));
            assert!(contents.records.len() < 3);
        }
    }

    #[test]
    fn a_flipped_bit_never_invents_a_record() {
        for at in MAGIC.len()..file().len() {
            let mut bytes = file();
            bytes[at] ^= 0x10;
            assert!(records().starts_with(&read(&bytes).unwrap().records), "byte {at}");
        }
    }
}
