//! The JSON Schemas of the files that a plan consists of.

use serde_json::Value;

use crate::document::schema_of;
use crate::plan::document::{IncludeDocument, PlanDocument};

/// Of plans.
pub fn plan() -> Value {
    schema_of::<PlanDocument>("A plan of runner")
}

/// Of the files with lists and user classes that plans include.
pub fn users() -> Value {
    schema_of::<IncludeDocument>("Lists and user classes for plans of runner")
}
