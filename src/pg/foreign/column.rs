//! A foreign table's columns as the planner sees them: what PostgreSQL calls them, what SQLite calls them,
//! and what is known of their values.

use aliaport_plan::decl::Affinity;
use aliaport_rows::census::Proof;
use aliaport_rows::row::OnError;
use pgrx::pg_sys;

/// One column of a foreign table.
#[derive(Clone, Debug)]
pub struct RemoteColumn {
    /// The SQLite column's name.
    pub name: String,
    /// The attribute's number.
    pub attnum: i16,
    /// Its type; a domain is one of its own.
    pub type_oid: pg_sys::Oid,
    /// Its type modifier.
    pub typmod: i32,
    /// What SQLite makes of values that are compared with it; `None` for a view's column.
    pub affinity: Option<Affinity>,
    /// A VIRTUAL generated column: its expression can fail on a row.
    pub is_generated: bool,
    /// What holds of all of its values in this snapshot, where that is known.
    pub proven: Option<Proof>,
    /// The proof stands on a census, so it holds for one state of the file; else on the schema.
    pub is_by_census: bool,
}

/// A foreign table and what it stands for, for the time of one planning.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The columns that can be read, in attribute order.
    pub columns: Vec<RemoteColumn>,
    /// What becomes of values that their columns cannot hold ([`OnError::Reject`]: the row is skipped).
    pub on_error: OnError,
    /// The file's texts are in UTF-8; SQLite sorts others otherwise.
    pub is_utf8: bool,
}

impl Remote {
    /// The column with this attribute number.
    #[must_use]
    pub fn column(&self, attnum: i16) -> Option<&RemoteColumn> {
        self.columns.iter().find(|column| column.attnum == attnum)
    }
}
