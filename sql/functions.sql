-- What the scripts before needed is over: the functions go to the schema that was asked for.
SET LOCAL search_path = @extschema@, pg_temp;

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
COMMENT ON FUNCTION aliaport_inspect(text, name, jsonb, text)
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

CREATE FUNCTION aliaport_fdw_handler() RETURNS fdw_handler
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'aliaport_fdw_handler_wrapper';
COMMENT ON FUNCTION aliaport_fdw_handler() IS 'what PostgreSQL calls for foreign tables of aliaport_fdw';

CREATE FUNCTION aliaport_fdw_validator(options text[], catalog oid) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'aliaport_fdw_validator_wrapper';
COMMENT ON FUNCTION aliaport_fdw_validator(text[], oid) IS 'checks the options of servers, foreign tables and columns of aliaport_fdw';

CREATE FOREIGN DATA WRAPPER aliaport_fdw HANDLER aliaport_fdw_handler VALIDATOR aliaport_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER aliaport_fdw IS 'reads the tables of a SQLite file';

-- These read files with the rights of the server's operating-system user: nobody but those who are granted it.
REVOKE ALL ON FUNCTION aliaport_import(text, name, text, boolean, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION aliaport_plan(text, name, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION aliaport_inspect(text, name, jsonb, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION aliaport_validate(text, name, jsonb) FROM PUBLIC;
