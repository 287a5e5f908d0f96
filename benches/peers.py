"""How long do other tools take to bring the same SQLite file into PostgreSQL, whole: rows, keys, indexes, ANALYZE?

Each import has a database of its own, made before the clock starts. Tools that make no keys and indexes have them made after
the load, on the clock; their column types stay what the tool chose. A tool that is not installed is named and left out.
"""

import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "compare"))

import tools  # noqa: E402

# What the source's keys and indexes are in SQL; empty where it has none.
FINISH = {"indexed": ["ALTER TABLE {} ADD PRIMARY KEY (id)", "CREATE UNIQUE INDEX ON {} (order_no)", "CREATE INDEX ON {} (customer_id)",
                      "CREATE INDEX ON {} (created_at)"]}


def pgloader(cluster, dbname, path):
    """With its 100,000 rows ahead it runs out of its heap of 1 GB on a million wide rows."""
    return tools.pgloader(cluster, dbname, path, "--with", "prefetch rows = 10000")


def columns_of(definitions):
    return ", ".join(f"{name} {type_}{' NOT NULL' if required else ''}" for name, type_, required in definitions)


def table_of(path):
    return path.stem if path.stem in ("narrow", "blobs") else "wide"


def duckdb_with_types(definitions):
    """Into a table with the types that aliaport_import gives it: what DuckDB makes of a SQLite file by itself are texts and numbers."""

    def run(cluster, dbname, path):
        cluster.psql(f"CREATE TABLE {table_of(path)} ({columns_of(definitions)})", dbname)
        return tools.duckdb(cluster, dbname, path, "existing")

    return run


def csv_through_psql(definitions):
    """sqlite3 writes CSV, psql copies it into a table of texts, INSERT casts them."""

    def run(cluster, dbname, path):
        table = table_of(path)
        names = [name for name, *_ in definitions]
        # CSV holds no bytes.
        picked = ", ".join(f"'\\x' || hex({name}) AS {name}" if type_ == "bytea" else name for name, type_, _ in definitions)
        cluster.psql(f"CREATE TABLE {table} ({columns_of(definitions)}); CREATE UNLOGGED TABLE staging ({', '.join(f'{n} text' for n in names)})", dbname)
        reader = subprocess.Popen(["sqlite3", "-readonly", "-csv", str(path), f"SELECT {picked} FROM {table}"], stdout=subprocess.PIPE)
        cluster.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", dbname, "-c", "COPY staging FROM STDIN (FORMAT csv)", stdin=reader.stdout)
        if reader.wait():
            raise subprocess.CalledProcessError(reader.returncode, "sqlite3")
        casts = ", ".join(f"{name}::{type_}" for name, type_, _ in definitions)
        cluster.psql(f"INSERT INTO {table} SELECT {casts} FROM staging; DROP TABLE staging", dbname)

    return run


def measure(cluster, connection, shape, source, table, rows, rounds):
    """Prints a table for one source; schema `ref` of the connection's database has the table as aliaport_import makes it."""
    definitions = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        [f"ref.{table}"]).fetchall()
    chosen, absent = tools.available(cluster)
    chosen.pop(tools.LENIENT, None)
    if "pgloader" in chosen:
        chosen["pgloader"] = pgloader
    if "DuckDB" in chosen:
        chosen["DuckDB, the same types"] = duckdb_with_types(definitions)
    if shutil.which("sqlite3"):
        chosen["CSV through psql, casts"] = csv_through_psql(definitions)
    else:
        absent.append("CSV is left out: sqlite3 is not installed: apt-get install sqlite3")

    seconds, failed = {name: [] for name in chosen}, {}
    order, shuffle = list(chosen), random.Random(2)
    # The first round warms up the file cache.
    for round_ in range(rounds + 1):
        shuffle.shuffle(order)
        for name in order:
            if name in failed:
                continue
            cluster.psql("CREATE DATABASE peer TEMPLATE template0")
            cluster.psql("CHECKPOINT")
            start = time.perf_counter()
            why = one(cluster, name, chosen[name], shape, source, table, rows)
            if round_:
                seconds[name].append(time.perf_counter() - start)
            if why:
                failed[name] = why
            cluster.psql("DROP DATABASE peer WITH (FORCE)")

    print(f"\n#### {shape}: whole import beside other tools\n")
    print("| tool | best s | median s | of aliaport_import's time, median and range |")
    print("|---|--:|--:|--:|")
    ours = seconds["aliaport_import"]
    for name, why in failed.items():
        del seconds[name]
        absent.append(f"{name} failed: {why}")
    for name, taken in sorted(seconds.items(), key=lambda item: statistics.median(item[1])):
        ratios = sorted(t / o for t, o in zip(taken, ours))
        print(f"| {name} | {min(taken):.2f} | {statistics.median(taken):.2f} | "
              f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")
    for sentence in absent:
        print(f"\n{sentence}.")
    sys.stdout.flush()


def one(cluster, name, tool, shape, source, table, rows):
    """Runs one import; why it does not count, or None."""
    try:
        said = tool(cluster, "peer", source)
        if said and said.exit:
            return " ".join(" ".join(said.messages).split())[:300] or f"exit status {said.exit}"
        finish = [] if name in ("aliaport_import", "pgloader") else FINISH.get(shape, [])
        # aliaport_import has done its own ANALYZE.
        finish = [*finish, *([] if name == "aliaport_import" else ["ANALYZE {}"])]
        for statement in finish:
            cluster.psql(statement.format(table), "peer")
        got = int(cluster.psql(f"SELECT count(*) FROM {table}", "peer"))
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return str(error)[:120]
    return None if got == rows else f"{got} of {rows} rows"
