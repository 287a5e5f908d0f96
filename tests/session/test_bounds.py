"""What an import would not get through is said before, or is a bad row like others: locks, rows wider than a page, a client that is gone."""

import re
import sqlite3
import time

import psycopg
import pytest

from cluster import Cluster
from conftest import refused, wait_until, wide_source


def many_tables(path, tables):
    db = sqlite3.connect(path)
    for i in range(tables):
        db.execute(f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY, v TEXT)")
    db.execute("INSERT INTO t0 VALUES (1, 'x')")
    db.commit()
    db.close()
    return str(path)


def test_locks_are_counted_before_the_first_table_is_made(pytestconfig):
    settings = {"max_locks_per_transaction": "10", "max_connections": "10", "autovacuum_max_workers": "1", "max_worker_processes": "2",
                "max_wal_senders": "0", "fsync": "off"}
    with Cluster(pytestconfig.getoption("--pg-config"), settings) as cluster:
        cluster.psql("CREATE EXTENSION aliaport_import")
        path = many_tables(cluster.files / "many.db", 800)
        connection = cluster.connect()
        note = connection.execute("SELECT note FROM aliaport_plan(%s) WHERE note LIKE '%%max_locks_per_transaction%%'", [path]).fetchone()
        found = connection.execute("SELECT severity, suggestion FROM aliaport_inspect(%s) WHERE code = 'connection_capacity' AND message LIKE '%%locks%%'",
                                   [path]).fetchall()
        with refused("53200") as caught:
            connection.execute("SELECT aliaport_import(%s)", [path])
        error = caught.value.diag
        remedy = re.search(r"ALTER SYSTEM SET max_locks_per_transaction = \d+", error.message_hint)[0]
        assert "800 tables" in error.message_detail and remedy in note[0] and found[0][0] == "error" and remedy in found[0][1]
        # What works is not refused: 200 locks, where the settings promise 140.
        few = many_tables(cluster.files / "few.db", 40)
        assert connection.execute("SELECT count(*) FROM aliaport_import(%s)", [few]).fetchone() == (40,)
        # The HINT works.
        connection.execute(remedy.rstrip(";"))
        connection.close()
        cluster.as_server(cluster.bindir / "pg_ctl", "-D", cluster.data, "-l", cluster.directory / "log", "-w", "restart")
        connection = cluster.connect()
        connection.execute("CREATE SCHEMA again")
        assert connection.execute("SELECT count(*) FROM aliaport_import(%s, 'again')", [path]).fetchone() == (800,)


def test_a_lack_of_locks_is_not_blamed_on_a_row(pytestconfig):
    settings = {"max_locks_per_transaction": "10", "max_connections": "10", "autovacuum_max_workers": "1", "max_worker_processes": "2",
                "max_wal_senders": "0", "fsync": "off"}
    with Cluster(pytestconfig.getoption("--pg-config"), settings) as cluster:
        cluster.psql("CREATE EXTENSION aliaport_import")
        path = many_tables(cluster.files / "some.db", 230)
        with pytest.raises(psycopg.Error) as caught:
            cluster.connect().execute("SELECT aliaport_import(%s)", [path])
        error = caught.value.diag
        assert error.sqlstate == "53200" and "rowid" not in error.message_detail and "max_locks_per_transaction" in error.message_hint


@pytest.mark.parametrize("after", [0.2, 0.6, 1.2])
def test_inspect_notices_that_its_client_is_gone(cluster, connection, files, after):
    path = files / "big.db"
    wide_source(path, 150_000).close()
    watched = cluster.connect("session")
    watched.execute("SET client_connection_check_interval = '100ms'")
    pid = watched.info.backend_pid
    watched.pgconn.send_query(f"SELECT count(*) FROM aliaport_inspect('{path}')".encode())
    time.sleep(after)
    watched.pgconn.finish()
    there = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    wait_until(lambda: connection.execute(there, [pid]).fetchone() == (0,), 1.5, "the end of the backend")


@pytest.mark.parametrize("on_error", ["abort", "reject", "null"])
def test_a_row_wider_than_a_page_is_a_bad_row(connection, files, on_error):
    columns = 500
    db = sqlite3.connect(files / "wide.db")
    db.execute(f"CREATE TABLE w (id INTEGER PRIMARY KEY, {', '.join(f'c{i} TEXT' for i in range(columns))})")
    put = f"INSERT INTO w VALUES (?{', ?' * columns})"
    db.execute(put, [1, *["kısa"] * columns])
    db.execute(put, [2, *[f"{i:04d}-of-a-text-that-moves-out" for i in range(columns)]])
    # Compresses into less than a pointer: it fits.
    db.execute(put, [3, *["x" * 200] * columns])
    db.execute(put, [4, *[None] * columns])
    db.commit()
    db.close()
    path = str(files / "wide.db")
    if on_error == "abort":
        with refused("54000") as caught:
            connection.execute("SELECT aliaport_import(%s)", [path])
        assert "\"w\"" in caught.value.diag.message_detail and "row is too big" in caught.value.diag.message_primary
        return
    result = connection.execute("SELECT source_rows, imported_rows, rejected_rows, target_rows, content_match FROM aliaport_import(%s, on_error => %s)",
                                [path, on_error]).fetchall()
    assert result == [(4, 3, 1, 3, True)]
    assert connection.execute("SELECT source_key ->> 'id', sqlstate, action, row_data ->> 'c499' FROM aliaport.rejected_row").fetchall() == [
        ("2", "54000", "rejected", "0499-of-a-text-that-moves-out")]
    assert connection.execute("SELECT id FROM w ORDER BY 1").fetchall() == [(1,), (3,), (4,)]


def test_many_tables_take_no_subtransaction_each(connection, files):
    """The end of each takes time in proportion to the tables that the run has made: 10,000 tables took half an hour."""
    db = sqlite3.connect(files / "plain.db")
    for i in range(60):
        db.execute(f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY, name VARCHAR(80) UNIQUE, p INTEGER REFERENCES t{max(i - 1, 0)} (id))")
        db.execute(f"INSERT INTO t{i} VALUES (1, 'a', 1)")
    db.commit()
    db.close()
    next_xid = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8"
    for mode in ("create", "sync"):
        before = connection.execute(next_xid).fetchone()[0]
        run = "SELECT count(*) FROM aliaport_import(%s, mode => %s)"
        assert connection.execute(run, [str(files / "plain.db"), mode]).fetchone() == (60,)
        # A subtransaction that writes has a number of its own.
        assert connection.execute(next_xid).fetchone()[0] - before < 20, mode
    assert connection.execute("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated AND connamespace = 'public'::regnamespace").fetchone() == (60,)
