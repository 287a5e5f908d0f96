-- From 0.1.0 to 0.2.0. An installation that was updated has what a new one has; only the order of columns in aliaport.run differs.
-- Operators, functions and types of this script are PostgreSQL's own, whatever stands in the extension's schema.
SET LOCAL search_path = pg_catalog, pg_temp;

ALTER TABLE aliaport.run ADD COLUMN on_error text, ADD COLUMN orphans text, ADD COLUMN database name, ADD COLUMN server_version text;
COMMENT ON COLUMN aliaport.run.database IS 'the database that the run was in, which need not be the one that this row was restored into';

CREATE TABLE aliaport.imported_table (
    schema_name  name NOT NULL,
    table_name   name NOT NULL,
    database     oid NOT NULL,
    relation     oid NOT NULL,
    source_table text NOT NULL,
    columns      jsonb NOT NULL,
    filled_by    bigint NOT NULL,
    missed_by    bigint,
    PRIMARY KEY (schema_name, table_name)
);
COMMENT ON TABLE aliaport.imported_table IS 'tables that hold imported rows, by which a later run sees what its source has lost since';
COMMENT ON COLUMN aliaport.imported_table.database IS 'pg_database.oid of where relation and the columns'' numbers are valid; elsewhere the names are';
COMMENT ON COLUMN aliaport.imported_table.columns IS 'columns that runs have filled: source (the SQLite name), target and number (pg_attribute.attname and attnum), filled (false: emptied since)';
COMMENT ON COLUMN aliaport.imported_table.filled_by IS 'the last run that wrote rows into it or found nothing to do';
COMMENT ON COLUMN aliaport.imported_table.missed_by IS 'the last run whose source did not have it any more';
SELECT pg_catalog.pg_extension_config_dump('aliaport.imported_table', '');

-- Beside a function of three arguments one of four, the last with a default, could not be called with three. Who may call the old one
-- may call the new one.
CREATE TEMPORARY TABLE inspect_privilege AS
SELECT a.grantee, a.is_grantable FROM pg_catalog.pg_proc AS p, pg_catalog.aclexplode(p.proacl) AS a
WHERE p.oid OPERATOR(pg_catalog.=) '@extschema@.aliaport_inspect(text, name, jsonb)'::pg_catalog.regprocedure
  AND a.grantee OPERATOR(pg_catalog.<>) p.proowner AND a.privilege_type OPERATOR(pg_catalog.=) 'EXECUTE';

DROP FUNCTION @extschema@.aliaport_inspect(text, name, jsonb);
CREATE FUNCTION @extschema@.aliaport_inspect(
    path          text,
    target_schema name  DEFAULT NULL,
    options       jsonb DEFAULT '{}',
    mode          text  DEFAULT 'create'
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
AS 'MODULE_PATHNAME', 'aliaport_inspect_for_wrapper';
COMMENT ON FUNCTION @extschema@.aliaport_inspect(text, name, jsonb, text)
    IS 'shows what stands in the way of importing a SQLite database; writes nothing';
REVOKE ALL ON FUNCTION @extschema@.aliaport_inspect(text, name, jsonb, text) FROM PUBLIC;

DO $$
DECLARE
    privilege pg_catalog.record;
BEGIN
    FOR privilege IN SELECT p.grantee, p.is_grantable FROM pg_temp.inspect_privilege AS p LOOP
        EXECUTE pg_catalog.format(
            'GRANT EXECUTE ON FUNCTION @extschema@.aliaport_inspect(text, name, jsonb, text) TO %s%s',
            CASE WHEN privilege.grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC' ELSE privilege.grantee::pg_catalog.regrole::pg_catalog.text END,
            CASE WHEN privilege.is_grantable THEN ' WITH GRANT OPTION' END);
    END LOOP;
END
$$;
DROP TABLE pg_temp.inspect_privilege;

CREATE OR REPLACE VIEW aliaport.progress AS
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

CREATE OR REPLACE VIEW aliaport.metrics AS
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

-- What ANALYZE found in the columns of foreign tables. Written by the extension; OIDs are this database's, so pg_dump leaves it out.
CREATE TABLE aliaport.foreign_column (
    relation    oid NOT NULL,
    attnum      smallint NOT NULL,
    analyzed_at timestamptz NOT NULL,
    stamp       text NOT NULL,
    row_count   bigint NOT NULL,
    nulls       bigint NOT NULL,
    integers    bigint NOT NULL,
    reals       bigint NOT NULL,
    texts       bigint NOT NULL,
    blobs       bigint NOT NULL,
    bad         bigint NOT NULL,
    proof       text,
    PRIMARY KEY (relation, attnum)
);
COMMENT ON TABLE aliaport.foreign_column IS 'what ANALYZE found in the columns of foreign tables; read it through aliaport.foreign_census';
COMMENT ON COLUMN aliaport.foreign_column.stamp IS 'the state of the SQLite file; of another state nothing is concluded from the row';
COMMENT ON COLUMN aliaport.foreign_column.proof IS 'the form that all values have, NULLs aside, where they have one in which SQLite compares them as PostgreSQL does';

CREATE VIEW aliaport.foreign_census AS
SELECT n.nspname AS schema_name, c.relname AS table_name, a.attname AS column_name, f.analyzed_at, f.row_count,
       f.nulls, f.integers, f.reals, f.texts, f.blobs, f.bad, f.proof, f.stamp
FROM aliaport.foreign_column AS f
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) f.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) f.relation AND a.attnum OPERATOR(pg_catalog.=) f.attnum
WHERE NOT a.attisdropped;
COMMENT ON VIEW aliaport.foreign_census IS 'what ANALYZE found in the columns of foreign tables: storage classes, values that the column cannot hold, and the form that all values have';

CREATE FUNCTION @extschema@.aliaport_fdw_handler() RETURNS pg_catalog.fdw_handler
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'aliaport_fdw_handler_wrapper';
COMMENT ON FUNCTION @extschema@.aliaport_fdw_handler() IS 'what PostgreSQL calls for foreign tables of aliaport_fdw';

CREATE FUNCTION @extschema@.aliaport_fdw_validator(options text[], catalog oid) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'aliaport_fdw_validator_wrapper';
COMMENT ON FUNCTION @extschema@.aliaport_fdw_validator(text[], oid) IS 'checks the options of servers, foreign tables and columns of aliaport_fdw';

CREATE FOREIGN DATA WRAPPER aliaport_fdw HANDLER @extschema@.aliaport_fdw_handler VALIDATOR @extschema@.aliaport_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER aliaport_fdw IS 'reads the tables of a SQLite file';
