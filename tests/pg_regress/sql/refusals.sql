-- What is refused, and how: SQLSTATE, message, DETAIL and HINT. Nothing may remain of any of these.
\pset expanded on

-- The path
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('missing.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('folder.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import('aliaport.db')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import('/dev/null')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import('')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(NULL)$$);

-- The file
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('text.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('empty.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('header.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('encrypted.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('cut.db'))$$);

-- The arguments
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), mode => 'merge')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), mode => 'overwrite')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), mode => 'REPLACES')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), on_error => 'ignore')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), orphans => 'drop')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), options => '{"timezon": "UTC"}')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), options => '{"timezone": 3}')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), options => '[]')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), options => '{"tables": {"work_ordr": {}}}')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), target_schema => 'regress_nowhere')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'), target_schema => 'pg_temp')$$);
SELECT s, r.code, r.message FROM unnest('{pg_catalog,pg_toast,information_schema,aliaport}'::text[]) AS s,
    LATERAL regress.refusal(format('SELECT aliaport_import(regress.source(%L), %L)', 'harbour.db', s)) AS r;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('migration.db'), options => '{"tables": {"users": {"target": "pg_catalog.users"}}}')$$);

-- The rows
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('orphans.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('bad_boolean.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('bad_date.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('bad_length.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('bad_text.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('bad_nul.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('bad_number.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('bad_null.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('bad_json.db'))$$);

-- The target
CREATE SCHEMA regress_full;
CREATE TABLE regress_full.child (id bigint, parent_id bigint, other_id bigint);
INSERT INTO regress_full.child VALUES (1, 1, 1);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('orphans.db'), 'regress_full')$$);
DROP SCHEMA regress_full CASCADE;
BEGIN READ ONLY;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'))$$);
ROLLBACK;

-- The caller
CREATE ROLE regress_plain;
GRANT USAGE, CREATE ON SCHEMA public TO regress_plain;
GRANT USAGE ON SCHEMA regress TO regress_plain;
SET ROLE regress_plain;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'))$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION aliaport_import TO regress_plain;
SET ROLE regress_plain;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'))$$);
RESET ROLE;
SET aliaport_import.allowed_directories = '/srv/nowhere';
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('harbour.db'))$$);
RESET aliaport_import.allowed_directories;
SET ROLE regress_plain;
SET aliaport_import.allowed_directories = '';
RESET ROLE;
REVOKE ALL ON FUNCTION aliaport_import FROM regress_plain;
REVOKE ALL ON SCHEMA public, regress FROM regress_plain;
DROP ROLE regress_plain;

-- Nothing remains but the rows of the runs that failed.
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'public'::regnamespace;
SELECT status, left(error, 5) AS code, count(*) AS runs FROM aliaport.run GROUP BY 1, 2 ORDER BY 1, 2;
TRUNCATE aliaport.run CASCADE;
