//! What the target schema already holds, as plain data: read from PostgreSQL's catalogue by
//! `src/pg/table/target.rs`.

use aliaport_rows::identifier::QualifiedName;
use aliaport_rows::pg_type::PgType;

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
    /// What drift is told by.
    pub past: Past,
}

/// What earlier runs left behind, and what tables that are there enforce.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Drift is to be told. Else only names that options may mention are looked up here.
    pub is_told: bool,
    /// The SQLite file, as the caller names it.
    pub path: String,
    /// Tables that are there and that earlier runs filled.
    pub filled: Vec<FilledTable>,
    /// The indexes and constraints of the tables in [`Target::relations`].
    pub structures: Vec<(QualifiedName, Structure)>,
}

/// A table that earlier runs filled.
#[derive(Clone, Debug, PartialEq)]
pub struct FilledTable {
    /// What it is called now.
    pub target: QualifiedName,
    /// The SQLite table that its rows came from.
    pub source: String,
    /// The last run that filled it.
    pub run_id: i64,
    /// The last run that filled it or missed its source.
    pub last_seen: i64,
    /// The SQLite file of that run, as its caller named it.
    pub path: String,
    /// Those of its columns that runs have ever filled and that are there.
    pub columns: Vec<FilledColumn>,
}

/// A column that earlier runs filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledColumn {
    /// The SQLite column that its values came from.
    pub source: String,
    /// What it is called now.
    pub target: String,
    /// False where a later run has emptied it, after somebody decided to go on without it.
    pub is_filled: bool,
}

/// Indexes and constraints of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Structure {
    /// Valid indexes, those of constraints included.
    pub indexes: Vec<TargetIndex>,
    /// Foreign keys, NOT VALID ones included.
    pub foreign_keys: Vec<TargetForeignKey>,
    /// CHECK constraints: name, and expression as PostgreSQL prints it.
    pub checks: Vec<(String, String)>,
    /// Generated columns: name, and expression as PostgreSQL prints it.
    pub generated: Vec<(String, String)>,
    /// The names of all constraints.
    pub constraint_names: Vec<String>,
    /// The names of all columns.
    pub attributes: Vec<String>,
}

/// One existing index.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetIndex {
    /// Rejects duplicates.
    pub is_unique: bool,
    /// Implements the primary key.
    pub is_primary: bool,
    /// The access method.
    pub method: String,
    /// The key's terms.
    pub terms: Vec<TargetTerm>,
    /// The condition of a partial index as PostgreSQL prints it.
    pub predicate: Option<String>,
}

/// One term of an existing index.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetTerm {
    /// The attribute; `None` for an expression.
    pub attribute: Option<String>,
    /// The term as PostgreSQL prints it, without its order.
    pub sql: String,
    /// In descending order.
    pub is_descending: bool,
}

/// One existing foreign key.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetForeignKey {
    /// The constraint's name.
    pub name: String,
    /// Referencing and referenced attributes.
    pub pairs: Vec<(String, String)>,
    /// The referenced table.
    pub parent: QualifiedName,
    /// `NO ACTION`, `RESTRICT`, `CASCADE`, `SET NULL` or `SET DEFAULT`.
    pub on_update: String,
    /// The same for deletes.
    pub on_delete: String,
    /// ` DEFERRABLE`, ` DEFERRABLE INITIALLY DEFERRED` or nothing.
    pub deferrable: String,
    /// MATCH FULL.
    pub is_match_full: bool,
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
    /// `pg_class.relkind`: r table, p partitioned table, v view, m materialized view, f foreign table, S
    /// sequence, i index, ...
    pub kind: char,
    /// True where it holds no row that this transaction can see.
    pub is_empty: bool,
    /// Columns in attribute order, dropped ones left out.
    pub columns: Vec<TargetColumn>,
    /// Unique keys, the primary key first: attribute names in key order. Partial, expression and deferrable
    /// ones are left out.
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
    /// `GENERATED ALWAYS AS IDENTITY`: an explicit value needs OVERRIDING SYSTEM VALUE, which a bulk load
    /// implies.
    pub is_identity_always: bool,
    /// `GENERATED ALWAYS AS (...) STORED`: cannot be written.
    pub is_generated: bool,
    /// A sequence is behind it: serial, identity, or a default that calls `nextval()`. Of a key also where
    /// the default calls somebody's function, which may draw from one.
    pub has_sequence: bool,
}
