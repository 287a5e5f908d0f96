//! Is there anything to do? In modes replace and sync a run ends at once where the source holds what it held
//! in an earlier run with the same arguments, and the tables hold what that run left in them.
//!
//! Nothing here is guessed from times or counters: every page of the source's snapshot and every row of the
//! tables is read and compared by its digest. Whatever cannot be compared like that counts as changed: a
//! wrong "changed" costs one import, a wrong "unchanged" costs the data.

use std::time::{Duration, Instant};

use aliaport_plan::plan::TablePlan;
use aliaport_plan::policy::{Mode, Verify};
use aliaport_rows::digest::TableDigest;
use pgrx::JsonB;
use pgrx::pg_sys;
use pgrx::prelude::PgSqlErrorCode;
use serde_json::{Value as Json, json};

use super::{Import, ImportedTable};
use crate::pg::heap::{readback, standing};
use crate::pg::record::outcome::Earlier;
use crate::pg::record::progress::{self, Phase};
use crate::pg::server::count::signed;
use crate::pg::server::error::{Result, gone};
use crate::pg::server::{access, spi};
use crate::pg::table::sequence::{self, Behind, Sequence};

impl Import<'_> {
    /// Reads the source's pages, where an earlier or a later run may be compared with this one.
    pub(super) fn look_at_source(&mut self) -> Result<()> {
        if self.is_comparable() {
            self.content = self.source.content()?;
        }
        Ok(())
    }

    /// Whether source, arguments and the tables' rows are all that decides what a run like this one leaves
    /// behind, and all of it can be looked at.
    fn is_comparable(&self) -> bool {
        let is_replace = self.request.mode == Mode::Replace;
        (is_replace || self.request.mode == Mode::Sync)
            && self.options.verify == Verify::Content
            // A replace fires them in any case, which somebody asked for.
            && !(is_replace && self.options.triggers)
            && self.plan.tables.iter().all(TablePlan::is_repeatable)
    }

    /// What has to be equal besides the source and the tables.
    fn arguments(&self) -> Result<Json> {
        let mut options = self.request.options.clone();
        if let Some(options) = options.as_object_mut() {
            options.remove("force");
        }
        let location = access::source_path(self.request.path)?;
        Ok(json!({
            // Another version may convert another way.
            "version": env!("CARGO_PKG_VERSION"),
            "path": location.path().to_string_lossy(),
            "target_schema": self.schema,
            "mode": self.request.mode.as_str(),
            "on_error": self.request.on_error.as_str(),
            "orphans": self.request.orphans.as_str(),
            "options": options,
        }))
    }

    /// Compares; where nothing has changed, the rows are filled in and true is returned. Nobody writes to the
    /// tables meanwhile, nor until the transaction ends: [`Import::take_hold`] was there before.
    pub(super) fn find_unchanged(&mut self) -> Result<bool> {
        if self.options.force || self.plan.tables.iter().any(|t| t.is_created) {
            return Ok(false);
        }
        let Some(content) = self.content.clone() else { return Ok(false) };
        let Some((run_id, state)) = earlier_run(&self.arguments()?, &content)? else { return Ok(false) };
        let known = state.get("tables").and_then(Json::as_array).cloned().unwrap_or_default();
        if known.len() != self.plan.tables.len() {
            return Ok(false);
        }
        progress::phase(Phase::Verify);
        let mut next = Vec::new();
        for (index, known) in known.iter().enumerate() {
            match self.same_table(index, known)? {
                Some(value) => next.push(value),
                None => return Ok(false),
            }
        }
        let mut found: Vec<(TableDigest, Duration)> = Vec::new();
        for (index, known) in known.iter().enumerate() {
            let begun = Instant::now();
            let ImportedTable { plan, relation, .. } = self.subject(index)?;
            let digest = readback::digest(relation, plan)?;
            if known.get("digest") != Some(&digest_json(&digest)) {
                return Ok(false);
            }
            found.push((digest, begun.elapsed()));
        }
        self.source.verify_unchanged()?;
        let earlier = earlier_rows(run_id)?;
        if earlier.len() != self.rows.len() {
            return Ok(false);
        }
        // An index that was dropped since, or a table that has gone from the source: the earlier run has not
        // said it.
        if self.rows.iter().zip(&earlier).any(|(row, (_, earlier))| row.drift() != earlier.drift()) {
            return Ok(false);
        }
        for (((row, (source_rows, earlier)), (digest, elapsed)), next) in
            self.rows.iter_mut().zip(earlier).zip(found).zip(next)
        {
            row.source_rows = source_rows;
            row.target_rows = signed(digest.rows);
            row.content_match = Some(true);
            row.digest = Some(digest);
            row.sequence_next = next;
            (row.inserted, row.updated, row.deleted) = (Some(0), Some(0), Some(0));
            row.unchanged = Some(signed(digest.rows));
            row.elapsed = elapsed;
            row.earlier = Some(earlier);
        }
        self.is_unchanged = true;
        pgrx::notice!("nothing to do: the source and its tables are as run {run_id} left them");
        Ok(true)
    }

    /// Whether a table is the one that it was and its sequence has not gone back. What `nextval()` will give
    /// then, if anything.
    fn same_table(&self, index: usize, known: &Json) -> Result<Option<Option<i64>>> {
        let ImportedTable { plan, relation, .. } = self.subject(index)?;
        // What others keep, others may change past our locks.
        if standing::standing_of(relation)?.is_elsewhere() {
            return Ok(None);
        }
        let definition = definition(relation)?;
        let is_same = known.get("relation") == Some(&json!(relation.to_u32()))
            && known.get("definition") == Some(&json!(definition.hash));
        // A replace would give columns that the source lacks their defaults, and take the rows of inheriting
        // tables; neither is in the digest.
        let is_covered = self.request.mode == Mode::Sync || definition.columns == plan.columns.len();
        if !is_same || !is_covered || definition.is_inherited {
            return Ok(None);
        }
        let before = known.get("sequence_next").and_then(Json::as_i64);
        let now = match plan.sequences.first() {
            Some(sequence) => next_key(plan, &sequence.column)?,
            None => None,
        };
        // Forwards nothing is lost. Backwards, keys in use would be given again, which an import repairs.
        Ok((now >= before && now.is_some() == before.is_some()).then_some(now))
    }

    /// What a later run needs to see that nothing has changed; `None` where it shall not try.
    pub(super) fn state(&self) -> Result<Option<Json>> {
        let Some(content) = &self.content else { return Ok(None) };
        // What was set aside may fit another time: an enum has a new label, a parent outside of the import
        // has come. And those who look for rejected rows look at the last run.
        let is_clean = !self.run.has_set_aside() && self.rows.iter().all(|r| r.orphan_rows == 0);
        if !is_clean || self.is_unchanged || self.request.dry_run {
            return Ok(None);
        }
        let mut tables = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            let Some(stored) = &row.stored else { return Ok(None) };
            let relation = self.subject(index)?.relation;
            tables.push(json!({
                "relation": relation.to_u32(),
                "definition": definition(relation)?.hash,
                "digest": digest_json(stored),
                "sequence_next": row.sequence_next,
            }));
        }
        Ok(Some(json!({ "arguments": self.arguments()?, "source": content, "tables": tables })))
    }
}

/// What `nextval()` of the sequence behind a column will give. `None` where there is none, it is used up, it
/// does not count upwards, or the caller may not read it.
fn next_key(plan: &TablePlan, column: &str) -> Result<Option<i64>> {
    let Behind::Sequence(oid) = sequence::behind(&plan.target.to_string(), column)? else { return Ok(None) };
    let sequence = Sequence::read(oid, plan, column)?;
    Ok(sequence.filter(Sequence::counts_up).and_then(|s| s.next()))
}

fn digest_json(digest: &TableDigest) -> Json {
    json!(format!("{}:{digest}", digest.rows))
}

/// The last run that left a state with these arguments and this source.
fn earlier_run(arguments: &Json, content: &str) -> Result<Option<(i64, Json)>> {
    let found = spi::as_history_owner(|| {
        spi::rows(
            "SELECT run_id, state FROM aliaport.run \
             WHERE NOT dry_run AND status IN ('ok', 'warning') AND state -> 'arguments' = $1 AND state ->> 'source' = $2 \
             ORDER BY run_id DESC LIMIT 1",
            &[JsonB(arguments.clone()).into(), content.to_owned().into()],
            |row| Ok((row.get::<i64>(1)?, row.get::<JsonB>(2)?)),
        )
    })?;
    Ok(found.into_iter().next().and_then(|(run_id, state)| Some((run_id?, state?.0))))
}

/// What a run said of its tables, in load order: source rows and the rest.
fn earlier_rows(run_id: i64) -> Result<Vec<(i64, Earlier)>> {
    spi::as_history_owner(|| {
        spi::rows(
            "SELECT source_rows, status, detail FROM aliaport.run_table WHERE run_id = $1 ORDER BY load_order",
            &[run_id.into()],
            |row| {
                let detail = row.get::<JsonB>(3)?.map_or(Json::Null, |j| j.0);
                let part = |name| detail.get(name).cloned().unwrap_or_default();
                let status = if row.get::<String>(2)?.as_deref() == Some("ok") { "ok" } else { "warning" };
                let earlier = Earlier { run_id, status, warnings: part("warnings"), lossy: part("lossy") };
                Ok((row.get::<i64>(1)?.unwrap_or(0), earlier))
            },
        )
    })
}

/// What a table is like apart from its rows.
struct Definition {
    /// Of all that decides what can be in it.
    hash: String,
    /// Columns that are there.
    columns: usize,
    /// Other tables inherit from it. Partitions do not count: their rows are the table's.
    is_inherited: bool,
}

/// Looks at the catalogue's own columns, because what PostgreSQL prints of an expression depends on the
/// search_path.
fn definition(relation: pg_sys::Oid) -> Result<Definition> {
    spi::rows_often(
        "SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array( \
             c.relkind, c.relpersistence, c.relam, c.relowner, c.relrowsecurity, c.relforcerowsecurity, \
             (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, \
                     a.attidentity, a.attgenerated, a.attcollation, d.adbin::text) ORDER BY a.attnum) \
              FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
             (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(k.oid, k.conname, k.contype, k.condeferrable, k.condeferred, \
                     k.convalidated, k.conkey, k.confrelid, k.confkey, k.confupdtype, k.confdeltype, k.confmatchtype, \
                     k.conbin::text) ORDER BY k.oid) \
              FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid), \
             (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(t.oid, t.tgname, t.tgfoid, t.tgtype, t.tgenabled, t.tgqual::text) \
                     ORDER BY t.oid) \
              FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), \
             (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(r.oid, r.ev_type, r.ev_enabled, r.is_instead) ORDER BY r.oid) \
              FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid), \
             (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(i.indkey::text, i.indisvalid, i.indimmediate, i.indexprs::text, \
                     i.indpred::text) ORDER BY i.indkey::text, i.indexprs::text, i.indpred::text, i.indisvalid, i.indimmediate) \
              FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique) \
           )::text, 'UTF8')), 'hex'), \
           (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
           c.relkind <> 'p' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) \
         FROM pg_catalog.pg_class c WHERE c.oid = $1",
        &[relation.into()],
        |row| {
            Ok(Definition {
                hash: row.get::<String>(1)?.unwrap_or_default(),
                columns: usize::try_from(row.get::<i64>(2)?.unwrap_or(0)).unwrap_or(0),
                is_inherited: row.get::<bool>(3)?.unwrap_or(true),
            })
        },
    )?
    .into_iter()
    .next()
    .ok_or_else(|| gone("a table of the target", PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE))
}
