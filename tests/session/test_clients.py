"""What applications reach the server with: parameters, types of the result, notices, cancelling, by psycopg and asyncpg."""

import asyncio
import contextlib
import datetime
import json
import sqlite3
import time

import asyncpg
import psycopg
import psycopg.types.json
import pytest
from psycopg import pq

from conftest import wait_until, wide_source

IMPORT = "SELECT * FROM aliaport_import($1, $2, on_error => $3, options => $4)"
OPTIONS = {"tables": {"t": {"columns": {"at": {"type": "timestamptz"}}}}}

# Name, OID and length of the type that a driver is told of before any row is there, which is what JDBC's ResultSetMetaData reads.
COLUMNS = [
    ("load_order", "int4", 4), ("table_name", "text", -1), ("source_rows", "int8", 8), ("imported_rows", "int8", 8),
    ("rejected_rows", "int8", 8), ("target_rows", "int8", 8), ("orphan_rows", "int8", 8), ("content_match", "bool", 1),
    ("sequence_next", "int8", 8), ("elapsed", "interval", 16), ("status", "text", -1), ("detail", "jsonb", -1),
]


@pytest.fixture
def source(files):
    path = files / "clients.db"
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, amount NUMERIC(5, 2));
        INSERT INTO t VALUES (1, '2025-01-01 10:00:00', 1.005), (2, '2025-02-30 10:00:00', 2);
        CREATE VIEW v AS SELECT sqlite_version() AS n;
    """)
    db.close()
    return str(path)


def plain(row):
    """A row as the drivers have it in common: asyncpg leaves jsonb a text."""
    row = dict(row)
    row["detail"] = json.loads(row["detail"]) if isinstance(row["detail"], str) else row["detail"]
    # How long it took differs, and so do the server's shares of it.
    return {k: v for k, v in row.items() if k not in ("elapsed", "detail")} | {
        "elapsed": type(row["elapsed"]), "codes": sorted({w["code"] for w in row["detail"]["warnings"]})}


def run_async(cluster, database, work):
    """Gives `work` a connection of asyncpg's, and whatever it returns."""

    async def run():
        connection = await asyncpg.connect(host=str(cluster.directory), port=5432, user="postgres", database=database)
        try:
            return await asyncio.wait_for(work(connection), 60)
        finally:
            await connection.close(timeout=10)

    return asyncio.run(run())


@pytest.fixture
def expected():
    return [{"load_order": 1, "table_name": "t", "source_rows": 2, "imported_rows": 1, "rejected_rows": 1, "target_rows": 1, "orphan_rows": 0,
             "content_match": True, "sequence_next": 3, "status": "warning", "elapsed": datetime.timedelta,
             "codes": ["not_carried", "numeric_rounded", "rejected"]}]


# A client cursor writes its parameters into the statement, so that there is nothing to be binary.
@pytest.mark.parametrize(("cursor", "binary"), [
    (psycopg.Cursor, False), (psycopg.Cursor, True), (psycopg.ServerCursor, False), (psycopg.ServerCursor, True), (psycopg.ClientCursor, None)])
def test_psycopg(cluster, database, source, expected, cursor, binary):
    connection = cluster.connect(database, autocommit=False, row_factory=psycopg.rows.dict_row)
    notices = []
    connection.add_notice_handler(lambda notice: notices.append((notice.severity_nonlocalized, notice.message_primary)))
    connection.execute("SET client_min_messages = notice")
    with cursor(connection, "c") if cursor is psycopg.ServerCursor else cursor(connection) as current:
        # Parameters whose types the server has to find out, and one of jsonb.
        how = {} if binary is None else {"binary": binary}
        current.execute("SELECT * FROM aliaport_import(%s, %s, on_error => %s, options => %s)",
                        [source, "public", "reject", psycopg.types.json.Jsonb(OPTIONS)], **how)
        rows = current.fetchall()
        assert [plain(row) for row in rows] == expected
    assert notices and {severity for severity, _ in notices} <= {"NOTICE", "WARNING"}
    connection.commit()
    assert connection.execute("SELECT at FROM t").fetchone()["at"] == datetime.datetime(2025, 1, 1, 10, tzinfo=datetime.timezone.utc)
    with pytest.raises(psycopg.errors.DatetimeFieldOverflow) as caught:
        connection.execute("SELECT aliaport_import(%s, mode => 'replace')", [source])
    diag = caught.value.diag
    assert diag.severity_nonlocalized == "ERROR" and diag.message_detail and diag.message_hint


def test_asyncpg(cluster, database, source, expected):
    notices = []

    async def work(connection):
        connection.add_log_listener(lambda _, notice: notices.append(notice.severity))
        statement = await connection.prepare(IMPORT)
        assert [p.name for p in statement.get_parameters()] == ["text", "name", "text", "jsonb"]
        assert [(a.name, a.type.name) for a in statement.get_attributes()] == [(name, kind) for name, kind, _ in COLUMNS]
        async with connection.transaction():
            # A portal that is fetched from row by row.
            rows = [row async for row in statement.cursor(source, "public", "reject", json.dumps(OPTIONS), prefetch=1)]
        assert [plain(row) for row in rows] == expected
        assert await connection.fetchval("SELECT at FROM t") == datetime.datetime(2025, 1, 1, 10, tzinfo=datetime.timezone.utc)
        with pytest.raises(asyncpg.exceptions.DatetimeFieldOverflowError) as caught:
            await connection.execute("SELECT aliaport_import($1, mode => 'replace')", source)
        error = caught.value
        assert error.severity == "ERROR" and error.detail and error.hint
        return [dict(row) for row in await connection.fetch("SELECT * FROM aliaport_inspect($1)", source)]

    found = run_async(cluster, database, work)
    assert {"bad_datetime", "numeric_rounded"} & {row["code"] for row in found}
    assert notices and set(notices) <= {"NOTICE", "WARNING"}


def test_a_cancelled_call_of_asyncpg_is_a_failed_run_of_the_history(cluster, database, files):
    path = files / "wide.db"
    wide_source(path, 60_000).close()

    watcher = cluster.connect(database)

    async def work(connection):
        call = asyncio.ensure_future(connection.fetch("SELECT * FROM aliaport_import($1)", str(path)))
        while not watcher.execute("SELECT 1 FROM aliaport.progress").fetchone():
            await asyncio.sleep(0.01)
        call.cancel()
        began = time.monotonic()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        # The connection is whole, and the server is done with the call.
        assert await connection.fetchval("SELECT to_regclass('wide')") is None
        return time.monotonic() - began

    assert run_async(cluster, database, work) < 5
    wait_until(lambda: cluster.psql("SELECT status FROM aliaport.run", database) == "failed", what="the failed run's row")


def test_metadata_is_there_before_the_rows(connection, source):
    """As JDBC's PreparedStatement.getMetaData and ResultSetMetaData ask: Parse and Describe, no Execute."""
    low = connection.pgconn
    names = dict(connection.execute("SELECT oid::bigint, typname::text FROM pg_type"))

    def described(sql):
        result = low.prepare(b"", sql.encode())
        assert result.status == pq.ExecStatus.COMMAND_OK, result.error_message
        result = low.describe_prepared(b"")
        return ([names[result.param_type(i)] for i in range(result.nparams)],
                [(result.fname(i).decode(), names[result.ftype(i)], result.fsize(i)) for i in range(result.nfields)])

    assert described(IMPORT) == (["text", "name", "text", "jsonb"], COLUMNS)
    assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)
    # DatabaseMetaData.getProcedureColumns reads the catalogue: no argument and no column is without a name, each has its mode.
    for name, modes, arguments, kinds in connection.execute("""
            SELECT proname, proargmodes::text[], proargnames, coalesce(proallargtypes, proargtypes::oid[])::bigint[]
            FROM pg_proc WHERE proname LIKE 'aliaport%' AND pronamespace = 'public'::regnamespace AND proretset"""):
        assert len(arguments) == len(kinds) == len(modes) and all(arguments), name
        assert set(modes) == {"i", "t"} and set(names[kind] for kind in kinds) <= {
            "text", "name", "bool", "int4", "int8", "interval", "jsonb"}, name
        # SELECT * in one description is what the declaration says.
        inputs = ", ".join(f"${i + 1}" for i in range(modes.count("i")))
        assert [c[:2] for c in described(f"SELECT * FROM {name}({inputs})")[1]] == [
            (a, names[k]) for a, k, m in zip(arguments, kinds, modes, strict=True) if m == "t"]


def test_a_pooled_statement_is_planned_once_and_gives_each_run(connection, source):
    """Drivers keep prepared statements; from the sixth execution on the server may use its generic plan."""
    for run in range(8):
        with connection.cursor() as cursor:
            rows = cursor.execute("SELECT status FROM aliaport_import(%s, mode => 'replace', on_error => 'reject', options => '{\"force\": true}')",
                                  [source], prepare=True).fetchall()
        assert rows == [("warning",)], run
    assert connection.execute("SELECT count(*) FROM aliaport.run").fetchone() == (8,)
    kept = connection.execute("SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%aliaport_import%'").fetchone()
    assert kept == (8,)


def test_a_pipeline_of_calls(connection, source):
    """Several calls that are sent before the first has answered."""
    with connection.pipeline():
        inspected = connection.execute("SELECT count(*) FROM aliaport_inspect(%s)", [source])
        planned = connection.execute("SELECT count(*) FROM aliaport_plan(%s)", [source])
        imported = connection.execute("SELECT imported_rows FROM aliaport_import(%s, on_error => 'null')", [source])
        read = connection.execute("SELECT count(*) FROM t")
    assert (imported.fetchone(), read.fetchone()) == ((2,), (2,))
    assert inspected.fetchone()[0] and planned.fetchone()[0]
