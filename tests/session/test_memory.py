"""Rows pass through the backend; they do not stay in it, whatever becomes of them."""

import contextlib
import pathlib
import re
import sqlite3
import threading

import psycopg
import pytest

LIMIT = 64 * 1024  # kB


def private_memory(pid):
    return int(re.search(r"RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


@contextlib.contextmanager
def small(connection, limit=LIMIT):
    """Fails where the backend grows by more than the limit meanwhile."""
    connection.execute("SELECT aliaport_import_version()")
    pid = connection.info.backend_pid
    before, peak, done = private_memory(pid), [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], private_memory(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    growth = peak[0] - before
    print(f"RssAnon: {before} kB before, {peak[0]} kB at most")
    assert growth < limit, f"the backend grew by {growth} kB"


@pytest.mark.slow
def test_a_million_rows_grow_the_backend_by_less_than_64_mb(connection, sample):
    path = str(sample(1_000_000))
    with small(connection):
        rows = connection.execute("SELECT max(imported_rows), bool_and(content_match) FROM aliaport_import(%s)", [path]).fetchone()
    assert rows == (1_000_000, True)


@pytest.fixture(scope="module")
def bad_rows(cluster):
    """40,000 rows of 20 kB that no integer column takes, half a percent of them with a blob."""
    path = cluster.files / "bad_rows.db"
    db = sqlite3.connect(path)
    db.executescript("PRAGMA synchronous = OFF; CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, v TEXT, b BLOB)")
    db.executemany("INSERT INTO t VALUES (?, 'kötü', ?, ?)",
                   ((i, "ş" * 10_000, b"\0" * 10_000 if i % 200 == 0 else None) for i in range(40_000)))
    db.commit()
    db.close()
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["import", "dry run", "datums", "inspect"])
def test_bad_rows_do_not_stay_in_the_backend(connection, bad_rows, what):
    if what == "datums":
        connection.execute("SET aliaport_import.tuple_images = off")
    with small(connection):
        if what == "inspect":
            found = connection.execute("SELECT row_count FROM aliaport_inspect(%s) WHERE code = 'type_mismatch'", [bad_rows]).fetchall()
        else:
            found = connection.execute("SELECT rejected_rows FROM aliaport_import(%s, on_error => 'reject', dry_run => %s)",
                                       [bad_rows, what == "dry run"]).fetchall()
    assert found == [(40_000,)]
    if what != "inspect":
        # A rehearsal keeps what it has set aside, although its work is undone.
        assert connection.execute("SELECT count(*), count(DISTINCT source_key), min(length(row_data ->> 'v')) FROM aliaport.rejected_row"
                                  ).fetchone() == (40_000, 40_000, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["text", "blob"])
def test_a_long_value_set_aside_is_there_a_few_times_only(connection, cluster, what):
    """Of 48 MB as jsonb has it: read, written to a temporary file, read from there, compressed, with a copy at each step."""
    path = cluster.files / f"long_{what}.db"
    value = {"text": "ş" * (24 << 20), "blob": bytes(range(256)) * (96 << 10)}[what]
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, m INTEGER, v)")
    db.execute("INSERT INTO t VALUES (1, 'kötü', 'fena', ?)", [value])
    db.commit()
    db.close()
    for policy in ("reject", "null"):
        with small(connection, limit=6 * (48 << 10)):
            connection.execute("SELECT aliaport_import(%s, on_error => %s, mode => 'replace')", [str(path), policy])
    lengths = connection.execute("SELECT action, column_name, length(coalesce(row_data #>> '{v,hex}', row_data ->> 'v'))"
                                 " FROM aliaport.rejected_row WHERE table_name = 't' ORDER BY run_id DESC, column_name DESC LIMIT 3").fetchall()
    whole = {"text": 24 << 20, "blob": 48 << 20}[what]
    assert lengths == [("nulled", "n", whole), ("nulled", "m", whole), ("rejected", "n", whole)]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["reject", "null"])
def test_a_row_that_jsonb_cannot_hold_is_a_clear_error(connection, cluster, policy):
    path = cluster.files / "longest.db"
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, v BLOB);
        INSERT INTO t VALUES (1, 'bad', x'00'), (2, 'bad', zeroblob(140000000));
    """)
    db.close()
    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as raised:
        connection.execute("SELECT aliaport_import(%s, on_error => %s)", [str(path), policy])
    assert "too long to be set aside" in raised.value.diag.message_primary
    assert 'table "t", rowid 2' in raised.value.diag.message_detail
    # What the HINT says.
    done = connection.execute("SELECT rejected_rows FROM aliaport_import(%s, on_error => 'reject', options => %s)",
                              [str(path), '{"tables": {"t": {"where": "id <> 2"}}}']).fetchone()
    assert done == (1,)
