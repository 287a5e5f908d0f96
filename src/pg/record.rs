//! What outlives the run, or has to be seen while it goes on: history, progress, the row of a run that
//! failed.

pub mod aside;
pub mod failure;
pub mod history;
pub mod outcome;
pub mod progress;
pub mod segment;
