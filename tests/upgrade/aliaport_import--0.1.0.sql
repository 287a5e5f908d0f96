-- What 0.1.0 installed. Frozen: test_upgrade.py updates from it.
-- bootstrap
-- The history of imports. Kept by pg_dump, readable by roles that are granted it, written only by the extension.
CREATE SCHEMA aliaport;

CREATE TABLE aliaport.run (
    run_id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at         timestamptz NOT NULL,
    finished_at        timestamptz,
    path               text NOT NULL,
    source_fingerprint text,
    target_schema      name,
    mode               text NOT NULL,
    dry_run            boolean NOT NULL,
    options            jsonb NOT NULL,
    status             text NOT NULL CHECK (status IN ('ok', 'warning', 'unchanged', 'failed')),
    source_bytes       bigint,
    rows_imported      bigint,
    rows_rejected      bigint,
    error              text,
    invoked_by         name NOT NULL,
    state              jsonb
);
COMMENT ON TABLE aliaport.run IS 'one row for each run of aliaport_import()';
COMMENT ON COLUMN aliaport.run.state IS 'what source and tables were like after the run, by which a later run sees that nothing has changed';

CREATE TABLE aliaport.run_table (
    run_id        bigint NOT NULL REFERENCES aliaport.run ON DELETE CASCADE,
    load_order    integer NOT NULL,
    table_name    text NOT NULL,
    source_rows   bigint,
    imported_rows bigint,
    rejected_rows bigint,
    target_rows   bigint,
    orphan_rows   bigint,
    content_match boolean,
    sequence_next bigint,
    elapsed       interval,
    status        text NOT NULL,
    detail        jsonb NOT NULL,
    PRIMARY KEY (run_id, load_order)
);
COMMENT ON TABLE aliaport.run_table IS 'the rows that aliaport_import() returned, by run';

CREATE TABLE aliaport.rejected_row (
    run_id        bigint NOT NULL REFERENCES aliaport.run ON DELETE CASCADE,
    table_name    text NOT NULL,
    source_key    jsonb NOT NULL,
    column_name   text,
    storage_class text,
    sqlstate      text NOT NULL,
    reason        text NOT NULL,
    action        text NOT NULL CHECK (action IN ('rejected', 'nulled')),
    row_data      jsonb NOT NULL
);
CREATE INDEX ON aliaport.rejected_row (run_id, table_name);
COMMENT ON TABLE aliaport.rejected_row IS 'rows and values that a run set aside, with their original values';

SELECT pg_catalog.pg_extension_config_dump('aliaport.run', '');
SELECT pg_catalog.pg_extension_config_dump('aliaport.run_run_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('aliaport.run_table', '');
SELECT pg_catalog.pg_extension_config_dump('aliaport.rejected_row', '');

-- requires:
--   bootstrap

-- Imports that are under way, for other sessions. The rights on schema and view are the DBA's to give; what the function shows of
-- other roles' sessions, it shows to members of those roles and of pg_read_all_stats.
CREATE FUNCTION aliaport.look_at_run(pid integer, handle integer) RETURNS TABLE (
    run_id      bigint,
    phase       text,
    table_name  text,
    rows_done   bigint,
    rows_total  bigint,
    bytes_done  bigint,
    bytes_total bigint,
    started_at  double precision,
    fraction    double precision
) LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'look_at_run_wrapper';
COMMENT ON FUNCTION aliaport.look_at_run(integer, integer) IS 'for view aliaport.progress';

CREATE VIEW aliaport.progress AS
SELECT l.pid,
       r.run_id,
       r.phase,
       r.table_name,
       coalesce(i.tuples_done, r.rows_done) AS rows_done,
       coalesce(nullif(i.tuples_total, 0), r.rows_total) AS rows_total,
       r.bytes_done,
       r.bytes_total,
       pg_catalog.to_timestamp(r.started_at) AS started_at,
       CASE WHEN r.fraction > 0.01 THEN
           pg_catalog.to_timestamp(r.started_at + (EXTRACT(epoch FROM pg_catalog.clock_timestamp())::double precision - r.started_at) / r.fraction)
       END AS eta
FROM pg_catalog.pg_locks AS l
CROSS JOIN LATERAL aliaport.look_at_run(l.pid, l.objid::pg_catalog.int8::pg_catalog.bit(32)::pg_catalog.int4) AS r
LEFT JOIN pg_catalog.pg_stat_progress_create_index AS i ON i.pid = l.pid AND r.phase = 'index'
WHERE l.locktype = 'advisory' AND l.classid = 1634494832 AND l.objsubid = 2 AND l.granted
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database());
COMMENT ON VIEW aliaport.progress IS 'imports that are under way in this database';

-- requires:
--   progress

-- One row a metric, for monitoring. A target schema has the metrics of its last run, dry runs aside; a table those of the last run
-- that landed rows in it. Nothing is counted here: what a table has now is what PostgreSQL's statistics say.
CREATE VIEW aliaport.metrics AS
WITH last_run AS (
    SELECT DISTINCT ON (r.target_schema) r.*
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

-- src/pg/api.rs:20
-- aliaport_import::pg::api::aliaport_import
-- Skipped due to `#[pgrx(sql = false)]`

-- src/pg/api.rs:239
-- aliaport_import::pg::api::aliaport_import_version
-- Skipped due to `#[pgrx(sql = false)]`

-- src/pg/api.rs:126
-- aliaport_import::pg::api::aliaport_inspect
-- Skipped due to `#[pgrx(sql = false)]`

-- src/pg/api.rs:86
-- aliaport_import::pg::api::aliaport_plan
-- Skipped due to `#[pgrx(sql = false)]`

-- src/pg/api.rs:234
-- aliaport_import::pg::api::aliaport_report
-- Skipped due to `#[pgrx(sql = false)]`

-- src/pg/api.rs:170
-- aliaport_import::pg::api::aliaport_validate
-- Skipped due to `#[pgrx(sql = false)]`

-- src/pg/api.rs:201
-- aliaport_import::pg::api::look_at_run
-- Skipped due to `#[pgrx(sql = false)]`

-- finalize
-- The SQL surface. Written by hand, because names, argument names, defaults and column names are the contract.
CREATE FUNCTION aliaport_import(
    path          text,
    target_schema name    DEFAULT NULL,
    mode          text    DEFAULT 'create',
    dry_run       boolean DEFAULT false,
    on_error      text    DEFAULT 'abort',
    orphans       text    DEFAULT 'abort',
    options       jsonb   DEFAULT '{}'
) RETURNS TABLE (
    load_order    integer,
    table_name    text,
    source_rows   bigint,
    imported_rows bigint,
    rejected_rows bigint,
    target_rows   bigint,
    orphan_rows   bigint,
    content_match boolean,
    sequence_next bigint,
    elapsed       interval,
    status        text,
    detail        jsonb
) LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 50
AS 'MODULE_PATHNAME', 'aliaport_import_wrapper';
COMMENT ON FUNCTION aliaport_import(text, name, text, boolean, text, text, jsonb)
    IS 'imports a SQLite database in this transaction and returns one validation row a table';

CREATE FUNCTION aliaport_plan(
    path          text,
    target_schema name  DEFAULT NULL,
    mode          text  DEFAULT 'create',
    options       jsonb DEFAULT '{}'
) RETURNS TABLE (step integer, action text, object text, sql text, note text)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100000 ROWS 200
AS 'MODULE_PATHNAME', 'aliaport_plan_wrapper';
COMMENT ON FUNCTION aliaport_plan(text, name, text, jsonb)
    IS 'shows what aliaport_import() would do, step by step; writes nothing';

CREATE FUNCTION aliaport_inspect(
    path          text,
    target_schema name  DEFAULT NULL,
    options       jsonb DEFAULT '{}'
) RETURNS TABLE (
    severity    text,
    code        text,
    table_name  text,
    column_name text,
    row_count   bigint,
    sample      jsonb,
    message     text,
    suggestion  text
) LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 50
AS 'MODULE_PATHNAME', 'aliaport_inspect_wrapper';
COMMENT ON FUNCTION aliaport_inspect(text, name, jsonb)
    IS 'shows what stands in the way of importing a SQLite database; writes nothing';

CREATE FUNCTION aliaport_validate(
    path          text,
    target_schema name  DEFAULT NULL,
    options       jsonb DEFAULT '{}'
) RETURNS TABLE (
    table_name   text,
    check_name   text,
    source_value text,
    target_value text,
    ok           boolean,
    detail       text
) LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 200
AS 'MODULE_PATHNAME', 'aliaport_validate_wrapper';
COMMENT ON FUNCTION aliaport_validate(text, name, jsonb)
    IS 'compares a SQLite database with the tables that were made from it; writes nothing';

CREATE FUNCTION aliaport_report(
    run_id bigint DEFAULT NULL,
    format text   DEFAULT 'markdown'
) RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE COST 10000
AS 'MODULE_PATHNAME', 'aliaport_report_wrapper';
COMMENT ON FUNCTION aliaport_report(bigint, text)
    IS 'a page about one run (the latest) as markdown, html or json; reads the history with the caller''s rights';

CREATE FUNCTION aliaport_import_version() RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'aliaport_import_version_wrapper';
COMMENT ON FUNCTION aliaport_import_version() IS 'the version of the loaded aliaport_import library';

-- These read files with the rights of the server's operating-system user: nobody but those who are granted it.
REVOKE ALL ON FUNCTION aliaport_import(text, name, text, boolean, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION aliaport_plan(text, name, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION aliaport_inspect(text, name, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION aliaport_validate(text, name, jsonb) FROM PUBLIC;
