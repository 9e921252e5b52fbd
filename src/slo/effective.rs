//! The effective values of threshold files.

use crate::diagnostic::Problems;
use crate::document::{EffectiveValue, EffectiveValues, Fields, FromNode, Node, Origin, Value, parse};
use crate::plan::ThresholdsFile;
use crate::slo::compile::matches_glob;
use crate::slo::document::ThresholdsDocument;

/// The effective values of all objectives that a plan uses.
pub fn effective_values(files: &[ThresholdsFile], problems: &mut Problems) -> Vec<EffectiveValue> {
    let of_file = |file: &ThresholdsFile| {
        let mut root = parse(file.file, problems);
        keep_taken(&mut root, file);
        let mut values = EffectiveValues::default();
        ThresholdsDocument::explain(&root, &mut values);
        let mut found = values.found();
        // The plan's `gate` for the whole file overrides the file's own.
        for gate in found.iter_mut().filter(|value| !file.gated && value.key.ends_with(".gate")) {
            (gate.value, gate.origin) = ("false".to_owned(), Origin::Written(file.span));
        }
        found
    };
    files.iter().flat_map(of_file).collect()
}

/// Removes the objectives that the plan's `only` does not select.
fn keep_taken(root: &mut Node, file: &ThresholdsFile) {
    let (Value::Table(entries), Some(only)) = (&mut root.value, &file.only) else { return };
    for (_, kind) in entries {
        if let Value::Array(items) = &mut kind.value {
            let taken = |name: &str| only.iter().any(|entry| matches_glob(&entry.value, name));
            items.retain(|item| Fields::name_of(item).is_some_and(taken));
        }
    }
}
