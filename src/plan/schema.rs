//! JSON Schemas of the files of a plan.

use serde_json::Value;

use crate::document::schema_of;
use crate::plan::document::{IncludeDocument, PlanDocument};

/// The schema of plans.
pub fn plan() -> Value {
    schema_of::<PlanDocument>("A plan of runner")
}

/// The schema of the files with lists and user classes that plans include.
pub fn users() -> Value {
    schema_of::<IncludeDocument>("Lists and user classes for plans of runner")
}
