#!/usr/bin/env python3
"""Copies every table of a SQLite file into PostgreSQL with DuckDB's two scanners.

    duckdb_copy.py FILE CONNINFO

A table that fails is named on standard error and left out; then the exit status is 1.
"""

import sqlite3
import sys


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def copy(path, conninfo):
    import duckdb
    import duckdb_extensions

    for extension in ("sqlite_scanner", "postgres_scanner"):
        duckdb_extensions.import_extension(extension)
    db = duckdb.connect()
    db.execute("LOAD sqlite_scanner")
    db.execute("LOAD postgres_scanner")
    db.execute(f"ATTACH '{path}' AS source (TYPE sqlite, READ_ONLY)")
    db.execute(f"ATTACH '{conninfo}' AS target (TYPE postgres)")
    names = sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'").fetchall()
    failed = 0
    for (name,) in names:
        try:
            db.execute(f"CREATE TABLE target.public.{quoted(name)} AS SELECT * FROM source.main.{quoted(name)}")
        except duckdb.Error as error:
            failed = 1
            print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(copy(*sys.argv[1:]))
