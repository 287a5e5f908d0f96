#!/usr/bin/env python3
"""What does mode sync cost beside mode replace, when a small part of the source has changed?

    sync.py --pg-config PATH [--rows N] [--percent P] [--rounds N]

A table of 20 columns with a key and three indexes is imported; then P percent of its rows change in SQLite (updated, and a
tenth of that deleted and as many inserted), spread over the whole table, and each way brings the target up to date. Seconds
and bytes of WAL (pg_current_wal_insert_lsn) of the same round are compared. `sync, nothing changed` runs once more after sync, with
options.force; the ways with status unchanged run once more without it.
WAL is measured twice: long after a checkpoint, and right after one, when the first change of each page logs the whole page.
Every way starts from a table that is vacuumed and whose pages are in the cache. Prints the lines of benches/RESULTS.md.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import sqlite3
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "cluster")]

from bench import SETTINGS  # noqa: E402
from cluster import Cluster  # noqa: E402
from make_bench_db import make  # noqa: E402

WAYS = {
    "sync": ("sync", "delete"),
    "sync, nothing changed": ("sync", "delete"),
    "sync, status unchanged": ("sync", "delete"),
    "replace (DELETE)": ("replace", "delete"),
    "replace, status unchanged": ("replace", "delete"),
    "replace (replace_method = truncate)": ("replace", "truncate"),
}
# These follow the way before them, in the same table.
AGAIN = {"sync, nothing changed": {"force": True}, "sync, status unchanged": {}, "replace, status unchanged": {}}


def change(path, rows, percent):
    """Changes a part of the rows, spread evenly."""
    db = sqlite3.connect(path, isolation_level=None)
    step = int(100 / percent)
    db.execute("BEGIN")
    db.execute("UPDATE wide SET total = total + 1, status = 'returned', updated_at = '2026-01-01 00:00:00' WHERE id % ? = 0", (step,))
    db.execute("CREATE TEMP TABLE gone AS SELECT * FROM wide WHERE id % ? = 1", (step * 10,))
    db.execute("DELETE FROM wide WHERE id IN (SELECT id FROM gone)")
    db.execute("UPDATE gone SET id = id + ?, order_no = order_no || '-2'", (rows * 2,))
    db.execute("INSERT INTO wide SELECT * FROM gone")
    db.execute("COMMIT")
    db.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--percent", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()

    with Cluster(args.pg_config, SETTINGS) as cluster:
        cluster.recreate_database("bench")
        connection = cluster.connect("bench")
        connection.execute("CREATE EXTENSION aliaport_import")
        old, new = cluster.files / "old.db", cluster.files / "new.db"
        make(old, "indexed", args.rows)
        shutil.copy(old, new)
        change(new, args.rows, args.percent)
        seconds, wal = {w: [] for w in WAYS}, {w: ([], []) for w in WAYS}
        counts = {}
        for number in range(args.rounds * 2):
            is_after_checkpoint = number % 2
            for way, (mode, method) in WAYS.items():
                if way not in AGAIN:
                    connection.execute("DROP TABLE IF EXISTS wide")
                    connection.execute("SELECT aliaport_import(%s)", [str(old)])
                    connection.execute("VACUUM ANALYZE wide")
                connection.execute("CHECKPOINT" if is_after_checkpoint else "SELECT 1")
                connection.execute(f"SET aliaport_import.replace_method = {method}")
                before, start = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0], time.perf_counter()
                found = connection.execute("SELECT content_match, target_rows, detail FROM aliaport_import(%s, mode => %s, options => %s)",
                                           [str(new), mode, json.dumps(AGAIN.get(way, {}))]).fetchone()
                taken = time.perf_counter() - start
                assert found[0] and found[1] == args.rows and ("unchanged_since" in found[2]) == ("status" in way), found
                counts[way] = {k: found[2].get(k) for k in ("inserted", "updated", "deleted", "unchanged")}
                written = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)::bigint", [before]).fetchone()[0]
                seconds[way].append(taken)
                wal[way][is_after_checkpoint].append(written)
        version = connection.execute("SELECT aliaport_import_version(), current_setting('server_version')").fetchone()

    print(f"aliaport_import {version[0]}, PostgreSQL {version[1]}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end; "
          f"{args.rounds} rounds of each kind; fsync on. {args.rows:,} rows, {counts['sync']}.\n")
    print("| way | median s | of replace's time | WAL MB | of replace's WAL | WAL MB after a checkpoint | of replace's |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    base = "replace (DELETE)"
    for way in WAYS:
        ratio = statistics.median(s / b for s, b in zip(seconds[way], seconds[base]))
        cells = [f"{statistics.median(seconds[way]):.2f}", f"{ratio:.2f}"]
        for kind in (0, 1):
            cells += [f"{statistics.median(wal[way][kind]) / 1e6:.1f}",
                      f"{statistics.median(w / b for w, b in zip(wal[way][kind], wal[base][kind])):.3f}"]
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
