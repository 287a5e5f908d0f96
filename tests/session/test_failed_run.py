"""A failed run leaves its row in aliaport.run, whatever ended it, although its transaction is undone."""

import re
import sqlite3
import threading
import time

import psycopg
import pytest

from cluster import Cluster
from conftest import refused, wait_until, wide_source

RUNS = "SELECT status, error, path, target_schema, mode, dry_run, invoked_by, finished_at >= started_at FROM aliaport.run ORDER BY run_id"


def source(path, *statements):
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()
    return str(path)


@pytest.fixture
def bad(files):
    """A source whose last table ends the import: everything before it is loaded by then."""
    return source(files / "bad.db", "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO a VALUES (1, 2), (2, 'çok')",
                  "CREATE TABLE b (id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO b VALUES (1, 3)")


def test_the_next_statement_sees_the_row_and_the_error_is_as_it_was(connection, bad):
    with refused("22P02") as error:
        connection.execute("SELECT aliaport_import(%s)", [bad])
    status, text, path, schema, mode, dry_run, invoked_by, in_order = connection.execute(RUNS).fetchone()
    assert (status, path, schema, mode, dry_run, invoked_by, in_order) == ("failed", bad, "public", "create", False, "postgres", True)
    told = error.value.diag
    assert text == f"22P02: {told.message_primary}\nDETAIL:  {told.message_detail}\nHINT:  {told.message_hint}"
    assert connection.execute("SELECT source_bytes > 0, source_fingerprint IS NOT NULL, rows_imported, options FROM aliaport.run"
                              ).fetchone() == (True, True, 0, {})
    assert connection.execute("SELECT to_regclass('a'), to_regclass('b')").fetchone() == (None, None)


def test_a_savepoint_and_an_exception_block_keep_it_too(cluster, database, connection, bad):
    with connection.transaction():
        connection.execute("SAVEPOINT s")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("SELECT aliaport_import(%s)", [bad])
        connection.execute("ROLLBACK TO s")
        assert connection.execute("SELECT count(*) FROM aliaport.run").fetchone() == (1,)
        connection.execute("""DO $$
            BEGIN
                PERFORM aliaport_import('%s');
            EXCEPTION WHEN invalid_text_representation THEN
                IF (SELECT count(*) FROM aliaport.run) <> 2 THEN RAISE EXCEPTION 'no row'; END IF;
            END $$""" % bad)
        raise psycopg.Rollback
    assert connection.execute("SELECT count(*), count(DISTINCT run_id) FROM aliaport.run").fetchone() == (2, 2)


def test_refusals_before_the_load_leave_a_row_unless_the_role_is_refused(cluster, database, connection, files):
    harbour = str(cluster.files / "harbour.db")
    expected = []
    for sqlstate, path, options in [("58P01", "/nowhere/x.db", "{}"), ("42602", "x.db", "{}"), ("22023", harbour, '{"bogus": 1}')]:
        with refused(sqlstate):
            connection.execute("SELECT aliaport_import(%s, options => %s)", [path, options])
        expected.append((sqlstate, path))
    holder = cluster.connect(database)
    holder.execute("BEGIN")
    holder.execute("SELECT aliaport_import(%s)", [harbour])
    with refused("55P03"):
        connection.execute("SELECT aliaport_import(%s)", [harbour])
    holder.execute("ROLLBACK")
    expected.append(("55P03", harbour))
    with refused("3F000"):
        connection.execute("SELECT aliaport_import(%s, 'nowhere')", [harbour])
    connection.execute("DROP ROLE IF EXISTS nobody_of_importance")
    connection.execute("CREATE ROLE nobody_of_importance")
    connection.execute("GRANT EXECUTE ON FUNCTION aliaport_import TO nobody_of_importance")
    connection.execute("SET ROLE nobody_of_importance")
    with refused("42501"):
        connection.execute("SELECT aliaport_import(%s)", [harbour])
    connection.execute("RESET ROLE")
    assert connection.execute("SELECT left(error, 5), path FROM aliaport.run ORDER BY run_id").fetchall() == expected
    connection.execute("DROP OWNED BY nobody_of_importance")


def test_a_run_that_had_set_rows_aside_keeps_its_number(connection, files):
    """Its own transaction holds a row with that number until it has ended, so the worker comes after it."""
    path = source(files / "orphans.db", "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
                  "CREATE TABLE child (id INTEGER PRIMARY KEY, n INTEGER, parent_id INTEGER REFERENCES parent)",
                  "INSERT INTO child VALUES (1, 'x', NULL), (2, 2, 7)")
    start = time.monotonic()
    with refused("23503"):
        connection.execute("SELECT aliaport_import(%s, on_error => 'reject')", [path])
    assert time.monotonic() - start < 2
    wait_until(lambda: connection.execute("SELECT count(*) FROM aliaport.run").fetchone() == (1,), 30, "the row")
    assert connection.execute("SELECT left(error, 5), rows_rejected FROM aliaport.run").fetchone() == ("23503", 0)
    assert connection.execute("SELECT count(*) FROM aliaport.rejected_row").fetchone() == (0,)


@pytest.fixture(scope="module")
def big(cluster):
    path = cluster.files / "failed-big.db"
    wide_source(path, 200_000).close()
    return str(path)


def in_thread(connection, path):
    raised = []

    def run():
        try:
            connection.execute("SELECT aliaport_import(%s)", [path])
        except psycopg.Error as e:
            raised.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


def test_a_cancelled_run(cluster, database, connection, big):
    pid = connection.info.backend_pid
    thread, raised = in_thread(connection, big)
    time.sleep(0.3)
    start = time.monotonic()
    cluster.connect(database).execute("SELECT pg_cancel_backend(%s)", [pid])
    thread.join(20)
    assert time.monotonic() - start < 1.0
    assert isinstance(raised[0], psycopg.errors.QueryCanceled)
    assert connection.execute("SELECT error FROM aliaport.run").fetchone() == ("57014: canceling statement due to user request",)
    connection.execute("SET statement_timeout = '300ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT aliaport_import(%s)", [big])
    assert connection.execute("SELECT max(error) FROM aliaport.run").fetchone() == ("57014: canceling statement due to user request",)
    assert connection.execute("SELECT min(error) FROM aliaport.run").fetchone() == ("57014: canceling statement due to statement timeout",)


def test_a_terminated_run(cluster, database, big):
    victim, other = cluster.connect(database), cluster.connect(database)
    pid = victim.info.backend_pid
    thread, raised = in_thread(victim, big)
    time.sleep(0.3)
    other.execute("SELECT pg_terminate_backend(%s)", [pid])
    thread.join(20)
    assert isinstance(raised[0], psycopg.OperationalError)
    wait_until(lambda: other.execute("SELECT count(*) FROM aliaport.run").fetchone() == (1,), 30, "the row")
    assert other.execute("SELECT left(error, 5), status, path, source_bytes > 0, finished_at IS NOT NULL FROM aliaport.run"
                         ).fetchone() == ("57P01", "failed", big, True, True)
    assert "the session ended during import run 1" in cluster.log()
    assert "was terminated by signal" not in cluster.log()


def test_terminated_at_any_moment_the_server_stays_up(cluster, database, big):
    """The dying backend closes the source while its reader thread may be in the middle of it."""
    other = cluster.connect(database)
    for n in range(12):
        victim = cluster.connect(database)
        pid = victim.info.backend_pid
        thread, _ = in_thread(victim, big)
        time.sleep(0.02 + 0.04 * n)
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
        thread.join(20)
        other.execute("DROP TABLE IF EXISTS wide")
    wait_until(lambda: other.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'aliaport%'").fetchone() == (0,))
    assert "was terminated by signal" not in cluster.log()


def test_nothing_of_the_database_is_run_with_the_workers_rights(cluster, database, connection, bad):
    """The worker is a superuser's process in a database whose settings are not its own."""
    connection.execute("CREATE SCHEMA evil")
    connection.execute("CREATE TABLE evil.caught (who text)")
    for name, kind in [("to_timestamp", "float8"), ("nextval", "regclass"), ("clock_timestamp", "")]:
        result = {"to_timestamp": "timestamptz", "nextval": "bigint", "clock_timestamp": "timestamptz"}[name]
        connection.execute(f"CREATE FUNCTION evil.{name}({kind}) RETURNS {result} LANGUAGE sql AS "
                           f"$$ INSERT INTO evil.caught VALUES (current_user); SELECT NULL::{result} $$")
    for setting in ("search_path = evil, pg_catalog, public", "default_transaction_read_only = on"):
        connection.execute(f"ALTER DATABASE {database} SET {setting}")
    caller = cluster.connect(database)
    caller.execute("SET default_transaction_read_only = off")
    with refused("22P02"):
        caller.execute("SELECT aliaport_import(%s, 'public')", [bad])
    assert connection.execute("SELECT count(*), max(left(error, 5)) FROM aliaport.run").fetchone() == (1, "22P02")
    assert connection.execute("SELECT count(*) FROM evil.caught").fetchone() == (0,)


def test_failures_leave_no_shared_memory_behind(pytestconfig):
    # So that the segments are files of this cluster alone.
    settings = {"fsync": "off", "dynamic_shared_memory_type": "mmap", "min_dynamic_shared_memory": "0", "max_parallel_maintenance_workers": "0"}
    with Cluster(pytestconfig.getoption("--pg-config"), settings) as cluster:
        cluster.psql("CREATE EXTENSION aliaport_import")
        bad = source(cluster.files / "bad.db", "CREATE TABLE a (n INTEGER)", "INSERT INTO a VALUES ('çok')")
        connection = cluster.connect()

        def segments():
            return sorted(f.name for f in (cluster.data / "pg_dynshmem").iterdir())

        connection.execute("SELECT aliaport_import_version()")
        before = segments()
        for _ in range(5):
            with pytest.raises(psycopg.errors.InvalidTextRepresentation):
                connection.execute("SELECT aliaport_import(%s)", [bad])
        connection.execute("BEGIN")
        connection.execute("SELECT aliaport_import(%s, on_error => 'reject')", [bad])
        assert segments() == before
        connection.execute("COMMIT")
        assert connection.execute("SELECT status, count(*) FROM aliaport.run GROUP BY 1 ORDER BY 1").fetchall() == [("failed", 5), ("warning", 1)]


def test_without_a_worker_the_log_has_the_row(pytestconfig):
    with Cluster(pytestconfig.getoption("--pg-config"), {"fsync": "off", "max_worker_processes": "0"}) as cluster:
        cluster.psql("CREATE EXTENSION aliaport_import")
        bad = source(cluster.files / "bad.db", "CREATE TABLE a (n INTEGER)", "INSERT INTO a VALUES ('çok')")
        connection = cluster.connect()
        with refused("22P02"):
            connection.execute("SELECT aliaport_import(%s)", [bad])
        assert connection.execute("SELECT count(*) FROM aliaport.run").fetchone() == (0,)
        line = re.search("LOG:  the row of failed import run 1 is not in aliaport.run: no background worker slot.*\n.*DETAIL: .*", cluster.log())
        assert line and bad in line[0] and "22P02" in line[0]


def test_the_number_of_rejected_rows_is_limited(connection, files):
    path = source(files / "many.db", "CREATE TABLE a (n INTEGER)",
                  "WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < 2500) INSERT INTO a SELECT 'x' || x FROM i")
    connection.execute("SET aliaport_import.max_rejected_rows = 2499")
    with refused("54000"):
        connection.execute("SELECT aliaport_import(%s, on_error => 'reject')", [path])
    connection.execute("SET aliaport_import.max_rejected_rows = 2500")
    connection.execute("SELECT aliaport_import(%s, on_error => 'reject')", [path])
    assert connection.execute("SELECT count(*), count(DISTINCT row_data ->> 'n') FROM aliaport.rejected_row").fetchone() == (2500, 2500)
    # The line of docs/history.md for old runs takes everything with it.
    connection.execute("DELETE FROM aliaport.run WHERE started_at < now() - interval '0 days'")
    assert connection.execute("SELECT (SELECT count(*) FROM aliaport.run_table), (SELECT count(*) FROM aliaport.rejected_row)").fetchone() == (0, 0)
