//! The JSON Schema of threshold files.

use serde_json::Value;

use crate::document::schema_of;
use crate::slo::document::ThresholdsDocument;

/// The schema of threshold files.
pub fn thresholds() -> Value {
    schema_of::<ThresholdsDocument>("Thresholds of runner")
}
