#!/usr/bin/env python3
"""How fast is aliaport_import, beside PostgreSQL's own ways to fill a table with the same rows?

    bench.py --pg-config PATH [--rows N] [--rounds N] [--shapes wide,narrow,indexed,blobs] [--wal-level minimal] [--peers]

Every way runs once a round, in a shuffled order, so that a busy moment of the machine hits all of them alike. A ratio is their time
by ours in the same round: above 1 the import is faster. COPY reads files that PostgreSQL wrote from the imported table, so its
input is converted already: the import starts from SQLite. Every way makes its table in the transaction that fills it. "load" is
the table's rows (for the import: with reading every value back where verify is content, by its own clock in detail), "whole" is
everything until COMMIT: plan, keys, indexes, ANALYZE. --peers adds whole imports by other tools (peers.py). Prints the tables of
benches/RESULTS.md.
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

import peers  # noqa: E402
from cluster import Cluster  # noqa: E402
from make_bench_db import make  # noqa: E402

# Rows of a shape for --rows N of the wide one, so that each takes about as long.
SHAPES = {"wide": 1, "narrow": 5, "indexed": 1, "blobs": 0.02}
WORK = {"wide": "20 columns", "narrow": "5 columns", "indexed": "20 columns, a key and three indexes", "blobs": "20 kB each"}
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h", "autovacuum": "off",
            "maintenance_work_mem": "256MB"}


def ways(connection, cluster, shape, source, table, phases):
    """(name, function): each function fills a table in schema `out`, commits, and gives the seconds of the load alone."""
    made = f"CREATE TABLE out.{table} (LIKE ref.{table})"
    finish = []
    if shape == "indexed":
        finish = [f"ALTER TABLE out.{table} ADD PRIMARY KEY (id)", f"CREATE UNIQUE INDEX ON out.{table} (order_no)",
                  f"CREATE INDEX ON out.{table} (customer_id)", f"CREATE INDEX ON out.{table} (created_at)"]

    def statements(*sql):
        def run():
            with connection.transaction():
                start = time.perf_counter()
                for one in sql:
                    connection.execute(one)
                load = time.perf_counter() - start
                for one in [*finish, f"ANALYZE out.{table}"]:
                    connection.execute(one)
            return load
        return run

    def imported(verify, setting="tuple_images = on"):
        def run():
            with connection.transaction():
                connection.execute(f"SET LOCAL aliaport_import.{setting}")
                found = connection.execute(
                    "SELECT detail->'seconds' FROM aliaport_import(%s, 'out', options => jsonb_build_object('verify', %s::text))",
                    [str(source), verify]).fetchone()[0]
            if (verify, setting) == ("content", "tuple_images = on"):
                for step, seconds in found.items():
                    phases.setdefault(step, []).append(seconds)
            return found["load"]
        return run

    folder = cluster.files / "copy"
    return {
        "aliaport_import": imported("content"),
        "aliaport_import, verify: none": imported("none"),
        "aliaport_import, converters = 2": imported("content", "converters = 2"),
        "aliaport_import, read_pages = off": imported("content", "read_pages = off"),
        "aliaport_import, tuple_images = off": imported("content", "tuple_images = off"),
        "CREATE TABLE AS, from a PostgreSQL table": statements(f"CREATE TABLE out.{table} AS TABLE ref.{table}"),
        "COPY BINARY FROM file": statements(made, f"COPY out.{table} FROM '{folder}/{table}.bin' (FORMAT binary)"),
        "COPY FROM file, text": statements(made, f"COPY out.{table} FROM '{folder}/{table}.txt'"),
    }


def measure(cluster, connection, shape, rows, rounds, with_peers):
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

    phases = {}
    every = ways(connection, cluster, shape, source, table, phases)
    taken = {name: [] for name in every}
    order, shuffle = list(every), random.Random(1)
    for round_ in range(rounds + 1):
        shuffle.shuffle(order)
        for name in order:
            connection.execute("DROP SCHEMA IF EXISTS out CASCADE")
            connection.execute("CREATE SCHEMA out")
            connection.execute("CHECKPOINT")
            before = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]
            start = time.perf_counter()
            load = every[name]()
            whole = time.perf_counter() - start
            wal = float(connection.execute("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", [before]).fetchone()[0])
            # The first round warms up the file cache and the library.
            if round_:
                taken[name].append((load, whole, wal))
            count = connection.execute(f"SELECT count(*) FROM out.{table}").fetchone()[0]
            assert count == rows, (name, count)

    print(f"\n### {shape}: {rows:,} rows, {WORK[shape]}, {size / 1e6:.0f} MB in PostgreSQL\n")
    print("| way | load, best s | load, median s | theirs / ours | whole, median s | theirs / ours | MB of WAL |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    ours = taken["aliaport_import"]

    def ratio(name, what):
        ratios = sorted(theirs[what] / our[what] for theirs, our in zip(taken[name], ours))
        return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"

    for name, times in sorted(taken.items(), key=lambda item: statistics.median(t[0] for t in item[1])):
        load, whole, wal = (statistics.median(one) for one in zip(*times))
        print(f"| {name} | {min(t[0] for t in times):.2f} | {load:.2f} | {ratio(name, 0)} | {whole:.2f} | {ratio(name, 1)} | {wal / 1e6:.0f} |")
    steps = ", ".join(f"{step} {statistics.median(seconds):.2f}" for step, seconds in phases.items())
    print(f"\nThe import's own clock, medians of `aliaport_import`, in seconds: {steps}.")
    sys.stdout.flush()
    if with_peers:
        peers.measure(cluster, connection, shape, source, table, rows, rounds)
    source.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", default="wide,narrow,indexed,blobs")
    parser.add_argument("--wal-level", default="replica", choices=["minimal", "replica"])
    parser.add_argument("--peers", action="store_true", help="other tools as well, those that are installed")
    args = parser.parse_args()

    settings = {**SETTINGS, "wal_level": args.wal_level, **({"max_wal_senders": "0"} if args.wal_level == "minimal" else {})}
    with Cluster(args.pg_config, settings) as cluster:
        cluster.recreate_database("bench")
        connection = cluster.connect("bench")
        connection.execute("CREATE EXTENSION aliaport_import")
        version = connection.execute("SELECT aliaport_import_version(), current_setting('server_version')").fetchone()
        print(f"aliaport_import {version[0]}, PostgreSQL {version[1]}, {platform.machine()}, {os.cpu_count()} cores, "
              f"load {os.getloadavg()[0]:.1f} at the start; {args.rounds} rounds; the source in the page cache; fsync on; wal_level {args.wal_level}.")
        for shape in args.shapes.split(","):
            measure(cluster, connection, shape, int(args.rows * SHAPES[shape]), args.rounds, args.peers)


if __name__ == "__main__":
    main()
