//! Lists, user classes and names that a plan defines in all its files.

use std::collections::HashMap;

use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::{Key, Map, Node, PlainOrTable, Spanned};
use crate::plan::document::{ClassDocument, IncludeDocument, ListFileDocument, PlanDocument};

/// The names by which objectives can select, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Whether these are all names. A file that could not be read may define others.
    pub complete: bool,
    /// By [`OperationId`](crate::plan::model::OperationId).
    pub operations: Vec<String>,
    pub phases: Vec<String>,
    pub scenarios: Vec<String>,
}

pub(super) type ListDocument = PlainOrTable<Vec<Spanned<Node>>, ListFileDocument>;

/// All definitions of a plan and the files that it includes.
#[derive(Debug, Default)]
pub(super) struct PlanDefinitions {
    pub(super) lists: Vec<(Key, Spanned<ListDocument>)>,
    pub(super) classes: Vec<(Key, Spanned<ClassDocument>)>,
}

impl PlanDefinitions {
    /// Merges the definitions of all files and reports names that are defined twice.
    pub(super) fn gather(
        plan: &mut PlanDocument,
        included: Vec<IncludeDocument>,
        problems: &mut Problems,
    ) -> Self {
        let mut lists = vec![plan.lists.take()];
        let mut classes = vec![plan.users.take()];
        for document in included {
            lists.push(document.lists);
            classes.push(document.users);
        }
        Self { lists: unique("list", lists, problems), classes: unique("user class", classes, problems) }
    }
}

fn unique<T>(
    kind: &str,
    maps: Vec<Option<Spanned<Map<T>>>>,
    problems: &mut Problems,
) -> Vec<(Key, Spanned<T>)> {
    let mut first: HashMap<String, Span> = HashMap::new();
    let mut all = Vec::new();
    for (key, value) in maps.into_iter().flatten().flat_map(|map| map.value.0) {
        if let Some(first) = first.get(&key.name) {
            let message = format!("{kind} `{}` is defined twice", key.name);
            let diagnostic = Diagnostic::new(Code::DefinedTwice, message)
                .at(key.span, "defined again here")
                .at(*first, "first defined here");
            problems.report(diagnostic.help("rename or remove one of them"));
        } else {
            first.insert(key.name.clone(), key.span);
            all.push((key, value));
        }
    }
    all
}
