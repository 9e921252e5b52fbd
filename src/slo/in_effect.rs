use crate::diagnostic::Problems;
use crate::document::{Explanation, Fields, InEffect, Node, Origin, Read, Value, parse};
use crate::plan::ThresholdsFile;
use crate::slo::compile::glob;
use crate::slo::document::ThresholdsDocument;

/// Every key of the objectives that a plan takes that has a value in effect.
pub fn in_effect(files: &[ThresholdsFile], problems: &mut Problems) -> Vec<InEffect> {
    let of_file = |file: &ThresholdsFile| {
        let mut root = parse(file.file, problems);
        keep_taken(&mut root, file);
        let mut told = Explanation::default();
        ThresholdsDocument::explain(&root, &mut told);
        let mut found = told.found();
        // What the plan says of the file as a whole stands above what the file says.
        for gate in found.iter_mut().filter(|value| !file.gated && value.key.ends_with(".gate")) {
            (gate.value, gate.origin) = ("false".to_owned(), Origin::Written(file.span));
        }
        found
    };
    files.iter().flat_map(of_file).collect()
}

/// Leaves out the objectives that the plan does not take.
fn keep_taken(root: &mut Node, file: &ThresholdsFile) {
    let (Value::Table(entries), Some(only)) = (&mut root.value, &file.only) else { return };
    for (_, kind) in entries {
        if let Value::Array(items) = &mut kind.value {
            let taken = |name: &str| only.iter().any(|entry| glob(&entry.value, name));
            items.retain(|item| Fields::name_of(item).is_some_and(taken));
        }
    }
}
