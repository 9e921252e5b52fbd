//! Tiers of limits, and the tier at which a gate judges.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::diagnostic::Problems;
use crate::document::{Choice, Definitions, FromNode, Node, read_choice, words_schema};
use crate::units::text_enum;

text_enum! {
    /// A tier of limits, best first.
    pub enum Tier {
        Target = "target",
        Acceptable = "acceptable",
        /// For throughput the minimum.
        Maximum = "maximum",
    }
}

/// The tier at which objectives are judged; with `None` nothing is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateTier(pub Option<Tier>);

impl GateTier {
    /// Objectives are only reported.
    pub const NOTHING: Self = Self(None);
    /// All values, loosest first.
    pub const ALL: &'static [Self] =
        &[Self(Some(Tier::Maximum)), Self(Some(Tier::Acceptable)), Self(Some(Tier::Target)), Self::NOTHING];

    pub fn as_str(self) -> &'static str {
        self.0.map_or("none", Tier::as_str)
    }
}

impl From<Tier> for GateTier {
    fn from(tier: Tier) -> Self {
        Self(Some(tier))
    }
}

impl fmt::Display for GateTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Choice for GateTier {
    const VALUES: &'static [Self] = Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl FromNode for GateTier {
    fn expected() -> String {
        Self::ALL.iter().map(|tier| format!("`\"{tier}\"`")).collect::<Vec<_>>().join(" or ")
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        read_choice(node, problems)
    }

    fn schema(_: &mut Definitions) -> Json {
        words_schema::<Self>()
    }
}

impl Serialize for GateTier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for GateTier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<'de, str>::deserialize(deserializer)?;
        let found = Self::ALL.iter().copied().find(|tier| tier.as_str() == word);
        found.ok_or_else(|| serde::de::Error::custom(format!("`{word}` is no tier of a gate")))
    }
}

impl JsonSchema for GateTier {
    fn schema_name() -> Cow<'static, str> {
        "GateTier".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = Self::ALL.iter().map(|tier| tier.as_str()).collect();
        json_schema!({ "description": "The tier at which objectives are judged.", "type": "string", "enum": words })
    }
}
