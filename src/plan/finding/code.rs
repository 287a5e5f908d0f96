//! The codes of findings: what programs compare, what a DBA searches for, and what the manual says of each.

use std::fmt;
use std::fmt::Write as _;

use aliaport_rows::convert::Lossy;

use super::lossy;

/// Which function gives a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `aliaport_inspect` only.
    Inspect,
    /// The warnings in `detail` of an import only.
    Import,
    /// Both.
    Both,
}

impl Place {
    fn in_words(self) -> &'static str {
        match self {
            Place::Inspect => "`aliaport_inspect`",
            Place::Import => "the import",
            Place::Both => "`aliaport_inspect` and the import",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $word:literal $place:ident; $meaning:literal; $example:literal; $remedy:literal;)*) => {
        /// What kind of finding it is. The words never change their meaning, because programs compare them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
            /// Values that landed and are not the same, by what became of them.
            Lossy(Lossy),
        }

        impl Code {
            /// Every code but those of [`Code::Lossy`], in the order of the manual.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The word that the SQL surface shows.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $word,)*
                    Code::Lossy(lossy) => lossy.code(),
                }
            }

            /// What it counts, as a phrase for reports.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Code::$variant => $meaning,)*
                    Code::Lossy(lossy) => lossy::landed(lossy),
                }
            }

            fn place(self) -> Place {
                match self {
                    $(Code::$variant => Place::$place,)*
                    Code::Lossy(_) => Place::Import,
                }
            }

            pub(super) fn example(self) -> &'static str {
                match self {
                    $(Code::$variant => $example,)*
                    Code::Lossy(lossy) => lossy::landed(lossy),
                }
            }

            fn remedy(self) -> &'static str {
                match self {
                    $(Code::$variant => $remedy,)*
                    Code::Lossy(lossy) => lossy::remedy(lossy),
                }
            }
        }
    };
}

codes! {
    OrphanRows "orphan_rows" Both;
        "rows that point at a missing parent";
        "1 row of foreign key orders.user_id points at a row that \"users\" does not have";
        "Repair them with the suggested statement, or choose what becomes of them with the argument `orphans` or the option `foreign_keys.<key>.orphans`.";
    DuplicateKey "duplicate_key" Both;
        "rows whose key is there already";
        "1 row of table \"users\" repeats a value of the primary key once converted to bigint";
        "Keep one row of each key in SQLite. `on_error => 'reject'` keeps the first one and sets the others aside.";
    CaseCollision "case_collision" Both;
        "names or values that differ in case only";
        "column \"ctid\" of table \"t\" is a system column of every PostgreSQL table: it becomes ctid_";
        "Give the table or column a name of your own with `options.tables`. Of values, keep one row of each in SQLite.";
    TypeMismatch "type_mismatch" Both;
        "columns that hold values of another type than declared";
        "1 value of column \"price\" of table \"users\" cannot be stored in type numeric(10,2): invalid input syntax for type numeric: \"abc\"";
        "Repair the values, name a type that takes them with `options.tables.<table>.columns.<column>.type`, or use `on_error`.";
    BadDatetime "bad_datetime" Inspect;
        "values of date and time columns that are no such thing, or are read by a rule";
        "1 value of column \"due\" of table \"users\" cannot be stored in type date: date/time field value out of range: \"2025-02-30\"";
        "Repair the values, name another type, or say with the option `number` what a number in the column counts.";
    BadBoolean "bad_boolean" Inspect;
        "values of boolean columns that are neither true nor false";
        "1 value of column \"is_paid\" of table \"users\" cannot be stored in type boolean: invalid input syntax for type boolean: \"2\"";
        "Repair the values, or import the column as `integer` or `text` with the option `type`.";
    TooLong "too_long" Inspect;
        "texts longer than declared";
        "1 value of column \"code\" of table \"users\" cannot be stored in type character varying(5): value too long for type character varying(5)";
        "Cut the values with the suggested statement, or name a longer type.";
    OutOfRange "out_of_range" Inspect;
        "values beyond what the type holds";
        "1 value of column \"n\" of table \"users\" cannot be stored in type smallint: value \"100000\" is out of range for type smallint";
        "Name a wider type, such as `bigint` or `numeric`, with the option `type`.";
    NulCharacter "nul_character" Inspect;
        "texts with the character NUL, which PostgreSQL does not store";
        "1 value of column \"note\" of table \"users\" cannot be stored in type text: invalid byte sequence for encoding \"UTF8\": 0x00";
        "Remove the character with the suggested statement, or import the column as `bytea`.";
    InvalidUtf8 "invalid_utf8" Inspect;
        "texts that are not valid UTF-8";
        "1 value of column \"note\" of table \"users\" cannot be stored in type text: invalid byte sequence for encoding \"UTF8\": 0xff";
        "Repair the values, or import the column as `bytea`, which keeps every byte.";
    NullInNotNull "null_in_not_null" Inspect;
        "NULLs in columns that must not have them";
        "1 value of column \"x\" of table \"t\" is NULL, which the target does not take";
        "Give these rows a value, or set them aside with `on_error => 'reject'`.";
    BadJson "bad_json" Inspect;
        "values of JSON columns that are no JSON";
        "1 value of column \"meta\" of table \"users\" cannot be stored in type jsonb: invalid input syntax for type json";
        "Repair the values, or import the column as `text`.";
    BadUuid "bad_uuid" Inspect;
        "values of uuid columns that are no UUID";
        "1 value of column \"uid\" of table \"users\" cannot be stored in type uuid: invalid input syntax for type uuid: \"zz\"";
        "Repair the values, or import the column as `text`.";
    RowTooWide "row_too_wide" Inspect;
        "rows that do not fit into a page of PostgreSQL";
        "1 row of table \"wide\" is wider than the 8160 bytes that a page holds, also with long values out of line";
        "Leave columns out with the option `skip`, or set the rows aside with `on_error => 'reject'`.";
    IdentifierTooLong "identifier_too_long" Both;
        "names that were cut to PostgreSQL's 63 bytes";
        "table \"measurements_of_every_sensor_in_every_building_by_minute_and_by_floor\" is longer than the 63 bytes of a PostgreSQL name: it becomes measurements_of_every_sensor_in_every_building_by_minute_and_by";
        "Choose a name of your own with `options.tables.<table>.target` or `.columns.<column>.target`.";
    Renamed "renamed" Import;
        "names that PostgreSQL does not allow there, or that another object has";
        "column \"ctid\" of table \"t\" is a system column of every PostgreSQL table: it becomes ctid_";
        "Nothing has to be done. `options.tables` takes a name of your own.";
    TooManyColumns "too_many_columns" Inspect;
        "tables with more columns than PostgreSQL allows";
        "SQLite table \"t\" would have 1700 columns, PostgreSQL allows 1600";
        "Skip columns with the option `skip`, or exclude the table.";
    MissingParentTable "missing_parent_table" Both;
        "foreign keys to tables that the source does not have";
        "foreign key orders.user_id is not carried over: its parent \"users\" does not exist in the source";
        "Restore the parent table in SQLite or drop the foreign key there. A parent that was left out has to be imported, too.";
    UnindexedParent "unindexed_parent" Both;
        "foreign keys to columns that are not unique";
        "foreign key orders.email is not carried over: no primary key or unique constraint of \"users\" covers exactly email";
        "Create the unique index that is suggested, in SQLite, and import again.";
    NotCarried "not_carried" Both;
        "objects that were not carried over, or not as they are";
        "trigger \"tr\" on \"users\" is not carried over: CREATE TRIGGER tr AFTER INSERT ON users BEGIN SELECT 1; END";
        "Read the statement in `sql` or in the message, and write its PostgreSQL form by hand where the application needs it.";
    NoCase "nocase" Import;
        "columns that compared without regard to case in SQLite and do not in PostgreSQL";
        "column \"email\" of table \"users\" is COLLATE NOCASE and becomes case-sensitive; its indexes are on lower()";
        "Compare `lower(column COLLATE \"C\")` in queries, as the indexes do, or import with `options => '{\"nocase\":\"citext\"}'`.";
    Bookkeeping "bookkeeping" Import;
        "tables of a migration tool that have rows already and were skipped";
        "table \"alembic_version\" is skipped: migration bookkeeping that the target has already";
        "Nothing has to be done: the target's own rows say which migrations it has.";
    Integrity "integrity" Inspect;
        "damage and broken rules that SQLite itself finds";
        "SQLite's integrity_check says: row 3 missing from index i";
        "Repair the file as SQLite's documentation says: `REINDEX`, `.recover`, or the restoration of a backup.";
    SequenceExhausted "sequence_exhausted" Both;
        "sequences that have no value past the keys, or begin anew where keys are in use";
        "sequence app.t_id_seq cannot go on past the keys of column \"id\": it has no value left";
        "Change the column and its sequence to a wider type with the suggested statement.";
    SequenceMissing "sequence_missing" Import;
        "keys that PostgreSQL does not count up as SQLite does";
        "key column id of app.t has neither a sequence nor a default, where SQLite gives a new row its next key";
        "Add an identity or a default with a sequence to the column, or let the application give the keys.";
    TargetNotEmpty "target_not_empty" Inspect;
        "tables of the target that have rows already, or are no tables";
        "target table app.users has rows already";
        "Use mode `append`, `replace` or `sync`, or empty the table.";
    TargetMissingColumn "target_missing_column" Inspect;
        "columns of the source that an existing table has not";
        "column \"note\" of SQLite table \"orders\" has no column note in app.orders";
        "Run the `ALTER TABLE` that the HINT gives, or leave the column out with the option `skip`.";
    TargetRequiredColumn "target_required_column" Inspect;
        "columns of an existing table that need a value and get none";
        "column created_at of app.t is NOT NULL and has neither a default nor a column in SQLite table \"t\"";
        "Give the column a default, or drop its NOT NULL.";
    TargetWithoutKey "target_without_key" Inspect;
        "existing tables without the key by which mode `sync` knows its rows";
        "target table app.t has no primary or unique key for mode sync";
        "Add the primary key, or use mode `replace`.";
    TargetCheck "target_check" Inspect;
        "rows that a CHECK or the partitions of an existing table refuse";
        "2 rows of table \"t\" break a rule of app.t, which the source does not have: new row for relation \"t\" violates check constraint \"t_n_check\"";
        "Drop the constraint or add the partition with the suggested statement, or set the rows aside with `on_error => 'reject'`.";
    TargetRule "target_rule" Inspect;
        "rules of existing tables that keep rows from arriving";
        "rule nothing of app.t does something else instead of an INSERT";
        "Drop or disable the rule with the suggested statement, and enable it again after the import.";
    NotForeseen "not_foreseen" Inspect;
        "what only an import, or a dry run of it, tells";
        "not foreseen of app.t, before the rows are there: its checks and keys, because its triggers may change rows before they are written";
        "Import with `dry_run => true`, which tries it and leaves nothing behind.";
    ColumnVanished "column_vanished" Both;
        "columns that earlier runs filled and this one did not";
        "column note of app.orders was filled from column \"note\" of SQLite table \"orders\", which the source does not have any more";
        "Run the statement that the finding gives: it drops the column, keeps it, or follows its new name.";
    TableVanished "table_vanished" Both;
        "tables that earlier runs filled and the source does not have any more";
        "table app.old was filled from SQLite table \"old\" by run 3, and the source does not have it any more; its rows stay as they are";
        "Drop the table with the statement that the finding gives, or name it in the option `exclude` to keep it without being told.";
    IndexMissing "index_missing" Both;
        "indexes that the source has and an existing table has not";
        "index ix_orders_due of table \"orders\" is missing on app.orders";
        "Run the `CREATE INDEX` that the finding gives.";
    ConstraintMissing "constraint_missing" Both;
        "keys and checks that the source has and an existing table has not, or has otherwise";
        "foreign key order_item.order_id is missing on app.order_item";
        "Run the `ALTER TABLE` that the finding gives.";
    TriggersOff "triggers_off" Import;
        "user triggers that did not fire for the imported rows";
        "triggers of app.orders do not fire for the rows of this import (options.triggers is \"off\"): audit";
        "Import with `options => '{\"triggers\":\"on\"}'` where they have to fire, or do by hand what they would have done.";
    RowSecurity "row_security" Import;
        "rows that row-level security hides from the caller";
        "row-level security hides rows of the table from the caller, who cannot count them";
        "Import as the owner of the table or as a role that may bypass its policies.";
    NotAnalyzed "not_analyzed" Import;
        "tables whose statistics were not collected";
        "no statistics were gathered (...): run ANALYZE app.t";
        "Run `ANALYZE` on the table as its owner.";
    Rejected "rejected" Import;
        "rows that were left out; they are kept in aliaport.rejected_row";
        "rows were set aside in aliaport.rejected_row";
        "Look at `aliaport.rejected_row`, repair the rows in SQLite or insert them by hand.";
    Nulled "nulled" Import;
        "values that became NULL; their originals are kept in aliaport.rejected_row";
        "values became NULL; their originals are in aliaport.rejected_row";
        "Look at `aliaport.rejected_row`, which keeps every original row.";
    ServerTimezone "server_timezone" Inspect;
        "how date-times without an offset are read and shown";
        "date-times without an offset in 4 columns are taken as UTC";
        "Set the option `timezone` where the application writes local time, and the database's `timezone` for what sessions show.";
    ServerEncoding "server_encoding" Inspect;
        "databases that do not store every text of SQLite";
        "the encoding of this database is LATIN5, and an import needs UTF-8; the file was not looked at";
        "Create a database in UTF-8 beside this one with the suggested statement.";
    ServerCollation "server_collation" Inspect;
        "texts that this database does not sort as their readers expect";
        "1 column of 1 table holds Turkish text, which the default collation of database \"port\" does not sort and fold as Turkish; collation \"tr-x-icu\" does";
        "Sort with a suitable collation in queries, or give the column one.";
    ConnectionCapacity "connection_capacity" Inspect;
        "how many connections and locks this server has room for";
        "97 connections are usable (max_connections without the reserved ones, or the database's limit): enough for 3 workers of the application with pool_size 20 and max_overflow 10 each";
        "Change the settings that the suggestion names, and start the server again where it says so.";
}

impl Code {
    /// The code of that word; `None` where there is none.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Code::every().find(|code| code.as_str() == word)
    }

    /// Every code.
    pub fn every() -> impl Iterator<Item = Code> {
        Code::ALL.iter().copied().chain(Lossy::ALL.into_iter().map(Code::Lossy))
    }

    /// The code under which `aliaport_inspect` shows a finding: it does not tell all cases apart that an
    /// import tells apart.
    #[must_use]
    pub fn of_inspect(self) -> Self {
        match self {
            // The target's own table has rows.
            Code::Bookkeeping => Code::TargetNotEmpty,
            // An application that inserts without a key will fail at this column.
            Code::SequenceMissing => Code::TargetRequiredColumn,
            // The name is that of a system column, or of another index.
            Code::Renamed => Code::CaseCollision,
            // A collation that PostgreSQL does not have.
            Code::NoCase => Code::NotCarried,
            other => other,
        }
    }

    /// What of a table's drift from the source it tells, where it does.
    #[must_use]
    pub fn is_drift(self) -> bool {
        matches!(
            self,
            Code::IndexMissing | Code::ConstraintMissing | Code::TableVanished | Code::ColumnVanished
        )
    }

    /// The manual's part on every code, in Markdown.
    #[must_use]
    pub fn manual() -> String {
        let mut out = String::new();
        for code in Code::every() {
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "\n### {code}\n\nWhat it means: {}. It comes from {}.\n\n    {}\n\nWhat to do: {}\n",
                code.meaning(),
                code.place().in_words(),
                code.example(),
                code.remedy()
            );
        }
        out
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_every_code() {
        let docs = include_str!("../../../docs/warnings.md");
        let manual = Code::manual();
        assert!(docs.ends_with(&manual), "docs/warnings.md should end with:\n{manual}");
    }

    #[test]
    fn every_word_is_one_code() {
        for code in Code::every() {
            assert_eq!(Code::parse(code.as_str()), Some(code));
            assert_eq!(code.of_inspect().of_inspect(), code.of_inspect(), "{code}");
            assert!(code.remedy().ends_with('.') && !code.meaning().ends_with('.'), "{code}");
        }
    }
}
