-- aliaport_inspect: what stands in the way of an import, all of it in one call, and nothing written.
\pset format unaligned
\pset null '(null)'
SET timezone = 'UTC';

-- What a file holds. The server's side follows below.
\pset expanded on
SELECT * FROM aliaport_inspect(regress.source('inspect.db')) WHERE code !~ '^(server|connection)';
\pset expanded off

-- The import fails on what is an error, and only on that.
SELECT * FROM aliaport_inspect(regress.source('harbour.db')) WHERE severity = 'error';
SELECT severity, code, table_name, column_name, row_count, sample FROM aliaport_inspect(regress.source('orphans.db'))
WHERE code = 'orphan_rows';
SELECT b.source, i.severity, i.code, i.sample FROM unnest('{bad_boolean,bad_date,bad_json,bad_length,bad_nul,bad_null,bad_number,bad_text}'::text[])
    AS b (source), aliaport_inspect(regress.source(b.source || '.db')) AS i WHERE i.severity = 'error';

-- Options are obeyed: what is left out, filtered or mapped otherwise is not looked at, or in another way.
SELECT severity, code, table_name, column_name, row_count FROM aliaport_inspect(regress.source('inspect.db'), options => '{
    "include": ["reading", "child"], "identifiers": "lower", "foreign_keys": {"child.previous_id": {"orphans": "null"}},
    "tables": {"reading": {"where": "id = 2", "columns": {"is_ok": {"type": "smallint"}, "token": {"skip": true}}},
               "child": {"where": "id < 4"}}}') WHERE code !~ '^(server|connection)';
SELECT severity, code, table_name, column_name, row_count, sample FROM aliaport_inspect(regress.source('inspect.db'), options => '{
    "include": ["member", "Çek", "çek"], "nocase": "citext", "identifiers": "lower"}') WHERE code !~ '^(server|connection|ident)';

-- The file itself
SELECT severity, code, row_count, message, suggestion FROM aliaport_inspect(regress.source('inspect_index.db')) WHERE code = 'integrity';
SELECT severity, code, table_name, message FROM aliaport_inspect(regress.source('columns.db')) WHERE severity = 'error';
\pset expanded on
SELECT * FROM regress.refusal($$SELECT aliaport_inspect(regress.source('missing.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_inspect(regress.source('text.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_inspect(regress.source('inspect.db'), options => '{"tables": {"reding": {}}}')$$);
\pset expanded off

-- The target exists: every obstacle at once, and values judged by its types.
CREATE SCHEMA inspected;
CREATE TYPE inspected.quality AS ENUM ('abc', 'abd');
CREATE DOMAIN inspected.positive AS integer CHECK (VALUE > 0);
CREATE TABLE inspected.reading (
    id integer PRIMARY KEY, is_ok integer NOT NULL, day text, at text, code inspected.quality, level text, price macaddr, amount inspected.positive,
    body bytea, extra text, token text, tenant integer NOT NULL, added timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE inspected.parent (id bigint PRIMARY KEY, region text, number smallint UNIQUE, code text);
INSERT INTO inspected.parent VALUES (1);
CREATE TABLE inspected.child (
    id bigint, parent_id smallint UNIQUE REFERENCES inspected.parent, region text, number integer, previous_id bigint, code text, gone_id bigint
);
CREATE VIEW inspected.member AS SELECT 1 AS id;
SELECT severity, code, table_name, column_name, row_count, sample, message, suggestion
FROM aliaport_inspect(regress.source('inspect.db'), 'inspected', '{"include": ["reading", "parent", "child", "member"]}')
WHERE code !~ '^(server|connection|not_carried)';
SET client_min_messages = warning;
DROP SCHEMA inspected CASCADE;
RESET client_min_messages;

-- The server
SELECT severity, code, message, suggestion FROM aliaport_inspect(regress.source('inspect.db')) WHERE code ~ '^(server_time|connection)';
SET timezone = 'Europe/Istanbul';
SELECT severity, code, message, suggestion FROM aliaport_inspect(regress.source('inspect.db')) WHERE code ~ '^server_time';
SELECT severity, code FROM aliaport_inspect(regress.source('inspect.db'), options => '{"timezone": "Europe/Istanbul"}') WHERE code ~ '^server_time';
-- Whether there is a Turkish collation depends on how the server was built.
SELECT severity IN ('info', 'warning') AS is_known, code, sample, message ~ 'hold Turkish text' AS says_what
FROM aliaport_inspect(regress.source('inspect.db')) WHERE code = 'server_collation';
SELECT count(*) AS turkish FROM aliaport_inspect(regress.source('orphans.db')) WHERE code = 'server_collation';
CREATE DATABASE regression_latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
\c regression_latin
SET client_min_messages = warning;
CREATE EXTENSION aliaport_import;
SELECT severity, code, table_name, message FROM aliaport_inspect(current_setting('aliaport_test.fixtures') || '/orphans.db');
\c regression
DROP DATABASE regression_latin;

-- Nothing was written, and it needs no right to write.
BEGIN READ ONLY;
SELECT count(*) > 20 AS works FROM aliaport_inspect(regress.source('inspect.db'));
ROLLBACK;
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'public'::regnamespace;
SELECT count(*) AS runs FROM aliaport.run;
