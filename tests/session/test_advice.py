"""What a run says of its rows is true of those that landed, and its advice works as it stands and is not what was done already."""

import json
import re
import sqlite3

import psycopg
import pytest
from psycopg import sql


def source(files, script):
    path = files / f"{len(list(files.iterdir()))}.db"
    with sqlite3.connect(path) as db:
        db.executescript(script)
    db.close()
    path.chmod(0o644)
    return str(path)


def run(c, path, **how):
    how["options"] = json.dumps(how.get("options", {}))
    names = sql.SQL("").join(sql.SQL(", {} => {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in how.items())
    rows = c.execute(
        sql.SQL("SELECT load_order, table_name, source_rows, imported_rows, rejected_rows, target_rows, status, detail FROM aliaport_import({}{})")
        .format(path, names)).fetchall()
    fields = ("table_name", "source_rows", "imported_rows", "rejected_rows", "target_rows", "status", "detail")
    return {row[1]: dict(zip(fields, row[1:], strict=True)) for row in rows}


def odd(column):
    return f"""CREATE TABLE "it's ""odd" (id INTEGER PRIMARY KEY, "a 'b' ""c" {column});"""


@pytest.mark.parametrize("column, value", [
    ("DATE", "'2024-13-45'"),
    ("VARCHAR(3)", "'abcd'"),
    ("SMALLINT", "40000"),
    ("SMALLINT", "1.5"),
    ("NUMERIC(3,1)", "12345"),
    ("INTEGER", "'many'"),
    ("JSON", "'{'"),
    ("UUID", "'nobody'"),
    ("TEXT", "CAST(x'ff' AS TEXT)"),
    ("TEXT", "'a' || char(0) || 'b'"),
    ("DATE", "1e300"),
])
def test_the_option_in_a_hint_works_as_it_stands(connection, files, column, value):
    path = source(files, odd(column) + f"""INSERT INTO "it's ""odd" VALUES (1, {value})""")
    with pytest.raises(psycopg.Error) as error:
        run(connection, path)
    hint = error.value.diag.message_hint
    options = re.search(r"options => E?'(?:[^'\\]|''|\\.)*'", hint)
    assert "<" not in hint and options, hint
    if '"number"' in hint:
        return
    ((_, status),) = connection.execute(f"SELECT imported_rows, status FROM aliaport_import({sql.Literal(path).as_string()}, {options[0]})").fetchall()
    assert status in ("ok", "warning")


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("dry_run", [False, True])
def test_lossy_counts_values_that_landed(connection, files, made, dry_run):
    """A rounded number, in rows that are left out for every reason that there is."""
    c = connection
    script = """
        PRAGMA ignore_check_constraints = on;
        CREATE TABLE parent (id INTEGER PRIMARY KEY);
        INSERT INTO parent VALUES (1);
        CREATE TABLE t (id INTEGER PRIMARY KEY, price NUMERIC(6,2), code TEXT UNIQUE, born DATE, parent_id INTEGER REFERENCES parent, n INTEGER CHECK (n > 0),
                        wait CHAR(5));
        INSERT INTO t VALUES (1, 1.005, 'a', '2024-01-01', 1, 1, 'x'), (2, 1.25, 'b', '2024-01-01', 1, 1, 'y'), (3, 3.333, 'c', NULL, NULL, 1, 'z'),
            (4, 4.444, 'd', 'never', 1, 1, 'bad    '), (5, 5.555, 'e', NULL, 9, 1, 'orph   '), (6, 6.666, 'f', NULL, 1, 0, 'chec   '),
            (8, 8.888, 'h', NULL, 1, 1, 'fine   ');
    """
    if made:
        # The code of row 7 is taken in the table that is there already.
        c.execute("CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (100);"
                  "CREATE TABLE t (id bigint PRIMARY KEY, price numeric(6,2), code text UNIQUE, born date, parent_id bigint REFERENCES parent,"
                  " n bigint CHECK (n > 0), wait char(5)); INSERT INTO t (id, code) VALUES (100, 'taken')")
        script += "INSERT INTO t VALUES (7, 7.777, 'taken', NULL, 1, 1, 'dupl   ')"
    path = source(files, script)
    row = run(c, path, mode="append" if made else "create", on_error="reject", orphans="reject", dry_run=dry_run)["t"]
    counts = {(w["code"], w["column"]): w["count"] for w in row["detail"]["warnings"]}
    assert row["imported_rows"] == 4 and row["rejected_rows"] == (4 if made else 3), row
    # Rows 1, 3 and 8 are rounded; of row 8 a blank is cut, too.
    assert counts[("numeric_rounded", "price")] == 3, counts
    blanks = {k: v for k, v in counts.items() if k[1] == "wait"}
    assert list(blanks.values()) == [1], counts
    assert row["detail"]["lossy"] == 4, row["detail"]
    # A value that was cleared is lost; what the row lost besides is still there.
    if not made:
        c.execute("DROP TABLE IF EXISTS t, parent")
        row = run(c, path, on_error="null", orphans="null", dry_run=dry_run)["t"]
        counts = {(w["code"], w["column"]): w["count"] for w in row["detail"]["warnings"]}
        assert (row["imported_rows"], counts[("numeric_rounded", "price")]) == (6, 5), (row, counts)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_row_that_no_page_holds_is_named(connection, files, dry_run):
    columns = ", ".join(f"c{n} TEXT" for n in range(600))
    path = source(files, f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns}); INSERT INTO wide (id) VALUES (1), (7), (9);"
                         f"UPDATE wide SET ({', '.join(f'c{n}' for n in range(600))}) = ({', '.join(['hex(randomblob(10))'] * 600)}) WHERE id = 7")
    if dry_run:
        error = run(connection, path, dry_run=True)["wide"]["detail"]["error"]
        code, detail = error["sqlstate"], error["detail"]
    else:
        with pytest.raises(psycopg.Error) as raised:
            run(connection, path)
        code, detail = raised.value.sqlstate, raised.value.diag.message_detail
    assert code == "54000" and detail == 'SQLite table "wide", rowid 7, key (id) = (7).', detail


def test_a_table_that_fails_in_a_dry_run_has_its_rows_counted(connection, files):
    path = source(files, """CREATE TABLE a (id INTEGER PRIMARY KEY, d DATE); CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a);
        INSERT INTO a VALUES (1, '2024-01-01'), (2, 'never'), (3, NULL); INSERT INTO b VALUES (1, 1), (2, 9)""")
    for options, expected in [({}, 3), ({"tables": {"a": {"where": "id < 3"}}}, 2)]:
        rows = run(connection, path, dry_run=True, options=options)
        assert (rows["a"]["source_rows"], rows["a"]["status"], rows["a"]["imported_rows"]) == (expected, "failed", 0), rows["a"]
        assert rows["b"]["source_rows"] == 2


def test_no_hint_offers_what_was_given(connection, files):
    c = connection
    c.execute("""CREATE FUNCTION broken(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / ($1 - $1); END $$;
        CREATE TABLE t (id bigint PRIMARY KEY, n bigint, g bigint GENERATED ALWAYS AS (broken(n)) STORED)""")
    path = source(files, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 2)")
    for on_error in ("abort", "reject", "null"):
        with pytest.raises(psycopg.errors.DivisionByZero) as error:
            run(c, path, on_error=on_error)
        assert on_error == "abort" or "on_error" not in error.value.diag.message_hint, error.value.diag.message_hint
