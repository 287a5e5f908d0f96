-- What `make demo` runs, with :path set to the sample database.
\pset border 1
\pset expanded auto
\pset null '(null)'
\set ECHO queries
\timing on
CREATE EXTENSION aliaport_import;
SELECT * FROM aliaport_import(:'path');
SELECT wo_number, type, planned_start, is_active FROM work_order ORDER BY id LIMIT 3;
SELECT "CariKod", "Unvan", "Il", "RiskLimiti" FROM "Cari" ORDER BY "Id" LIMIT 3;
SELECT run_id, status, rows_imported, finished_at - started_at AS elapsed FROM aliaport.run;
