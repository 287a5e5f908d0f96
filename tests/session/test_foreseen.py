"""What a table that is there asks of rows, aliaport_inspect says before the import dies of it, and what to do is said with a statement that does it."""

import json
import sqlite3

import psycopg
import pytest


def source(files, script):
    path = files / f"{len(list(files.iterdir()))}.db"
    with sqlite3.connect(path) as db:
        db.executescript(script)
    db.close()
    path.chmod(0o644)
    return str(path)


T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT); INSERT INTO t VALUES (1, 5, 'x'), (2, -5, NULL), (3, 5, 'X');"

# A target, what is found of T in it, and the statement that lets the rows in.
STRICTER = [
    ("CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b text NOT NULL)", "null_in_not_null", 1, "ALTER COLUMN b DROP NOT NULL"),
    ("CREATE TABLE t (id bigint, a bigint, b text PRIMARY KEY)", "null_in_not_null", 1, "DROP CONSTRAINT t_pkey, ALTER COLUMN b DROP NOT NULL, ADD UNIQUE (b)"),
    ("CREATE DOMAIN d AS text NOT NULL; CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b d)", "null_in_not_null", 1, "ALTER DOMAIN public.d DROP NOT NULL"),
    ("CREATE TABLE t (id bigint PRIMARY KEY, a bigint CONSTRAINT \"it's\" CHECK (a > 0), b text)", "target_check", 1, "DROP CONSTRAINT \"it's\""),
    ("CREATE TABLE t (id bigint PRIMARY KEY, a bigint UNIQUE, b text)", "duplicate_key", 1, "DROP CONSTRAINT t_a_key"),
    ("CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b text); CREATE UNIQUE INDEX i ON t (lower(b))", "duplicate_key", 1, "DROP INDEX public.i"),
    ("CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b text); CREATE UNIQUE INDEX i ON t (a) WHERE id > 2 OR a > 4", "duplicate_key", 1, "DROP INDEX public.i"),
    ("CREATE TABLE t (id bigint, a bigint, b text) PARTITION BY LIST (a); CREATE TABLE t5 PARTITION OF t FOR VALUES IN (5)", "target_check", 1, "PARTITION OF public.t DEFAULT"),
    ("CREATE TABLE t (id bigint, a bigint, b text) PARTITION BY RANGE (id)", "target_check", 3, "PARTITION OF public.t DEFAULT"),
    ("CREATE TABLE t (id bigint, a bigint, b text); CREATE RULE nothing AS ON INSERT TO t DO INSTEAD NOTHING", "target_rule", None, "DISABLE RULE nothing"),
    ("CREATE TABLE p (id bigint PRIMARY KEY); CREATE TABLE t (id bigint PRIMARY KEY, a bigint REFERENCES p, b text)", "orphan_rows", 3, "DROP CONSTRAINT t_a_fkey"),
]


@pytest.mark.parametrize("there, code, count, statement", STRICTER)
def test_a_target_that_is_stricter_than_the_source_is_to_be_relaxed_first(connection, files, there, code, count, statement):
    c = connection
    c.autocommit = True
    path = source(files, T)
    c.execute(there)
    errors = c.execute("SELECT code, row_count, suggestion FROM aliaport_inspect(%s) WHERE severity = 'error'", [path]).fetchall()
    assert [e[:2] for e in errors] == [(code, count)], errors
    first = errors[0][2].split("\n")
    assert first[0] == "-- postgresql" and statement in first[1], errors
    with pytest.raises(psycopg.Error):
        c.execute("SELECT aliaport_import(%s)", [path])
    c.execute(errors[0][2])
    assert not c.execute("SELECT * FROM aliaport_inspect(%s) WHERE severity = 'error'", [path]).fetchall()
    assert c.execute("SELECT imported_rows FROM aliaport_import(%s)", [path]).fetchall() == [(3,)]


def test_keys_that_are_in_use_are_foreseen_in_mode_append(connection, files):
    c = connection
    path = source(files, T)
    c.execute("CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b text); CREATE UNIQUE INDEX i ON t (lower(b)); INSERT INTO t VALUES (3, 7, 'y'), (9, 9, 'x')")
    asked = "SELECT message, row_count, sample FROM aliaport_inspect(%s, mode => %s) WHERE code = 'duplicate_key' AND message LIKE '%%already'"
    found = c.execute(asked, [path, "append"]).fetchall()
    rows = {name: sorted(entry["id"] for entry in sample) for message, _, sample in found for name in ("t_pkey", '"i"') if name in message}
    assert rows == {"t_pkey": [3], '"i"': [1, 3]}, found
    for mode in ("replace", "sync"):
        assert not c.execute(asked, [path, mode]).fetchall()


@pytest.mark.parametrize("there, what", [
    ("CREATE EXTENSION btree_gist; CREATE TABLE t (id bigint, a bigint, b text, EXCLUDE USING gist (a WITH =))", "exclusion constraint t_a_excl"),
    ("CREATE TABLE t (id bigint, a bigint, b text, c bigint DEFAULT 1 CHECK (c > 5))", "t_c_check"),
    ("CREATE FUNCTION mine(bigint) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'; CREATE TABLE t (id bigint, a bigint CHECK (mine(a)), b text)", "mine(bigint)"),
])
def test_what_cannot_be_foreseen_is_said(connection, files, there, what):
    try:
        connection.execute(there)
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("the extension is not there")
    path = source(files, T)
    said = connection.execute("SELECT severity, message, suggestion FROM aliaport_inspect(%s) WHERE code = 'not_foreseen'", [path]).fetchall()
    assert [s for s in said if what in s[1] and s[0] == "info" and "dry_run" in s[2]], said


def test_an_inspection_of_a_table_with_checks_holds_no_rows(connection, files):
    path = source(files, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
                         "INSERT INTO t SELECT i, i % 1000 - 1, printf('%.500c', 'x') FROM n")
    connection.execute("CREATE TABLE t (id bigint PRIMARY KEY CHECK (id > 0), a bigint CHECK (a >= 0), b text)")
    ((count, sample),) = connection.execute("SELECT row_count, sample FROM aliaport_inspect(%s) WHERE code = 'target_check'", [path]).fetchall()
    assert count == 30 and json.dumps(sample[:2]).count('"id"') == 2


def test_a_table_with_a_name_that_sqlite_keeps_for_its_own_is_said_to_be_left_out(connection, files):
    path = source(files, T + """CREATE TABLE seen (a INTEGER); INSERT INTO seen VALUES (1); PRAGMA writable_schema = on;
        UPDATE sqlite_schema SET name = 'sqlite_seen', tbl_name = 'sqlite_seen', sql = 'CREATE TABLE sqlite_seen (a INTEGER)' WHERE name = 'seen'""")
    said = connection.execute("SELECT message FROM aliaport_inspect(%s) WHERE code = 'not_carried'", [path]).fetchall()
    assert len(said) == 1 and "sqlite_seen" in said[0][0], said
    ((detail,),) = connection.execute("SELECT detail::text FROM aliaport_import(%s)", [path]).fetchall()
    assert "sqlite_seen" in detail


def test_a_sample_is_as_long_as_the_options_say(connection, files):
    path = source(files, "CREATE TABLE t (id INTEGER PRIMARY KEY, n SMALLINT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
                         "INSERT INTO t SELECT i, 'x' FROM n")
    for options, length in [({}, 5), ({"samples": 1}, 1), ({"samples": 10000}, 300)]:
        ((count, sample),) = connection.execute("SELECT row_count, sample FROM aliaport_inspect(%s, options => %s) WHERE code = 'type_mismatch'", [path, json.dumps(options)]).fetchall()
        assert (count, len(sample)) == (300, length)
    for wrong in ("0", "10001", "1.5", '"5"'):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connection.execute("SELECT * FROM aliaport_inspect(%s, options => %s)", [path, f'{{"samples": {wrong}}}'])
        connection.rollback()


def test_a_mode_may_be_written_in_capitals(connection, files):
    path = source(files, T)
    for mode in ("CREATE", "REPLACE", "Append"):
        assert connection.execute("SELECT 1 FROM aliaport_inspect(%s, mode => %s) LIMIT 1", [path, mode]).fetchall()
