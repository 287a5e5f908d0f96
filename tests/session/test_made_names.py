"""A table or column whose name had to be made, because the wanted one was too long or taken, is found again by every later run."""

import json
import sqlite3

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
