"""The tools that are compared: each imports a SQLite file into a fresh database in its usual way, and tells what it said about it."""

import importlib.metadata
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys

from cluster import PORT
from oracle import Said, quoted

LIMIT = 600  # seconds of one import
# They make tables by CREATE TABLE AS, which has no constraints; that is known beforehand and not held against them.
WITHOUT_CONSTRAINTS = {"sqlite_fdw", "DuckDB"}


def aliaport(cluster, dbname, path, arguments=""):
    """The exit status is psql's."""
    cluster.psql("CREATE EXTENSION aliaport_import", dbname)
    statement = f"SELECT * FROM aliaport_import('{path}'{arguments})"
    done = subprocess.run([str(cluster.bindir / "psql"), "-Xq", "-d", dbname, "-c", statement],
                          env=cluster.client_environment(), capture_output=True, text=True, timeout=LIMIT)
    said = Said(exit=done.returncode, messages=[done.stderr])
    if done.returncode:
        return said
    with cluster.connect(dbname) as connection:
        for (detail,) in connection.execute("SELECT detail FROM aliaport.run_table").fetchall():
            for warning in detail.get("warnings", []):
                said.messages.append(" ".join(str(warning.get(k) or "") for k in ("message", "column")))
        for table, code, column, count in connection.execute("""SELECT table_name, w ->> 'code', w ->> 'column', (w ->> 'count')::int
                FROM aliaport.run_table, jsonb_array_elements(detail -> 'warnings') AS w
                WHERE w ->> 'column' IS NOT NULL AND w ->> 'count' IS NOT NULL
                """).fetchall():
            counter = said.read_as_time if code == "epoch_number" else said.changed
            counter[bare(table), column.casefold()] += count
        rejected = connection.execute("SELECT table_name, source_key, column_name, action FROM aliaport.rejected_row")
        for table, key, column, action in rejected.fetchall():
            key = tuple(str(v) for k, v in key.items() if k != "rowid") or (str(key["rowid"]),)
            (said.rows.add((table, key)) if action == "rejected" else said.values.add((table, key, column)))
    return said


def bare(regclass):
    """The table's name of a regclass's text, without regard to case."""
    name = re.fullmatch(r'(?:(?:"(?:[^"]|"")*"|[^".]+)\.)?("(?:[^"]|"")*"|[^".]+)', regclass)[1]
    return (name[1:-1].replace('""', '"') if name.startswith('"') else name).casefold()


def aliaport_reject(cluster, dbname, path):
    return aliaport(cluster, dbname, path, ", on_error => 'reject', orphans => 'reject'")


def pgloader(cluster, dbname, path, *options):
    """As its manual begins: pgloader SOURCE TARGET."""
    work = cluster.directory / f"pgloader-{dbname}"
    target = f"pgsql://postgres@unix:{cluster.directory}:{PORT}/{dbname}"
    done = subprocess.run(["pgloader", "--root-dir", str(work), *options, f"sqlite://{path}", target], env=cluster.client_environment(),
                          capture_output=True, text=True, errors="backslashreplace", stdin=subprocess.DEVNULL, timeout=LIMIT)
    shutil.rmtree(work, ignore_errors=True)
    output = done.stdout + done.stderr
    said = Said(exit=done.returncode)
    # A message begins with its time; it is counted in the reader's favour that a warning was there, whatever its words.
    for message in re.split(r"^(?=\d{4}-\d\d-\d\dT[\d:.]+Z )", output, flags=re.MULTILINE):
        level = message.split(" ", 2)[1:2]
        if level and level[0] in ("WARNING", "ERROR", "FATAL", "CRITICAL") and "no transaction in progress" not in message:
            said.messages.append(message.split("report summary", 1)[0])
    said.gave_up = any(" FATAL " in m[:40] or " CRITICAL " in m[:40] for m in said.messages) or "KABOOM" in output
    # Its summary has three blocks; the second is that of the tables.
    blocks = re.split(r"^-{5,}[ -]*$", output, flags=re.MULTILINE)
    for line in blocks[2].splitlines() if len(blocks) > 3 else []:
        found = re.match(r"\s*(\S.*?)\s+(\d+)\s+(\d+)\s", line)
        if found:
            said.lost_rows[found[1].strip('"').split(".")[-1].strip('"').casefold()] += int(found[2])
    return said


def duckdb(cluster, dbname, path, *what):
    """CREATE TABLE AS for each table: COPY FROM DATABASE stops at the first index. The exit status is that of the script below."""
    script = pathlib.Path(__file__).with_name("duckdb_copy.py")
    done = subprocess.run([sys.executable, script, path, f"host={cluster.directory} user=postgres dbname={dbname}", *what],
                          capture_output=True, text=True, timeout=LIMIT, check=False)
    return Said(exit=done.returncode, messages=done.stderr.splitlines())


def sqlite_fdw(cluster, dbname, path):
    """IMPORT FOREIGN SCHEMA, then CREATE TABLE AS for each table. It keeps no constraint: foreign tables have none."""
    said = Said()
    with cluster.connect(dbname) as connection:
        import psycopg

        try:
            connection.execute("CREATE EXTENSION sqlite_fdw")
            connection.execute(f"CREATE SERVER source FOREIGN DATA WRAPPER sqlite_fdw OPTIONS (database '{path}', force_readonly 'true')")
            connection.execute("CREATE SCHEMA source")
            connection.execute("IMPORT FOREIGN SCHEMA public FROM SERVER source INTO source")
        except psycopg.Error as error:
            return Said(exit=1, messages=[str(error)])
        for (name,) in connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'source'::regnamespace AND relkind = 'f'").fetchall():
            try:
                connection.execute(f"CREATE TABLE public.{quoted(name)} AS TABLE source.{quoted(name)}")
            except psycopg.Error as error:
                said.exit = 1
                said.messages.append(f"{name}: {error}")
    return said


# The extension again, with bad rows set aside where its defaults refuse.
LENIENT = "aliaport_import, reject"


def available(cluster):
    """Name and function of each tool that is there, in the table's order; and a sentence on each that is not."""
    every = {"pgloader": pgloader, "aliaport_import": aliaport, LENIENT: aliaport_reject, "sqlite_fdw": sqlite_fdw,
             "DuckDB": duckdb}
    absent = {}
    if not shutil.which("pgloader"):
        absent["pgloader"] = "pgloader is not installed: apt-get install pgloader"
    if not cluster.psql("SELECT 1 FROM pg_available_extensions WHERE name = 'sqlite_fdw'"):
        absent["sqlite_fdw"] = "sqlite_fdw is not installed in this PostgreSQL"
    if not importlib.util.find_spec("duckdb") or not importlib.util.find_spec("duckdb_extensions"):
        absent["DuckDB"] = "DuckDB is not installed: pip install -r tests/compare/requirements.txt"
    return {name: tool for name, tool in every.items() if name not in absent}, list(absent.values())


def versions(cluster, names):
    """One line on what was run."""
    def of_extension(name):
        return cluster.psql(f"SELECT default_version FROM pg_available_extensions WHERE name = '{name}'")

    def of_pgloader():
        done = subprocess.run(["pgloader", "--version"], capture_output=True, text=True, check=True)
        return re.search(r'"(.*)"', done.stdout)[1]

    found = {"aliaport_import": lambda: of_extension("aliaport_import"), "pgloader": of_pgloader,
             "sqlite_fdw": lambda: of_extension("sqlite_fdw"), "DuckDB": lambda: importlib.metadata.version("duckdb")}
    return ", ".join(f"{name} {ask()}" for name, ask in found.items() if name in names)
