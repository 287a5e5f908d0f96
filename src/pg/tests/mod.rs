//! Tests that need a backend and cannot be said in SQL: `cargo pgrx test` runs each inside one, in a
//! transaction of its own.
//!
//! The converters, the tuple writer and the digest are compared with PostgreSQL itself. What is generated is
//! the same in every run; a failure names the smallest input that still fails.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

mod datetime;
mod guards;
mod json;
mod numeric;
mod roundtrip;
mod scalar;
mod server;
mod texts;
mod tuples;
