//! What a SQLite file declares, as plain data: filled by `aliaport_sqlite` from `sqlite_schema` and the
//! PRAGMAs, read by everything in this crate.
//!
//! What no PRAGMA tells (CHECKs, constraint names, DEFERRABLE, collations, generation expressions) is still
//! in [`Table::sql`]; [`crate::grammar`] reads it from there.

use crate::decl::{Affinity, affinity};

/// Everything the file declares, in `sqlite_schema` order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// The database's text encoding as `PRAGMA encoding` prints it: `UTF-8`, `UTF-16le` or `UTF-16be`.
    pub encoding: String,
    /// Ordinary tables with rows of their own; neither SQLite's own (`sqlite_*`) nor shadow tables.
    pub tables: Vec<Table>,
    /// Objects that hold no rows of their own and are not carried over.
    pub others: Vec<OtherObject>,
}

impl Catalogue {
    /// The table of this name, in whatever case of ASCII it is written.
    #[must_use]
    pub fn table_named(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }
}

/// A schema object that is recognised but has no rows to import.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherObject {
    /// What it is.
    pub kind: OtherKind,
    /// Its name; what is not UTF-8 in it is shown as U+FFFD.
    pub name: String,
    /// The table it belongs to (triggers, shadow tables), else its own name.
    pub table: String,
    /// Its `CREATE` statement; empty where SQLite keeps none.
    pub sql: String,
}

/// The kinds of [`OtherObject`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OtherKind {
    /// A view.
    View,
    /// A trigger.
    Trigger,
    /// A virtual table (FTS, R-Tree, SpatiaLite, ...), whether or not its module is known.
    VirtualTable,
    /// An object whose name, or a table whose column's name, is not valid UTF-8: PostgreSQL cannot have it.
    Unnameable,
    /// A table with a name that SQLite keeps for tables of its own, and which is none of these.
    Reserved,
    /// A table in which a virtual table keeps its data (`docs_content`, `rtree_node`, ...).
    ShadowTable,
}

/// One ordinary table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The name as declared.
    pub name: String,
    /// The `CREATE TABLE` statement as stored in `sqlite_schema`.
    pub sql: String,
    /// The page where its b-tree begins, in the snapshot that this was read from.
    pub root_page: u32,
    /// Columns in declaration order, generated ones included (`PRAGMA table_xinfo`, hidden 0, 2 and 3).
    pub columns: Vec<Column>,
    /// False for `WITHOUT ROWID`.
    pub has_rowid: bool,
    /// Declared `STRICT`.
    pub is_strict: bool,
    /// Declared with `AUTOINCREMENT`.
    pub is_autoincrement: bool,
    /// The column that is the rowid (`INTEGER PRIMARY KEY`), as an index into [`Table::columns`].
    pub rowid_alias: Option<usize>,
    /// The declared primary key's columns in key order, as indexes into [`Table::columns`]; empty without
    /// one.
    pub primary_key: Vec<usize>,
    /// Every index, those that implement UNIQUE and PRIMARY KEY included.
    pub indexes: Vec<Index>,
    /// Foreign keys in declaration order.
    pub foreign_keys: Vec<ForeignKey>,
    /// `sqlite_sequence.seq` of this table, where it has one.
    pub sequence: Option<i64>,
}

/// One column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// The name as declared.
    pub name: String,
    /// The declared type exactly as written, empty where there is none.
    pub declared_type: String,
    /// Declared `NOT NULL`.
    pub is_not_null: bool,
    /// The text of the DEFAULT clause as `PRAGMA table_xinfo` gives it.
    pub default: Option<String>,
    /// Generated columns are read like any other; the plan decides what becomes of them.
    pub generated: Generated,
}

impl Column {
    /// A text that is written to it stays one, also where it looks like a number.
    #[must_use]
    pub fn keeps_texts(&self) -> bool {
        matches!(affinity(&self.declared_type), Affinity::Text | Affinity::Blob)
    }
}

/// Whether and how a column is generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Generated {
    /// An ordinary column.
    #[default]
    No,
    /// `GENERATED ALWAYS AS (...) VIRTUAL`
    Virtual,
    /// `GENERATED ALWAYS AS (...) STORED`
    Stored,
}

/// One index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    /// Its name; `sqlite_autoindex_*` where a constraint made it.
    pub name: String,
    /// Its `CREATE INDEX` statement; `None` where a constraint made it.
    pub sql: Option<String>,
    /// Rejects duplicates.
    pub is_unique: bool,
    /// What made it.
    pub origin: IndexOrigin,
    /// Has a WHERE clause (its text is in [`Index::sql`]).
    pub is_partial: bool,
    /// Key terms in order.
    pub terms: Vec<IndexTerm>,
}

/// What made an index (`PRAGMA index_list`, column origin).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexOrigin {
    /// `CREATE INDEX`
    #[default]
    Statement,
    /// A UNIQUE constraint.
    Unique,
    /// A PRIMARY KEY constraint.
    PrimaryKey,
}

/// One key term of an index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexTerm {
    /// The column as an index into [`Table::columns`]; `None` for an expression or the rowid.
    pub column: Option<usize>,
    /// Declared `DESC`.
    pub is_descending: bool,
    /// The collation's name: `BINARY`, `NOCASE`, `RTRIM` or one that the application registered.
    pub collation: String,
}

/// One foreign key (`PRAGMA foreign_key_list`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForeignKey {
    /// The number that the PRAGMA gives: counts down from the last declared to the first.
    pub id: i64,
    /// The parent table's name as written.
    pub parent: String,
    /// Referencing columns as indexes into [`Table::columns`].
    pub columns: Vec<usize>,
    /// Referenced columns' names; empty for `REFERENCES parent` (its primary key is meant).
    pub parent_columns: Vec<String>,
    /// `NO ACTION`, `RESTRICT`, `SET NULL`, `SET DEFAULT` or `CASCADE`.
    pub on_delete: String,
    /// The same for updates.
    pub on_update: String,
}
