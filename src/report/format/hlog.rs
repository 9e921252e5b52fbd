//! `latency.hlog`: the response times of each operation over time, as an interval log of HdrHistogram.
//!
//! The readers of Java, Python and JavaScript take only the deflated V2 coding. Values are in nanoseconds, because
//! Java's `HistogramLogProcessor` divides them by 10⁶.

use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::measure::histogram::{MAX_MICROS, SparseHistogram};
use crate::report::full::FullReport;

/// The highest value that the histograms can hold: above the bucket of the longest time. Readers allocate memory for
/// it, and Java reads it as a signed number.
const HIGHEST_NANOS: u64 = 2 * MAX_MICROS * 1000;
/// Significant digits of a value.
const SIGNIFICANT_DIGITS: u8 = 3;
/// The unit of the highest value of a line: milliseconds, as Java writes it.
const NANOS_PER_MS: f64 = 1e6;

/// Characters of a name that a tag cannot hold. Those that are not ASCII are escaped too, because Java reads the log in
/// the encoding of its machine. With `%` escaped, no two names get the same tag.
const NOT_IN_TAGS: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'"').add(b'%');

/// A line of the log.
struct LoggedInterval<'r> {
    /// The time from the start of the first phase.
    start: Duration,
    length: Duration,
    tag: String,
    times: &'r SparseHistogram,
}

/// The interval log.
pub(super) fn render(full: &FullReport<'_>) -> String {
    let first = full.details.iter().map(|details| details.started_at).min();
    let base = first.or_else(|| full.report.started_at.parse().ok()).unwrap_or_default();
    let log = written(&comments(full, base), base, &intervals(full, base));
    String::from_utf8(log).expect("comments, tags and codes are ASCII")
}

/// The description of the log, for people: the unit, and the time and the interval of each phase.
fn comments(full: &FullReport<'_>, base: Timestamp) -> Vec<String> {
    let mut comments = vec![
        "[Histogram log format version 1.3]".to_owned(),
        "Response times in nanoseconds, from the intended start to the end of the response".to_owned(),
        "Requests that succeeded or timed out, in the interval in which they were intended".to_owned(),
        "Tag: the operation, percent-encoded".to_owned(),
    ];
    comments.extend(full.phases().map(|(phase, details)| {
        let (name, start) = (tag(&phase.name), since(base, details.started_at, 0.0).as_secs_f64());
        format!("Phase {name}: from {start:.3} s, intervals of {} s", details.timeline.width())
    }));
    comments
}

/// The lines of all phases, by time and then by tag.
fn intervals<'r>(full: &FullReport<'r>, base: Timestamp) -> Vec<LoggedInterval<'r>> {
    let mut intervals = Vec::new();
    for details in &full.details {
        for (second, slice) in details.timeline.slices() {
            let timed = slice.operations.iter().filter(|(_, operation)| operation.response.count() > 0);
            intervals.extend(timed.map(|(id, operation)| LoggedInterval {
                start: since(base, details.started_at, second),
                length: Duration::from_secs(slice.seconds.into()),
                tag: tag(details.name(*id)),
                times: &operation.response,
            }));
        }
    }
    intervals.sort_by(|one, other| (one.start, &one.tag).cmp(&(other.start, &other.tag)));
    intervals
}

/// The time from `base` to a second of a phase.
fn since(base: Timestamp, phase: Timestamp, second: f64) -> Duration {
    phase.duration_since(base).unsigned_abs() + Duration::from_secs_f64(second)
}

/// The tag of an operation, in ASCII. The name is its percent-decoded text.
fn tag(name: &str) -> String {
    utf8_percent_encode(name, NOT_IN_TAGS).to_string()
}

fn written(comments: &[String], base: Timestamp, intervals: &[LoggedInterval<'_>]) -> Vec<u8> {
    let (mut log, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut builder = IntervalLogWriterBuilder::new();
    for comment in comments {
        builder.add_comment(comment);
    }
    let start = base.try_into().expect("the system can represent its own time");
    builder.with_start_time(start).with_base_time(start).with_max_value_divisor(NANOS_PER_MS);
    let mut writer = builder.begin_log_with(&mut log, &mut serializer).expect("memory takes every byte");
    let mut histogram = Histogram::<u64>::new_with_bounds(1, HIGHEST_NANOS, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants");
    for LoggedInterval { start, length, tag, times } in intervals {
        histogram.reset();
        for (micros, count) in times.buckets() {
            let nanos = micros.min(times.max()) * 1000;
            histogram.record_n(nanos, count).expect("the highest bucket is below the highest value");
        }
        let tag = Tag::new(tag).expect("a tag has no character that ends it");
        writer.write_histogram(&histogram, *start, *length, Some(tag)).expect("memory takes every byte");
    }
    log
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;
    use crate::report::format::tests::HOSTILE;

    proptest! {
        #[test]
        fn a_tag_is_valid_and_gives_the_name_back(name in ".{1,40}") {
            let tag = tag(&name);
            prop_assert!(tag.is_ascii() && Tag::new(&tag).is_some(), "{}", tag);
            prop_assert_eq!(percent_decode_str(&tag).decode_utf8().unwrap(), name);
        }
    }

    #[test]
    fn hostile_names_are_tags_and_common_names_stay_as_they_are() {
        assert_eq!([tag("search"), tag("GET /a?b=c")], ["search", "GET%20/a?b=c"]);
        // Escaped, this name is the tag of no other.
        assert_ne!(tag("a%20b"), tag("a b"));
        assert!(HOSTILE.iter().all(|name| Tag::new(&tag(name)).is_some()));
    }

    /// Times from one microsecond to two hours, the longest of which count as one hour.
    fn times() -> SparseHistogram {
        let mut times = SparseHistogram::default();
        (1..2000).for_each(|each| times.record(Duration::from_micros(each * each * 1800)));
        times.record(Duration::from_micros(1));
        times
    }

    #[test]
    fn a_reader_finds_the_start_the_tag_and_the_same_percentiles_in_nanoseconds() {
        let times = times();
        let base = "2026-11-30T20:55:59.538Z".parse().unwrap();
        let tag = "search".to_owned();
        let (start, length) = (Duration::from_millis(6022), Duration::from_secs(16));
        let log = written(&[], base, &[LoggedInterval { start, length, tag, times: &times }]);
        let entries: Vec<_> = IntervalLogIterator::new(&log).map(Result::unwrap).collect();
        let epoch = Duration::from_millis(1_796_072_159_538);
        assert_eq!(entries[..2], [LogEntry::StartTime(epoch), LogEntry::BaseTime(epoch)]);
        let [_, _, LogEntry::Interval(interval)] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((interval.start_timestamp(), interval.duration()), (start, length));
        assert_eq!(interval.tag().unwrap().as_str(), "search");
        let max_ms = interval.max();
        assert!((3_600_000.0..3_610_000.0).contains(&max_ms), "{max_ms}");
        // The start of the code of a deflated histogram in the second version.
        assert!(interval.encoded_histogram().starts_with("HISTFAAA"));
        let code = BASE64_STANDARD.decode(interval.encoded_histogram()).unwrap();
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &code[..]).unwrap();
        assert_eq!((read.len(), read.low()), (times.count(), 1));
        assert!(i64::try_from(read.high()).is_ok());
        for part in [0.0, 0.001, 0.5, 0.9, 0.95, 0.99, 1.0] {
            let (found, wanted) = (read.value_at_quantile(part), times.quantile(part).unwrap() * 1000);
            assert!((wanted..=wanted + wanted / 1000).contains(&found), "{part}: {found}, not {wanted}");
        }
    }
}
