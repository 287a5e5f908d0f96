"""What lies at the source's path, who holds its locks, and what the server's user may do."""

import ctypes
import os
import sqlite3
import subprocess
import threading
import time

import psycopg
import pytest

from conftest import refused, wide_source

RENAME_EXCHANGE = 2
AT_FDCWD = -100


def import_(connection, path):
    return connection.execute("SELECT * FROM aliaport_import(%s)", [str(path)]).fetchall()


def test_a_folder_exchanged_for_a_link_leads_out_of_no_allowed_directory(files, connection):
    libc = ctypes.CDLL(None, use_errno=True)
    inside, outside, link = files / "allowed" / "sub", files / "outside", files / "link"
    for folder, value in ((inside, 1), (outside, 2)):
        folder.mkdir(parents=True)
        db = sqlite3.connect(folder / "a.db")
        db.executescript(f"CREATE TABLE t{value}(a)")
        db.close()
    link.symlink_to(outside)
    time.sleep(0.1)
    connection.execute("SELECT aliaport_import_version()")
    connection.execute(f"SET aliaport_import.allowed_directories = '{files / 'allowed'}'")
    done = threading.Event()

    def race():
        names = [os.fsencode(inside), os.fsencode(link)]
        while not done.is_set():
            assert libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0

    racer = threading.Thread(target=race)
    racer.start()
    seen = {}
    try:
        for _ in range(1500):
            try:
                rows = connection.execute(
                    "SELECT DISTINCT object FROM aliaport_plan(%s) WHERE action = 'create_table'", [str(inside / "a.db")]
                ).fetchall()
                outcome = ",".join(name for (name,) in rows)
            except psycopg.Error as error:
                outcome = error.sqlstate
            seen[outcome] = seen.get(outcome, 0) + 1
    finally:
        done.set()
        racer.join()
    tables = {outcome for outcome in seen if "t" in outcome}
    assert len(tables) == 1 and next(iter(tables)).endswith("t1"), seen
    assert set(seen) - tables <= {"42501", "58P01"}, seen
    assert len(seen) > 1, seen


@pytest.mark.parametrize("shm", [False, True])
def test_a_wal_with_nothing_but_a_header_is_not_waited_for(files, connection, shm):
    path = files / "a.db"
    db = wide_source(path, 50, "wal")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("INSERT INTO wide VALUES (1000, 'a', 'b', '2025-01-01', 1, NULL)")
    copies = {suffix: (files / f"a.db{suffix}").read_bytes() for suffix in ("-wal", "-shm")}
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    (files / "a.db-wal").write_bytes(copies["-wal"][:32])
    if shm:
        (files / "a.db-shm").write_bytes(copies["-shm"])
    for name in os.listdir(files):
        os.chmod(files / name, 0o644)
    connection.execute("SELECT aliaport_import_version()")
    connection.execute("SET aliaport_import.busy_timeout = 0")
    assert import_(connection, path)[0][2] == 51


def test_without_threads_there_is_an_error_that_says_so(files, connection):
    path = files / "a.db"
    wide_source(path, 50).close()
    connection.execute("SELECT aliaport_import_version()")
    pid = connection.info.backend_pid
    # Of another user's process not even root may set it everywhere.
    owner = os.stat(f"/proc/{pid}")
    subprocess.run(["prlimit", f"--pid={pid}", "--nproc=1:1"], check=True, user=owner.st_uid, group=owner.st_gid, extra_groups=[])
    with refused("53000") as caught:
        import_(connection, path)
    assert "aliaport_import.tuple_images = off" in caught.value.diag.message_hint
    connection.execute("SET aliaport_import.tuple_images = off")
    assert import_(connection, path)[0][3] == 50


def own_function(path, columns, more=""):
    """A database whose schema calls a function that only the application has."""
    db = sqlite3.connect(path, isolation_level=None)
    db.create_function("my_f", -1, lambda *_: "five", deterministic=True)
    db.executescript(f"CREATE TABLE t(id INTEGER PRIMARY KEY, d TEXT{columns}); INSERT INTO t(id, d) VALUES (1, 'x'); {more}")
    db.close()


@pytest.mark.parametrize("columns, more, carried", [
    (" DEFAULT (my_f('a'))", "", ("d",)),
    (" CHECK (my_f(d) <> 'a')", "", ("d",)),
    (", g TEXT AS (my_f(d)) STORED", "", ("d", "g")),
    (", g TEXT AS (my_f(d))", "", ("d",)),
    ("", "CREATE INDEX i ON t(my_f(d))", ("d",)),
    ("", "CREATE INDEX i ON t(d) WHERE my_f(d) > 'a'", ("d",)),
    ("", "CREATE VIEW v AS SELECT my_f(d) FROM t", ("d",)),
])
def test_what_only_the_application_has_is_not_carried_and_said(files, connection, columns, more, carried):
    path = str(files / "a.db")
    own_function(path, columns, more)
    is_virtual = "g" in columns and "STORED" not in columns
    found = connection.execute("SELECT severity, code, column_name, suggestion FROM aliaport_inspect(%s)", [path]).fetchall()
    errors = [row for row in found if row[0] == "error"]
    assert ([row[1:3] for row in errors] == [("not_carried", "g")]) is is_virtual, found
    assert any(row[1] == "not_carried" for row in found), found
    options = "{}"
    if is_virtual:
        for function in ("aliaport_plan", "aliaport_import"):
            with refused("42883") as caught:
                connection.execute(f"SELECT * FROM {function}(%s)", [path])
        hint = caught.value.diag.message_hint
        options = hint.split("options => '")[1].split("'")[0]
        assert options in errors[0][3]
    assert connection.execute("SELECT count(*) FROM aliaport_plan(%s, options => %s)", [path, options]).fetchone()[0] > 0
    row = connection.execute("SELECT detail->>'warnings' FROM aliaport_import(%s, options => %s)", [path, options]).fetchone()
    assert is_virtual or "my_f" in row[0], row
    assert connection.execute("SELECT {} FROM t".format(", ".join(carried))).fetchall() == [("x", "five")[:len(carried)]]
    failed = connection.execute("SELECT * FROM aliaport_validate(%s, options => %s) WHERE NOT ok", [path, options]).fetchall()
    assert not failed, failed


@pytest.mark.parametrize("orphans", ["abort", "keep", "reject"])
def test_the_lock_is_given_back_when_the_last_row_has_been_read(cluster, files, connection, orphans):
    """Before indexes are built; but where rows may still be set aside, not before that has been decided."""
    path = files / "a.db"
    db = sqlite3.connect(path, isolation_level=None, timeout=0)
    db.executescript("""
        CREATE TABLE p(id INTEGER PRIMARY KEY, a TEXT);
        CREATE TABLE c(id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p(id));
        CREATE INDEX c_p_id ON c(p_id);
        INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 1), (2, 2);
    """)
    time.sleep(0.1)
    connection.execute("""
        CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(42); END';
        CREATE EVENT TRIGGER waits ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION wait();
    """)
    blocker = cluster.connect("session")
    blocker.execute("SELECT pg_advisory_lock(42)")
    seen = []

    def work():
        try:
            seen.extend(connection.execute("SELECT status FROM aliaport_import(%s, orphans => %s)", [str(path), orphans]).fetchall())
        except psycopg.Error as error:
            seen.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted"
    for _ in range(600):
        if seen or blocker.execute(waiting).fetchone()[0]:
            break
        time.sleep(0.05)
    try:
        assert not seen, seen
        if orphans == "reject":
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                db.execute("UPDATE p SET a = 'c'")
        else:
            db.execute("UPDATE p SET a = 'c'")
    finally:
        blocker.execute("SELECT pg_advisory_unlock(42)")
        thread.join()
    assert seen == [("ok",), ("ok",)], seen
    # What was read is what was there when the import began.
    assert connection.execute("SELECT a FROM p ORDER BY id").fetchall() == [("a",), ("b",)]
    db.execute("UPDATE p SET a = 'd'")
