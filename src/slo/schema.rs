//! The JSON Schema of the files that objectives stand in.

use serde_json::Value;

use crate::document::schema_of;
use crate::slo::document::ThresholdsDocument;

/// Of threshold files.
pub fn thresholds() -> Value {
    schema_of::<ThresholdsDocument>("Thresholds of runner")
}
