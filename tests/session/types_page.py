"""Writes docs/types.md from what an import does with each kind of stored value in each type.

    types_page.py --pg-config ... [--check]

The page holds nothing but what was run. tests/session/test_types_page.py writes it again and compares.
"""

import json
import pathlib
import re
import sqlite3

import psycopg

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "types.md"

# Declared types, by what SQLite makes of values that are stored in them.
DECLARED = ["INTEGER", "INTEGER PRIMARY KEY", "BIGINT", "INT", "SMALLINT", "TINYINT", "MEDIUMINT", "UNSIGNED BIG INT", "TINYINT(1)", "BOOLEAN",
            "REAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT", "NUMERIC", "NUMERIC(10,2)", "DECIMAL(5)", "MONEY", "TEXT", "CLOB", "VARCHAR(20)", "VARCHAR", "CHAR(3)",
            "NVARCHAR(40)", "DATE", "TIME", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITHOUT TIME ZONE", "JSON", "JSONB", "UUID", "BLOB", "BYTEA", ""]

TARGETS = ["smallint", "integer", "bigint", "numeric", "numeric(4,1)", "real", "double precision", "money", "boolean", "text", "varchar(3)", "char(3)", "bytea",
           "date", "time", "timetz", "timestamp", "timestamptz", "timestamptz(0)", "interval", "json", "jsonb", "uuid", "inet", "text[]", "integer[]",
           "int4range", "mood"]

# Stored values of each storage class: how the page shows them, and what they are.
SAMPLES = {
    "INTEGER": [("0", 0), ("1", 1), ("42", 42), ("-7", -7), ("100000", 100_000), ("1712345678", 1_712_345_678), ("2^53 + 1", 2**53 + 1), ("2^63 - 1", 2**63 - 1)],
    "REAL": [("1.0", 1.0), ("3.25", 3.25), ("0.1", 0.1), ("1e300", 1e300), ("Infinity", float("inf")), ("2460405.5", 2460405.5)],
    "TEXT, numbers and words": [("''", ""), ("'5'", "5"), ("' 5 '", " 5 "), ("'3.25'", "3.25"), ("'1e3'", "1e3"), ("'NaN'", "NaN"), ("'true'", "true"), ("'sad'", "sad"),
                                ("'abcdef'", "abcdef"), ("'ab   '", "ab   "), ("NUL in it", "a\0b"), ("not UTF-8", None)],
    "TEXT, dates and times": [("'2024-03-31'", "2024-03-31"), ("'2024-03-31 02:30:00'", "2024-03-31 02:30:00"), ("'2024-03-31T02:30:00Z'", "2024-03-31T02:30:00Z"),
                              ("'... 02:30:00.1234567'", "2024-03-31 02:30:00.1234567"), ("'... 02:30:00+02:00'", "2024-03-31 02:30:00+02:00"), ("'02:30'", "02:30"),
                              ("'0000-00-00'", "0000-00-00"), ("'31.03.2024'", "31.03.2024"), ("'infinity'", "infinity"), ("'1 day'", "1 day")],
    "TEXT, documents and keys": [("'{\"a\": 1}'", '{"a": 1}'), ("'{\"a\":1,\"a\":2}'", '{"a":1,"a":2}'), ("'[1, 2]'", "[1, 2]"), ("'{a,b}'", "{a,b}"), ("'[1,5)'", "[1,5)"),
                                 ("a uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), ("'10.0.0.1/8'", "10.0.0.1/8")],
    "BLOB": [("x''", b""), ("x'35'", b"5"), ("x'616263'", b"abc"), ("16 bytes", bytes(range(16)))],
}

EXACT = "="


def samples():
    """Each sample with the name of its table."""
    return [(f"v_{c}_{s}", value) for c, all in enumerate(SAMPLES.values()) for s, (_, value) in enumerate(all)]


def outcomes_of_import(connection, path):
    """By table and column: what an import made of the value, as text, and a word for it."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN")
    for name, value in samples():
        columns = ", ".join(f"c{t}" for t in range(len(TARGETS)))
        mark = "CAST(x'61ff' AS TEXT)" if value is None else "?1"
        db.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {columns})")
        db.execute(f"INSERT INTO {name} VALUES (1, {', '.join([mark] * len(TARGETS))})", () if value is None else (value,))
    db.execute("COMMIT")
    db.close()
    pathlib.Path(path).chmod(0o644)
    connection.execute("CREATE SCHEMA types")
    connection.execute("CREATE TYPE public.mood AS ENUM ('sad', 'ok')")
    types = {f"c{t}": {"type": "public.mood" if target == "mood" else target} for t, target in enumerate(TARGETS)}
    options = {"tables": {name: {"columns": types} for name, _ in samples()}}
    rows = connection.execute("SELECT table_name, detail FROM aliaport_import(%s, 'types', on_error => 'null', options => %s)",
                              (str(path), json.dumps(options))).fetchall()
    word = {(name.removeprefix("types."), w["column"]): w["code"] for name, detail in rows for w in detail.get("warnings", []) if w.get("column")}
    refused = connection.execute(
        "SELECT table_name, column_name, sqlstate FROM aliaport.rejected_row WHERE run_id = (SELECT max(run_id) FROM aliaport.run)").fetchall()
    word.update({(name, column): sqlstate for name, column, sqlstate in refused})
    found = {}
    for name, _ in samples():
        row = connection.execute(f"SELECT {', '.join(f'c{t}::text' for t in range(len(TARGETS)))} FROM types.{name}").fetchone()
        for t, value in enumerate(row):
            found[name, f"c{t}"] = (value, word.get((name, f"c{t}"), EXACT))
    return found


def outcomes_of_foreign(connection, path):
    """The same by foreign tables: the value as text, or the SQLSTATE where there is none."""
    connection.execute(f"CREATE SERVER types FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path '{path}')")
    connection.execute("CREATE SCHEMA foreign_types")
    found = {}
    for name, _ in samples():
        columns = ", ".join(f"c{t} {'public.mood' if target == 'mood' else target}" for t, target in enumerate(TARGETS))
        connection.execute(f"CREATE FOREIGN TABLE foreign_types.{name} ({columns}) SERVER types OPTIONS (table_name '{name}')")
        for t in range(len(TARGETS)):
            try:
                found[name, f"c{t}"] = connection.execute(f"SELECT c{t}::text FROM foreign_types.{name}").fetchone()[0]
            except psycopg.Error as e:
                found[name, f"c{t}"] = e.diag.sqlstate
    return found


def declared_types(connection, path):
    """What an import makes of a column that holds nothing, by its declared type."""
    db = sqlite3.connect(path)
    for i, declared in enumerate(DECLARED):
        key = "" if "PRIMARY" in declared else "id INTEGER PRIMARY KEY, "
        db.execute(f"CREATE TABLE d_{i} ({key}v {declared})")
    db.commit()
    db.close()
    pathlib.Path(path).chmod(0o644)
    connection.execute("CREATE SCHEMA declared")
    connection.execute("SELECT count(*) FROM aliaport_import(%s, 'declared')", (str(path),))
    found = []
    for i, declared in enumerate(DECLARED):
        kind = connection.execute("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'v'",
                                  (f"declared.d_{i}",)).fetchone()[0]
        found.append((declared, affinity(declared), kind))
    return found


def affinity(declared):
    """By the rules of https://sqlite.org/datatype3.html, section 3.1."""
    name = declared.upper()
    if "INT" in name:
        return "INTEGER"
    if re.search("CHAR|CLOB|TEXT", name):
        return "TEXT"
    if not name or "BLOB" in name:
        return "BLOB"
    return "REAL" if re.search("REAL|FLOA|DOUB", name) else "NUMERIC"


def table(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *("| " + " | ".join(row) + " |" for row in rows)])


def code(text):
    return "`" + text.replace("|", "\\|") + "`"


def by_type(declared):
    """Declared types with the same affinity and type."""
    found = {}
    for name, affinity, kind in declared:
        found.setdefault((affinity, kind), []).append(name)
    return found


def page(imported, declared):
    parts = ["""# What becomes of a value

This page is written by a program from what it ran, so it holds nothing that is not so; a test writes it again and compares. An import
(`aliaport_import`) and a foreign table (`aliaport_fdw`) use the same converters: the same tables hold for both. What an import counts as a
warning, a foreign table does in silence; what is an error is one for both, unless `on_error` says something else.

## Which type does a column get?

The declared type decides, and the affinity is what SQLite makes of values when they are stored: INTEGER, REAL and NUMERIC turn texts that
look like numbers into numbers, TEXT turns numbers into texts. Any other type can be named for a column with the
[option](options.md) `type`, and in `CREATE FOREIGN TABLE`.
""", table(["declared in SQLite", "affinity", "type in PostgreSQL"], [[", ".join(code(d) if d else "none" for d in same), a, code(k)] for (a, k), same in by_type(declared).items()]), """
## What becomes of each kind of value in each type?

SQLite stores any value in any column, so what counts is the storage class of each value; the declared type has done its work when the value
was stored. `=` is exact: the type can say the value, and does. A word is the code of the [warning](warnings.md) that an import counts.
Five characters with a digit in front are the SQLSTATE of the error. `mood` is an enum with the labels `sad` and `ok`; date-times without an
offset are read in the zone UTC. NULL is NULL in every type.
"""]
    for c, (storage, samples) in enumerate(SAMPLES.items()):
        header = [storage.split(",")[0], *(code(shown) if not shown[0].isalpha() or shown[0] == "x" else shown for shown, _ in samples)]
        # Types that do the same with all of these share a row.
        alike = {}
        for t, target in enumerate(TARGETS):
            alike.setdefault(tuple(imported[f"v_{c}_{s}", f"c{t}"][1] for s in range(len(samples))), []).append(code(target))
        rows = [[", ".join(targets), *outcomes] for outcomes, targets in alike.items()]
        parts += [f"\n### {storage}\n", table(header, rows)]
    return "\n".join(parts) + "\n"


def main():
    import argparse
    import sys

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))
    from cluster import Cluster

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    args = parser.parse_args()
    with Cluster(args.pg_config, {"fsync": "off"}) as cluster:
        cluster.recreate_database("types")
        with cluster.connect("types") as connection:
            connection.execute("CREATE EXTENSION aliaport_import")
            imported = outcomes_of_import(connection, cluster.files / "values.db")
            PAGE.write_text(page(imported, declared_types(connection, cluster.files / "declared.db")), encoding="utf-8")


if __name__ == "__main__":
    main()
