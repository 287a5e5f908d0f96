#!/usr/bin/env python3
"""Copies every table of a SQLite file into PostgreSQL with DuckDB's two scanners.

    duckdb_copy.py FILE CONNINFO [existing]

With "existing" the tables are there, and rows take on their types. A table that fails is named on standard error and left out; then the exit status is 1.
"""

import sqlite3
import sys


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def copy(path, conninfo, what=None):
    import duckdb
    import duckdb_extensions

    for extension in ("sqlite_scanner", "postgres_scanner"):
        duckdb_extensions.import_extension(extension)
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    db.execute("LOAD sqlite_scanner")
    db.execute("LOAD postgres_scanner")
    db.execute(f"ATTACH '{path}' AS source (TYPE sqlite, READ_ONLY)")
    db.execute(f"ATTACH '{conninfo}' AS target (TYPE postgres)")
    names = sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'").fetchall()
    failed = 0
    for (name,) in names:
        try:
            table, rows = f"target.public.{quoted(name)}", f"SELECT * FROM source.main.{quoted(name)}"
            db.execute(f"INSERT INTO {table} {rows}" if what == "existing" else f"CREATE TABLE {table} AS {rows}")
        except duckdb.Error as error:
            failed = 1
            print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(copy(*sys.argv[1:]))
