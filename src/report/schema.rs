//! The JSON Schema of `report.json`.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use crate::report::model::Report;

/// The schema of reports. A report has every key; a value that is not known is `null`.
pub fn report() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Report>();
    RecursiveTransform(plain_description).transform(&mut schema);
    schema.insert("title".to_owned(), "Reports of runner".into());
    schema.to_value()
}

/// Turns links between types into their names.
fn plain_description(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
    }
}
