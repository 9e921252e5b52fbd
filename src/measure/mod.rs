//! Measurement: a request becomes a [`Sample`](sample::Sample), samples are counted in
//! [`Window`](window::Window)s (one second of one worker, mergeable), and the [`Ledger`](ledger::Ledger)
//! folds windows into a [`Summary`](summary::Summary).

pub mod blocks;
pub mod causes;
pub mod generator_health;
pub mod generator_vitals;
pub mod histogram;
pub mod hosts;
pub mod indicator;
pub mod ledger;
pub mod limits;
pub mod mean;
pub mod outage;
pub mod reading;
pub mod recorder;
pub mod response_gaps;
pub mod rollup;
pub mod sample;
pub mod summary;
pub mod timeline;
pub mod window;
