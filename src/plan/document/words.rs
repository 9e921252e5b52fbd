//! Keys whose values are words.

use crate::diagnostic::Problems;
use serde_json::Value as Json;

use crate::document::{Choice, Definitions, FromNode, Node, read_choice, words_schema};
use crate::resources::source::QueryUnit;
use crate::units::text_enum;

macro_rules! words {
    ($(#[doc = $about:literal])+ $vis:vis enum $name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal ,)+ }) => {
        text_enum! {
            $(#[doc = $about])+
            $vis enum $name { $( $(#[doc = $doc])+ $variant = $word, )+ }
        }

        read_words!($name);
    };
}

/// Reads an enum of words from documents.
macro_rules! read_words {
    ($name:ident) => {
        impl Choice for $name {
            const VALUES: &'static [Self] = Self::ALL;

            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl FromNode for $name {
            fn expected() -> String {
                Self::ALL.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or ")
            }

            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                read_choice(node, problems)
            }

            fn schema(_: &mut Definitions) -> Json {
                words_schema::<Self>()
            }
        }
    };
}

words! {
    /// HTTP version of the requests.
    pub(in crate::plan) enum HttpVersionDocument {
        /// HTTP/1.1.
        One = "1.1",
        /// HTTP/2.
        Two = "2",
    }
}

words! {
    /// How long a user keeps a connection.
    pub(in crate::plan) enum ConnectionsDocument {
        /// Until the target closes it or the user leaves.
        Keep = "keep",
        /// For one task, or one `on_start` or `on_stop`.
        PerTask = "per-task",
        /// For one request.
        PerRequest = "per-request",
    }
}

words! {
    /// Type of a column in a CSV file.
    pub(in crate::plan) enum ColumnTypeDocument {
        /// Text.
        String = "string",
        /// An integer or a float.
        Number = "number",
        /// `true` or `false`.
        Boolean = "boolean",
        /// Any JSON value.
        Json = "json",
    }
}

words! {
    /// When arrivals begin with the first row of a list again.
    pub(in crate::plan) enum RestartDocument {
        /// After the last row.
        Never = "never",
        /// In each open phase.
        Phase = "phase",
    }
}

words! {
    /// Distribution of the gaps between arrivals.
    pub enum Spacing {
        /// Evenly spaced.
        Even = "even",
        /// Independent gaps with an exponential distribution.
        Poisson = "poisson",
    }
}

words! {
    /// Effect of an inconclusive objective on the exit code.
    pub enum Inconclusive {
        /// The run does not pass.
        Fail = "fail",
        /// The verdict stays inconclusive, and the exit code is 0.
        Warn = "warn",
    }
}

words! {
    /// Whether a verdict must be proven.
    pub enum Decision {
        /// Met or missed only with the gate's confidence.
        Proven = "proven",
        /// The observed value is compared with the limit.
        Observed = "observed",
    }
}

read_words!(QueryUnit);
