//! Texts with holes: compiled once and rendered for every request directly into its bytes.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

use crate::plan::encoding::Encoding;
use crate::plan::packed_strings::PackedStrings;
use crate::plan::random::RandomStream;

/// A text with holes. Rendering neither parses nor escapes the text: both happened when it was compiled.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Template {
    segments: Vec<Segment>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Segment {
    /// Literal text, already escaped.
    Text(Bytes),
    /// Filled for every task.
    Hole(Hole),
}

/// Source of the value of a hole.
#[derive(Debug, Clone, PartialEq)]
pub enum Hole {
    /// A random item; the items are already escaped.
    Pick(Arc<PackedStrings>),
    /// The value in a row of a list; rows wrap around.
    Column(ListColumn),
    /// A value that the user captured.
    Captured(CapturedValue),
    /// A random integer, both ends included.
    Integer(i64, i64),
    /// A random number between the two.
    Float(f64, f64),
    /// A random UUID (version 4).
    Uuid,
    /// A number that no other hole of the run gets. Holds the index among the `${seq()}` holes of the task.
    Sequence(u64),
    /// The number of the user.
    User,
    /// The current time in RFC 3339 format, in UTC, to the millisecond.
    Now,
}

/// A column of a list, and which row of it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct ListColumn {
    /// By row, already escaped.
    pub values: Arc<PackedStrings>,
    /// Index among the row sources of the plan.
    pub source: usize,
    /// Whether the values are whole JSON values, with quotes where they are strings.
    pub is_json: bool,
}

/// A hole for a value that the user captured.
#[derive(Debug, Clone, PartialEq)]
pub struct CapturedValue {
    /// Name in the plan.
    pub name: String,
    /// Index among the values that a user keeps.
    pub slot: usize,
    /// Escaping for the place of the hole.
    pub encoding: Encoding,
}

/// A JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// Parses a pointer. It is empty, or consists of steps that each start with `/`.
    pub fn new(text: &str) -> Option<Self> {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        ((text.is_empty() || text.starts_with('/')) && escapes).then(|| Self(text.to_owned()))
    }

    /// The value at the pointer.
    pub fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.pointer(&self.0)
    }
}

impl Pointer {
    /// Whether a step may stand for any element of an array.
    pub fn picks(&self) -> bool {
        self.0.split('/').any(|step| step == "*")
    }

    /// The value at the pointer, where a step `*` stands for the element of an array whose index `pick` returns for its
    /// length.
    pub fn find_picked<'v>(
        &self,
        value: &'v Value,
        mut pick: impl FnMut(usize) -> usize,
    ) -> Option<&'v Value> {
        let mut found = value;
        for step in self.0.split('/').skip(1) {
            found = match found {
                Value::Array(items) if step == "*" && items.is_empty() => return None,
                Value::Array(items) if step == "*" => &items[pick(items.len())],
                other => other.pointer(&format!("/{step}"))?,
            };
        }
        Some(found)
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Error of a hole that could not be filled: the user has no captured value of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingCapture(pub String);

/// The values of a task for its holes, except random values.
#[derive(Clone, Copy)]
pub struct RenderContext<'t> {
    /// Number of the user, from 0.
    pub user: u32,
    /// By row source of the plan: row for the columns of its list, from 0.
    pub rows: &'t [u64],
    /// Values that the user has captured, by slot.
    pub captured: &'t [Option<Value>],
    /// First number of the task's own range for `${seq()}`, and the step from one hole to the next.
    pub sequence: (u64, u64),
    /// Clock for `${now()}`.
    pub now: &'t dyn Fn() -> jiff::Timestamp,
}

impl From<Bytes> for Template {
    /// A template without holes. The bytes are not copied.
    fn from(text: Bytes) -> Self {
        Self { segments: vec![Segment::Text(text)] }
    }
}

impl Template {
    pub fn push_text(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        if let Some(Segment::Text(last)) = self.segments.last_mut() {
            *last = [last.as_ref(), text].concat().into();
        } else {
            self.segments.push(Segment::Text(Bytes::copy_from_slice(text)));
        }
    }

    pub fn push_hole(&mut self, hole: Hole) {
        self.segments.push(Segment::Hole(hole));
    }

    /// The whole text; `None` if the template has a hole.
    pub fn constant(&self) -> Option<Bytes> {
        match self.segments.as_slice() {
            [] => Some(Bytes::new()),
            [Segment::Text(text)] => Some(text.clone()),
            _ => None,
        }
    }

    /// Adds the segments of another template.
    pub fn append(&mut self, other: Self) {
        for segment in other.segments {
            match segment {
                Segment::Text(text) => self.push_text(&text),
                Segment::Hole(hole) => self.push_hole(hole),
            }
        }
    }

    /// Whether `fit` accepts every text that the template can contain. Generated and captured values are not checked.
    pub fn all_texts(&self, fit: impl Fn(&[u8]) -> bool) -> bool {
        self.segments.iter().all(|segment| match segment {
            Segment::Text(text) => fit(text),
            Segment::Hole(Hole::Pick(items) | Hole::Column(ListColumn { values: items, .. })) => {
                items.iter().all(&fit)
            }
            Segment::Hole(_) => true,
        })
    }

    /// Names of the captured values that it needs.
    pub fn required_captures(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Hole(Hole::Captured(kept)) => Some(kept.name.as_str()),
            _ => None,
        })
    }

    /// The row sources of its columns.
    pub fn row_sources(&self) -> impl Iterator<Item = usize> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Hole(Hole::Column(column)) => Some(column.source),
            _ => None,
        })
    }

    /// The slot of the captured value, if it consists of one alone.
    pub fn captured_slot(&self) -> Option<usize> {
        match self.segments.as_slice() {
            [Segment::Hole(Hole::Captured(value))] => Some(value.slot),
            _ => None,
        }
    }

    pub fn holes_mut(&mut self) -> impl Iterator<Item = &mut Hole> {
        self.segments.iter_mut().filter_map(|segment| match segment {
            Segment::Hole(hole) => Some(hole),
            Segment::Text(_) => None,
        })
    }

    /// Estimated length of the rendered text in bytes: its own texts, the mean of lists, and 40 bytes for any other hole.
    pub fn expected_length(&self) -> usize {
        let length = |segment: &Segment| match segment {
            Segment::Text(text) => text.len(),
            Segment::Hole(Hole::Pick(list) | Hole::Column(ListColumn { values: list, .. })) => {
                list.mean_length()
            }
            Segment::Hole(_) => 40,
        };
        self.segments.iter().map(length).sum()
    }

    /// Number of its `${seq()}` holes.
    pub fn sequences(&self) -> u64 {
        self.segments.iter().filter(|segment| matches!(segment, Segment::Hole(Hole::Sequence(_)))).count()
            as u64
    }

    /// Writes the text with its holes filled. Random values are drawn in the order of the holes.
    ///
    /// # Errors
    /// When the user has not captured a value that the template needs.
    pub fn render(
        &self,
        out: &mut BytesMut,
        random: &mut RandomStream,
        context: &RenderContext<'_>,
    ) -> Result<(), MissingCapture> {
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => out.put_slice(text),
                Segment::Hole(hole) => fill(hole, out, random, context)?,
            }
        }
        Ok(())
    }
}

fn fill(
    hole: &Hole,
    out: &mut BytesMut,
    random: &mut RandomStream,
    context: &RenderContext<'_>,
) -> Result<(), MissingCapture> {
    use std::fmt::Write;
    let written = match hole {
        Hole::Pick(items) => {
            out.put_slice(items.get(random.index(items.len())));
            Ok(())
        }
        Hole::Column(ListColumn { values, source, .. }) => {
            let row = context.rows[*source] % values.len() as u64;
            out.put_slice(values.get(row as usize));
            Ok(())
        }
        Hole::Captured(CapturedValue { name, slot, encoding }) => {
            let value = context.captured.get(*slot).and_then(Option::as_ref);
            let value = value.ok_or_else(|| MissingCapture(name.clone()))?;
            out.write_str(&encoding.value(value))
        }
        Hole::Integer(low, high) => write!(out, "{}", random.integer(*low, *high)),
        Hole::Float(low, high) => write!(out, "{}", random.float(*low, *high)),
        Hole::Uuid => write!(out, "{}", uuid::Builder::from_random_bytes(random.bytes()).as_uuid()),
        Hole::Sequence(place) => write!(out, "{}", context.sequence.0 + place * context.sequence.1),
        Hole::User => write!(out, "{}", context.user),
        Hole::Now => write!(out, "{:.3}", (context.now)()),
    };
    written.expect("the buffer grows as needed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::random::StreamKey;

    fn rendered(holes: &[Hole]) -> String {
        let mut template = Template::default();
        for hole in holes {
            template.push_hole(hole.clone());
            template.push_text(b" ");
        }
        let now = || "2026-11-23T10:11:12.345678Z".parse().unwrap();
        let context = RenderContext {
            user: 4,
            rows: &[5],
            captured: &[Some("a\"b".into())],
            sequence: (30, 2),
            now: &now,
        };
        let mut out = BytesMut::new();
        template.render(&mut out, &mut RandomStream::new(7, 0, StreamKey::Arrival(1)), &context).unwrap();
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn holes_are_filled_with_the_values_of_their_task() {
        let text = rendered(&[Hole::User, Hole::Sequence(0), Hole::Sequence(1), Hole::Now]);
        assert_eq!(text, "4 30 32 2026-11-23T10:11:12.345Z ");
    }

    #[test]
    fn a_uuid_is_random_and_a_float_stays_between_its_ends() {
        let text = rendered(&[Hole::Uuid, Hole::Float(0.6, 0.8)]);
        let (uuid, float) = text.trim_end().split_once(' ').unwrap();
        assert_eq!(uuid::Uuid::parse_str(uuid).unwrap().get_version_num(), 4);
        assert!((0.6..=0.8).contains(&float.parse::<f64>().unwrap()));
    }

    #[test]
    fn a_text_without_holes_is_one_piece() {
        let mut template = Template::default();
        template.push_text(b"/se");
        template.push_text(b"arch");
        assert_eq!(template.constant().unwrap(), "/search");
    }

    #[test]
    fn rows_wrap_around_and_captures_are_escaped_for_their_place() {
        let values: Arc<PackedStrings> = Arc::new(["zero", "one", "two"].into_iter().collect());
        let column = ListColumn { values, source: 0, is_json: false };
        let kept = |encoding| Hole::Captured(CapturedValue { name: "t".to_owned(), slot: 0, encoding });
        let text = rendered(&[Hole::Column(column), kept(Encoding::Path), kept(Encoding::JsonValue)]);
        assert_eq!(text, r#"two a%22b "a\"b" "#);
    }

    #[test]
    fn a_pointer_begins_with_a_slash_and_escapes_tilde_and_slash() {
        for (text, fits) in [("", true), ("/a/0", true), ("/a~1b~0c", true), ("a", false), ("/a~2", false)] {
            assert_eq!(Pointer::new(text).is_some(), fits, "{text}");
        }
    }
}
