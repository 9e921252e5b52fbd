//! What happened: a request becomes a [`Sample`](sample::Sample), samples become [`Window`](window::Window)s (one second
//! of one worker, mergeable), windows are folded by the [`Ledger`](ledger::Ledger) into a [`Summary`](summary::Summary).

pub mod answers;
pub mod blocks;
pub mod counts;
pub mod course;
pub mod health;
pub mod hosts;
pub mod influence;
pub mod ledger;
pub mod mean;
pub mod recorder;
pub mod sample;
pub mod silence;
pub mod stretches;
pub mod summary;
pub mod traces;
pub mod vitals;
pub mod watch;
pub mod window;
