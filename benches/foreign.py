#!/usr/bin/env python3
"""How fast are queries over a SQLite file, beside other wrappers and beside a table of PostgreSQL's own?

    foreign.py --pg-config PATH [--rows N] [--rounds N]

Each query runs once a round over each: a foreign table of aliaport_fdw after ANALYZE, one of sqlite_fdw and one of ogr_fdw where the
server has them, and a table that aliaport_import made. Milliseconds, the best of the rounds; a result that differs from the table's
own is marked. Prints a table in Markdown.
"""

import argparse
import os
import pathlib
import platform
import sqlite3
import sys
import time

import psycopg

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "cluster")]

from cluster import Cluster  # noqa: E402
from make_bench_db import make  # noqa: E402

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h", "autovacuum": "off", "jit": "off"}
COLUMNS = ("id bigint, customer_id bigint, product_id bigint, store_id bigint, order_no varchar(50), customer varchar(50), city varchar(50), note text, "
           "status varchar(20), is_paid boolean, is_shipped boolean, is_gift boolean, created_at timestamptz, updated_at timestamptz, paid_at timestamptz, "
           "shipped_at timestamptz, due_date date, total numeric(15,2), tax numeric(15,2), meta jsonb")
# What is asked, with {w} for the large table and {k} for the one with 1000 keys; the keys are a table of PostgreSQL's.
QUERIES = {
    "all of 20 columns": "SELECT count(w) FROM (SELECT * FROM {w} OFFSET 0) w",
    "two columns": "SELECT count(customer_id), count(total) FROM (SELECT customer_id, total FROM {w} OFFSET 0) w",
    "count(*)": "SELECT count(*) FROM {w}",
    "count(*) where status = ...": "SELECT count(*) FROM {w} WHERE status = 'paid'",
    "group by status, sum": "SELECT status, count(*), sum(customer_id) FROM {w} GROUP BY status",
    "a key": "SELECT * FROM {w} WHERE id = 4711",
    "1,000 keys by join": "SELECT count(w.note) FROM keys k JOIN {w} w ON w.id = k.id",
    "order by created_at limit 50": "SELECT id, created_at FROM {w} ORDER BY created_at LIMIT 50",
    "order by total limit 50": "SELECT id FROM {w} ORDER BY total, id LIMIT 50",
    "one day of created_at": "SELECT count(note) FROM {w} WHERE created_at >= '2019-02-01' AND created_at < '2019-02-02'",
    "note like '%...%'": "SELECT count(*) FROM {w} WHERE note LIKE '%çiçek%'",
    "order_no like 'SIP-2020-0000%'": "SELECT count(note) FROM {w} WHERE order_no LIKE 'SIP-2020-0000%'",
    "min, max of created_at": "SELECT min(created_at), max(created_at) FROM {w}",
}
LOOKUPS = 2000
# One prepared lookup after the other, within one plan.
PREPARED = """DO $$ DECLARE found text; BEGIN
    FOR i IN 1..{n} LOOP SELECT w.order_no INTO found FROM {w} w WHERE w.id = i * 7; END LOOP; END $$"""


def foreign_tables(connection, cluster, path):
    """The schemas that were made, each with a table `wide`."""
    made = ["ours"]
    connection.execute(f"CREATE SERVER ours FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path '{path}')")
    connection.execute("CREATE SCHEMA ours")
    connection.execute(f"CREATE FOREIGN TABLE ours.wide ({COLUMNS}) SERVER ours")
    connection.execute("ANALYZE ours.wide")
    if cluster.has_extension("sqlite_fdw"):
        connection.execute("CREATE EXTENSION sqlite_fdw")
        connection.execute(f"CREATE SERVER lite FOREIGN DATA WRAPPER sqlite_fdw OPTIONS (database '{path}')")
        connection.execute("CREATE SCHEMA sqlite_fdw")
        connection.execute(f"CREATE FOREIGN TABLE sqlite_fdw.wide ({COLUMNS.replace('jsonb', 'json').replace('id bigint,', 'id bigint OPTIONS (key $$true$$),', 1)}) "
                           "SERVER lite OPTIONS (table 'wide')".replace("$$", "'"))
        made.append("sqlite_fdw")
    if cluster.has_extension("ogr_fdw"):
        connection.execute("CREATE EXTENSION ogr_fdw")
        connection.execute(f"CREATE SERVER ogr FOREIGN DATA WRAPPER ogr_fdw OPTIONS (datasource '{path}', format 'SQLite')")
        connection.execute("CREATE SCHEMA ogr_fdw")
        connection.execute("IMPORT FOREIGN SCHEMA ogr_all LIMIT TO (wide) FROM SERVER ogr INTO ogr_fdw")
        made.append("ogr_fdw")
    return made


def timed(connection, sql):
    start = time.perf_counter()
    rows = connection.execute(sql)
    rows = rows.fetchall() if rows.description else None
    return (time.perf_counter() - start) * 1000, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with Cluster(args.pg_config, SETTINGS) as cluster:
        cluster.recreate_database("bench")
        connection = cluster.connect("bench")
        connection.execute("CREATE EXTENSION aliaport_import")
        path = cluster.files / "indexed.db"
        make(path, "indexed", args.rows)
        path.chmod(0o644)
        connection.execute("CREATE SCHEMA imported")
        connection.execute("SELECT aliaport_import(%s, 'imported')", [str(path)])
        connection.execute(f"CREATE TABLE keys AS SELECT i * 97 % {args.rows} + 1 AS id FROM generate_series(1, 1000) i")
        connection.execute("ANALYZE keys")
        schemas = [*foreign_tables(connection, cluster, path), "imported"]
        db = sqlite3.connect(path)

        def ctas(schema):
            def run():
                with connection.transaction(force_rollback=True):
                    return timed(connection, f"CREATE TABLE copied AS SELECT * FROM {schema}.wide")
            return run

        every = {name: {schema: (lambda sql=sql.format(w=f"{schema}.wide"): timed(connection, sql)) for schema in schemas} for name, sql in QUERIES.items()}
        every["a key, prepared, in us"] = {
            schema: (lambda sql=PREPARED.format(n=LOOKUPS, w=f"{schema}.wide"): (timed(connection, sql)[0] * 1000 / LOOKUPS, None)) for schema in schemas}
        every["CREATE TABLE AS"] = {schema: ctas(schema) for schema in schemas}
        started = time.perf_counter()
        db.execute("SELECT * FROM wide").fetchall()
        print(f"aliaport_import, PostgreSQL {connection.execute('SHOW server_version').fetchone()[0]}, {platform.machine()}, {os.cpu_count()} cores, load "
              f"{os.getloadavg()[0]:.1f}; {args.rows:,} rows of 20 columns; Python's sqlite3 reads them in {(time.perf_counter() - started) * 1000:.0f} ms.\n")
        print(f"| ms | {' | '.join('aliaport_fdw' if s == 'ours' else 'table' if s == 'imported' else s for s in schemas)} |\n|---|{'--:|' * len(schemas)}")
        for name, ways in every.items():
            best, answers = {}, {}
            for _ in range(args.rounds):
                for schema, run in ways.items():
                    try:
                        took, answers[schema] = run()
                        best[schema] = min(took, best.get(schema, took))
                    except psycopg.Error as e:
                        best[schema] = e.diag.sqlstate
            cells = []
            for schema in schemas:
                cell = best[schema] if isinstance(best[schema], str) else f"{best[schema]:.{1 if best[schema] < 100 else 0}f}"
                same = schema not in answers or sorted(map(str, answers[schema] or [])) == sorted(map(str, answers.get("imported") or []))
                cells.append(cell if same else f"{cell} (other result)")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
