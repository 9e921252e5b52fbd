//! Reads a journal up to its first incomplete or damaged record.

use std::io::{BufRead, BufReader, Read};

use crate::event::RunEvent;
use crate::journal::format::{HEADER_BYTES, MAGIC, MAX_EVENT_BYTES, OLDEST_VERSION, VERSION};

/// Reads the events of a journal one by one, in memory that does not grow with their number.
#[derive(Debug)]
pub struct JournalReader<R> {
    input: BufReader<R>,
    event: Vec<u8>,
    /// The number of complete records that this version cannot interpret.
    pub unknown: u64,
    /// Whether the file ends in the middle of a record, or with a damaged one.
    pub is_torn: bool,
}

/// Why a file cannot be read as a journal.
#[derive(Debug)]
pub enum NotAJournal {
    /// Its first line names another format.
    OtherFormat,
    /// Its first line names a version that this build does not read.
    OtherVersion(u32),
    Unreadable(std::io::Error),
}

impl std::fmt::Display for NotAJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OtherFormat => write!(f, "it does not start with `{MAGIC}`, so it is no journal"),
            Self::OtherVersion(version) => write!(
                f,
                "it has version {version} of the journal, and this runner reads versions {OLDEST_VERSION} to {VERSION}; \
                 use the runner that wrote it"
            ),
            Self::Unreadable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotAJournal {}

impl<R: Read> JournalReader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// When the input is no journal, or one of an unknown version.
    pub fn new(input: R) -> Result<Self, NotAJournal> {
        const MAX_LINE_BYTES: u64 = 100;
        let mut input = BufReader::with_capacity(1 << 18, input);
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        read.map_err(NotAJournal::Unreadable)?;
        let line = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix('\n'));
        let version = line.and_then(|line| line.strip_prefix(MAGIC)?.parse().ok());
        match version {
            Some(OLDEST_VERSION..=VERSION) => {
                Ok(Self { input, event: Vec::new(), unknown: 0, is_torn: false })
            }
            Some(version) => Err(NotAJournal::OtherVersion(version)),
            None => Err(NotAJournal::OtherFormat),
        }
    }

    /// The bytes up to the end of the first event, which says what the others mean.
    #[cfg(test)]
    pub(crate) fn start_bytes(mut self) -> usize {
        let event = self.record().map_or(0, <[u8]>::len);
        crate::journal::format::first_line().len() + HEADER_BYTES + event
    }

    /// The bytes of the next complete record; `None` at the end.
    fn record(&mut self) -> Option<&[u8]> {
        let mut header = [0; HEADER_BYTES];
        let mut filled = 0;
        while filled < HEADER_BYTES {
            match self.input.read(&mut header[filled..]) {
                Ok(0) | Err(_) if filled > 0 => {
                    self.is_torn = true;
                    return None;
                }
                Ok(0) => return None,
                Ok(read) => filled += read,
                Err(_) => {
                    self.is_torn = true;
                    return None;
                }
            }
        }
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let (length, checksum) = (word(0) as usize, word(4));
        self.is_torn = true;
        if length == 0 || length > MAX_EVENT_BYTES {
            return None;
        }
        self.event.resize(length, 0);
        self.input.read_exact(&mut self.event).ok()?;
        if crc32c::crc32c(&self.event) != checksum {
            return None;
        }
        self.is_torn = false;
        Some(&self.event)
    }
}

impl<R: Read> Iterator for JournalReader<R> {
    type Item = RunEvent;

    fn next(&mut self) -> Option<RunEvent> {
        while !self.is_torn {
            match rmp_serde::from_slice(self.record()?) {
                Ok(event) => return Some(event),
                Err(_) => self.unknown += 1,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::format::{first_line, frame};
    use crate::measure::generator_vitals::GeneratorUsage;
    use crate::measure::window::{Batch, Window};
    use crate::plan::model::PhaseId;

    fn events() -> Vec<RunEvent> {
        let window = Window { scheduled: 3, started: 2, ..Window::default() };
        let batch =
            Batch { phase: PhaseId(1), windows: [(7, window)].into(), settled_before: 8, ..Batch::default() };
        let usage = Some(GeneratorUsage::default());
        vec![
            RunEvent::PhaseStarted { phase: PhaseId(1), at: jiff::Timestamp::UNIX_EPOCH },
            RunEvent::Recorded(batch),
            RunEvent::PhaseEnded { phase: PhaseId(1), ran: Duration::from_secs(9), usage },
        ]
    }

    fn file() -> Vec<u8> {
        events().iter().fold(first_line().into_bytes(), |mut bytes, event| {
            frame(event, &mut bytes);
            bytes
        })
    }

    fn read(bytes: &[u8]) -> (Vec<RunEvent>, bool) {
        let mut reader = JournalReader::new(bytes).unwrap();
        let events = reader.by_ref().collect();
        (events, reader.is_torn)
    }

    #[test]
    fn written_events_are_read_back() {
        assert_eq!(read(&file()), (events(), false));
    }

    #[test]
    fn a_file_cut_anywhere_gives_its_whole_events() {
        let (bytes, start) = (file(), first_line().len());
        for length in start..bytes.len() {
            let (found, is_torn) = read(&bytes[..length]);
            assert!(events().starts_with(&found) && found.len() < 3);
            let whole = (0..=found.len()).map(|count| {
                events()[..count].iter().fold(start, |end, event| {
                    let mut bytes = Vec::new();
                    frame(event, &mut bytes);
                    end + bytes.len()
                })
            });
            assert_eq!(is_torn, !whole.collect::<Vec<_>>().contains(&length), "cut at {length}");
        }
    }

    #[test]
    fn a_flipped_bit_never_invents_an_event() {
        for at in first_line().len()..file().len() {
            let mut bytes = file();
            bytes[at] ^= 0x10;
            assert!(events().starts_with(&read(&bytes).0), "byte {at}");
        }
    }

    #[test]
    fn an_event_of_a_later_version_is_counted_and_passed_over() {
        let mut bytes = first_line().into_bytes();
        let later = rmp_serde::to_vec(&serde_json::json!({ "PhaseWelded": [1, 2] })).unwrap();
        bytes.extend(u32::try_from(later.len()).unwrap().to_le_bytes());
        bytes.extend(crc32c::crc32c(&later).to_le_bytes());
        bytes.extend(later);
        events().iter().for_each(|event| frame(event, &mut bytes));
        let mut reader = JournalReader::new(&*bytes).unwrap();
        assert_eq!(reader.by_ref().collect::<Vec<_>>(), events());
        assert_eq!((reader.unknown, reader.is_torn), (1, false));
    }

    #[test]
    fn another_file_and_another_version_are_refused() {
        let why = |bytes: &str| JournalReader::new(bytes.as_bytes()).unwrap_err().to_string();
        assert!(why("PK\n").contains("no journal"));
        assert!(why("runner-journal/4").contains("no journal"));
        assert!(why("runner-journal/99\n").contains("version 99"));
    }
}
