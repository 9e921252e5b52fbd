//! What a plan's files come to, value by value.

use crate::document::{EffectiveValue, EffectiveValues, FromNode, Node};
use crate::plan::compile::{RawSegment, split_holes};
use crate::plan::document::{IncludeDocument, PlanDocument};

/// The files of a plan as they were written, but for overrides: the plan first, then those that it includes.
#[derive(Debug, Clone, Default)]
pub struct WrittenPlan(pub(in crate::plan) Vec<Node>);

impl WrittenPlan {
    /// Every key that has a value in effect.
    pub fn effective_values(&self) -> Vec<EffectiveValue> {
        let mut values = EffectiveValues::default();
        if let Some((plan, included)) = self.0.split_first() {
            PlanDocument::explain(plan, &mut values);
            included.iter().for_each(|file| IncludeDocument::explain(file, &mut values));
        }
        values.found()
    }
}

/// A text with what the environment says put in its place, and the names that said something. Secrets are not shown; what
/// is drawn or captured stays a hole.
pub fn expand_environment(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let Ok(raw_segments) = split_holes(text) else { return (text.to_owned(), Vec::new()) };
    let mut names = Vec::new();
    let shown = raw_segments.into_iter().map(|part| match part {
        RawSegment::Text(text) => text.to_owned(),
        RawSegment::Hole(hole, _) => {
            let hole = hole.trim();
            if let Some(name) = hole.strip_prefix("secret:") {
                names.push(name.to_owned());
                return "***".to_owned();
            }
            let Some(name) = hole.strip_prefix("env:") else { return format!("${{{hole}}}") };
            let (name, default) = name.split_once(":-").unwrap_or((name, ""));
            let value = variable(name);
            names.extend(value.is_some().then(|| name.to_owned()));
            value.unwrap_or_else(|| default.to_owned())
        }
    });
    let shown = shown.collect();
    (shown, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_named_and_secrets_are_not_shown() {
        let variable = |name: &str| (name != "UNSET").then(|| format!("value of {name}"));
        let of = |text: &str| expand_environment(text, &variable);
        assert_eq!(of("a ${env:A:-b} ${pick(x)}"), ("a value of A ${pick(x)}".into(), vec!["A".into()]));
        assert_eq!(of("${env:UNSET:-b}"), ("b".into(), vec![]));
        assert_eq!(of("Bearer ${secret:KEY}"), ("Bearer ***".into(), vec!["KEY".into()]));
        assert_eq!(of("$${env:A} ${"), ("$${env:A} ${".into(), vec![]));
        assert_eq!(of("$${env:A}"), ("${env:A}".into(), vec![]));
    }
}
