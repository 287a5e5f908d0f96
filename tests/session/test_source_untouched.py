"""The source, its -wal and its -shm are byte for byte the same after an import, and no file appears beside it."""

import shutil
import sqlite3

import pytest

from conftest import listing, open_files, wide_source

ROWS = 500


def wal_source(path, checkpoint=True):
    """A database in WAL mode whose last rows are only in the -wal; the connection keeps -wal and -shm alive."""
    db = wide_source(path, ROWS, "wal")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("INSERT INTO wide VALUES (?, 'son', 'son', '2025-06-01 00:00:00', 1, NULL)", (ROWS,))
    return db


def rollback_journal(path):
    wide_source(path, ROWS).close()
    return ROWS, None


def wal_at_rest(path):
    """WAL in the header, no other file: what the last writer leaves when it closes."""
    wal_source(path).close()
    return ROWS + 1, None


def wal_with_a_writer(path):
    return ROWS + 1, wal_source(path)


def wal_left_behind(path):
    """What a killed writer leaves: a -wal that still holds rows, and a -shm that nobody has open."""
    alive = path.with_name("alive.db")
    db = wal_source(alive)
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(str(alive) + suffix, str(path) + suffix)
    db.close()
    return ROWS + 1, None


def wal_without_shm(path):
    """A copy that took the -wal along and not the -shm."""
    rows, _ = wal_left_behind(path)
    path.with_name(path.name + "-shm").unlink()
    return rows, None


def wal_empty(path):
    """An empty -wal beside a database at rest."""
    wal_source(path).close()
    path.with_name(path.name + "-wal").write_bytes(b"")
    return ROWS + 1, None


SHAPES = [rollback_journal, wal_at_rest, wal_with_a_writer, wal_left_behind, wal_without_shm, wal_empty]


@pytest.mark.parametrize("folder_mode", [0o777, 0o555], ids=["writable-folder", "read-only-folder"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda f: f.__name__)
def test_nothing_changes(files, connection, shape, folder_mode):
    path = files / "source.db"
    rows, writer = shape(path)
    for file in files.iterdir():
        file.chmod(0o666 if folder_mode == 0o777 else 0o444)
    files.chmod(folder_mode)
    before = listing(files)
    try:
        connection.execute("SET statement_timeout = '20s'")
        found = connection.execute("SELECT imported_rows, content_match FROM aliaport_import(%s)", [str(path)]).fetchall()
        assert found == [(rows, True)]
        assert listing(files) == before
        # Nor later, when the session has been idle or ends.
        assert open_files(connection.info.backend_pid, path) == 0
        connection.close()
        assert listing(files) == before
    finally:
        files.chmod(0o777)
        if writer:
            # And the writer goes on as if nobody had been there.
            writer.execute("INSERT INTO wide VALUES (-1, 'yeni', 'yeni', '2025-06-01', 1, NULL)")
            assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            writer.close()


def test_a_hot_journal_is_not_rolled_back_by_us(files, connection):
    """A writer was killed in the middle of a transaction: only it may repair the file. Refused, or read as SQLite would; untouched."""
    live = files / "live.db"
    db = wide_source(live, ROWS)
    db.executescript("PRAGMA synchronous = FULL; PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE wide SET b = 'yarım';")
    path = files / "source.db"
    shutil.copy(live, path)
    shutil.copy(str(live) + "-journal", str(path) + "-journal")
    db.execute("ROLLBACK")
    db.close()
    before = listing(files)
    import psycopg

    try:
        half = connection.execute("SELECT imported_rows FROM aliaport_import(%s)", [str(path)]).fetchall()
        assert half == [(ROWS,)]
        assert connection.execute("SELECT count(*) FROM wide WHERE b = 'yarım'").fetchone() == (0,)
    except psycopg.Error as e:
        assert e.diag.sqlstate in ("55P03", "22P04", "55000"), e
        assert e.diag.message_hint
    assert listing(files) == before


def test_a_live_writer_is_seen_at_one_moment(files, connection):
    """Every transaction of the writer adds one row to each of two tables: any snapshot has as many in both."""
    import threading

    path = files / "source.db"
    db = wide_source(path, 5_000, "wal")
    db.executescript("CREATE TABLE debit (id INTEGER PRIMARY KEY, amount NUMERIC(15, 2)); CREATE TABLE zcredit (id INTEGER PRIMARY KEY, "
                     "amount NUMERIC(15, 2)); CREATE TABLE adebit (id INTEGER PRIMARY KEY, debit_id INTEGER REFERENCES debit (id));")
    db.close()
    stop, written = threading.Event(), [0]

    def write():
        writer = sqlite3.connect(path, isolation_level=None, timeout=20)
        while not stop.is_set():
            writer.execute("BEGIN IMMEDIATE")
            amount = written[0] * 1.25
            writer.execute("INSERT INTO debit (amount) VALUES (?)", (amount,))
            writer.execute("INSERT INTO adebit (debit_id) VALUES (last_insert_rowid())")
            writer.execute("INSERT INTO zcredit (amount) VALUES (?)", (amount,))
            writer.execute("COMMIT")
            written[0] += 1
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for n in range(6):
            connection.execute(f"CREATE SCHEMA s{n}")
            start = written[0]
            rows = dict(connection.execute(
                f"SELECT split_part(table_name, '.', 2), target_rows FROM aliaport_import(%s, 's{n}')", [str(path)]).fetchall())
            assert rows["debit"] == rows["zcredit"] == rows["adebit"], rows
            assert start <= rows["debit"] <= written[0]
    finally:
        stop.set()
        thread.join()
    # The writer was never kept waiting for long, and wrote while imports ran.
    assert written[0] > 50
