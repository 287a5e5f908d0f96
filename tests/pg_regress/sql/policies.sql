-- What on_error and orphans make of rows that cannot land as they are.
\set orphans_only '{"include": ["parent", "child", "grandchild", "keyless"], "tables": {"parent": {"columns": {"amount": {"type": "text"}}}, "child": {"columns": {"note": {"type": "text"}}}}}'
\set bad_values_only '{"include": ["parent", "child"], "foreign_key_constraints": false}'

-- abort: each policy's error comes first, and nothing remains
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('policies.db'))$$) \gx
SELECT set_config('regress.options', :'orphans_only', false) IS NOT NULL AS set;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('policies.db'), options => current_setting('regress.options')::jsonb)$$) \gx
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('policies.db'), options => '{"include": ["loose"]}')$$) \gx
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'public'::regnamespace;

-- orphans => reject: a rejected row orphans its children in turn
CREATE SCHEMA rejected;
SELECT table_name, source_rows, imported_rows, rejected_rows, target_rows, orphan_rows, content_match, status
FROM aliaport_import(regress.source('policies.db'), 'rejected', orphans => 'reject', options => :'orphans_only');
SELECT table_name, source_key, column_name, sqlstate, action, reason, row_data FROM aliaport.rejected_row ORDER BY table_name, row_data::text;
SELECT conrelid::regclass AS "table", conname, convalidated FROM pg_constraint
WHERE connamespace = 'rejected'::regnamespace AND contype = 'f' ORDER BY conrelid::regclass::text COLLATE "C", 2;
TABLE rejected.child;
TRUNCATE aliaport.run CASCADE;

-- orphans => null: the reference is cleared where it may be, else the row is rejected
CREATE SCHEMA nulled;
SELECT table_name, source_rows, imported_rows, rejected_rows, target_rows, orphan_rows, content_match, status
FROM aliaport_import(regress.source('policies.db'), 'nulled', orphans => 'null', options => :'orphans_only');
SELECT table_name, source_key, column_name, action, row_data FROM aliaport.rejected_row ORDER BY table_name, row_data::text;
SELECT * FROM nulled.child ORDER BY id;
SELECT * FROM nulled.grandchild ORDER BY id;
TRUNCATE aliaport.run CASCADE;

-- orphans => keep: every row lands, the constraint is not validated
CREATE SCHEMA kept;
SELECT table_name, source_rows, imported_rows, rejected_rows, orphan_rows, status
FROM aliaport_import(regress.source('policies.db'), 'kept', orphans => 'keep', options => :'orphans_only');
SELECT conrelid::regclass AS "table", conname, convalidated FROM pg_constraint
WHERE connamespace = 'kept'::regnamespace AND contype = 'f' ORDER BY conrelid::regclass::text COLLATE "C", 2;

-- one key may have a policy of its own
CREATE SCHEMA own;
SELECT table_name, rejected_rows, orphan_rows
FROM aliaport_import(regress.source('policies.db'), 'own', orphans => 'keep',
                     options => jsonb_set(:'orphans_only', '{foreign_keys}', '{"child.parent_id": {"orphans": "reject"}}'));

-- on_error => reject and null
CREATE SCHEMA bad;
SELECT table_name, source_rows, imported_rows, rejected_rows, content_match, status
FROM aliaport_import(regress.source('policies.db'), 'bad', on_error => 'reject', options => :'bad_values_only');
SELECT table_name, source_key, column_name, storage_class, sqlstate, action, reason, row_data FROM aliaport.rejected_row WHERE run_id = (SELECT max(run_id) FROM aliaport.run) ORDER BY table_name;
CREATE SCHEMA bad2;
SELECT table_name, source_rows, imported_rows, rejected_rows, content_match, status, detail -> 'warnings' -> 0 ->> 'code' AS code
FROM aliaport_import(regress.source('policies.db'), 'bad2', on_error => 'null', options => :'bad_values_only');
SELECT table_name, source_key, column_name, storage_class, sqlstate, action FROM aliaport.rejected_row WHERE run_id = (SELECT max(run_id) FROM aliaport.run) ORDER BY table_name;
TABLE bad2.parent;

-- a key that becomes equal: the first stays
CREATE SCHEMA loose;
SELECT table_name, source_rows, imported_rows, rejected_rows, target_rows
FROM aliaport_import(regress.source('policies.db'), 'loose', on_error => 'reject', options => '{"include": ["loose"]}');
SELECT table_name, source_key, column_name, sqlstate, reason, row_data FROM aliaport.rejected_row WHERE run_id = (SELECT max(run_id) FROM aliaport.run);
TABLE loose.loose;

-- dry_run leaves one row in aliaport.run and no other trace
TRUNCATE aliaport.run CASCADE;
CREATE SCHEMA dry;
SELECT table_name, imported_rows, rejected_rows FROM aliaport_import(regress.source('policies.db'), 'dry', dry_run => true, on_error => 'reject', orphans => 'reject');
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'dry'::regnamespace;
-- and says which table would stop a real import, and why
SELECT table_name, status, detail -> 'error' ->> 'sqlstate' AS sqlstate, detail -> 'error' ->> 'message' AS message
FROM aliaport_import(regress.source('policies.db'), 'dry', dry_run => true);
SELECT table_name, source_rows, orphan_rows, status, detail -> 'error' ->> 'sqlstate' AS sqlstate
FROM aliaport_import(regress.source('policies.db'), 'dry', dry_run => true, options => :'orphans_only');
SELECT dry_run, status, error FROM aliaport.run ORDER BY run_id;
SELECT dry_run, status, rows_imported, rows_rejected, (SELECT count(*) FROM aliaport.run_table) AS tables, (SELECT count(*) FROM aliaport.rejected_row) AS rejected FROM aliaport.run ORDER BY run_id;

SET client_min_messages = warning;
DROP SCHEMA rejected, nulled, kept, own, bad, bad2, loose, dry CASCADE;
TRUNCATE aliaport.run CASCADE;
