//! What machines, processes and control groups are found to use. Pure: a [`Look`](look::Look) is what was counted at one
//! moment, whoever counted it; a [`Reading`](reading::Reading) is what two looks, one after the other, come to.

pub mod look;
pub mod metric;
pub mod reading;
pub mod source;
pub mod ticks;
