-- SQLite tables as foreign tables: refusals first, then what they show.
\set VERBOSITY default
SELECT current_setting('aliaport_test.fixtures') AS fixtures \gset
\set path :fixtures /foreign.db
CREATE SCHEMA f;
SET search_path = f, public;

-- Options.
CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw;
CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (pth '/x.db');
CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path 'x.db');
CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path '/nowhere/x.db');
CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path :'path', timezone 'Europe/Istambul');
CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path :'path', busy_timeout '-1');
CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path :'path');
ALTER SERVER port OPTIONS (DROP path);
ALTER SERVER port OPTIONS (ADD time_zone 'UTC');
CREATE USER MAPPING FOR current_user SERVER port OPTIONS (username 'x');
CREATE FOREIGN TABLE ship (id bigint) SERVER port OPTIONS (on_eror 'null');
CREATE FOREIGN TABLE ship (id bigint) SERVER port OPTIONS (on_error 'skp');
CREATE FOREIGN TABLE ship (id bigint OPTIONS (column 'id')) SERVER port;
CREATE FOREIGN TABLE ship (id bigint OPTIONS (number 'seconds')) SERVER port;

-- What is not there.
CREATE FOREIGN TABLE boat (id bigint) SERVER port;
SELECT * FROM boat;
CREATE FOREIGN TABLE words (word text) SERVER port;
SELECT * FROM words;
CREATE FOREIGN TABLE berth (id bigint, ship bigint, note text) SERVER port;
SELECT * FROM berth;
SELECT count(*) FROM berth;
DROP FOREIGN TABLE berth;

-- The file is never written to.
CREATE FOREIGN TABLE ship (
    id bigint NOT NULL, name text NOT NULL, draught numeric(10, 2), built timestamptz, is_afloat boolean, papers jsonb, photo bytea, ratio float8
) SERVER port;
INSERT INTO ship (id) VALUES (4);
EXPLAIN INSERT INTO ship (id) VALUES (4);
UPDATE ship SET id = 4;
DELETE FROM ship;
TRUNCATE ship;
COPY ship FROM '/dev/null';
CREATE TABLE fleet (LIKE ship) PARTITION BY LIST (id);
ALTER TABLE fleet ATTACH PARTITION ship FOR VALUES IN (4);
INSERT INTO fleet (id, name) VALUES (4, 'x');
ALTER TABLE fleet DETACH PARTITION ship;
SELECT is_insertable_into, is_typed FROM information_schema.tables WHERE table_schema = 'f' AND table_name = 'ship';
SELECT pg_relation_is_updatable('ship'::regclass, false);

-- Bad values: an error, NULL, or no row.
CREATE FOREIGN TABLE wrong (number bigint, day date, span interval) SERVER port;
SELECT number FROM wrong;
SELECT day FROM wrong;
SELECT span FROM wrong;
SELECT count(*) FROM wrong;
ALTER FOREIGN TABLE wrong OPTIONS (ADD on_error 'null');
SELECT * FROM wrong;
SELECT count(*), count(number), count(day), count(span) FROM wrong;
ALTER FOREIGN TABLE wrong ALTER number SET NOT NULL;
SELECT day FROM wrong;
ALTER FOREIGN TABLE wrong OPTIONS (SET on_error 'skip');
SELECT * FROM wrong;
SELECT count(*) FROM wrong;
ALTER FOREIGN TABLE wrong OPTIONS (SET on_error 'abort');
SELECT number FROM wrong;
CREATE DOMAIN small AS bigint CHECK (VALUE < 3);
CREATE FOREIGN TABLE narrow (number small, day text) SERVER port OPTIONS (table_name 'wrong');
SELECT * FROM narrow;
ALTER FOREIGN TABLE narrow OPTIONS (ADD on_error 'null');
SELECT * FROM narrow;

-- What comes out.
SET timezone = 'America/New_York';
SELECT * FROM ship;
ALTER SERVER port OPTIONS (ADD timezone 'Europe/Istanbul');
SELECT id, built FROM ship;
ALTER SERVER port OPTIONS (DROP timezone);
RESET timezone;
CREATE FOREIGN TABLE afloat (id bigint, loud text) SERVER port;
SELECT * FROM afloat ORDER BY id;
CREATE FOREIGN TABLE log (day text, number bigint, entry text) SERVER port;
SELECT * FROM log;
CREATE FOREIGN TABLE renamed (number bigint OPTIONS (column_name 'ID'), "when" timestamptz OPTIONS (column_name 'built', number 'unix_ms')) SERVER port OPTIONS (table_name 'SHIP');
SELECT * FROM renamed;
SELECT tableoid::regclass, renamed FROM renamed WHERE number = 3;

-- What SQLite is asked.
CREATE FOREIGN TABLE berth (id bigint, ship_id bigint, note text) SERVER port;
EXPLAIN (VERBOSE, COSTS OFF) SELECT name FROM ship WHERE id = 2 AND name LIKE '%a' AND draught = 1.5;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM berth;
SELECT count(*), sum(id), max(note COLLATE "C") FROM berth;
SELECT b.id, s.name FROM berth b JOIN ship s ON s.id = b.ship_id WHERE b.id IN (1, 2, 3) ORDER BY 1;
CREATE TABLE pick AS SELECT * FROM (VALUES (3), (5), (700)) v (id);
ANALYZE pick;
-- Which side of a join's condition comes first depends on the major, so its line is left out.
CREATE FUNCTION plan_of(statement text) RETURNS SETOF text LANGUAGE plpgsql AS
    $$BEGIN RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || statement; END$$;
SELECT * FROM plan_of('SELECT b.note FROM pick JOIN berth b USING (id)') AS line WHERE line NOT LIKE '%Filter:%';
SELECT b.note FROM pick JOIN berth b USING (id) ORDER BY id;
SELECT id, (SELECT count(*) FROM berth b WHERE b.ship_id = ship.id) FROM ship ORDER BY id;
PREPARE by_key (bigint) AS SELECT note FROM berth WHERE id = $1;
EXECUTE by_key (1); EXECUTE by_key (2); EXECUTE by_key (3); EXECUTE by_key (4); EXECUTE by_key (5); EXECUTE by_key (6); EXECUTE by_key (NULL);
BEGIN;
DECLARE walk SCROLL CURSOR FOR SELECT id FROM berth ORDER BY id;
FETCH 2 FROM walk;
FETCH BACKWARD 1 FROM walk;
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM berth WHERE id < 4 ORDER BY id;
COMMIT;
FETCH ALL FROM held;
CLOSE held;
DISCARD ALL;
SELECT count(*) FROM f.berth;
SET search_path = f, public;

-- IMPORT FOREIGN SCHEMA.
CREATE SCHEMA all_of_it;
IMPORT FOREIGN SCHEMA public FROM SERVER port INTO all_of_it;
IMPORT FOREIGN SCHEMA main FROM SERVER port INTO all_of_it OPTIONS (import_view 'false');
IMPORT FOREIGN SCHEMA main FROM SERVER port INTO all_of_it OPTIONS (import_views 'maybe');
IMPORT FOREIGN SCHEMA main FROM SERVER port INTO all_of_it OPTIONS (identifiers 'snake');
IMPORT FOREIGN SCHEMA main LIMIT TO (ships) FROM SERVER port INTO all_of_it;
IMPORT FOREIGN SCHEMA main FROM SERVER port INTO all_of_it OPTIONS (import_default 'true');
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attfdwoptions
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'all_of_it'::regnamespace ORDER BY c.relname, a.attnum;
CREATE SCHEMA some_of_it;
IMPORT FOREIGN SCHEMA main LIMIT TO (ship, berth) FROM SERVER port INTO some_of_it OPTIONS (import_not_null 'false', integer 'integer');
SELECT attrelid::regclass, attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'some_of_it.berth'::regclass AND attnum > 0;
DROP FOREIGN TABLE some_of_it.ship, some_of_it.berth;
IMPORT FOREIGN SCHEMA main EXCEPT (ship) FROM SERVER port INTO some_of_it OPTIONS (import_views 'false');
SELECT relname FROM pg_class WHERE relnamespace = 'some_of_it'::regnamespace ORDER BY 1;
SELECT * FROM all_of_it.afloat ORDER BY id;
SELECT count(*) FROM all_of_it.log;

-- ANALYZE: statistics, and the census.
ANALYZE all_of_it.ship;
ANALYZE all_of_it.berth;
ANALYZE all_of_it.afloat;
ANALYZE wrong;
SELECT table_name, column_name, row_count, nulls, integers, reals, texts, blobs, bad, proof FROM aliaport.foreign_census
WHERE schema_name = 'all_of_it' OR table_name = 'wrong' ORDER BY 1, 2;
SELECT attname, null_frac, n_distinct FROM pg_stats WHERE schemaname = 'all_of_it' AND tablename = 'berth' ORDER BY 1;
SELECT reltuples FROM pg_class WHERE oid = 'all_of_it.berth'::regclass;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM all_of_it.berth WHERE ship_id = 3;
ALTER FOREIGN TABLE all_of_it.berth ALTER ship_id TYPE numeric;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM all_of_it.berth WHERE ship_id = 3;

DROP SCHEMA f, all_of_it, some_of_it CASCADE;
DROP SERVER port CASCADE;
