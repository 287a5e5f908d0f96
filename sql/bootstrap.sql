-- Operators, functions and types of this script are PostgreSQL's own, whatever stands in the schema that the extension is made in.
SET LOCAL search_path = pg_catalog, pg_temp;

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
    on_error           text,
    orphans            text,
    options            jsonb NOT NULL,
    status             text NOT NULL CHECK (status IN ('ok', 'warning', 'unchanged', 'failed')),
    source_bytes       bigint,
    rows_imported      bigint,
    rows_rejected      bigint,
    error              text,
    invoked_by         name NOT NULL,
    state              jsonb,
    database           name,
    server_version     text
);
COMMENT ON TABLE aliaport.run IS 'one row for each run of aliaport_import()';
COMMENT ON COLUMN aliaport.run.state IS 'what source and tables were like after the run, by which a later run sees that nothing has changed';
COMMENT ON COLUMN aliaport.run.database IS 'the database that the run was in, which need not be the one that this row was restored into';

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

SELECT pg_catalog.pg_extension_config_dump('aliaport.run', '');
SELECT pg_catalog.pg_extension_config_dump('aliaport.run_run_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('aliaport.run_table', '');
SELECT pg_catalog.pg_extension_config_dump('aliaport.rejected_row', '');
SELECT pg_catalog.pg_extension_config_dump('aliaport.imported_table', '');
