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
