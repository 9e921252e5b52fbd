//! Texts with holes, parsed once, rendered for every request straight into its bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::plan::draw::Draw;

/// A text with holes. Rendering neither parses nor escapes: both were done when it was compiled.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// As it is, escaped already.
    Text(Bytes),
    /// Filled in for every task.
    Hole(Hole),
}

/// What a hole is filled with.
#[derive(Debug, Clone, PartialEq)]
pub enum Hole {
    /// One of these, escaped already.
    Pick(Vec<Bytes>),
    /// A whole number, both ends included.
    Integer(i64, i64),
    /// A number.
    Float(f64, f64),
    /// A random UUID (version 4).
    Uuid,
    /// A number that no other hole of the run gets; the hole's place among those of its request.
    Sequence(u64),
    /// The user's number.
    User,
    /// The time, RFC 3339, in UTC, to the millisecond.
    Now,
}

/// What a task brings to its holes besides chance.
#[derive(Clone, Copy)]
pub struct Facts<'t> {
    /// The user's number, from 0.
    pub user: u32,
    /// The first number of this task's own range for `${seq()}`, and the step from one hole to the next.
    pub sequence: (u64, u64),
    /// The time of day.
    pub now: &'t dyn Fn() -> jiff::Timestamp,
}

impl Template {
    /// Adds literal text.
    pub fn push_text(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        if let Some(Piece::Text(last)) = self.pieces.last_mut() {
            *last = [last.as_ref(), text].concat().into();
        } else {
            self.pieces.push(Piece::Text(Bytes::copy_from_slice(text)));
        }
    }

    /// Adds a hole.
    pub fn push_hole(&mut self, hole: Hole) {
        self.pieces.push(Piece::Hole(hole));
    }

    /// The whole text where there is no hole in it.
    pub fn constant(&self) -> Option<Bytes> {
        match self.pieces.as_slice() {
            [] => Some(Bytes::new()),
            [Piece::Text(text)] => Some(text.clone()),
            _ => None,
        }
    }

    /// Adds another template's pieces.
    pub fn append(&mut self, other: Self) {
        for piece in other.pieces {
            match piece {
                Piece::Text(text) => self.push_text(&text),
                Piece::Hole(hole) => self.push_hole(hole),
            }
        }
    }

    /// All text that the template can bring along, but for what is drawn as numbers.
    pub fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces
            .iter()
            .flat_map(|piece| match piece {
                Piece::Text(text) => std::slice::from_ref(text),
                Piece::Hole(Hole::Pick(items)) => items.as_slice(),
                Piece::Hole(_) => &[],
            })
            .map(AsRef::as_ref)
    }

    /// The holes, to be changed.
    pub fn holes_mut(&mut self) -> impl Iterator<Item = &mut Hole> {
        self.pieces.iter_mut().filter_map(|piece| match piece {
            Piece::Hole(hole) => Some(hole),
            Piece::Text(_) => None,
        })
    }

    /// How many `${seq()}` it has.
    pub fn sequences(&self) -> u64 {
        self.pieces.iter().filter(|piece| matches!(piece, Piece::Hole(Hole::Sequence(_)))).count() as u64
    }

    /// Writes the text with its holes filled. Draws in the order of the holes.
    pub fn render(&self, out: &mut BytesMut, draw: &mut Draw, facts: &Facts<'_>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.put_slice(text),
                Piece::Hole(hole) => fill(hole, out, draw, facts),
            }
        }
    }
}

fn fill(hole: &Hole, out: &mut BytesMut, draw: &mut Draw, facts: &Facts<'_>) {
    use std::fmt::Write;
    let written = match hole {
        Hole::Pick(items) => {
            out.put_slice(&items[draw.index(items.len())]);
            Ok(())
        }
        Hole::Integer(low, high) => write!(out, "{}", draw.integer(*low, *high)),
        Hole::Float(low, high) => write!(out, "{}", draw.float(*low, *high)),
        Hole::Uuid => write!(out, "{}", uuid::Builder::from_random_bytes(draw.bytes()).as_uuid()),
        Hole::Sequence(place) => write!(out, "{}", facts.sequence.0 + place * facts.sequence.1),
        Hole::User => write!(out, "{}", facts.user),
        Hole::Now => write!(out, "{:.3}", (facts.now)()),
    };
    written.expect("bytes grow as they are written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::draw::Occasion;

    fn rendered(holes: &[Hole]) -> String {
        let mut template = Template::default();
        for hole in holes {
            template.push_hole(hole.clone());
            template.push_text(b" ");
        }
        let now = || "2026-11-23T10:11:12.345678Z".parse().unwrap();
        let facts = Facts { user: 4, sequence: (30, 2), now: &now };
        let mut out = BytesMut::new();
        template.render(&mut out, &mut Draw::new(7, 0, Occasion::Arrival(1)), &facts);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn holes_are_filled_with_what_their_task_brings() {
        let text = rendered(&[Hole::User, Hole::Sequence(0), Hole::Sequence(1), Hole::Now]);
        assert_eq!(text, "4 30 32 2026-11-23T10:11:12.345Z ");
    }

    #[test]
    fn a_uuid_is_a_random_one_and_a_float_stays_within_its_ends() {
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
}
