//! The search: case texts from a seeded vocabulary, hashed into vectors and searched by a linear scan.

mod cases;
mod embedding;

use serde::Serialize;

use cases::SupportCase;
use embedding::{DIMENSION, Vector, cosine, embed};

const CASES: u32 = 3000;

/// The text and the limits of a search.
#[derive(Debug)]
pub(super) struct SearchQuery {
    pub(super) text: String,
    pub(super) top_k: usize,
    /// The minimum similarity of a result, from 0 to 1.
    pub(super) threshold: f64,
}

/// A case and how similar its subject is to the query, from 0 to 1.
#[derive(Debug, Serialize)]
pub(super) struct Hit<'c> {
    pub(super) similarity_score: f64,
    #[serde(flatten)]
    pub(super) case: &'c SupportCase,
}

/// All cases with their vectors.
#[derive(Debug)]
pub(super) struct CaseIndex {
    cases: Vec<SupportCase>,
    vectors: Vec<Vector>,
}

impl CaseIndex {
    /// Invents the cases and their vectors. The same seed gives the same cases.
    pub(super) fn invent(seed: u64) -> Self {
        let cases = cases::invent(seed, CASES);
        let vectors = cases.iter().map(|case| embed(&case.subject_description)).collect();
        Self { cases, vectors }
    }

    /// The most similar cases, best first; equally similar cases are in the order of their numbers.
    pub(super) fn search(&self, query: &SearchQuery) -> Vec<Hit<'_>> {
        let wanted = embed(&query.text);
        let similarities = self.vectors.iter().map(|vector| f64::from(cosine(&wanted, vector)).min(1.0));
        let mut hits: Vec<(f64, usize)> =
            similarities.zip(0..).filter(|(similarity, _)| *similarity >= query.threshold).collect();
        hits.sort_by(|a, b| b.0.total_cmp(&a.0));
        hits.truncate(query.top_k);
        let hit =
            |(similarity_score, place): (f64, usize)| Hit { similarity_score, case: &self.cases[place] };
        hits.into_iter().map(hit).collect()
    }

    pub(super) fn case(&self, id: &str) -> Option<&SupportCase> {
        // Sorted by id, because cases are numbered in the order in which they are invented.
        let place = self.cases.binary_search_by(|case| case.case_id.as_str().cmp(id)).ok()?;
        Some(&self.cases[place])
    }

    pub(super) fn len(&self) -> usize {
        self.cases.len()
    }

    pub(super) fn dimension(&self) -> usize {
        DIMENSION
    }

    /// The memory of the vectors, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.vectors.len() * size_of::<Vector>()
    }
}
