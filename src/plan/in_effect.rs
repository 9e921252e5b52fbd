//! What a plan's files come to, value by value.

use crate::document::{Explanation, InEffect, Node, Read};
use crate::plan::compile::{Part, parts};
use crate::plan::document::{IncludeDocument, PlanDocument};

/// The files of a plan as they were written, but for overrides: the plan first, then those that it includes.
#[derive(Debug, Clone, Default)]
pub struct Written(pub(in crate::plan) Vec<Node>);

impl Written {
    /// Every key that has a value in effect.
    pub fn in_effect(&self) -> Vec<InEffect> {
        let mut told = Explanation::default();
        if let Some((plan, included)) = self.0.split_first() {
            PlanDocument::explain(plan, &mut told);
            included.iter().for_each(|file| IncludeDocument::explain(file, &mut told));
        }
        told.found()
    }
}

/// A text with what the environment says put in its place, and the names that said something. Secrets are not shown; what
/// is drawn or captured stays a hole.
pub fn with_environment(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let Ok(parts) = parts(text) else { return (text.to_owned(), Vec::new()) };
    let mut names = Vec::new();
    let shown = parts.into_iter().map(|part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Hole(hole, _) => {
            let hole = hole.trim();
            if let Some(name) = hole.strip_prefix("secret:") {
                names.push(name.to_owned());
                return "***".to_owned();
            }
            let Some(name) = hole.strip_prefix("env:") else { return format!("${{{hole}}}") };
            let (name, default) = name.split_once(":-").unwrap_or((name, ""));
            let said = variable(name);
            names.extend(said.is_some().then(|| name.to_owned()));
            said.unwrap_or_else(|| default.to_owned())
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
        let of = |text: &str| with_environment(text, &variable);
        assert_eq!(of("a ${env:A:-b} ${pick(x)}"), ("a value of A ${pick(x)}".into(), vec!["A".into()]));
        assert_eq!(of("${env:UNSET:-b}"), ("b".into(), vec![]));
        assert_eq!(of("Bearer ${secret:KEY}"), ("Bearer ***".into(), vec!["KEY".into()]));
        assert_eq!(of("$${env:A} ${"), ("$${env:A} ${".into(), vec![]));
        assert_eq!(of("$${env:A}"), ("${env:A}".into(), vec![]));
    }
}
