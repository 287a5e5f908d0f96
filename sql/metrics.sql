-- One row a metric, for monitoring. A target schema has the metrics of its last run, dry runs aside; a table those of the last run
-- that landed rows in it. Nothing is counted here: what a table has now is what PostgreSQL's statistics say.
CREATE VIEW aliaport.metrics AS
WITH last_run AS (
    SELECT DISTINCT ON (r.target_schema) r.target_schema, r.run_id, r.started_at, r.finished_at, r.status, r.rows_imported, r.rows_rejected,
        r.source_bytes
    FROM aliaport.run AS r WHERE NOT r.dry_run ORDER BY r.target_schema, r.run_id DESC
), last_success AS (
    SELECT DISTINCT ON (r.target_schema) r.target_schema, coalesce(r.finished_at, r.started_at) AS ended_at
    FROM aliaport.run AS r WHERE NOT r.dry_run AND r.status <> 'failed' ORDER BY r.target_schema, r.run_id DESC
), last_table AS (
    SELECT DISTINCT ON (r.target_schema, t.table_name) r.target_schema, t.table_name, t.target_rows
    FROM aliaport.run_table AS t JOIN aliaport.run AS r USING (run_id)
    WHERE NOT r.dry_run ORDER BY r.target_schema, t.table_name, r.run_id DESC
), named_table AS (
    -- regclass wrote the name: with the schema only where the search_path of the run needed it. to_regclass() would read it back, but
    -- only for roles with USAGE on that schema.
    SELECT t.*, CASE WHEN i.parts[2] IS NULL THEN t.target_schema ELSE i.parts[1] END AS schema_name, coalesce(i.parts[2], i.parts[1]) AS relation_name
    FROM last_table AS t CROSS JOIN LATERAL (SELECT pg_catalog.parse_ident(t.table_name) AS parts) AS i
), live_table AS (
    SELECT t.*,
           -- 0 also stands for statistics that a crash has lost.
           coalesce(nullif(pg_catalog.pg_stat_get_live_tuples(c.oid), 0), nullif(c.reltuples, -1), 0)::double precision AS live_rows
    FROM named_table AS t
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = t.schema_name
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.relation_name
)
SELECT m.name, pg_catalog.jsonb_build_object('target_schema', r.target_schema) AS labels, m.value
FROM last_run AS r LEFT JOIN last_success AS s ON s.target_schema = r.target_schema
LEFT JOIN LATERAL (
    SELECT pg_catalog.sum(t.orphan_rows) AS orphan_rows FROM aliaport.run_table AS t WHERE t.run_id = r.run_id
) AS o ON true
CROSS JOIN LATERAL (VALUES
    ('aliaport_run_age_seconds', EXTRACT(epoch FROM pg_catalog.clock_timestamp() - r.started_at)::double precision),
    ('aliaport_run_success_age_seconds', EXTRACT(epoch FROM pg_catalog.clock_timestamp() - s.ended_at)::double precision),
    ('aliaport_run_failed', (r.status = 'failed')::integer::double precision),
    ('aliaport_run_warning', (r.status = 'warning')::integer::double precision),
    ('aliaport_run_seconds', EXTRACT(epoch FROM r.finished_at - r.started_at)::double precision),
    ('aliaport_run_rows', r.rows_imported::double precision),
    ('aliaport_run_rejected_rows', r.rows_rejected::double precision),
    ('aliaport_run_orphan_rows', coalesce(o.orphan_rows, 0)::double precision),
    ('aliaport_run_source_bytes', r.source_bytes::double precision)
) AS m (name, value)
WHERE m.value IS NOT NULL
UNION ALL
SELECT m.name, pg_catalog.jsonb_build_object('target_schema', t.target_schema, 'table', t.table_name), m.value
FROM live_table AS t
CROSS JOIN LATERAL (VALUES
    ('aliaport_table_rows', t.target_rows::double precision),
    ('aliaport_table_live_rows', t.live_rows),
    ('aliaport_table_drift_rows', t.live_rows - t.target_rows)
) AS m (name, value)
WHERE m.value IS NOT NULL
UNION ALL
SELECT 'aliaport_imports_running', '{}', pg_catalog.count(*)::double precision FROM aliaport.progress;
COMMENT ON VIEW aliaport.metrics IS 'the state of the last imports as numbers, for monitoring';
