//! Tests that need a backend and cannot be said in SQL.
