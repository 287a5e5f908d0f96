-- Rows that break a rule of their table, values that only their type's input function can judge, and limits of PostgreSQL.

-- CHECK, the bulk path: abort names the row, reject sets it aside with what pointed at it, null rejects it too
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('rules.db'), options => '{"include": ["checked"]}')$$) \gx
CREATE SCHEMA checked;
SELECT table_name, source_rows, imported_rows, rejected_rows, target_rows, orphan_rows, content_match, status
FROM aliaport_import(regress.source('rules.db'), 'checked', on_error => 'reject', orphans => 'reject', options => '{"include": ["*checked"]}');
SELECT table_name, source_key, column_name, sqlstate, action, reason, row_data FROM aliaport.rejected_row ORDER BY table_name, row_data::text;
TABLE checked.checked;
DROP SCHEMA checked CASCADE;
CREATE SCHEMA checked;
-- the planner must not conclude from the CHECK that no row can break it
SET constraint_exclusion = on;
SELECT table_name, imported_rows, rejected_rows
FROM aliaport_import(regress.source('rules.db'), 'checked', on_error => 'null', options => '{"include": ["checked"]}');
RESET constraint_exclusion;
SELECT count(*) FROM checked.checked WHERE NOT (u > 0 AND u < v);
TRUNCATE aliaport.run CASCADE;

-- the same for the executor's path: domains, checks, partitions and the checks of partitions
CREATE SCHEMA ruled;
CREATE DOMAIN ruled.age AS smallint CHECK (VALUE >= 0);
CREATE DOMAIN ruled.adult AS ruled.age CHECK (VALUE > 16);
CREATE TABLE ruled.ruled (id bigint, age ruled.adult, place text CHECK (place <> 'nowhere'), made date DEFAULT '2024-01-01',
    extra integer DEFAULT 4 CHECK (extra = 4), PRIMARY KEY (id, made)) PARTITION BY RANGE (made);
CREATE TABLE ruled.r2024 PARTITION OF ruled.ruled FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
ALTER TABLE ruled.r2024 ADD CONSTRAINT leaf CHECK (place <> 'there' OR id > 100);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('rules.db'), 'ruled', options => '{"include": ["ruled"], "tables": {"ruled": {"where": "id <> 5"}}}')$$) \gx
SELECT table_name, source_rows, imported_rows, rejected_rows, target_rows, content_match, status
FROM aliaport_import(regress.source('rules.db'), 'ruled', on_error => 'reject', options => '{"include": ["ruled"]}');
SELECT * FROM regress.path ORDER BY 1;
SELECT source_key, column_name, sqlstate, action, reason, row_data FROM aliaport.rejected_row ORDER BY row_data::text;
TABLE ruled.ruled;
-- a BEFORE trigger may repair a row, so the check is left to the INSERT
TRUNCATE aliaport.run CASCADE;
TRUNCATE ruled.ruled;
CREATE FUNCTION ruled.repair() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.place := 'moved'; RETURN NEW; END$$;
CREATE TRIGGER repair BEFORE INSERT ON ruled.ruled FOR EACH ROW EXECUTE FUNCTION ruled.repair();
SELECT imported_rows, rejected_rows FROM aliaport_import(regress.source('rules.db'), 'ruled', on_error => 'reject',
    options => '{"include": ["ruled"], "triggers": "on", "verify": "count", "tables": {"ruled": {"where": "id <> 4"}}}');
TABLE ruled.ruled;

-- arrays, intervals and types that only their own input function can read
CREATE SCHEMA odd;
CREATE TABLE odd.odd (id bigint PRIMARY KEY, tags text[], counts integer[], took interval, address inet);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('rules.db'), 'odd', options => '{"include": ["odd"]}')$$) \gx
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('rules.db'), 'odd', options => '{"include": ["odd"], "tables": {"odd": {"where": "id = 5", "columns": {"counts": {"skip": true}}}}}')$$) \gx
TRUNCATE aliaport.run CASCADE;
SELECT source_rows, imported_rows, rejected_rows, content_match, status, detail -> 'warnings' -> 0 ->> 'code' AS code, detail -> 'warnings' -> 0 ->> 'message' AS message
FROM aliaport_import(regress.source('rules.db'), 'odd', on_error => 'null', options => '{"include": ["odd"]}');
SELECT source_key, column_name, storage_class, sqlstate, action, reason FROM aliaport.rejected_row ORDER BY row_data::text, column_name;
TABLE odd.odd;
TRUNCATE odd.odd;
SELECT source_rows, imported_rows, rejected_rows, content_match, status FROM aliaport_import(regress.source('rules.db'), 'odd', on_error => 'reject',
    options => '{"include": ["odd"], "tables": {"odd": {"columns": {"took": {"number": "unix_s"}, "counts": {"skip": true}}}}}');
TABLE odd.odd;
-- a table that is made: types by option
CREATE SCHEMA made;
SELECT imported_rows FROM aliaport_import(regress.source('rules.db'), 'made', options => '{"include": ["odd"], "tables": {"odd": {"where": "id < 3",
    "columns": {"tags": {"type": "text[]"}, "counts": {"type": "int[]"}, "took": {"type": "interval"}, "address": {"type": "inet"}}}}}');
TABLE made.odd;

-- keep cannot keep orphans that an existing constraint refuses; without it, it can
CREATE SCHEMA kept;
CREATE TABLE kept.parent (id bigint PRIMARY KEY, code text, amount text);
CREATE TABLE kept.child (id bigint PRIMARY KEY, parent_id bigint, must_id bigint, note text, CONSTRAINT odd_name FOREIGN KEY (parent_id) REFERENCES kept.parent);
\set kept '{"include": ["parent", "child"], "tables": {"parent": {"columns": {"amount": {"type": "text"}}}, "child": {"columns": {"note": {"type": "text"}}}}}'
SELECT set_config('regress.options', :'kept', false) IS NOT NULL AS set;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('policies.db'), 'kept', orphans => 'keep', options => current_setting('regress.options')::jsonb)$$) \gx
ALTER TABLE kept.child DROP CONSTRAINT odd_name;
SELECT table_name, imported_rows, orphan_rows, status FROM aliaport_import(regress.source('policies.db'), 'kept', orphans => 'keep', options => :'kept');

-- an index whose key is too long is left out with a word, the others are built; of a unique one the error names the row
CREATE SCHEMA long;
SELECT table_name, imported_rows, status, detail -> 'warnings' AS warnings FROM aliaport_import(regress.source('rules.db'), 'long', options => '{"include": ["long"]}');
SELECT indexname FROM pg_indexes WHERE schemaname = 'long' ORDER BY 1;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('rules.db'), 'long', options => '{"include": ["long_unique"]}')$$) \gx
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('rules.db'), 'long', on_error => 'reject', options => '{"include": ["long_unique"]}')$$) \gx

-- a key that nothing feeds any more
CREATE TABLE long.folded (id integer PRIMARY KEY, name text);
SELECT status, sequence_next, detail -> 'warnings' -> 0 AS warning FROM aliaport_import(regress.source('rules.db'), 'long', options => '{"include": ["folded"]}');

SET client_min_messages = warning;
DROP SCHEMA checked, ruled, odd, made, kept, long CASCADE;
TRUNCATE aliaport.run CASCADE;
