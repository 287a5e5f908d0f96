//! What the target schema already holds, as plain data: read from PostgreSQL's catalogue by `src/pg/target.rs`.

use crate::pg_type::PgType;

/// The target schema as it is before the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// The schema that new tables go to.
    pub schema: String,
    /// `server_version_num`, for instance 150020.
    pub server_version: u32,
    /// The schema that type citext is in, where the database has it.
    pub citext_schema: Option<String>,
    /// Relations of any kind in that schema (and of other schemas where an option names one).
    pub relations: Vec<TargetRelation>,
    /// How mode replace empties tables here.
    pub empty_by: EmptyBy,
}

/// How mode replace empties its target tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyBy {
    /// DELETE: other sessions read the old rows until COMMIT.
    #[default]
    Delete,
    /// TRUNCATE: faster, and other sessions wait until COMMIT.
    Truncate,
}

/// One existing relation.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRelation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `pg_class.relkind`: r table, p partitioned table, v view, m materialized view, f foreign table, S sequence, i index, ...
    pub kind: char,
    /// True where it holds no row that this transaction can see.
    pub is_empty: bool,
    /// Columns in attribute order, dropped ones left out.
    pub columns: Vec<TargetColumn>,
    /// Unique keys, the primary key first: attribute names in key order. Partial, expression and deferrable ones are left out.
    pub keys: Vec<Vec<String>>,
}

/// One existing column.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetColumn {
    /// The attribute's name.
    pub name: String,
    /// Its type; a domain stands here as its base type.
    pub pg_type: PgType,
    /// The domain's name as SQL prints it, where the column's type is one.
    pub domain: Option<String>,
    /// NOT NULL, by the column or by its domain.
    pub is_not_null: bool,
    /// Has a DEFAULT or is an identity column.
    pub has_default: bool,
    /// `GENERATED ALWAYS AS IDENTITY`: an explicit value needs OVERRIDING SYSTEM VALUE, which a bulk load implies.
    pub is_identity_always: bool,
    /// `GENERATED ALWAYS AS (...) STORED`: cannot be written.
    pub is_generated: bool,
    /// The sequence behind it is found (serial, identity or a default of `nextval('...')`).
    pub has_sequence: bool,
}
