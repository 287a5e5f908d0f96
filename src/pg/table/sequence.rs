//! The sequences behind columns: which one it is, how far it has come, and how it is moved past the keys.
//!
//! `setval()` is not undone by ROLLBACK. A sequence that was there before the run is therefore given a new
//! file first, by ALTER SEQUENCE ... RESTART, which is: after a ROLLBACK it stands where it stood, and never
//! before keys that are still in use. Only its owner may do that. For anybody else it is moved forwards only.

use aliaport_plan::catalogue::Table;
use aliaport_plan::plan::{SequencePlan, TablePlan};
use aliaport_plan::sequence::{Bounds, End, Position, Used, type_range};
use aliaport_rows::pg_type::PgType;
use aliaport_sqlite::Source;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::schema;
use super::target;
use crate::pg::server::error::{Error, Result};
use crate::pg::server::spi;

/// Whether a stored expression calls a function that is neither PostgreSQL's own nor written in C, as those
/// of extensions are.
macro_rules! calls_a_function {
    ($tree:literal) => {
        concat!(
            "EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
                     WHERE p.oid >= 16384 AND l.lanname NOT IN ('internal', 'c') AND p.oid = ANY (ARRAY( \
                         SELECT m[1]::pg_catalog.oid FROM pg_catalog.regexp_matches(",
            $tree,
            ", ':[a-z]*funcid ([0-9]+)', 'g') AS m)))"
        )
    };
}
pub(in crate::pg) use calls_a_function;

/// The FROM item `f` of a column's default, for an attribute `a`: its class and OID in pg_depend, its tree
/// and its text. The default is the column's own, else that of its domain; what a generated column computes
/// is none.
macro_rules! column_default {
    () => {
        "LEFT JOIN LATERAL (SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass AS class, d.oid, d.adbin::text AS tree, \
                                   pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS text \
                            FROM pg_catalog.pg_attrdef d \
                            WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = '' \
                            UNION ALL \
                            SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, y.oid, y.typdefaultbin::text, \
                                   pg_catalog.pg_get_expr(y.typdefaultbin, 0::pg_catalog.oid) \
                            FROM pg_catalog.pg_type y \
                            WHERE y.oid = a.atttypid AND y.typtype = 'd' AND NOT a.atthasdef AND a.attidentity = '' \
                              AND y.typdefaultbin IS NOT NULL) AS f ON true"
    };
}
pub(in crate::pg) use column_default;

/// What gives a column its values where a row brings none.
pub enum Behind {
    /// No sequence.
    Nothing,
    /// This sequence, and its values are the column's as they are.
    Sequence(pg_sys::Oid),
    /// A sequence, by a default that makes something else of its values, or that names one which is not
    /// there.
    Default(String),
    /// A default that calls somebody's function, which may draw from a sequence or not.
    Function(String),
}

/// One sequence as it is now.
pub struct Sequence {
    /// Its OID.
    pub oid: pg_sys::Oid,
    /// Its name with its schema.
    pub name: String,
    /// How it counts.
    bounds: Bounds,
    /// The last value, and whether it counts as given; `None` where the caller may not look.
    current: Option<(i64, bool)>,
    may_update: bool,
    is_owned: bool,
    /// Columns of the database that take their values from it.
    pub columns: i64,
}

/// What feeds a column of a relation.
pub fn behind(relation: &str, column: &str) -> Result<Behind> {
    let found = spi::rows_often(
        concat!(
            "SELECT a.attidentity <> '', o.oid, \
                (SELECT s.oid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' \
                 WHERE d.classid = f.class AND d.objid = f.oid \
                   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass LIMIT 1), \
                e.text, e.text ~ '^nextval\\(''([^'']|'''')*''::regclass\\)$', \
                (SELECT s.oid FROM pg_catalog.parse_ident(e.named) AS p, pg_catalog.pg_class s \
                 JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace \
                 WHERE s.relkind = 'S' AND s.relname = p[pg_catalog.cardinality(p)]::pg_catalog.name \
                   AND (pg_catalog.cardinality(p) = 1 OR n.nspname = p[1]::pg_catalog.name) \
                 ORDER BY n.oid = c.relnamespace DESC, n.nspname = 'public' DESC, s.oid LIMIT 1), ",
            calls_a_function!("f.tree"),
            " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
             LEFT JOIN LATERAL (SELECT d.objid AS oid FROM pg_catalog.pg_depend d \
                                JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
                                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid \
                                  AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i') ORDER BY d.deptype DESC LIMIT 1) AS o ON true ",
            column_default!(),
            " LEFT JOIN LATERAL (SELECT f.text, pg_catalog.replace(pg_catalog.substring(f.text, \
                    '^nextval\\(\\(''((?:[[:alpha:]_][[:alnum:]_$]*|\"[^\"'']+\")(?:\\.(?:[[:alpha:]_][[:alnum:]_$]*|\"[^\"'']+\"))?)''::text\\)::regclass\\)$'), \
                    '''''', '''') AS named) AS e ON true \
             WHERE a.attrelid = $1::pg_catalog.regclass AND a.attname = $2::pg_catalog.name"
        ),
        &[relation.to_owned().into(), column.to_owned().into()],
        |row| {
            Ok(Feed {
                is_identity: row.get::<bool>(1)?.unwrap_or(false),
                owned: row.get::<pg_sys::Oid>(2)?,
                used: row.get::<pg_sys::Oid>(3)?,
                default: row.get::<String>(4)?,
                is_plain: row.get::<bool>(5)?.unwrap_or(false),
                named: row.get::<pg_sys::Oid>(6)?,
                calls_a_function: row.get::<bool>(7)?.unwrap_or(false),
            })
        },
    )?;
    let Some(feed) = found.into_iter().next() else { return Ok(Behind::Nothing) };
    let owned = feed.owned.map_or(Behind::Nothing, Behind::Sequence);
    Ok(match (feed.default, feed.used.filter(|_| feed.is_plain).or(feed.named)) {
        _ if feed.is_identity => owned,
        (_, Some(oid)) => Behind::Sequence(oid),
        (Some(default), None) if feed.used.is_some() || default.contains("nextval(") => {
            Behind::Default(default)
        }
        (Some(default), None) if feed.calls_a_function => Behind::Function(default),
        // Nobody draws from it yet; whoever does by hand shall get free keys.
        _ => owned,
    })
}

/// What the catalogue says of a column's default.
struct Feed {
    is_identity: bool,
    /// The sequence that belongs to the column.
    owned: Option<pg_sys::Oid>,
    /// One that the default depends on.
    used: Option<pg_sys::Oid>,
    default: Option<String>,
    /// The default is `nextval()` of that one and nothing else.
    is_plain: bool,
    /// The sequence of a `nextval()` that finds it by its name each time.
    named: Option<pg_sys::Oid>,
    calls_a_function: bool,
}

/// The smallest and the greatest key that a column of a plan can hold.
pub fn holds(plan: &TablePlan, column: &str) -> (i64, i64) {
    match plan.columns.iter().find(|c| c.target == column).map(|c| &c.pg_type) {
        Some(PgType::SmallInt) => type_range(2),
        Some(PgType::Integer) => type_range(4),
        _ => type_range(8),
    }
}

impl Sequence {
    /// Looks at the sequence behind a column.
    pub fn read(oid: pg_sys::Oid, plan: &TablePlan, column: &str) -> Result<Option<Self>> {
        let holds = holds(plan, column);
        let found = spi::rows_often(
            "SELECT c.oid::pg_catalog.regclass::pg_catalog.text, s.seqstart, s.seqmin, s.seqmax, s.seqincrement, s.seqcycle, \
                    pg_catalog.has_sequence_privilege(c.oid, 'UPDATE'), pg_catalog.has_sequence_privilege(c.oid, 'SELECT'), \
                    pg_catalog.pg_has_role(c.relowner, 'USAGE'), \
                    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_depend d \
                     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid \
                       AND d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass) + \
                    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_depend d \
                     JOIN pg_catalog.pg_attribute a ON a.atttypid = d.objid AND NOT a.attisdropped AND NOT a.atthasdef \
                     JOIN pg_catalog.pg_class u ON u.oid = a.attrelid AND u.relkind IN ('r', 'p') \
                     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid \
                       AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass) \
             FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid WHERE c.oid = $1",
            &[oid.into()],
            |row| {
                let may_select = row.get::<bool>(8)?.unwrap_or(false);
                let sequence = Sequence {
                    oid,
                    name: row.get::<String>(1)?.unwrap_or_default(),
                    bounds: Bounds {
                        start: row.get::<i64>(2)?.unwrap_or(1),
                        least: row.get::<i64>(3)?.unwrap_or(1),
                        most: row.get::<i64>(4)?.unwrap_or(i64::MAX),
                        increment: row.get::<i64>(5)?.unwrap_or(1),
                        cycles: row.get::<bool>(6)?.unwrap_or(false),
                        holds,
                    },
                    current: None,
                    may_update: row.get::<bool>(7)?.unwrap_or(false),
                    is_owned: row.get::<bool>(9)?.unwrap_or(false),
                    columns: row.get::<i64>(10)?.unwrap_or(0),
                };
                Ok((sequence, may_select))
            },
        )?;
        let Some((mut sequence, may_select)) = found.into_iter().next() else { return Ok(None) };
        if may_select {
            // A plain read: nothing is drawn.
            let sql = format!("SELECT last_value, is_called FROM {}", sequence.name);
            let state = spi::rows(&sql, &[], |row| {
                Ok((row.get::<i64>(1)?.unwrap_or(1), row.get::<bool>(2)?.unwrap_or(true)))
            })?;
            sequence.current = state.first().copied();
        }
        Ok(Some(sequence))
    }

    /// Refuses a caller who may not move the sequence, before anything is loaded.
    pub fn require_update(&self, table: &TablePlan, column: &str) -> Result<()> {
        if self.may_update {
            return Ok(());
        }
        Err(Error::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for sequence {}", self.name),
        )
        .detail(format!(
            "It gives column \"{column}\" of {} its keys, and is moved past the keys that are imported, which needs UPDATE on it.",
            table.target
        ))
        .hint(format!(
            "As the sequence's owner, run GRANT UPDATE, SELECT ON SEQUENCE {} TO {};",
            self.name,
            schema::caller()?
        )))
    }

    /// Where it goes on so that no key of `used` is given again. `is_alone`: nothing that the run does not
    /// know takes from it.
    pub fn place(&self, mut used: Used, is_alone: bool, is_new: bool) -> Position {
        // Keys that others took from it are in use, whether or not they can be seen.
        if let Some((last, true)) = self.current
            && (!is_alone || !(is_new || self.is_owned))
        {
            used.add(last);
        }
        aliaport_plan::sequence::position(&self.bounds, &used)
    }

    /// Puts it there. `is_new`: this transaction made it.
    pub fn put(&self, position: Position, is_new: bool) -> Result<()> {
        if self.current == Some((position.value, position.is_called)) {
            return Ok(());
        }
        if !is_new && self.is_owned {
            spi::run_for_caller(&format!("ALTER SEQUENCE {} RESTART WITH {}", self.name, position.value))?;
        }
        spi::one_mut::<i64>(
            "SELECT pg_catalog.setval($1::pg_catalog.oid::pg_catalog.regclass, $2, $3)",
            &[self.oid.into(), position.value.into(), position.is_called.into()],
        )?;
        Ok(())
    }

    /// What `nextval()` will give: `None` where it fails or nobody may look.
    pub fn next(&self) -> Option<i64> {
        let (last, is_called) = self.current?;
        self.bounds.after(last, is_called)
    }

    /// Its name as the caller's search_path lets it be written.
    pub fn displayed_name(&self) -> Result<String> {
        target::regclass(self.oid)
    }

    /// Whether the column can hold a value.
    pub fn is_held(&self, value: i64) -> bool {
        (self.bounds.holds.0..=self.bounds.holds.1).contains(&value)
    }

    /// The caller may see how far it has come.
    pub fn is_readable(&self) -> bool {
        self.current.is_some()
    }

    /// It gives greater keys each time.
    pub fn counts_up(&self) -> bool {
        self.bounds.increment > 0
    }

    /// Whether it gives keys again that are in use when it has come to its end.
    pub fn begins_anew(&self, used: &Used) -> bool {
        self.bounds.begins_anew(used)
    }

    /// The statements that let it go on past any key, where there are such.
    pub fn remedy(&self, table: &TablePlan, column: &str, used: &Used, end: End) -> Option<String> {
        if end == End::BeginsAnew {
            return Some(format!("ALTER SEQUENCE {} NO CYCLE", self.name));
        }
        let (least, most) = used.range?;
        let end = if self.counts_up() { most } else { least };
        end.checked_add(self.bounds.increment)?;
        let quoted = aliaport_rows::identifier::quote(column);
        let retype = if self.bounds.holds == type_range(8) {
            String::new()
        } else {
            format!("ALTER TABLE {} ALTER COLUMN {quoted} TYPE bigint; ", table.target)
        };
        let limit = if self.counts_up() { "NO MAXVALUE" } else { "NO MINVALUE" };
        Some(format!("{retype}ALTER SEQUENCE {} AS bigint {limit} NO CYCLE", self.name))
    }
}

/// The keys that the source has in the column behind which a sequence is: in every row, whatever is filtered,
/// set aside or left out, and those that AUTOINCREMENT remembers.
pub fn used_in_source(
    source: &Source,
    table: &Table,
    plan: &TablePlan,
    sequence: &SequencePlan,
) -> Result<Used> {
    let mut used = Used::default();
    let column = plan.columns.iter().find(|c| c.target == sequence.column);
    if let Some(place) = column.and_then(|c| table.columns.iter().position(|s| s.name == c.source)) {
        used.range = source.key_range(table, place)?;
    }
    if let Some(high_water) = sequence.high_water {
        used.add(high_water);
    }
    Ok(used)
}

/// The keys that the target has in that column.
pub fn used_in_target(plan: &TablePlan, sequence: &SequencePlan) -> Result<Used> {
    let column = aliaport_rows::identifier::quote(&sequence.column);
    // Of a numeric column what a sequence can come to.
    let sql = format!(
        "SELECT pg_catalog.min({column})::pg_catalog.int8, pg_catalog.max({column})::pg_catalog.int8 FROM {} \
         WHERE {column} OPERATOR(pg_catalog.>=) -9223372036854775807 AND {column} OPERATOR(pg_catalog.<=) 9223372036854775807",
        plan.target
    );
    let range = spi::rows_for_caller(&sql, &[], |row| Ok(row.get::<i64>(1)?.zip(row.get::<i64>(2)?)))?;
    Ok(Used { range: range.into_iter().next().flatten() })
}
