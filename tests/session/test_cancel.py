"""Cancelling works within a second in every phase, and leaves neither tables, nor open files, nor a broken server."""

import os
import sqlite3
import threading
import time

import psycopg
import pytest

from conftest import open_files, wait_until, wide_source

ROWS = 300_000
IMPORT = "SELECT imported_rows FROM aliaport_import(%s)"


@pytest.fixture(scope="module")
def big(cluster):
    path = cluster.files / "big.db"
    wide_source(path, ROWS).close()
    return str(path)


@pytest.fixture(scope="module")
def full_time(cluster, big):
    """How long the import takes when nobody stops it: load, keys, indexes, check."""
    cluster.recreate_database("session")
    cluster.psql("CREATE EXTENSION aliaport_import", "session")
    with cluster.connect("session") as connection:
        connection.execute("SELECT aliaport_import_version()")
        start = time.monotonic()
        assert connection.execute(IMPORT, [big]).fetchone() == (ROWS,)
        return time.monotonic() - start


@pytest.mark.parametrize("part", [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9])
def test_statement_timeout_stops_it_in_every_phase(connection, big, full_time, part):
    timeout = full_time * part
    for _ in range(5):
        connection.execute(f"SET statement_timeout = {int(timeout * 1000)}")
        start = time.monotonic()
        try:
            connection.execute(IMPORT, [big])
        except psycopg.errors.QueryCanceled as e:
            late = time.monotonic() - start - timeout
            assert "statement timeout" in e.diag.message_primary
            break
        # The machine was less busy than when the whole import was timed.
        connection.execute("DROP TABLE wide")
        timeout = (time.monotonic() - start) * part
    else:
        pytest.fail("five imports ended before their timeout")
    assert late < 1.0, f"{late:.2f} s late"
    connection.execute("RESET statement_timeout")
    assert connection.execute("SELECT to_regclass('wide')").fetchone() == (None,)
    assert open_files(connection.info.backend_pid, big) == 0


def run_in_thread(connection, big):
    result = []

    def run():
        try:
            result.append(connection.execute(IMPORT, [big]).fetchall())
        except psycopg.Error as e:
            result.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


@pytest.mark.parametrize(("part", "converters"), [(0.15, 1), (0.6, 1), (0.1, 4), (0.25, 4)])
def test_pg_cancel_backend_stops_it_and_the_session_goes_on(cluster, database, connection, big, full_time, part, converters):
    pid = connection.info.backend_pid
    connection.execute(f"SET aliaport_import.converters = {converters}")
    thread, result = run_in_thread(connection, big)
    time.sleep(full_time * part)
    start = time.monotonic()
    cluster.connect(database).execute("SELECT pg_cancel_backend(%s)", [pid])
    thread.join(20)
    assert time.monotonic() - start < 1.0
    assert isinstance(result[0], psycopg.errors.QueryCanceled), result
    assert open_files(pid, big) == 0
    assert connection.execute("SELECT 1").fetchone() == (1,)
    # One thread is left of the backend: none of ours was forgotten.
    assert connection.execute("SELECT count(*) FROM pg_ls_dir('/proc/' || pg_backend_pid() || '/task')").fetchone() == (1,)


def test_an_index_build_can_be_cancelled(cluster, database, connection, big):
    pid = connection.info.backend_pid
    watcher = cluster.connect(database)
    thread, result = run_in_thread(connection, big)
    building = "SELECT count(*) FROM pg_stat_progress_create_index WHERE pid = %s AND tuples_done > 0"
    wait_until(lambda: watcher.execute(building, [pid]).fetchone() == (1,) or result, 60, "the index build")
    start = time.monotonic()
    watcher.execute("SELECT pg_cancel_backend(%s)", [pid])
    thread.join(20)
    assert time.monotonic() - start < 1.0
    assert isinstance(result[0], psycopg.errors.QueryCanceled), result


@pytest.mark.parametrize(("part", "setting"), [
    (0.15, "converters = 1"), (0.6, "converters = 1"), (0.1, "converters = 4"), (0.2, "converters = 4"), (0.2, "read_pages = off"),
])
def test_pg_terminate_backend_ends_one_session_and_the_server_goes_on(cluster, database, big, full_time, part, setting):
    victim, other = cluster.connect(database), cluster.connect(database)
    victim.execute(f"SET aliaport_import.{setting}")
    started = other.execute("SELECT pg_postmaster_start_time()").fetchone()
    pid = victim.info.backend_pid
    thread, result = run_in_thread(victim, big)
    time.sleep(full_time * part)
    start = time.monotonic()
    other.execute("SELECT pg_terminate_backend(%s)", [pid])
    thread.join(20)
    assert time.monotonic() - start < 1.0
    assert isinstance(result[0], psycopg.OperationalError), result
    wait_until(lambda: other.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() == (0,))
    assert other.execute("SELECT pg_postmaster_start_time()").fetchone() == started
    assert other.execute("SELECT to_regclass('wide')").fetchone() == (None,)
    assert "was terminated by signal" not in cluster.log()
    assert other.execute(IMPORT, [big]).fetchone() == (ROWS,)


@pytest.mark.parametrize("converters", [1, 4])
def test_threads_read_while_the_backend_writes(connection, big, converters):
    """The quick way of loading gives way to a slower one without a word where tuples look different than expected."""
    pid = connection.info.backend_pid
    connection.execute("SELECT aliaport_import_version()")
    connection.execute(f"SET aliaport_import.converters = {converters}")
    thread, result = run_in_thread(connection, big)
    # The reader, and two for each converter.
    wait_until(lambda: len(os.listdir(f"/proc/{pid}/task")) == 2 + 2 * converters or result, 60, "the threads")
    assert not result, "the import ended and had not so many threads"
    thread.join(60)
    assert result == [[(ROWS,)]]


def test_a_waiting_import_can_be_cancelled(files, connection):
    """It waits for a lock in SQLite, not in PostgreSQL."""
    path = files / "locked.db"
    writer = wide_source(path, 10)
    writer.execute("BEGIN EXCLUSIVE")
    connection.execute("SELECT aliaport_import_version()")
    connection.execute("SET aliaport_import.busy_timeout = '60s'")
    connection.execute("SET statement_timeout = '500ms'")
    start = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute(IMPORT, [str(path)])
    assert time.monotonic() - start < 1.5
    writer.execute("ROLLBACK")
    writer.close()


@pytest.fixture(scope="module")
def questions(cluster):
    """A file with much to look at: rows, texts to group by two keys, references to a column without an index of its own, large indexes."""
    path = cluster.files / "questions.db"
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE UNIQUE, name TEXT, at TEXT);
        CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p (code), q INTEGER REFERENCES p (id), n INTEGER, UNIQUE (n, p));
        CREATE INDEX names ON p (name, at);
        CREATE INDEX numbers ON c (q, n);
        WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 150000)
        INSERT INTO p SELECT i, 'Code ' || i, 'name ' || (i * 7919 % 150000), '2024-01-01 10:00:00' FROM r;
        INSERT INTO c SELECT id, 'code ' || (id * 7919 % 150000), id * 104729 % 150000 + 1, id % 1000 FROM p""")
    db.commit()
    db.close()
    cluster.recreate_database("questions")
    cluster.psql("CREATE EXTENSION aliaport_import", "questions")
    with cluster.connect("questions") as connection:
        connection.execute("SELECT aliaport_import(%s, orphans => 'keep')", [str(path)])
    return str(path)


@pytest.mark.parametrize("question", [
    "SELECT count(*) FROM aliaport_inspect(%s, mode => 'sync')",
    "SELECT count(*) FROM aliaport_plan(%s, mode => 'sync')",
    "SELECT count(*) FROM aliaport_validate(%s)",
])
def test_a_question_can_be_cancelled_in_every_phase(cluster, questions, question):
    with cluster.connect("questions") as connection:
        start = time.monotonic()
        connection.execute(question, [questions])
        full_time = time.monotonic() - start
        stopped = 0
        for part in (0.05, 0.2, 0.35, 0.5, 0.65, 0.8):
            timeout = max(full_time * part, 0.002)
            connection.execute(f"SET statement_timeout = {int(timeout * 1000)}")
            start = time.monotonic()
            try:
                connection.execute(question, [questions])
            except psycopg.errors.QueryCanceled:
                stopped += 1
                late = time.monotonic() - start - timeout
                assert late < 1.0, f"{late:.2f} s late at {part} of {full_time:.1f} s"
            assert open_files(connection.info.backend_pid, questions) == 0
        # The machine may be less busy than when the whole was timed.
        assert stopped > 2 or full_time < 0.2
        connection.execute("RESET statement_timeout")
        assert connection.execute("SELECT 1").fetchone() == (1,)
