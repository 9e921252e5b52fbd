//! The rows of lists that users and tasks take. A row depends on the numbers of users and arrivals alone, so it is the same
//! for any number of workers.

use std::cell::RefCell;
use std::rc::Rc;

use crate::plan::model::{Plan, RowSource, RowTaker};
use crate::plan::random::StreamKey;

/// How the row sources of a plan are dealt in a phase.
#[derive(Debug)]
pub(in crate::engine) struct RowDeal {
    sources: Vec<DealtSource>,
}

#[derive(Debug)]
struct DealtSource {
    taken_by: RowTaker,
    restarts: bool,
    /// By class of the plan: whether it takes rows.
    takes: Vec<bool>,
    /// The number of the phase's users that take rows.
    users: u64,
}

/// By row source: the rows that arrivals have taken in the run so far.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct TakenRows(Rc<RefCell<Vec<u64>>>);

impl RowDeal {
    /// The deal of a phase whose users have these classes, in the order of their numbers.
    pub(in crate::engine) fn new(plan: &Plan, classes_of_users: &[usize]) -> Self {
        let source = |RowSource { taken_by, restarts, classes, .. }: &RowSource| {
            let mut takes = vec![false; plan.classes.len()];
            classes.iter().for_each(|class| takes[class.index()] = true);
            let users = classes_of_users.iter().filter(|class| takes[**class]).count() as u64;
            DealtSource { taken_by: *taken_by, restarts: *restarts, takes, users }
        };
        Self { sources: plan.row_sources.iter().map(source).collect() }
    }

    /// Counts a user or an arrival of a class at every source from which it takes a row.
    fn count(&self, taken: &mut [u64], class: usize, is_counted: impl Fn(&DealtSource) -> bool) {
        for (source, taken) in self.sources.iter().zip(taken) {
            *taken += u64::from(source.takes[class] && is_counted(source));
        }
    }

    /// The ranks of the first user of each class.
    pub(in crate::engine) fn first_ranks(&self) -> Box<[u64]> {
        vec![0; self.sources.len()].into()
    }

    /// For each user, in the order of their numbers: by source, the number of earlier users that take rows.
    pub(in crate::engine) fn ranks(&self, classes_of_users: &[usize]) -> impl Iterator<Item = Box<[u64]>> {
        let mut taken = vec![0; self.sources.len()];
        classes_of_users.iter().map(move |class| {
            let rank = taken.clone().into_boxed_slice();
            self.count(&mut taken, *class, |_| true);
            rank
        })
    }

    /// Begins a phase: sources that restart have their first row next.
    pub(in crate::engine) fn begin(&self, taken: &TakenRows) {
        let mut taken = taken.0.borrow_mut();
        taken.resize(self.sources.len(), 0);
        for (source, taken) in self.sources.iter().zip(taken.iter_mut()) {
            *taken = if source.restarts { 0 } else { *taken };
        }
    }

    /// Takes the rows of the next arrival, which is of this class. Returns them if `is_own`; `None` if there are none.
    pub(in crate::engine) fn arrive(
        &self,
        taken: &TakenRows,
        class: usize,
        is_own: bool,
    ) -> Option<Box<[u64]>> {
        if self.sources.is_empty() {
            return None;
        }
        let mut taken = taken.0.borrow_mut();
        let rows = is_own.then(|| taken.clone().into_boxed_slice());
        self.count(&mut taken, class, |source| source.taken_by == RowTaker::Task);
        rows
    }

    /// Sets the rows of a user with these ranks for its next requests. The rows of an arrival have been set before.
    pub(in crate::engine) fn take(&self, rows: &mut [u64], ranks: &[u64], stream_key: StreamKey) {
        for ((source, row), rank) in self.sources.iter().zip(rows).zip(ranks) {
            *row = match (source.taken_by, stream_key) {
                (RowTaker::User, _) => *rank,
                (
                    RowTaker::Task,
                    StreamKey::Task(_, time) | StreamKey::Start(_, time) | StreamKey::Stop(_, time),
                ) => time * source.users + rank,
                (RowTaker::Task, _) => *row,
            };
        }
    }
}
