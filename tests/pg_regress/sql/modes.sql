-- append, replace and sync: what is planned, what is counted, what is refused. What other sessions see is in tests/session.
CREATE SCHEMA app;
SET search_path = app, public;
SELECT table_name, imported_rows FROM aliaport_import(regress.source('modes.db'), 'app');

-- the plan says how a table is emptied
SELECT step, action, object, sql, note FROM aliaport_plan(regress.source('modes.db'), 'app', 'replace') WHERE action IN ('truncate', 'load');
SET aliaport_import.replace_method = truncate;
SELECT action, object, sql, note FROM aliaport_plan(regress.source('modes.db'), 'app', 'replace') WHERE action = 'truncate';
SET aliaport_import.replace_method = 'neither';
RESET aliaport_import.replace_method;
SELECT action, count(*) FROM aliaport_plan(regress.source('modes.db'), 'app', 'sync') GROUP BY action ORDER BY 1;

-- every mode puts the target right, and counts what it did
UPDATE berth SET length = 99 WHERE id = 2;
INSERT INTO boat VALUES (900, 'Martı', 1);
DELETE FROM boat WHERE id = 11;
CREATE TABLE places AS SELECT id, ctid AS place FROM berth;
SELECT table_name, source_rows, imported_rows, target_rows, content_match, sequence_next, status, detail
FROM aliaport_import(regress.source('modes.db'), 'app', 'sync', true);
SELECT table_name, source_rows, imported_rows, target_rows, content_match, sequence_next, status, detail
FROM aliaport_import(regress.source('modes.db'), 'app', 'sync');
SELECT id, length, berth.ctid = place AS stayed FROM berth JOIN places USING (id) ORDER BY id;
SELECT table_name, source_rows, imported_rows, target_rows, content_match, sequence_next, status, detail
FROM aliaport_import(regress.source('modes.db'), 'app', 'replace');
TABLE boat;

-- sync keeps vanished rows where options say so
INSERT INTO boat VALUES (901, 'Yunus', 2);
SELECT table_name, imported_rows, target_rows, content_match, detail - 'warnings' AS detail
FROM aliaport_import(regress.source('modes.db'), 'app', 'sync', options => '{"sync_delete": false}');

-- a key that is there: refused by name, or the new row is set aside
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('modes.db'), 'app', 'append')$$) \gx
SELECT table_name, imported_rows, rejected_rows, target_rows, status FROM aliaport_import(regress.source('modes.db'), 'app', 'append', on_error => 'reject');
SELECT table_name, source_key, sqlstate, reason, action FROM aliaport.rejected_row WHERE run_id = (SELECT max(run_id) FROM aliaport.run) ORDER BY table_name, source_key::text;

-- sync needs a key; it says so for every table at once
ALTER TABLE boat DROP CONSTRAINT boat_pkey;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('modes.db'), 'app', 'sync')$$) \gx
SELECT * FROM regress.refusal($$SELECT aliaport_plan(regress.source('modes.db'), 'app', 'sync')$$) \gx
ALTER TABLE berth DROP CONSTRAINT berth_pkey CASCADE;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('modes.db'), 'app', 'sync')$$) \gx
ALTER TABLE berth ADD PRIMARY KEY (id);
ALTER TABLE boat ADD PRIMARY KEY (id);

-- rows in use outside of the import
CREATE TABLE bill (berth bigint REFERENCES berth ON DELETE CASCADE);
INSERT INTO berth VALUES (50, 5, NULL);
INSERT INTO bill VALUES (50), (50), (NULL);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('modes.db'), 'app', 'sync')$$) \gx
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('modes.db'), 'app', 'replace')$$) \gx
SELECT table_name, status, detail -> 'error' ->> 'sqlstate' AS sqlstate FROM aliaport_import(regress.source('modes.db'), 'app', 'sync', true) WHERE status = 'failed';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('modes.db'), 'app', 'sync')$$) \gx
ROLLBACK;
DROP TABLE bill;
SELECT table_name, imported_rows, target_rows, content_match FROM aliaport_import(regress.source('modes.db'), 'app', 'sync');

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
TRUNCATE aliaport.run CASCADE;
