-- The proof after an import, days later: a clean one is all ok, and of what changes in the target exactly the right checks fail.
SET client_min_messages = warning;
CREATE SCHEMA proof;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\pset null '(null)'
SELECT count(*) AS tables FROM aliaport_import(regress.source('harbour.db'), 'proof');
-- In a transaction that could not write.
BEGIN READ ONLY;
SELECT * FROM aliaport_validate(regress.source('harbour.db'), 'proof');
COMMIT;
DROP SCHEMA proof CASCADE;

-- A source with everything that has to be told apart; one key of it cannot be made in PostgreSQL, and that stays said.
CREATE SCHEMA proof;
SELECT count(*) AS tables FROM aliaport_import(regress.source('proof.db'), 'proof');
SET search_path = proof, public;
SELECT * FROM aliaport_validate(regress.source('proof.db')) WHERE check_name IN ('content', 'unique', 'foreign_key', 'sequence');
SELECT check_name, count(*), count(*) FILTER (WHERE ok) AS ok FROM aliaport_validate(regress.source('proof.db')) GROUP BY 1 ORDER BY 1;
-- The digest is the one that the import has recorded.
SELECT count(*) AS tables, bool_and(v.source_value = r.detail ->> 'digest') AS same_digest
FROM aliaport_validate(regress.source('proof.db')) v
JOIN aliaport.run_table r ON r.table_name IN (v.table_name, 'proof.' || v.table_name) AND r.run_id = (SELECT max(run_id) FROM aliaport.run)
WHERE v.check_name = 'content';

-- What fails after a change, besides the key that never was there.
CREATE VIEW regress.failed AS
SELECT v.* FROM aliaport_validate(regress.source('proof.db'), 'proof') v WHERE NOT ok AND v.detail NOT LIKE '%correction.lost_id%';
\pset expanded on

-- Values
BEGIN;
UPDATE measure SET note = 'changed', amount = amount + 0.001 WHERE id = 7;
UPDATE reading SET value = NULL WHERE station = 'S1' AND number IN (4, 7);
UPDATE token SET uses = 9 WHERE value = 'b-2';
TABLE regress.failed;
ROLLBACK;
-- Rows
BEGIN;
DELETE FROM reading WHERE number > 45 OR number IN (38, 39);
DELETE FROM measure WHERE id IN (39, 40);
TABLE regress.failed;
ROLLBACK;
BEGIN;
INSERT INTO measure (name, is_valid) VALUES ('new', true);
INSERT INTO reading SELECT 'Z9', n, 1, 0 FROM generate_series(1, 12) n;
TABLE regress.failed;
ROLLBACK;
-- Rows that nothing names
BEGIN;
DELETE FROM journal WHERE ctid = (SELECT min(ctid) FROM journal WHERE line = 'başladı');
INSERT INTO journal VALUES ('yeni', 3);
TABLE regress.failed;
ROLLBACK;
-- A key that is changed is missing and new.
BEGIN;
UPDATE token SET value = 'c-4' WHERE value = 'c-3';
TABLE regress.failed;
ROLLBACK;
-- Range and NULLs
BEGIN;
UPDATE measure SET taken = 'infinity', day = '1900-01-01', ratio = 'NaN' WHERE id = 3;
ALTER TABLE measure ALTER is_valid DROP NOT NULL;
UPDATE measure SET is_valid = NULL WHERE id = 4;
TABLE regress.failed;
ROLLBACK;
-- Keys
BEGIN;
ALTER TABLE measure DROP CONSTRAINT measure_pkey CASCADE;
INSERT INTO measure SELECT * FROM (SELECT id, name || '!', amount, ratio, taken, day - 1000, at, is_valid, note FROM measure WHERE id = 5) AS m;
DROP INDEX ux_measure_day, ux_measure_valid, measure_name_key;
TABLE regress.failed;
ROLLBACK;
-- Foreign keys
BEGIN;
ALTER TABLE correction DROP CONSTRAINT correction_station_number_fkey;
UPDATE correction SET number = 1000 WHERE station = 'S2';
ALTER TABLE reading DROP CONSTRAINT reading_measure_id_fkey;
ALTER TABLE reading ADD FOREIGN KEY (measure_id) REFERENCES measure NOT VALID;
TABLE regress.failed;
ROLLBACK;
-- Sequences: nothing is drawn from them by looking.
BEGIN;
SELECT setval('measure_id_seq', 40, false);
TABLE regress.failed;
SELECT nextval('measure_id_seq');
TABLE regress.failed;
ROLLBACK;
SELECT setval('measure_id_seq', 40);
BEGIN;
ALTER TABLE measure ALTER id DROP IDENTITY;
TABLE regress.failed;
ROLLBACK;
-- What has gone altogether
BEGIN;
ALTER TABLE measure DROP COLUMN note, DROP COLUMN name;
DROP TABLE journal;
DROP TABLE reading CASCADE;
TABLE regress.failed;
ROLLBACK;
-- What is new beside it does no harm.
BEGIN;
ALTER TABLE measure ADD checked boolean NOT NULL DEFAULT false;
CREATE TABLE beside (id int);
TABLE regress.failed;
ROLLBACK;

-- Options as in the import
BEGIN;
ALTER TABLE reading DROP CONSTRAINT reading_measure_id_fkey;
DELETE FROM measure WHERE id > 30;
DROP TABLE journal;
\pset expanded off
SELECT * FROM aliaport_validate(regress.source('proof.db'), options => '{"include": ["measure"], "tables": {"measure": {"where": "id <= 30"}}}')
WHERE NOT ok OR check_name = 'rows';
SELECT * FROM aliaport_validate(regress.source('proof.db'), options => '{"verify": "count", "exclude": ["journal"]}') WHERE table_name = 'measure';
ROLLBACK;

-- A table that is partitioned now
BEGIN;
ALTER TABLE token RENAME TO token_old;
CREATE TABLE token (uses bigint, extra int DEFAULT 0, value text NOT NULL UNIQUE) PARTITION BY LIST (value);
CREATE TABLE token_1 (gone int, value text NOT NULL, extra int DEFAULT 0, uses bigint);
ALTER TABLE token_1 DROP gone;
ALTER TABLE token ATTACH PARTITION token_1 FOR VALUES IN ('a-1');
CREATE TABLE token_2 PARTITION OF token DEFAULT;
INSERT INTO token (value, uses) SELECT value, uses FROM token_old;
SELECT * FROM aliaport_validate(regress.source('proof.db')) WHERE table_name = 'token';
UPDATE token SET uses = 1 WHERE value IN ('a-1', 'b-2');
INSERT INTO token VALUES (1, 1, 'd-4');
SELECT * FROM aliaport_validate(regress.source('proof.db')) WHERE table_name = 'token' AND NOT ok;
ROLLBACK;
DROP VIEW regress.failed;
RESET search_path;
DROP SCHEMA proof CASCADE;

-- The run's number depends on the tests that ran before.
CREATE FUNCTION regress.validated(source text, schema name, options jsonb DEFAULT '{}')
    RETURNS TABLE (table_name text, check_name text, source_value text, target_value text, ok boolean, detail text) LANGUAGE sql
BEGIN ATOMIC
    SELECT v.table_name, v.check_name, v.source_value, v.target_value, v.ok, regexp_replace(v.detail, 'run \d+', 'run N')
    FROM aliaport_validate(regress.source(source), schema, options) v;
END;
-- What the import set aside is no difference; what happened to it since is none, either, as long as it is the source's.
CREATE SCHEMA proof;
SELECT table_name, source_rows, rejected_rows FROM aliaport_import(regress.source('orphans.db'), 'proof', orphans => 'null');
SELECT * FROM regress.validated('orphans.db', 'proof') WHERE check_name IN ('rows', 'content', 'foreign_key');
BEGIN;
ALTER TABLE proof.child DROP CONSTRAINT child_parent_id_fkey, DROP CONSTRAINT child_other_id_fkey;
INSERT INTO proof.child VALUES (2, 99, 2);
UPDATE proof.child SET other_id = 77 WHERE id = 4;
SELECT * FROM regress.validated('orphans.db', 'proof') WHERE check_name IN ('rows', 'content', 'foreign_key');
UPDATE proof.child SET other_id = 76 WHERE id = 4;
INSERT INTO proof.child VALUES (3, 98, 2);
SELECT * FROM regress.validated('orphans.db', 'proof') WHERE check_name IN ('rows', 'content');
ROLLBACK;
DROP SCHEMA proof CASCADE;

-- Nothing was imported: every table is missing.
CREATE SCHEMA proof;
SELECT * FROM regress.validated('orphans.db', 'proof');
-- A value that its column cannot hold is a difference and no error.
CREATE TABLE proof.child (id bigint PRIMARY KEY, parent_id smallint NOT NULL, other_id boolean);
INSERT INTO proof.child VALUES (1, 1, NULL), (2, 99, NULL);
SELECT * FROM regress.validated('orphans.db', 'proof', '{"include": ["child"]}') WHERE check_name <> 'min_max';

-- Refusals
\pset expanded on
SELECT * FROM regress.refusal($$SELECT aliaport_validate(regress.source('missing.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_validate(regress.source('text.db'))$$);
SELECT * FROM regress.refusal($$SELECT aliaport_validate(regress.source('harbour.db'), 'regress_nowhere')$$);
SELECT * FROM regress.refusal($$SELECT aliaport_validate(regress.source('harbour.db'), options => '{"verfy": "count"}')$$);
CREATE ROLE regress_plain;
GRANT USAGE ON SCHEMA proof, regress TO regress_plain;
GRANT EXECUTE ON FUNCTION aliaport_validate TO regress_plain;
SET ROLE regress_plain;
SELECT * FROM regress.refusal($$SELECT aliaport_validate(regress.source('orphans.db'), 'proof')$$);
RESET ROLE;
GRANT pg_read_server_files TO regress_plain;
SET ROLE regress_plain;
SELECT * FROM regress.refusal($$SELECT aliaport_validate(regress.source('orphans.db'), 'proof')$$);
RESET ROLE;
GRANT SELECT ON proof.child TO regress_plain;
ALTER TABLE proof.child ENABLE ROW LEVEL SECURITY;
SET ROLE regress_plain;
SELECT * FROM regress.refusal($$SELECT aliaport_validate(regress.source('orphans.db'), 'proof')$$);
RESET ROLE;
REVOKE ALL ON FUNCTION aliaport_validate FROM regress_plain;
REVOKE ALL ON SCHEMA proof, regress FROM regress_plain;
REVOKE ALL ON proof.child FROM regress_plain;
REVOKE pg_read_server_files FROM regress_plain;
DROP ROLE regress_plain;
DROP SCHEMA proof CASCADE;
DROP FUNCTION regress.validated;
