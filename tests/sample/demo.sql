-- What `make demo` runs, with :path set to the sample database.
\pset null '-'
\pset pager off
-- The table below says more than a notice a table.
SET client_min_messages = warning;
\set ECHO queries
\timing on
CREATE EXTENSION aliaport_import;

SELECT load_order, table_name, source_rows, imported_rows, target_rows, content_match, sequence_next, elapsed, status
FROM aliaport_import(:'path');

\timing off
-- What is different or not carried over:
SELECT table_name, w ->> 'code' AS code, w ->> 'message' AS message
FROM aliaport.run_table, jsonb_array_elements(detail -> 'warnings') AS w;

SELECT wo_number, type, planned_start, is_active FROM work_order ORDER BY id LIMIT 3;
SELECT "CariKod", "Unvan", "Il", "RiskLimiti" FROM "Cari" ORDER BY "Id" LIMIT 3;
