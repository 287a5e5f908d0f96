//! aliaport_import: moves a live SQLite application database into PostgreSQL, from inside psql, in one
//! statement and one transaction, with proof that every value arrived.
//!
//! This crate is the room where rows go (`pg`); what to do is decided in `aliaport_plan`, and where rows come
//! from is `aliaport_sqlite`. docs/architecture.md tells how the three fit together.
#![deny(ffi_unwind_calls)]

#[cfg(not(panic = "unwind"))]
compile_error!(
    "a Rust panic must unwind to become a PostgreSQL error: set panic = \"unwind\" in every profile"
);

pgrx::pg_module_magic!(name, version);

pgrx::extension_sql_file!("../sql/bootstrap.sql", name = "bootstrap", bootstrap);
pgrx::extension_sql_file!("../sql/progress.sql", name = "progress", requires = ["bootstrap"]);
pgrx::extension_sql_file!("../sql/metrics.sql", name = "metrics", requires = ["progress"]);
pgrx::extension_sql_file!("../sql/foreign.sql", name = "foreign", requires = ["metrics"]);
pgrx::extension_sql_file!("../sql/functions.sql", name = "functions", finalize);

mod pg;

/// Called when the library is loaded: registers the settings and nothing else.
#[allow(non_snake_case)]
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::guc::register();
}

/// What `cargo pgrx test` needs to start its server.
#[cfg(test)]
pub mod pg_test {
    /// Called before the tests run.
    pub fn setup(_options: Vec<&str>) {}

    /// Settings for the test server.
    #[must_use]
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec![]
    }
}
