#!/usr/bin/env python3
"""Runs PostgreSQL's own pg_regress over tests/pg_regress/sql, on a private cluster with the extension's release build.

    run.py --pg-config PATH --output FOLDER [--keep-results] [TEST ...]

`setup` runs first, then the others by name; each compares with expected/. --keep-results copies what came out over what was
expected, to be read and committed. The tests find their sources by the setting aliaport_test.fixtures.

A test whose first line is `-- needs extension NAME` is left out, loudly, where the server does not have that extension.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "cluster"), str(HERE.parent / "fixtures")]

import build  # noqa: E402
from cluster import PORT, Cluster  # noqa: E402


def lacks_extension(test, cluster):
    """Whether the server has not the extension that a test needs; says so."""
    first = (HERE / "sql" / f"{test}.sql").read_text(encoding="utf-8").partition("\n")[0]
    name = first.removeprefix("-- needs extension ")
    if name == first or cluster.has_extension(name):
        return False
    print(f"!!!\n!!! NOT RUN: {test}, because this PostgreSQL has no extension {name}\n!!!")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("--keep-results", action="store_true")
    parser.add_argument("tests", nargs="*")
    args = parser.parse_args()

    every = sorted(f.stem for f in (HERE / "sql").glob("*.sql") if f.stem != "setup")
    tests = ["setup", *(args.tests or every)]
    output = args.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    if args.keep_results:
        for test in tests:
            # pg_regress stops at the first test that expects nothing.
            (HERE / "expected" / f"{test}.out").touch()
    # Two messages of one statement must come in one order, and no statistics job may take a lock under a test.
    with Cluster(args.pg_config, {"fsync": "off", "autovacuum": "off", "max_parallel_maintenance_workers": "0"}) as cluster:
        build.build(cluster.files)
        tests = [test for test in tests if not lacks_extension(test, cluster)]
        pg_regress = pathlib.Path(cluster.ask_pg_config("--pgxs")).parents[1] / "test" / "regress" / "pg_regress"
        command = [pg_regress, f"--inputdir={HERE}", f"--outputdir={output}", f"--bindir={cluster.bindir}",
                   f"--host={cluster.directory}", f"--port={PORT}", "--user=postgres", "--dbname=regression",
                   "--encoding=UTF8", "--no-locale", *tests]
        # An import's notices have figures that differ from run to run.
        options = f"-c aliaport_test.fixtures={cluster.files} -c client_min_messages=warning"
        environment = cluster.client_environment() | {"PGOPTIONS": options}
        done = subprocess.run(list(map(str, command)), cwd=output, env=environment)
        for test in tests:
            result = output / "results" / f"{test}.out"
            if args.keep_results and result.exists():
                shutil.copy(result, HERE / "expected" / f"{test}.out")
    differences = output / "regression.diffs"
    if done.returncode and differences.exists():
        sys.stdout.write(differences.read_text(encoding="utf-8", errors="replace"))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
