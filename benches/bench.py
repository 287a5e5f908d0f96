#!/usr/bin/env python3
"""How fast is aliaport_import, beside PostgreSQL's own ways to fill a table with the same rows?

    bench.py --pg-config PATH [--rows N] [--rounds N] [--shapes wide,narrow,indexed,blobs]

Every way runs once a round, in a shuffled order, so that a busy moment of the machine hits all of them alike; ratios are of
the same round. COPY reads files that PostgreSQL wrote from the imported table, so its input is converted already: the import
starts from SQLite. Every way makes its table in the transaction that fills it. Prints the tables of benches/RESULTS.md.
"""

import argparse
import os
import pathlib
import platform
import random
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "cluster")]

from cluster import Cluster  # noqa: E402
from make_bench_db import make  # noqa: E402

# Rows of a shape for --rows N of the wide one, so that each takes about as long.
SHAPES = {"wide": 1, "narrow": 5, "indexed": 1, "blobs": 0.02}
WORK = {"wide": "20 columns", "narrow": "5 columns", "indexed": "20 columns, a key and three indexes", "blobs": "20 kB each"}
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h", "autovacuum": "off",
            "maintenance_work_mem": "256MB"}


def ways(connection, cluster, shape, source, table):
    """(name, function): each function fills a table in schema `out` and commits."""
    made = f"CREATE TABLE out.{table} (LIKE ref.{table})"
    finish = []
    if shape == "indexed":
        finish = [f"ALTER TABLE out.{table} ADD PRIMARY KEY (id)", f"CREATE UNIQUE INDEX ON out.{table} (order_no)",
                  f"CREATE INDEX ON out.{table} (customer_id)", f"CREATE INDEX ON out.{table} (created_at)"]

    def statements(*sql):
        def run():
            with connection.transaction():
                for one in [*sql, *finish, f"ANALYZE out.{table}"]:
                    connection.execute(one)
        return run

    def imported(verify):
        def run():
            connection.execute("SELECT aliaport_import(%s, 'out', options => jsonb_build_object('verify', %s::text))", [str(source), verify])
        return run

    folder = cluster.files / "copy"
    return {
        "aliaport_import": imported("content"),
        "aliaport_import, verify: none": imported("none"),
        "CREATE TABLE AS, from a PostgreSQL table": statements(f"CREATE TABLE out.{table} AS TABLE ref.{table}"),
        "COPY BINARY FROM file": statements(made, f"COPY out.{table} FROM '{folder}/{table}.bin' (FORMAT binary)"),
        "COPY FROM file, text": statements(made, f"COPY out.{table} FROM '{folder}/{table}.txt'"),
    }


def measure(cluster, connection, shape, rows, rounds):
    connection.execute("DROP SCHEMA IF EXISTS ref, out CASCADE")
    connection.execute("CREATE SCHEMA ref")
    source = cluster.files / f"{shape}.db"
    table = make(source, shape, rows)
    connection.execute("SELECT aliaport_import(%s, 'ref')", [str(source)])
    folder = cluster.files / "copy"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    connection.execute(f"COPY ref.{table} TO '{folder}/{table}.bin' (FORMAT binary)")
    connection.execute(f"COPY ref.{table} TO '{folder}/{table}.txt'")
    size = connection.execute(f"SELECT pg_table_size('ref.{table}')").fetchone()[0]

    every = ways(connection, cluster, shape, source, table)
    seconds = {name: [] for name in every}
    order, shuffle = list(every), random.Random(1)
    for round_ in range(rounds + 1):
        shuffle.shuffle(order)
        for name in order:
            connection.execute("DROP SCHEMA IF EXISTS out CASCADE")
            connection.execute("CREATE SCHEMA out")
            connection.execute("CHECKPOINT")
            start = time.perf_counter()
            every[name]()
            # The first round warms up the file cache and the library.
            if round_:
                seconds[name].append(time.perf_counter() - start)
            count = connection.execute(f"SELECT count(*) FROM out.{table}").fetchone()[0]
            assert count == rows, (name, count)
    source.unlink()

    print(f"\n### {shape}: {rows:,} rows, {WORK[shape]}, {size / 1e6:.0f} MB in PostgreSQL\n")
    print("| way | best s | median s | thousand rows/s | of aliaport_import's time, median and range |")
    print("|---|--:|--:|--:|--:|")
    ours = seconds["aliaport_import"]
    for name, taken in sorted(seconds.items(), key=lambda item: statistics.median(item[1])):
        ratios = sorted(t / o for t, o in zip(taken, ours))
        median = statistics.median(taken)
        print(f"| {name} | {min(taken):.2f} | {median:.2f} | {rows / median / 1000:.0f} | "
              f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", default="wide,narrow,indexed,blobs")
    args = parser.parse_args()

    with Cluster(args.pg_config, SETTINGS) as cluster:
        cluster.recreate_database("bench")
        connection = cluster.connect("bench")
        connection.execute("CREATE EXTENSION aliaport_import")
        version = connection.execute("SELECT aliaport_import_version(), current_setting('server_version')").fetchone()
        print(f"aliaport_import {version[0]}, PostgreSQL {version[1]}, {platform.machine()}, {os.cpu_count()} cores, "
              f"load {os.getloadavg()[0]:.1f} at the start; {args.rounds} rounds; the source in the page cache; fsync on.")
        for shape in args.shapes.split(","):
            measure(cluster, connection, shape, int(args.rows * SHAPES[shape]), args.rounds)


if __name__ == "__main__":
    main()
