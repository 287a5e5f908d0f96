"""A virtual generated column that SQLite cannot compute for some rows: those rows are bad, the others land."""

import json
import sqlite3

import psycopg
import pytest

TABLES = {
    "t": "id INTEGER PRIMARY KEY",
    "u": "id TEXT",
    "w": "id TEXT, PRIMARY KEY (id DESC)) WITHOUT ROWID",
}


@pytest.fixture(scope="module")
def computed(cluster):
    """The file; and of each table what SQLite gives of each row, asked for value by value: None stands for what it cannot compute."""
    path = cluster.files / "computed.db"
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    expected = {}
    for table, key in TABLES.items():
        closing = "" if key.endswith("ROWID") else ")"
        columns, brace, rest = key.partition(", PRIMARY")
        db.execute(f"CREATE TABLE {table} ({columns}, d TEXT, n INTEGER{brace}{rest}{closing}")
        documents = ['{"x": "a", "y": 1}', "{bad", "{}", None, '{"x": "ş"}']
        rows = [(i if table == "t" else f"k{i}", documents[i * 7 % 5], -(2**63) if i % 11 == 3 else -i) for i in range(1, 200)]
        db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)
        # Added afterwards: an INSERT would compute them.
        db.execute(f"ALTER TABLE {table} ADD COLUMN x TEXT AS (json_extract(d, '$.x')) VIRTUAL")
        db.execute(f"ALTER TABLE {table} ADD COLUMN a INTEGER AS (abs(n) + 0 * unicode(d)) VIRTUAL")
        db.commit()
        expected[table] = {}
        for (key_value,) in db.execute(f"SELECT id FROM {table}").fetchall():
            row, is_whole = {}, True
            for column in ("id", "d", "n", "x", "a"):
                try:
                    row[column] = db.execute(f"SELECT {column} FROM {table} WHERE id = ?", [key_value]).fetchone()[0]
                except sqlite3.OperationalError:
                    is_whole = False
            expected[table][key_value] = (row, is_whole)
    db.close()
    return str(path), expected


def landed(connection, table):
    return {row[0]: dict(zip(("id", "d", "n", "x", "a"), row, strict=True))
            for row in connection.execute(f"SELECT id, d, n, x, a FROM {table}")}


@pytest.mark.parametrize("path_taken", ["images", "datums"])
@pytest.mark.parametrize("policy", ["reject", "null"])
def test_rows_that_cannot_be_computed_are_bad_rows(connection, computed, policy, path_taken):
    path, expected = computed
    if path_taken == "datums":
        connection.execute("SET aliaport_import.tuple_images = off")
    imported = connection.execute("SELECT table_name, source_rows, imported_rows, rejected_rows, content_match"
                                  " FROM aliaport_import(%s, on_error => %s)", [path, policy]).fetchall()
    run = connection.execute("SELECT max(run_id) FROM aliaport.run").fetchone()[0]
    for name, *counts in imported:
        table = name.split(".")[-1]
        bad = {key: row for key, (row, is_whole) in expected[table].items() if not is_whole}
        assert 0 < len(bad) < len(expected[table])
        rejected = len(bad) if policy == "reject" else 0
        assert counts == [len(expected[table]), len(expected[table]) - rejected, rejected, True]
        whole = {key: row for key, (row, is_whole) in expected[table].items() if is_whole}
        if policy == "null":
            whole |= {key: {"x": None, "a": None} | row for key, row in bad.items()}
        assert landed(connection, table) == whole
        aside = connection.execute("SELECT DISTINCT row_data, sqlstate, storage_class FROM aliaport.rejected_row"
                                   " WHERE run_id = %s AND table_name = %s", [run, table]).fetchall()
        assert sorted(json.dumps(data, sort_keys=True) for data, _, _ in aside) == \
            sorted(json.dumps(row, sort_keys=True) for row in bad.values())
        assert {(state, of) for _, state, of in aside} == {("22000", None)}
    wrong = connection.execute("SELECT * FROM aliaport_validate(%s) WHERE NOT ok", [path]).fetchall()
    assert wrong == []


def test_abort_names_the_row_and_inspect_lists_it(connection, computed):
    path, expected = computed
    with pytest.raises(psycopg.errors.DataException) as raised:
        connection.execute("SELECT aliaport_import(%s)", [path])
    assert 'table "t", rowid 3,' in raised.value.diag.message_detail and 'column "x"' in raised.value.diag.message_detail
    found = connection.execute("SELECT table_name, column_name, row_count FROM aliaport_inspect(%s)"
                               " WHERE code = 'type_mismatch' ORDER BY 1, 2", [path]).fetchall()
    of_column = {(table, column): sum(column not in row for row, _ in rows.values())
                 for table, rows in expected.items() for column in ("a", "x")}
    assert {(t, c): n for t, c, n in found} == of_column
    # A filter that leaves them out.
    options = {"tables": {t: {"where": "json_valid(coalesce(d, '{}')) AND n > -1000"} for t in TABLES}}
    rows = connection.execute("SELECT sum(rejected_rows) FROM aliaport_import(%s, options => %s)", [path, json.dumps(options)]).fetchone()
    assert rows == (0,)
