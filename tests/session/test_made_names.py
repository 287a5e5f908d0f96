"""A table or column whose name had to be made, because the wanted one was too long or taken, is found again by every later run."""

import json
import sqlite3

import psycopg
import pytest

LONG = "x" * 70


def alter(path, script):
    source = sqlite3.connect(path, isolation_level=None)
    source.executescript(script)
    source.close()


def run(connection, path, mode, identifiers):
    return connection.execute(
        "SELECT table_name, status, target_rows FROM aliaport_import(%s, mode => %s, options => %s) ORDER BY 1",
        [str(path), mode, json.dumps({"identifiers": identifiers})]).fetchall()


def tables(connection):
    return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall()
            for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()}


@pytest.mark.parametrize("mode", ["replace", "sync"])
@pytest.mark.parametrize("identifiers, first, second", [
    ("preserve", LONG, LONG + "y"), ("snake_case", "MyTab", "my_tab"), ("lower", LONG.upper() + "İ", LONG + "y"),
])
def test_a_made_name_is_found_again(connection, files, mode, identifiers, first, second):
    path = files / "source.db"
    alter(path, "".join(f"""
        CREATE TABLE "{name}" (id INTEGER PRIMARY KEY, "{first}c" TEXT, "{second}c" TEXT, ctid TEXT);
        INSERT INTO "{name}" VALUES (1, '{number}', 'second', 'a tuple''s place');
    """ for number, name in enumerate((first, second))))
    run(connection, path, "create", identifiers)
    before = tables(connection)
    assert len(before) == 2 and all(len(rows[0]) == 4 for rows in before.values())
    assert sorted(rows[0][1] for rows in before.values()) == ["0", "1"]
    alter(path, f"""UPDATE "{first}" SET "{first}c" = 'new'; INSERT INTO "{second}" VALUES (2, 'b', 'c', 'd');""")
    run(connection, path, mode, identifiers)
    expected = {name: [(1, "new", *rows[0][2:])] if rows[0][1] == "0" else [*rows, (2, "b", "c", "d")] for name, rows in before.items()}
    assert tables(connection) == expected
    # Where one of the two is gone, the other one keeps its table.
    alter(path, f"""DROP TABLE "{second}"; UPDATE "{first}" SET "{first}c" = 'newer';""")
    run(connection, path, mode, identifiers)
    expected = {name: [(1, "newer", *rows[0][2:])] if rows[0][1] == "new" else rows for name, rows in expected.items()}
    assert tables(connection) == expected


MAPPED = {"tables": {"t": {"target": "T2", "columns": {"a": {"target": "n"}}}}}


def told(connection, path, mode, options):
    rows = connection.execute("SELECT table_name, detail FROM aliaport_import(%s, mode => %s, options => %s)",
                              [str(path), mode, json.dumps(options)]).fetchall()
    return {w["code"] for _, detail in rows for w in detail["warnings"]}


@pytest.mark.parametrize("mode", ["append", "replace", "sync"])
def test_a_name_that_options_took_from_another_is_no_trouble_later(connection, files, mode):
    path = files / "source.db"
    alter(path, """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, n TEXT);
        CREATE TABLE T2 (id INTEGER PRIMARY KEY, v TEXT);
        CREATE TABLE child (id INTEGER PRIMARY KEY, t2 INTEGER REFERENCES T2, "t" INTEGER REFERENCES t);
        INSERT INTO t VALUES (1, 'a', 'n'); INSERT INTO T2 VALUES (1, 'v'), (2, 'w'); INSERT INTO child VALUES (1, 2, 1);
    """)
    assert "case_collision" in told(connection, path, "create", MAPPED)
    alter(path, "UPDATE t SET n = 'new'; UPDATE T2 SET v = 'w2' WHERE id = 2")
    if mode == "append":
        alter(path, "UPDATE t SET id = 11; UPDATE T2 SET id = id + 10; UPDATE child SET id = 11, t2 = 12, t = 11")
    assert told(connection, path, mode, MAPPED) == set()
    wanted = {"T2": (1, "a", "new"), "T2_2": (2, "w2"), "child": (1, 2, 1)}
    if mode == "append":
        wanted = {"T2": (11, "a", "new"), "T2_2": (12, "w2"), "child": (11, 12, 11)}
    assert {name: rows[-1] for name, rows in tables(connection).items()} == wanted
    if mode != "append":
        # What is imported and what is validated are the same tables.
        validated = connection.execute("SELECT table_name, ok FROM aliaport_validate(%s, options => %s)", [str(path), json.dumps(MAPPED)])
        assert {row for row in validated.fetchall()} == {("\"T2\"", True), ("\"T2_2\"", True), ("child", True)}
    # A parent that is left out is found under its made name, too.
    alter(path, "UPDATE child SET id = 21")
    assert told(connection, path, "append", {**MAPPED, "include": ["child"]}) == set()


@pytest.mark.parametrize("mode", ["replace", "sync"])
def test_what_comes_later_takes_no_name_that_another_has(connection, files, mode):
    path = files / "source.db"
    options = {**MAPPED, "identifiers": "snake_case"}
    alter(path, f"""
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, "{LONG}c" TEXT);
        CREATE TABLE MyTab (id INTEGER PRIMARY KEY, v TEXT);
        INSERT INTO t VALUES (1, 'a', 'c'); INSERT INTO MyTab VALUES (1, 'v');
    """)
    told(connection, path, "create", options)
    alter(path, f"""
        CREATE TABLE T2 (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO T2 VALUES (7, 'w');
        CREATE TABLE my_tab (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO my_tab VALUES (8, 'x');
        ALTER TABLE t ADD COLUMN n TEXT DEFAULT 'n'; ALTER TABLE t ADD COLUMN "{LONG}d" TEXT DEFAULT 'd';
    """)
    with pytest.raises(psycopg.errors.UndefinedColumn) as refused:
        told(connection, path, mode, options)
    connection.execute(refused.value.diag.message_hint)
    told(connection, path, mode, options)
    expected = {"T2": [(1, "a", "c", "n", "d")], "my_tab": [(1, "v")], "t2": [(7, "w")], "my_tab_2": [(8, "x")]}
    assert tables(connection) == expected
    assert told(connection, path, mode, {**options, "force": True}) == set()
    assert tables(connection) == expected
