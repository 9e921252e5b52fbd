//! The effective configuration of a plan: every key with the value in effect.

use crate::document::{EffectiveValue, EffectiveValues, FromNode, Node};
use crate::plan::compile::{RawSegment, split_holes};
use crate::plan::document::{IncludeDocument, PlanDocument};

/// The files of a plan as written, with overrides applied: the plan first, then the files that it includes.
#[derive(Debug, Clone, Default)]
pub struct WrittenPlan(pub(in crate::plan) Vec<Node>);

impl WrittenPlan {
    /// Every key with a value in effect.
    pub fn effective_values(&self) -> Vec<EffectiveValue> {
        let mut values = EffectiveValues::default();
        if let Some((plan, included)) = self.0.split_first() {
            PlanDocument::explain(plan, &mut values);
            included.iter().for_each(|file| IncludeDocument::explain(file, &mut values));
        }
        values.found()
    }
}

/// Replaces the environment holes of a text and returns the names of the variables used. A secret becomes `***`; random
/// and captured values stay holes.
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
            let (name, default) =
                name.split_once(":-").map_or((name, None), |(name, default)| (name, Some(default)));
            let value = variable(name).filter(|value| default.is_none() || !value.is_empty());
            names.extend(value.is_some().then(|| name.to_owned()));
            value.unwrap_or_else(|| {
                let (default, others) = expand_environment(default.unwrap_or_default(), variable);
                names.extend(others);
                default
            })
        }
    });
    let shown = shown.collect();
    (shown, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_secrets_are_hidden() {
        let variable = |name: &str| match name {
            "UNSET" => None,
            "EMPTY" => Some(String::new()),
            name => Some(format!("value of {name}")),
        };
        let of = |text: &str| expand_environment(text, &variable);
        assert_eq!(of("a ${env:A:-b} ${pick(x)}"), ("a value of A ${pick(x)}".into(), vec!["A".into()]));
        assert_eq!(of("${env:UNSET:-b}"), ("b".into(), vec![]));
        assert_eq!(of("${env:EMPTY:-b}${env:EMPTY}"), ("b".into(), vec!["EMPTY".into()]));
        assert_eq!(of("${env:UNSET:-x${env:A}}!"), ("xvalue of A!".into(), vec!["A".into()]));
        assert_eq!(of("Bearer ${secret:KEY}"), ("Bearer ***".into(), vec!["KEY".into()]));
        assert_eq!(of("$${env:A} ${"), ("$${env:A} ${".into(), vec![]));
        assert_eq!(of("$${env:A}"), ("${env:A}".into(), vec![]));
    }
}
