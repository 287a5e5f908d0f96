//! Whose code runs when a row is written, or a value is read as a domain?
//!
//! Under `session_replication_role = replica` ([`super::as_replica`]), and where only something is looked at
//! (`aliaport_inspect`), no code may run that is not PostgreSQL's: a function of somebody's would do there
//! what it cannot do by itself, or do it with the caller's rights. So all that PostgreSQL would evaluate is
//! read from the catalogue and each function in it is looked at. Whatever is not known to be harmless is
//! somebody's: a wrong answer costs a slower way, or a value that is not looked at.

use pgrx::pg_sys;

use crate::pg::server::error::Result;
use crate::pg::server::spi;

// By `= ANY (ARRAY(...))` PostgreSQL looks the few relations up in its catalogue's indexes, of whatever size
// it believes a partition tree to be; joined they are found by reading all of the catalogue, for each of ten
// thousand tables.

/// What evaluates expressions of the relation `$1` when a row is inserted or updated there, its partitions
/// included: defaults and generated columns, CHECKs, indexes, partition keys; and the types of its columns,
/// whose domains have CHECKs of their own.
macro_rules! of_relation {
    () => {
        "relation (oid) AS ( \
         SELECT $1 UNION SELECT t.relid::oid FROM pg_catalog.pg_partition_tree($1::regclass) AS t \
     ), start (tree, type) AS ( \
         SELECT d.adbin::text, NULL::oid FROM pg_catalog.pg_attrdef d WHERE d.adrelid = ANY (ARRAY(SELECT oid FROM relation)) \
         UNION SELECT k.conbin::text, NULL FROM pg_catalog.pg_constraint k WHERE k.conrelid = ANY (ARRAY(SELECT oid FROM relation)) \
         UNION SELECT i.indexprs::text, NULL FROM pg_catalog.pg_index i WHERE i.indrelid = ANY (ARRAY(SELECT oid FROM relation)) \
         UNION SELECT i.indpred::text, NULL FROM pg_catalog.pg_index i WHERE i.indrelid = ANY (ARRAY(SELECT oid FROM relation)) \
         UNION SELECT p.partexprs::text, NULL FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = ANY (ARRAY(SELECT oid FROM relation)) \
         UNION SELECT NULL, a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = ANY (ARRAY(SELECT oid FROM relation)) \
               AND a.attnum > 0 AND NOT a.attisdropped \
     )"
    };
}

/// The same of the type `$1`.
macro_rules! of_type {
    () => {
        "start (tree, type) AS (SELECT NULL::text COLLATE \"C\", $1)"
    };
}

/// The first function or type among all that `start` leads to whose code is not PostgreSQL's, as an error can
/// name it.
///
/// A stored expression names its functions by their OIDs. PostgreSQL's own functions (those of initdb, below
/// 16384) are harmless where they are immutable, or stable and not over any type (to_json() calls casts,
/// jsonb_populate_record() a domain's checks) nor makers of xml from queries nor calls of input functions by
/// name, or one of a few; others where only a superuser can have made them, in C, and they are not volatile
/// (or take no argument: uuid_generate_v4()), because a query could be in a text. Types lead to the CHECKs of
/// domains and to the elements of arrays; and the fields of composites; an enum has no code, a base type's is
/// a superuser's; a range type may have anything.
macro_rules! search {
    ($start:ident) => {
        concat!(
            "WITH RECURSIVE ",
            $start!(),
            ", found (tree, type) AS ( \
                 SELECT s.tree, s.type FROM start s \
               UNION \
                 SELECT n.tree, n.type FROM found f CROSS JOIN LATERAL ( \
                     SELECT NULL::text AS tree, m[1]::oid AS type \
                     FROM pg_catalog.regexp_matches(f.tree, ':[a-zA-Z_]*type[a-zA-Z_]* ([0-9]+)', 'g') AS m WHERE m[1] <> '0' \
                     UNION ALL SELECT NULL, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = f.type AND t.typtype = 'd' \
                     UNION ALL SELECT NULL, t.typelem FROM pg_catalog.pg_type t WHERE t.oid = f.type AND t.typelem <> 0 \
                     UNION ALL SELECT NULL, a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid \
                               WHERE t.oid = f.type AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped \
                     UNION ALL SELECT k.conbin::text, NULL FROM pg_catalog.pg_constraint k WHERE k.contypid = f.type \
                     UNION ALL SELECT t.typdefaultbin::text, NULL FROM pg_catalog.pg_type t WHERE t.oid = f.type AND t.typtype = 'd' \
                 ) AS n \
             ), called (oid) AS ( \
                 SELECT m[1]::oid FROM found f, pg_catalog.regexp_matches(f.tree, ':[a-z]*funcid ([0-9]+)', 'g') AS m \
                 UNION \
                 SELECT o.oprcode::oid FROM pg_catalog.pg_operator o WHERE o.oid = ANY (ARRAY( \
                     SELECT m[1]::oid FROM found f, pg_catalog.regexp_matches(f.tree, ':[a-z]*opno ([0-9]+)', 'g') AS m)) \
             ) \
             SELECT 'function ' || p.oid::regprocedure::text \
             FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
             WHERE p.oid = ANY (ARRAY(SELECT c.oid FROM called c)) AND NOT CASE WHEN p.oid < 16384 THEN \
                     p.provolatile = 'i' \
                     OR p.provolatile = 's' AND p.prorettype <> 'xml'::regtype AND p.proname NOT LIKE 'pg_input_%' \
                        AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proargtypes::oid[]) AS a (type) \
                                        JOIN pg_catalog.pg_type t ON t.oid = a.type WHERE t.typtype = 'p') \
                     OR p.proname = ANY ('{nextval,currval,clock_timestamp,timeofday,random,gen_random_uuid,uuidv4,uuidv7,concat, \
                                          concat_ws,format,anytextcat,textanycat}') \
                 ELSE l.lanname IN ('internal', 'c') AND (p.provolatile <> 'v' OR p.pronargs = 0) END \
             UNION ALL \
             SELECT 'type ' || pg_catalog.format_type(t.oid, NULL) FROM found f JOIN pg_catalog.pg_type t ON t.oid = f.type \
             WHERE t.oid >= 16384 AND t.typtype NOT IN ('b', 'e', 'd', 'c') \
             ORDER BY 1 LIMIT 1"
        )
    };
}

/// The code that is not PostgreSQL's and that runs when a row of the relation `oid` is inserted or updated,
/// triggers and policies aside.
pub fn of_relation(oid: pg_sys::Oid) -> Result<Option<String>> {
    first(search!(of_relation), oid)
}

/// The code that is not PostgreSQL's and that runs when a text is read as a value of the type `oid`.
pub fn of_type(oid: pg_sys::Oid) -> Result<Option<String>> {
    first(search!(of_type), oid)
}

fn first(sql: &'static str, oid: pg_sys::Oid) -> Result<Option<String>> {
    // Nobody knows how far a recursion goes, so the planner takes it for expensive, and compiling it would
    // take seconds.
    spi::with_setting(c"jit", c"off", || {
        let found = spi::rows_often(sql, &[oid.into()], |row| row.get::<String>(1))?;
        Ok(found.into_iter().next().flatten())
    })
}
