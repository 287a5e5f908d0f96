#!/usr/bin/env python3
"""Imports the torture databases with this extension and with its peers, and prints what became of every value and constraint.

    compare.py --pg-config PATH [--rows N] [--only NAME,...] [--tools NAME;...]

Each import has a fresh database in one private cluster; for `datetimes` and `epochs` its TimeZone is Europe/Istanbul, as a DBA may
have set it.
Prints the tables of docs/comparison.md.
"""

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cluster")]

import oracle  # noqa: E402
import tools  # noqa: E402
import torture  # noqa: E402
from cluster import Cluster  # noqa: E402

ZONE = "Europe/Istanbul"


def run(cluster, name, path, tool):
    """What the tool said of the database at `path`, and the oracle's verdict."""
    cluster.psql("CREATE DATABASE compare TEMPLATE template0")
    if name in ("datetimes", "epochs"):
        cluster.psql(f"ALTER DATABASE compare SET TimeZone = '{ZONE}'")
    try:
        said = tool(cluster, "compare", path)
    except subprocess.TimeoutExpired:
        said = oracle.Said(exit=124)
    with cluster.connect("compare") as connection:
        verdict = oracle.judge(path, name, connection, said)
    cluster.psql("DROP DATABASE compare WITH (FORCE)")
    return said, verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--rows", type=int, default=200_000, help="of the database with many rows")
    parser.add_argument("--only", help="names of databases, separated by commas")
    parser.add_argument("--tools", help="names of tools, separated by semicolons")
    parser.add_argument("--messages", action="store_true", help="print what each tool said")
    args = parser.parse_args()

    with Cluster(args.pg_config, {"fsync": "off"}) as cluster:
        chosen, absent = tools.available(cluster)
        if args.tools:
            chosen = {name: tool for name, tool in chosen.items() if name in args.tools.split(";")}
        databases = torture.make(cluster.files, args.rows, args.only and args.only.split(","))
        print(f"{tools.versions(cluster, chosen)}, PostgreSQL {cluster.psql('SHOW server_version')}.", *absent, sep="\n")
        print("\n| database | tool | exit status | rows | values: equal | announced | silent | constraints: kept | announced | silent |")
        print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
        silent, totals = {}, {}
        for name, path in databases.items():
            for label, tool in chosen.items():
                said, v = run(cluster, name, path, tool)
                if args.messages:
                    print("\n".join(said.messages))
                numbers = [v.target_rows, v.source_rows, v.equal, v.announced, v.silent, v.kept, v.lost_announced, v.lost_silent, bool(said.exit)]
                totals[label] = [a + b for a, b in zip(totals.get(label, [0] * len(numbers)), numbers)]
                print(row(name, label, said.exit, numbers), flush=True)
                lines = silent.setdefault(label, [])
                lines += [f"{name}: {d}" for d in v.differences]
                if label not in tools.WITHOUT_CONSTRAINTS:
                    lines += [f"{name}: {kind} not kept: {', '.join(places)}" for kind, places in v.gone.items()]
        for label, numbers in totals.items():
            print(row("**all**", label, f"{numbers[-1]} of {len(databases)} not 0", numbers))
        for label, lines in silent.items():
            print(f"\n### {label}\n")
            for line in lines or ["none"]:
                print(f"- {line.replace('<', '&lt;')}")


def row(name, label, status, numbers):
    got, source, equal, announced, silent, kept, lost_announced, lost_silent = numbers[:8]

    def bad(number):
        return f"**{number:,}**" if number else "0"

    if label in tools.WITHOUT_CONSTRAINTS:
        constraints = "none made | | |"
    else:
        constraints = f"{kept} of {kept + lost_announced + lost_silent} | {lost_announced} | {bad(lost_silent)} |"
    return f"| {name} | {label} | {status} | {got:,} of {source:,} | {equal:,} | {announced:,} | {bad(silent)} | {constraints}"


if __name__ == "__main__":
    main()
