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
