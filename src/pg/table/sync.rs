//! Mode sync for one table: what differs between the rows of the source, in their stage, and the table; and
//! the least change that makes the table equal.
//!
//! Rows are told apart by a key without NULLs, and compared by their stored image (`*<>`), so that every type
//! takes part and nothing that differs counts as equal: not 1.0 and 1.00, not -0 and 0, not two spellings
//! that a collation calls equal.
//!
//! A row of the table is known by its place (`ctid`). Where another extension or a foreign server keeps the
//! rows, places may not be asked for and may mean nothing: there the table is read once into a temporary
//! table, by a query that any of them understands, and rows are deleted and updated by their keys.
//!
//! A row that takes on another value under a unique or exclusion constraint is deleted and inserted again,
//! because an UPDATE would meet the row that gives up that value later in the same statement (two rows that
//! swap a unique value).

use aliaport_plan::plan::{ForeignKeyPlan, TablePlan};
use aliaport_rows::identifier::{QualifiedName, quote};

use super::matched::Matched;
use super::stage::Stage;
use super::{operator, unique};
use crate::pg::heap::standing;
use crate::pg::server::error::Result;
use crate::pg::server::{memory, spi};

/// What has to be done to one table, row by row, in a temporary table.
pub struct Difference {
    table: QualifiedName,
    /// Columns that the source does not have, of rows that are deleted and inserted again; none where nothing
    /// needs them.
    kept: Option<(QualifiedName, Vec<String>)>,
    /// The table as an UPDATE or DELETE names it.
    target: String,
    /// What its rows were when they were compared: the table itself, or a copy of it.
    compared: String,
    /// The copy, where there is one.
    copy: Option<QualifiedName>,
    /// The columns of the difference that say which row of the table is meant: its place, or its key.
    identity: Vec<String>,
    /// That a row `t` of the table and `d` of the difference are one.
    same: String,
    /// Attributes that an UPDATE may set.
    settable: Vec<String>,
    /// Rows that only the source has.
    pub only_source: i64,
    /// Rows that only the table has and that are to go.
    pub only_target: i64,
    /// Rows that differ and are updated in place.
    pub changed: i64,
    /// Rows that differ and are deleted and inserted again.
    pub moved: i64,
}

/// Compares a stage with its table, without the rows that were `matched`, which are equal. Rows that only the
/// table has count where `with_deletes` says so.
pub fn compare(
    stage: &Stage,
    matched: Option<&Matched>,
    plan: &TablePlan,
    number: usize,
    with_deletes: bool,
) -> Result<Difference> {
    let standing = standing::standing_of(stage.target)?;
    let target = standing.from(&plan.target.to_string());
    let (mut settable, kept) = columns(stage)?;
    let (copy, compared, key) = match standing.is_elsewhere() {
        true => {
            let copy = temporary("copy", number);
            let kept: String = kept.iter().map(|c| format!(", {}", quote(c))).collect();
            let sql =
                format!("CREATE TEMPORARY TABLE {copy} AS SELECT {}{kept} FROM {target}", stage.columns());
            spi::run_for_caller(&sql)?;
            spi::run(&format!("ANALYZE {copy}"))?;
            (Some(copy.clone()), format!("ONLY {copy}"), plan.sync_key.clone())
        }
        false => (None, target.clone(), Vec::new()),
    };
    // A key that is told apart by its stored image only is no key to an UPDATE, and may say where a row is
    // kept.
    settable.retain(|c| !key.contains(c));
    let (identity, same) = identity(plan, &key)?;
    let keys: String = key.iter().enumerate().map(|(n, k)| format!(", t.{} AS k{n}", quote(k))).collect();
    let is_written = |name: &String| plan.columns.iter().any(|c| c.target == *name);
    let moving: Vec<String> = unique::guarded(stage.target)?
        .into_iter()
        .chain(plan.columns.iter().map(|c| c.target.clone()).filter(|c| !settable.contains(c)))
        .filter(|c| is_written(c) && (!plan.sync_key.contains(c) || key.contains(c)))
        .collect();
    let is_moved = if moving.is_empty() {
        "false".to_owned()
    } else {
        let list = |alias: &str| {
            moving.iter().map(|c| format!("{alias}.{}", quote(c))).collect::<Vec<_>>().join(", ")
        };
        format!("s.ctid IS NOT NULL AND t.old_row IS NOT NULL AND {}", differ(&list("s"), &list("t")))
    };
    let on = same_key(plan, "t", "s")?;
    let table = temporary("difference", number);
    let sql = format!(
        "CREATE TEMPORARY TABLE {table} AS \
         SELECT s.ctid AS new_row, t.old_row, t.old_table, {is_moved} AS is_moved{keys} \
         FROM {} s {} JOIN (SELECT t.ctid AS old_row, t.tableoid AS old_table, {} FROM {}) t ON {} \
         WHERE s.ctid IS NULL OR t.old_row IS NULL OR {}",
        stage.table,
        if with_deletes { "FULL" } else { "LEFT" },
        stage.target_columns("t."),
        matched.map_or_else(|| format!("{compared} t"), |matched| matched.other_rows(&compared)),
        on,
        differ(&stage.each_column("s."), &stage.each_column("t.")),
    );
    memory::as_maintenance(|| spi::run(&sql))?;
    spi::run(&format!("ANALYZE {table}"))?;
    let counts = spi::rows(
        &format!(
            "SELECT pg_catalog.count(*) FILTER (WHERE old_row IS NULL), pg_catalog.count(*) FILTER (WHERE new_row IS NULL), \
                    pg_catalog.count(*) FILTER (WHERE old_row IS NOT NULL AND new_row IS NOT NULL AND NOT is_moved), \
                    pg_catalog.count(*) FILTER (WHERE is_moved) FROM {table}"
        ),
        &[],
        |row| {
            let mut counts = [0; 4];
            for (count, column) in counts.iter_mut().zip(1..) {
                *count = row.get::<i64>(column)?.unwrap_or(0);
            }
            Ok(counts)
        },
    )?;
    let [only_source, only_target, changed, moved] = counts.first().copied().unwrap_or_default();
    let kept = (moved > 0 && !kept.is_empty()).then(|| (temporary("kept", number), kept));
    Ok(Difference {
        table,
        kept,
        target,
        compared,
        copy,
        identity,
        same,
        settable,
        only_source,
        only_target,
        changed,
        moved,
    })
}

impl Difference {
    /// True where the table equals the source already.
    pub fn is_none(&self) -> bool {
        self.only_source + self.only_target + self.changed + self.moved == 0
    }

    /// Deletes the rows that have to go. Gives the number of those that do not come back.
    pub fn delete(&self) -> Result<i64> {
        if let Some((kept, columns)) = &self.kept {
            let columns: Vec<String> = columns.iter().map(|c| format!("t.{}", quote(c))).collect();
            spi::run(&format!(
                "CREATE TEMPORARY TABLE {kept} AS SELECT d.new_row, {} FROM {} t JOIN {} d ON {SAME_PLACE} WHERE d.is_moved",
                columns.join(", "),
                self.compared,
                self.table
            ))?;
        }
        if self.only_target + self.moved == 0 {
            return Ok(0);
        }
        // Places mean nothing to whoever keeps the rows elsewhere, so that they are not even named there.
        let deleted = spi::count_for_caller(&format!(
            "DELETE FROM {} t USING (SELECT {} FROM {} WHERE new_row IS NULL OR is_moved) AS d WHERE {}",
            self.target,
            self.identity.join(", "),
            self.table,
            self.same
        ))?;
        Ok(deleted - self.moved)
    }

    /// Updates the rows that differ and inserts those that are missing. Gives the numbers of inserted and
    /// updated rows.
    pub fn write(&self, stage: &Stage, name: &QualifiedName) -> Result<(i64, i64)> {
        let (mut inserted, mut updated) = (0, 0);
        if self.changed > 0 {
            updated += spi::count_for_caller(&self.update(stage))?;
        }
        let insert = |more: &str, values: &str, join: &str, condition: &str| {
            spi::count_for_caller(&format!(
                "INSERT INTO {name} ({}{more}) OVERRIDING SYSTEM VALUE SELECT {}{values} \
                 FROM {} d JOIN {} s ON s.ctid OPERATOR(pg_catalog.=) d.new_row {join} WHERE {condition}",
                stage.columns(),
                stage.each_column("s."),
                self.table,
                stage.table
            ))
        };
        if self.moved > 0 {
            updated += match &self.kept {
                Some((kept, columns)) => {
                    let list = |prefix: &str| {
                        columns.iter().map(|c| format!(", {prefix}{}", quote(c))).collect::<String>()
                    };
                    let join = format!("JOIN {kept} k ON k.new_row OPERATOR(pg_catalog.=) d.new_row");
                    insert(&list(""), &list("k."), &join, "d.is_moved")?
                }
                None => insert("", "", "", "d.is_moved")?,
            };
        }
        if self.only_source > 0 {
            inserted += insert("", "", "", "d.old_row IS NULL")?;
        }
        Ok((inserted, updated))
    }

    fn update(&self, stage: &Stage) -> String {
        let numbered =
            |prefix: &str, count: usize| (0..count).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
        let set = |n: usize, column: &String| format!("{} = d.c{n}", quote(column));
        let set: Vec<String> = self.settable.iter().enumerate().map(|(n, c)| set(n, c)).collect();
        let mut names = self.identity.clone();
        let mut values: Vec<String> = names.iter().map(|name| format!("d.{name}")).collect();
        values.extend(self.settable.iter().map(|c| format!("s.{}", quote(c))));
        names.extend(numbered("c", self.settable.len()));
        // One FROM item with names of ours: no engine has to join three tables, and no column of the user's
        // is in the way.
        format!(
            "UPDATE {} t SET {} FROM (SELECT {} FROM {} d JOIN {} s ON s.ctid OPERATOR(pg_catalog.=) d.new_row WHERE NOT d.is_moved) AS d ({}) WHERE {}",
            self.target,
            set.join(", "),
            values.join(", "),
            self.table,
            stage.table,
            names.join(", "),
            self.same
        )
    }

    /// Drops the temporary tables.
    pub fn drop(self) -> Result<()> {
        if let Some(copy) = &self.copy {
            spi::run(&format!("DROP TABLE {copy}"))?;
        }
        if let Some((kept, _)) = &self.kept {
            spi::run(&format!("DROP TABLE {kept}"))?;
        }
        spi::run(&format!("DROP TABLE {}", self.table))
    }
}

/// The rows `t` of the table and `d` of the difference that are one row, by place. Only its own partition
/// knows a row by its ctid.
const SAME_PLACE: &str =
    "t.ctid OPERATOR(pg_catalog.=) d.old_row AND t.tableoid OPERATOR(pg_catalog.=) d.old_table";

/// The columns of the difference that say which row of the table is meant, and the condition that it is that
/// one. Where rows are known by `key`, its columns of a row that only the source has are NULL.
fn identity(plan: &TablePlan, key: &[String]) -> Result<(Vec<String>, String)> {
    if key.is_empty() {
        return Ok((vec!["old_row".to_owned(), "old_table".to_owned()], SAME_PLACE.to_owned()));
    }
    let equal = |(n, k): (usize, &String)| {
        let operator = operator::equal((&plan.target, k), (&plan.target, k))?;
        Ok(format!("t.{} {operator} d.k{n}", quote(k)))
    };
    let terms = key.iter().enumerate().map(equal).collect::<Result<Vec<_>>>()?;
    Ok(((0..key.len()).map(|n| format!("k{n}")).collect(), terms.join(" AND ")))
}

/// That two lists of columns do not have the same stored image. Without the cast this would be SQL's row
/// comparison.
fn differ(one: &str, other: &str) -> String {
    format!("ROW({one})::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW({other})::pg_catalog.record")
}

/// The condition that rows of a table and of its stage, under these names, have the same key.
pub fn same_key(plan: &TablePlan, one: &str, other: &str) -> Result<String> {
    let equal = |k: &String| {
        let operator = operator::equal((&plan.target, k), (&plan.target, k))?;
        Ok(format!("{one}.{0} {operator} {other}.{0}", quote(k)))
    };
    Ok(plan.sync_key.iter().map(equal).collect::<Result<Vec<_>>>()?.join(" AND "))
}

/// The condition that a row `c` of a stage is in the table (`from`, a FROM item) already and refers to the
/// same by this key.
pub fn with_same_reference(plan: &TablePlan, key: &ForeignKeyPlan, from: &str) -> Result<String> {
    let list = |alias: &str| {
        key.columns.iter().map(|c| format!("{alias}.{}", quote(c))).collect::<Vec<_>>().join(", ")
    };
    Ok(format!(
        "EXISTS (SELECT 1 FROM {from} o WHERE {} AND NOT {})",
        same_key(plan, "c", "o")?,
        differ(&list("c"), &list("o"))
    ))
}

fn temporary(what: &str, number: usize) -> QualifiedName {
    QualifiedName { schema: "pg_temp".to_owned(), name: format!("aliaport_import_{what}_{number}") }
}

/// The columns of the table that an UPDATE may set to the source's values (all but GENERATED ALWAYS
/// identities), and those that can be written but that the source does not have.
fn columns(stage: &Stage) -> Result<(Vec<String>, Vec<String>)> {
    let written: Vec<String> = spi::rows(
        "SELECT attname::text FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        &[stage.relation.into()],
        |row| Ok(row.get::<String>(1)?.unwrap_or_default()),
    )?;
    let own = spi::rows(
        "SELECT attname::text, attidentity = 'a' FROM pg_catalog.pg_attribute \
         WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
        &[stage.target.into()],
        |row| Ok((row.get::<String>(1)?.unwrap_or_default(), row.get::<bool>(2)?.unwrap_or(false))),
    )?;
    let settable = own
        .iter()
        .filter(|(c, is_always)| !is_always && written.contains(c))
        .map(|(c, _)| c.clone())
        .collect();
    let kept = own.into_iter().map(|(c, _)| c).filter(|c| !written.contains(c)).collect();
    Ok((settable, kept))
}
