//! Rows into a table and out of it past SQL. Nearly all of the `unsafe` code of this crate is here and in
//! [`super::server`].

pub mod datum;
pub mod input;
pub mod load;
pub mod matching;
pub mod output;
pub mod pipeline;
pub mod readback;
pub mod refusal;
pub mod relation;
pub mod row_array;
pub mod standing;
