-- What a user may call and read, and one whole import.
SELECT aliaport_import_version() ~ '^\d+\.\d+\.\d+$' AS version_has_three_parts;

-- The objects of the extension and who may use them
SELECT p.oid::regprocedure AS function, pg_get_function_result(p.oid) ~ '^TABLE' AS returns_table,
       has_function_privilege('public', p.oid, 'EXECUTE') AS anyone_may
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'aliaport_import')
ORDER BY p.proname COLLATE "C";
SELECT pg_get_function_arguments('aliaport_import'::regproc) AS arguments \gx
SELECT pg_get_function_result('aliaport_import'::regproc) AS result \gx
SELECT c.oid::regclass AS relation, c.relkind,
       c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'aliaport_import') AS dumped,
       has_table_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, DELETE') AS anyone_may
FROM pg_class c WHERE c.relnamespace = 'aliaport'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY c.relname COLLATE "C";
SELECT attrelid::regclass AS relation, string_agg(attname, ', ' ORDER BY attnum) AS columns
FROM pg_attribute WHERE attrelid IN ('aliaport.run'::regclass, 'aliaport.run_table'::regclass) AND attnum > 0 GROUP BY attrelid ORDER BY attrelid;

-- One import, into a schema of its own
CREATE SCHEMA harbour;
SELECT load_order, table_name, source_rows, imported_rows, rejected_rows, target_rows, orphan_rows, content_match, sequence_next,
       elapsed >= interval '0' AS took_time, status
FROM aliaport_import(regress.source('harbour.db'), 'harbour');
\pset null '(null)'
SELECT table_name, w ->> 'code' AS code, w ->> 'column' AS "column", w ->> 'message' AS message
FROM aliaport.run_table, jsonb_array_elements(detail -> 'warnings') AS w ORDER BY load_order, code, message;

-- What landed
SET search_path = harbour, public;
SET timezone = 'Europe/Istanbul';
TABLE "Cari" ORDER BY "Id";
TABLE work_order ORDER BY id;
TABLE document ORDER BY id;
TABLE work_order_tag ORDER BY work_order_id, tag;
SELECT conrelid::regclass AS "table", conname, pg_get_constraintdef(oid) AS definition, convalidated
FROM pg_constraint WHERE connamespace = 'harbour'::regnamespace AND contype <> 'n' ORDER BY conrelid::regclass::text COLLATE "C", contype, conname;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'harbour' ORDER BY indexdef COLLATE "C";
SELECT attrelid::regclass AS "table", attname, format_type(atttypid, atttypmod) AS type, attnotnull, attidentity,
       pg_get_expr(adbin, adrelid) AS "default"
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'harbour'::regnamespace AND relkind = 'r' AND attnum > 0 ORDER BY attrelid::regclass::text COLLATE "C", attnum;

-- The next keys are free, and AUTOINCREMENT's are not given again.
INSERT INTO work_order (wo_number, cari_id) VALUES ('WO-next', 1) RETURNING id;
INSERT INTO notification (title) VALUES ('ilk') RETURNING id;
INSERT INTO "Cari" ("Unvan") VALUES ('sonraki') RETURNING "Id";

-- The history
SELECT run_id > 0 AS has_number, mode, dry_run, target_schema, status, source_bytes > 0 AS has_size, rows_imported, rows_rejected, error, invoked_by,
       finished_at >= started_at AS ends_after_start, source_fingerprint IS NOT NULL AS has_fingerprint
FROM aliaport.run \gx

-- A second import finds rows and says so; a rolled-back one leaves nothing.
\pset expanded on
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), 'harbour')$$);
\pset expanded off
CREATE SCHEMA undone;
BEGIN;
SELECT count(*) FROM aliaport_import(regress.source('harbour.db'), 'undone');
ROLLBACK;
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'undone'::regnamespace;

-- In a list of columns, without FROM, it works too.
SELECT count(*) FROM (SELECT aliaport_import(regress.source('harbour.db'), 'undone')) AS f;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA harbour CASCADE;
DROP SCHEMA undone CASCADE;
