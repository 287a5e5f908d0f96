"""Equal is said of values of every type only where they are equal, those included that only a type's own input function can read."""

import json
import sqlite3

import pytest
from psycopg import sql

# What makes the types, and for each of them a value of the source and another that may stand in its place.
EXTENSIONS = ["citext", "hstore", "ltree", "cube", "isn", "seg"]
MAKE = """
    CREATE TYPE level AS ENUM ('low', 'high');
    CREATE DOMAIN host AS inet CHECK (VALUE <> '0.0.0.0');
    CREATE DOMAIN hosts AS inet[];
    CREATE TYPE place AS (name text, at point, ip host);
    CREATE DOMAIN there AS place;
    CREATE TYPE textrange AS RANGE (subtype = text, multirange_type_name = textmultirange);
"""
TYPES = {
    "inet": ("10.0.0.1", "10.0.0.1/24"),
    "cidr": ("10.0.0.0/8", "10.0.0.0/9"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:04"),
    "macaddr8": ("08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:06"),
    "xml": ("<a>1</a>", "<a>1 </a>"),
    "tsvector": ("'a':1 'b':2", "'a':1 'b':3"),
    "tsquery": ("'a' & 'b'", "'a' | 'b'"),
    "point": ("(1,2)", "(1,2.0000000000000004)"),
    "line": ("{1,2,3}", "{1,2,4}"),
    "lseg": ("[(0,0),(1,1)]", "[(1,1),(0,0)]"),
    "box": ("(1,1),(0,0)", "(1,2),(0,0)"),
    "path": ("((0,0),(1,1))", "[(0,0),(1,1)]"),
    "polygon": ("((0,0),(1,1),(1,0))", "((0,0),(1,0),(1,1))"),
    "circle": ("<(0,0),1>", "<(0,0),2>"),
    "bit(3)": ("101", "100"),
    "bit varying": ("101", "1010"),
    "money": ("12.50", "12.51"),
    "interval": ("1 day", "24:00:00"),
    "timetz": ("12:00:00+00", "14:00:00+02"),
    "int4range": ("[1,5)", "[1,6)"),
    "int4multirange": ("{[1,5),[7,9)}", "{[1,5)}"),
    "numrange": ("[1.0,2)", "[1.00,2)"),
    "tstzrange": ("[2024-01-01 00:00:00+00,)", "(2024-01-01 00:00:00+00,)"),
    "daterange": ("[2024-01-01,2024-02-01)", "empty"),
    "pg_lsn": ("16/B374D848", "16/B374D849"),
    "oid": ("7", "8"),
    "xid8": ("7", "8"),
    "tid": ("(0,1)", "(0,2)"),
    "jsonpath": ('$."a"', '$."b"'),
    "pg_snapshot": ("10:20:", "10:21:"),
    "name": ("abc", "abd"),
    '"char"': ("a", "b"),
    "int2vector": ("1 2", "2 1"),
    "integer[]": ('[1, null]', "{NULL,1}"),
    "integer[][]": ("[[1, 2]]", "{1,2}"),
    "text[]": ('["a", "NULL"]', "{a,NULL}"),
    "text[] ": ('["' + "long " * 3000 + '"]', "{short}"),
    "numeric(6,2)[]": ("[1.5]", "{1.51}"),
    "jsonb[]": ('[{"a": 1}]', '{"{\\"a\\": 2}"}'),
    "inet[]": ('["10.0.0.1"]', "{10.0.0.2}"),
    "box[]": ("{(1,1),(0,0)}", "{(1,1),(0,0);(1,1),(0,0)}"),
    "int4range[]": ('["[1,5)"]', '{"[1,6)"}'),
    "level[]": ('["low"]', "{high}"),
    "host": ("10.0.0.1", "10.0.0.2"),
    "hosts": ('["10.0.0.1"]', "{10.0.0.2}"),
    "place": ('(a,"(1,2)",10.0.0.1)', '(a,"(1,2)",10.0.0.2)'),
    "place[]": ('{"(a,\\"(1,2)\\",10.0.0.1)"}', '{"(b,\\"(1,2)\\",10.0.0.1)"}'),
    "there": ('(a,"(1,2)",10.0.0.1)', '(a,"(1,3)",10.0.0.1)'),
    "citext[]": ('["a"]', "{A}"),
    "hstore": ("a=>1", "a=>2"),
    "ltree": ("a.b", "a.b.c"),
    "cube": ("(1, 2)", "(1, 3)"),
    "isbn": ("0-306-40615-2", "0-393-04002-X"),
    "seg": ("1 .. 2", "1 .. 2.0"),
}


def column(number):
    return f"c{number}"


@pytest.fixture
def table(connection, files):
    for extension in EXTENSIONS:
        connection.execute(f"CREATE EXTENSION {extension}")
    connection.execute(MAKE)
    columns = ", ".join(f"{column(n)} {kind}" for n, kind in enumerate(TYPES))
    connection.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, {columns})")
    path = files / "types.db"
    with sqlite3.connect(path) as db:
        names = ", ".join(f"{column(n)} TEXT" for n in range(len(TYPES)))
        db.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {names})")
        marks = ", ".join("?" * (len(TYPES) + 1))
        db.execute(f"INSERT INTO t VALUES ({marks})", [1, *(value for value, _ in TYPES.values())])
        db.execute(f"INSERT INTO t VALUES ({marks})", [2, *[None] * len(TYPES)])
    db.close()
    path.chmod(0o644)
    return str(path)


def run(c, path, mode="sync", **how):
    how["options"] = json.dumps(how.get("options", {}))
    names = sql.SQL("").join(sql.SQL(", {} => {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in how.items())
    rows = c.execute(sql.SQL("SELECT content_match, detail FROM aliaport_import({}, mode => {}{})").format(path, mode, names)).fetchall()
    (status,) = c.execute("SELECT status FROM aliaport.run ORDER BY run_id DESC LIMIT 1").fetchone()
    assert all(match for match, _ in rows)
    return status, rows[0][1]


def content(c, path):
    return c.execute("SELECT ok, detail FROM aliaport_validate(%s) WHERE check_name = 'content'", [path]).fetchone()


def test_one_value_that_was_changed_is_found_in_every_type(connection, table):
    c = connection
    run(c, table, "create")
    run(c, table, "sync")
    assert content(c, table)[0] is True
    assert run(c, table)[0] == "unchanged"
    rows = c.execute("SELECT t::text FROM t ORDER BY id").fetchall()
    for number, (kind, (_, other)) in enumerate(TYPES.items()):
        name = column(number)
        c.execute(sql.SQL("UPDATE t SET {} = {} WHERE id = 1").format(sql.Identifier(name), sql.Literal(other)))
        changed = c.execute("SELECT t::text FROM t ORDER BY id").fetchall()
        ok, detail = content(c, table)
        assert ok is (changed == rows), (kind, detail)
        assert ok is False, (kind, "its values are not told apart by what they show")
        assert detail == f"1 row with other values in the target: id = 1 [{name}]", (kind, detail)
        assert run(c, table, dry_run=True)[1]["updated"] == 1, kind
        assert run(c, table)[1]["updated"] == 1, kind
        assert c.execute("SELECT t::text FROM t ORDER BY id").fetchall() == rows, kind
        assert run(c, table)[0] == "unchanged", kind


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_table_that_is_read_back_says_what_was_sent(connection, table, mode):
    c = connection
    run(c, table, mode)
    assert content(c, table)[0] is True
    # A trigger that changes a value on its way, of each type alone.
    for number, (kind, (_, other)) in enumerate(TYPES.items()):
        name = column(number)
        c.execute(sql.SQL("""TRUNCATE t; CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.id = 1 THEN NEW.{} := {}; END IF; RETURN NEW; END $$;
            CREATE OR REPLACE TRIGGER meddle BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION meddle()""")
                  .format(sql.Identifier(name), sql.Literal(other)))
        with pytest.raises(Exception, match="differs from SQLite table") as error:
            run(c, table, mode, options={"triggers": "on"})
        assert error.value.sqlstate == "22000", kind


def test_rows_are_known_by_keys_of_such_types_and_by_values_that_the_type_refuses(connection, files):
    c = connection
    c.execute("CREATE TABLE t (ip inet PRIMARY KEY, at point)")
    path = files / "key.db"
    with sqlite3.connect(path) as db:
        db.executescript("""CREATE TABLE t (ip TEXT PRIMARY KEY, at TEXT);
            INSERT INTO t VALUES ('10.0.0.1', '(1,2)'), ('10.0.0.2', '(1,2)'), ('10.0.0.3', 'nowhere'), ('nobody', '(1,2)')""")
    db.close()
    path.chmod(0o644)
    assert run(c, str(path), "create", on_error="reject")[0] == "warning"
    assert content(c, str(path))[0] is True
    c.execute("DELETE FROM t WHERE ip = '10.0.0.2'; INSERT INTO t VALUES ('10.0.0.9', '(1,2)'); UPDATE t SET at = '(3,4)' WHERE ip = '10.0.0.1'")
    ok, detail = content(c, str(path))
    assert not ok
    for words in ["1 row missing in the target: ip = 10.0.0.2", "1 row only in the target: ip = 10.0.0.9",
                  "1 row with other values in the target: ip = 10.0.0.1 [at]"]:
        assert words in detail, detail
    # Without an import that has set them aside, they are rows that the target cannot hold.
    c.execute("DELETE FROM aliaport.run")
    ok, detail = content(c, str(path))
    assert not ok and "2 rows of the source hold values that their columns in the target cannot hold" in detail, detail


def test_what_runs_the_code_of_others_is_not_compared_and_not_called_equal(connection, files):
    c = connection
    c.execute("""CREATE TABLE seen (what text);
        CREATE FUNCTION watched(inet) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES ('called'); RETURN true; END $$;
        CREATE DOMAIN watched AS inet CHECK (watched(VALUE));
        CREATE TABLE t (id bigint PRIMARY KEY, plain watched, ips watched[], n integer)""")
    path = files / "watched.db"
    with sqlite3.connect(path) as db:
        db.executescript("""CREATE TABLE t (id INTEGER PRIMARY KEY, plain TEXT, ips TEXT, n INTEGER);
            INSERT INTO t VALUES (1, '10.0.0.1', '["10.0.0.1"]', 1)""")
    db.close()
    path.chmod(0o644)
    run(c, str(path), "create")
    c.execute("TRUNCATE seen")
    ok, detail = content(c, str(path))
    assert ok is False and "values of column ips were not compared" in detail and "plain" not in detail, detail
    assert c.execute("SELECT count(*) FROM seen").fetchone() == (0,)
    c.execute("UPDATE t SET n = 2")
    assert "id = 1 [n]" in content(c, str(path))[1]
    run(c, str(path))
    c.execute("UPDATE t SET plain = '10.0.0.2'")
    assert "id = 1 [plain]" in content(c, str(path))[1]
