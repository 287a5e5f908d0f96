//! What may a caller choose, and by which words? Every choice that an argument or an option names by a word,
//! but those that a converter has to know: [`aliaport_rows::row::OnError`] and
//! [`aliaport_rows::convert::NumberUnit`].

use aliaport_rows::words;

words! {
    /// What happens to rows that are there already.
    #[derive(Default)]
    pub enum Mode {
        /// Missing tables are created; existing ones must be empty.
        #[default]
        Create = "create",
        /// Rows are added.
        Append = "append",
        /// Existing rows go first.
        Replace = "replace",
        /// The target ends equal to the source with the least change.
        Sync = "sync",
    }
}

words! {
    /// What happens to rows whose parent is missing.
    #[derive(Default)]
    pub enum Orphans {
        /// The import fails.
        #[default]
        Abort = "abort",
        /// They are set aside.
        Reject = "reject",
        /// The referencing columns become NULL.
        Null = "null",
        /// They stay and the constraint is created NOT VALID.
        Keep = "keep",
    }
}

words! {
    /// What is compared after the load.
    #[derive(Default)]
    pub enum Verify {
        /// Every value, read back from the table.
        #[default]
        Content = "content",
        /// The number of rows.
        Count = "count",
        /// Nothing.
        None = "none",
    }
}

words! {
    /// How names are written in PostgreSQL.
    #[derive(Default)]
    pub enum Identifiers {
        /// As declared.
        #[default]
        Preserve = "preserve",
        /// In lower case.
        Lower = "lower",
        /// `WorkOrder` becomes `work_order`.
        SnakeCase = "snake_case",
    }
}

words! {
    /// The type of a column declared INTEGER that is not a rowid alias.
    #[derive(Default)]
    pub enum IntegerWidth {
        /// `bigint`, which holds every SQLite integer.
        #[default]
        BigInt = "bigint",
        /// `integer`; a larger value is a bad value.
        Integer = "integer",
    }
}

words! {
    /// What becomes of COLLATE NOCASE.
    #[derive(Default)]
    pub enum NoCase {
        /// Uniqueness and indexes go to `lower(column COLLATE "C")`, which folds ASCII only, as NOCASE does.
        #[default]
        LowerIndex = "lower_index",
        /// Type `citext`.
        Citext = "citext",
        /// Nothing: the column is case-sensitive.
        Ignore = "ignore",
    }
}
