#!/usr/bin/env python3
"""How long does the application stand still? The steps of docs/runbook.md that need it to, on samples of any size.

    downtime.py --pg-config PATH [--rows 1000000,10000000] [--rounds N]

Rows are those of all tables together (tests/sample/make_sample.py makes about 1.92 a row of its largest table). The blocks of the
runbook's steps 3.2 to 3.5 are run as they stand, after those of 1.2 and the tables of 2.2, in a fresh cluster each round; then 1 % of
the rows change in SQLite, and 3.4 and 3.5 are run again with mode sync. Prints the table of docs/runbook.md, medians of the rounds.
The program sqlite3 is needed.
"""

import argparse
import dataclasses
import os
import pathlib
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "session")]

import page  # noqa: E402
from bench import SETTINGS  # noqa: E402
from cluster import Cluster  # noqa: E402

RUNBOOK = ROOT / "docs" / "runbook.md"
STEPS = ("3.2", "3.3", "3.4", "3.5")
ROWS_A_ROW = 1.92
CHANGE = [
    "UPDATE work_order_item SET notes = 'değişti' WHERE id % 100 = 7",
    "UPDATE work_order SET status = 'CLOSED' WHERE id % 100 = 7",
    "UPDATE audit_event SET status_code = 418 WHERE id % 100 = 7",
    "UPDATE work_order_person SET nationality = 'TUR' WHERE id % 100 = 7",
]


def of_step(step):
    """The runbook's blocks below a heading that begins with the step's number, without those for a second session."""
    found = [b for b in page.blocks(RUNBOOK) if b.heading.startswith(step + " ") and b.language in ("sql", "sh") and not b.session]
    if not found:
        raise SystemExit(f"{RUNBOOK} has no step {step}")
    return found


def with_sync(block):
    """Step 3.4 with mode sync."""
    text = block.text.replace("orphans =>", "mode => 'sync', orphans =>")
    if "aliaport_import(" in text and text == block.text:
        raise SystemExit(f"the import of {RUNBOOK} has no argument orphans any more")
    return dataclasses.replace(block, text=text)


def run(reader, blocks):
    """Seconds."""
    begin = time.monotonic()
    for block in blocks:
        printed = reader.block(block)
        if "ERROR:" in printed:
            raise SystemExit(f"{block.text}\n{printed}")
    return time.monotonic() - begin


def one_round(pg_config, sample):
    """Seconds of each step, then of the import and the comparison with mode sync."""
    with Cluster(pg_config, SETTINGS) as cluster:
        root = cluster.files
        (root / "data").mkdir()
        source = root / "data" / "aliaport.db"
        shutil.copy(sample, source)
        with page.Runner(cluster, "postgres", root) as reader:
            reader.patience = None
            run(reader, of_step("1.2"))
            run(reader, [block for block in of_step("2.2") if block.language == "sh"])
            reader.psql("", "CHECKPOINT;\n")
            seconds = [run(reader, of_step(step)) for step in STEPS]
            db = sqlite3.connect(source)
            for statement in CHANGE:
                db.execute(statement)
            db.commit()
            db.close()
            reader.psql("", "\\connect - aliaport_user\n")
            seconds += [run(reader, map(with_sync, of_step(step))) for step in STEPS[2:]]
    return seconds


def measure(pg_config, rows, rounds):
    with tempfile.TemporaryDirectory() as folder:
        sample = pathlib.Path(folder) / "aliaport.db"
        largest = max(50, round(rows / ROWS_A_ROW))
        subprocess.run([sys.executable, ROOT / "tests" / "sample" / "make_sample.py", sample, "--rows", str(largest)], check=True)
        db = sqlite3.connect(sample)
        tables = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        total = sum(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables)
        db.close()
        taken = [statistics.median(each) for each in zip(*(one_round(pg_config, sample) for _ in range(rounds)))]
        size = sample.stat().st_size / 1e6
    whole, sync = taken[: len(STEPS)], taken[len(STEPS) :]
    cells = [f"{total:,}", f"{size:,.0f} MB", *(f"{s:.1f}" for s in whole), f"**{sum(whole):.1f}**", *(f"{s:.1f}" for s in sync)]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--rows", default="1000000,10000000", help="rows of all tables together, one or several numbers")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    version = subprocess.run([args.pg_config, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{version}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, rounds: {args.rounds}; fsync on.")
    print()
    print("| rows, all tables | file | 3.2 keep the file | 3.3 look | 3.4 import | 3.5 compare, COMMIT | together | sync: 3.4 | sync: 3.5 |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    for rows in args.rows.split(","):
        measure(args.pg_config, int(rows), args.rounds)


if __name__ == "__main__":
    main()
