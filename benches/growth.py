#!/usr/bin/env python3
"""Does the import's cost grow with the rows and only with the rows? Time a row, time a table, memory.

    growth.py --pg-config PATH [--scale N] [--parts rows,tables,columns,memory]

rows: one table of 1, 4 and 16 million narrow rows. tables: 10,000 of 10 rows. columns: 200 of them. memory: how much private
memory (RssAnon) the backend gains in a table of 1 GB and in one of 50 MB blobs. --scale 0.01 makes all of it a hundredth, to try
the script. Each part runs three times, in turn; the table shows medians. Prints the tables of benches/RESULTS.md.
"""

import argparse
import os
import pathlib
import sqlite3
import statistics
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "cluster")]

from bench import SETTINGS  # noqa: E402
from cluster import Cluster  # noqa: E402
from make_bench_db import make  # noqa: E402

ROUNDS = 3


def empty(path):
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")
    return db


def many_tables(path, count):
    db = empty(path)
    for number in range(count):
        db.execute(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL, at DATETIME)")
        db.executemany(f"INSERT INTO t{number} VALUES (?, ?, '2024-05-06 07:08:09')", [(i, f"ad {i}") for i in range(10)])
    db.execute("COMMIT")


def many_columns(path, columns, rows):
    db = empty(path)
    kinds = ["INTEGER", "TEXT", "REAL", "DATETIME", "BOOLEAN"]
    values = [12345, "sipariş", 1.25, "2024-05-06 07:08:09.123456", 1]
    db.execute(f"CREATE TABLE many ({', '.join(f'c{i} {kinds[i % 5]}' for i in range(columns))})")
    row = [values[i % 5] for i in range(columns)]
    db.executemany(f"INSERT INTO many VALUES ({', '.join('?' * columns)})", (row for _ in range(rows)))
    db.execute("COMMIT")


def large_values(path, count, size):
    db = empty(path)
    db.execute("CREATE TABLE files (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    for number in range(count):
        db.execute("INSERT INTO files VALUES (?, ?)", (number, os.urandom(size)))
    db.execute("COMMIT")


def private_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    return 0


def imported(cluster, source):
    """Seconds of all and of the load alone, and the most private memory in MB that the backend gained."""
    with cluster.connect("bench") as connection:
        connection.execute("DROP SCHEMA IF EXISTS out CASCADE")
        connection.execute("CREATE SCHEMA out")
        connection.execute("CHECKPOINT")
        # The library is loaded and its caches are filled.
        connection.execute("SELECT aliaport_import_version()")
        pid = connection.info.backend_pid
        before, most, stop = private_kb(pid), [0], threading.Event()

        def watch():
            while not stop.wait(0.01):
                most[0] = max(most[0], private_kb(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.perf_counter()
        try:
            load = connection.execute(
                "SELECT sum((detail -> 'seconds' ->> 'load')::float) FROM aliaport_import(%s, 'out')", [str(source)]).fetchone()[0]
        finally:
            taken = time.perf_counter() - start
            stop.set()
            watcher.join()
        connection.execute("DROP SCHEMA out CASCADE")
    return taken, load, (most[0] - before) / 1024


def measure(cluster, cases):
    """(seconds, those of the load, memory) of each (name, make): medians and the largest."""
    paths = {}
    for name, build in cases:
        paths[name] = cluster.files / f"{len(paths)}.db"
        build(paths[name])
    taken = {name: [] for name in paths}
    for _ in range(ROUNDS):
        for name, path in paths.items():
            taken[name].append(imported(cluster, path))
    for path in paths.values():
        path.unlink()
    def of(runs):
        whole, load, memory = zip(*runs)
        return statistics.median(whole), statistics.median(load), max(memory)

    return {name: of(runs) for name, runs in taken.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--parts", default="rows,tables,columns,memory")
    args = parser.parse_args()
    parts = args.parts.split(",")

    def of(count):
        return max(1, int(count * args.scale))

    # A lock for each of 10,000 tables, its indexes and its TOAST table.
    with Cluster(args.pg_config, {**SETTINGS, "max_locks_per_transaction": "2048"}) as cluster:
        cluster.recreate_database("bench")
        with cluster.connect("bench") as connection:
            connection.execute("CREATE EXTENSION aliaport_import")
        if "rows" in parts:
            sizes = [of(n * 1_000_000) for n in (1, 4, 16)]
            found = measure(cluster, [(n, lambda path, n=n: make(path, "narrow", n)) for n in sizes])
            print("\n| rows | whole, s | load, s | load, ns a row | of the first | MB of private memory |\n|--:|--:|--:|--:|--:|--:|")
            first = found[sizes[0]][1] / sizes[0]
            for rows, (seconds, load, memory) in found.items():
                print(f"| {rows:,} | {seconds:.2f} | {load:.2f} | {load / rows * 1e9:.0f} | {load / rows / first:.2f} | {memory:.0f} |")
        if "tables" in parts:
            count = of(10_000)
            (seconds, _, memory), = measure(cluster, [("tables", lambda path: many_tables(path, count))]).values()
            print(f"\n{count:,} tables of 10 rows: {seconds:.1f} s, {seconds / count * 1000:.2f} ms a table, {memory:.0f} MB of private memory.")
        if "columns" in parts:
            rows = of(50_000)
            (seconds, load, memory), = measure(cluster, [("columns", lambda path: many_columns(path, 200, rows))]).values()
            print(f"\n{rows:,} rows of 200 columns: {seconds:.2f} s, of which the load takes {load:.2f}, {load / rows / 200 * 1e9:.0f} ns a value; "
                  f"{memory:.0f} MB of private memory.")
        if "memory" in parts:
            cases = [("a table of 1 GB", lambda path: make(path, "wide", of(3_000_000))),
                     ("40 blobs of 50 MB", lambda path: large_values(path, 40, of(50 << 20)))]
            print("\n| source | s | MB of private memory gained |\n|---|--:|--:|")
            for name, (seconds, _, memory) in measure(cluster, cases).items():
                print(f"| {name} | {seconds:.1f} | {memory:.0f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
