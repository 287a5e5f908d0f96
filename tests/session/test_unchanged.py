"""A run that finds nothing to do says so and ends; whatever might have changed, it never says so wrongly."""

import json
import os
import shutil
import sqlite3
import threading

import psycopg
import pytest

from conftest import refused, wait_until

SCHEMA = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(20) UNIQUE, amount NUMERIC(10, 2), seen DATETIME);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent, note TEXT, raw BLOB);
    INSERT INTO parent VALUES (1, 'bir', 1.5, '2025-03-01 10:00:00'), (2, 'iki', 2.25, NULL), (3, 'üç', NULL, '2025-03-01');
    INSERT INTO child VALUES (10, 1, 'a', x'00ff'), (11, 1, 'b', NULL), (12, 2, 'c', x''), (13, NULL, 'd', NULL);
"""


def make(path, script):
    """Runs a script on a source, which is made where it is missing."""
    source = sqlite3.connect(path, isolation_level=None)
    source.executescript(script)
    source.close()
    return path


@pytest.fixture
def source(files):
    return make(files / "source.db", SCHEMA)


@pytest.fixture(params=["replace", "sync"])
def mode(request):
    return request.param


def run(connection, path, mode, **how):
    """Imports; the status in the history."""
    options = json.dumps(how.pop("options", {}))
    named = "".join(f", {name} => %s" for name in how)
    connection.execute(f"SELECT aliaport_import(%s, mode => %s, options => %s{named})", [str(path), mode, options, *how.values()])
    return connection.execute("SELECT status FROM aliaport.run ORDER BY run_id DESC LIMIT 1").fetchone()[0]


def settled(connection, path, mode, **how):
    """Imports until a further run would be the first that has nothing to do."""
    run(connection, path, "create")
    assert run(connection, path, mode, **how) == "ok"
    assert run(connection, path, mode, **how) == "unchanged"


def contents(connection):
    """Both tables as SQL shows them, columns that the source lacks aside."""
    return connection.execute("SELECT (SELECT json_agg((p.id, p.name, p.amount, p.seen) ORDER BY id) FROM parent p)::text, "
                              "(SELECT json_agg((c.id, c.parent_id, c.note, c.raw) ORDER BY id) FROM child c)::text").fetchone()


def places(connection):
    return connection.execute("SELECT (SELECT json_agg((ctid, xmin)::text) FROM parent)::text, (SELECT json_agg((ctid, xmin)::text) FROM child)::text").fetchone()


def test_the_second_night_ends_at_once(connection, source, mode):
    assert run(connection, source, "create") == "ok"
    # What a create left can be compared with nothing: it did not read the source's pages.
    assert run(connection, source, mode) == "ok"
    base = connection.execute("SELECT max(run_id) FROM aliaport.run").fetchone()[0]
    before = places(connection)
    notices = []
    connection.add_notice_handler(lambda n: notices.append(n.message_primary))
    for _ in range(2):
        rows = connection.execute("SELECT table_name, source_rows, imported_rows, rejected_rows, target_rows, content_match, sequence_next, status, detail "
                                  "FROM aliaport_import(%s, mode => %s)", [str(source), mode]).fetchall()
        assert [r[:8] for r in rows] == [("parent", 3, 0, 0, 3, True, 4, "ok"), ("child", 4, 0, 0, 4, True, 14, "ok")]
        for row in rows:
            detail = row[8]
            assert (detail["unchanged"], detail["unchanged_since"], detail["inserted"], detail["updated"], detail["deleted"]) == (row[4], base, 0, 0, 0)
        recorded = connection.execute("SELECT status, rows_imported, rows_rejected, error FROM aliaport.run ORDER BY run_id DESC LIMIT 1").fetchone()
        assert recorded == ("unchanged", 0, 0, None)
    assert notices == [f"nothing to do: the source and its tables are as run {base} left them"] * 2
    assert places(connection) == before
    assert all(ok for (ok,) in connection.execute("SELECT ok FROM aliaport_validate(%s)", [str(source)]).fetchall())
    # A key that was drawn is no row; what comes next is said as it is now.
    connection.execute("SELECT nextval(pg_get_serial_sequence('parent', 'id')), nextval(pg_get_serial_sequence('parent', 'id'))")
    row = connection.execute("SELECT sequence_next FROM aliaport_import(%s, mode => %s) WHERE table_name = 'parent'", [str(source), mode]).fetchone()
    assert row == (6,)
    assert connection.execute("SELECT status FROM aliaport.run ORDER BY run_id DESC LIMIT 1").fetchone() == ("unchanged",)


def test_a_commit_in_the_wal_is_seen_and_a_checkpoint_is_none(connection, source, mode):
    writer = sqlite3.connect(source, isolation_level=None)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    settled(connection, source, mode)
    before = source.read_bytes()
    for amount in (7, 8):
        writer.execute("UPDATE parent SET amount = ? WHERE id = 1", [amount])
        assert source.read_bytes() == before
        assert run(connection, source, mode) == "ok"
        assert connection.execute("SELECT amount FROM parent WHERE id = 1").fetchone() == (amount,)
        assert run(connection, source, mode) == "unchanged"
    assert writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    # The file is another, its counter still the same.
    assert source.read_bytes() != before and source.read_bytes()[24:28] == before[24:28]
    assert run(connection, source, mode) == "unchanged"
    # There and back again, and another layout of the same rows: whatever it says, the rows are right.
    rows = contents(connection)
    writer.execute("UPDATE parent SET amount = 9 WHERE id = 1")
    writer.execute("UPDATE parent SET amount = 8 WHERE id = 1")
    assert run(connection, source, mode) == "unchanged"
    writer.execute("VACUUM")
    assert run(connection, source, mode) in ("ok", "unchanged")
    assert contents(connection) == rows
    writer.close()


def test_counters_and_times_prove_nothing(connection, source, mode):
    settled(connection, source, mode)
    stat = source.stat()

    def put_back(path):
        """Gives a file the size, times and counters of the one that was imported."""
        with open(path, "r+b") as file:
            assert os.fstat(file.fileno()).st_size == stat.st_size
            for at in (24, 92):
                file.seek(at)
                file.write(counters[at])
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    counters = {at: source.read_bytes()[at:at + 4] for at in (24, 92)}
    make(source, "UPDATE parent SET amount = 1.25 WHERE id = 1")
    put_back(source)
    assert run(connection, source, mode) == "ok"
    assert str(connection.execute("SELECT amount FROM parent WHERE id = 1").fetchone()[0]) == "1.25"
    assert run(connection, source, mode) == "unchanged"
    # Another file in its place.
    other = shutil.copy(source, str(source) + ".other")
    make(other, "UPDATE child SET note = 'B' WHERE id = 11")
    put_back(other)
    os.rename(other, source)
    assert (source.stat().st_size, source.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert run(connection, source, mode) == "ok"
    assert connection.execute("SELECT note FROM child WHERE id = 11").fetchone() == ("B",)
    # Counters that moved without a change.
    with open(source, "r+b") as file:
        file.seek(24)
        file.write(b"\0\0\7\7")
    assert run(connection, source, mode) == "unchanged"


WRITES = {
    "update": "UPDATE child SET note = 'x' WHERE id = 10",
    "scale": "UPDATE parent SET seen = seen + interval '1 microsecond' WHERE id = 1",
    "insert": "INSERT INTO child (id, note) VALUES (99, 'x')",
    "delete": "DELETE FROM child WHERE id = 13",
    "swap": "UPDATE child SET note = CASE id WHEN 10 THEN 'b' ELSE 'a' END WHERE id IN (10, 11)",
    "null": "UPDATE child SET raw = NULL WHERE id = 12",
    "truncate": "TRUNCATE child",
    "sequence": "SELECT setval(pg_get_serial_sequence('parent', 'id'), 1)",
    "foreign key": "ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey",
    "type": "ALTER TABLE parent ALTER amount TYPE numeric(12, 4)",
    "names": "ALTER TABLE child RENAME note TO n; ALTER TABLE child ADD note text",
    "copy": "CREATE TABLE c AS TABLE child; DROP TABLE child; ALTER TABLE c RENAME TO child; "
            "ALTER TABLE child ADD PRIMARY KEY (id), ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
    "check": "ALTER TABLE child ADD CHECK (note <> 'zz') NOT VALID",
}


# What the source declares is not there any more, or comes from another column: that is drift, and a warning.
DRIFT = {"foreign key", "names", "copy"}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_write_to_the_target_is_seen(cluster, database, connection, source, mode, write):
    settled(connection, source, mode)
    rows = contents(connection)
    other = cluster.connect(database)
    other.execute(write)
    assert run(connection, source, mode) == ("warning" if write in {WRITES[name] for name in DRIFT} else "ok")
    assert [len(json.loads(t)) for t in contents(connection)] == [3, 4]
    if "TYPE" not in write:
        assert contents(connection) == rows
    assert connection.execute("SELECT nextval(pg_get_serial_sequence('parent', 'id'))").fetchone() == (4,)
    if write == WRITES["names"]:
        return  # Now the target has a column that the source lacks: the next test's subject.
    assert run(connection, source, mode) == "unchanged"


def test_a_column_that_the_source_lacks(connection, source, mode):
    """sync keeps its values, a replace would give them the default."""
    settled(connection, source, mode)
    connection.execute("ALTER TABLE child ADD own text DEFAULT 'new'; UPDATE child SET own = 'kept'")
    expected = "unchanged" if mode == "sync" else "ok"
    assert run(connection, source, mode) == "ok"
    assert run(connection, source, mode) == expected
    connection.execute("UPDATE child SET own = 'mine'")
    assert run(connection, source, mode) == expected
    assert connection.execute("SELECT DISTINCT own FROM child").fetchall() == [("mine" if mode == "sync" else "new",)]


def test_rows_of_an_inheriting_table(connection, source, mode):
    """A statement on the table reaches them, the digest of the table does not."""
    run(connection, source, "create")
    connection.execute("ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey; CREATE TABLE kin () INHERITS (child)")
    for _ in range(3):
        # The key that was dropped is missed.
        assert run(connection, source, mode) == "warning"
        assert connection.execute("SELECT count(*) FROM ONLY child").fetchone() == (4,)


def test_a_table_that_went_is_made_again(connection, source, mode):
    settled(connection, source, mode)
    connection.execute("DROP TABLE child")
    assert run(connection, source, mode) == "ok"
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (4,)
    assert run(connection, source, mode) == "unchanged"


def test_other_arguments_are_another_run(connection, source, files, mode):
    settled(connection, source, mode)
    other = "sync" if mode == "replace" else "replace"
    link = files / "link.db"
    link.symlink_to(source)
    assert run(connection, link, mode) == "unchanged"
    assert run(connection, source, other) == "ok"
    for how in ({"on_error": "reject"}, {"orphans": "null"}, {"options": {"timezone": "Europe/Istanbul"}}, {"options": {"force": True}}):
        assert run(connection, source, mode, **how) == "ok", how
    # The tables hold what the zone made of the source; without it they would not.
    assert run(connection, source, mode, options={"timezone": "Europe/Istanbul"}) in ("ok", "unchanged")
    assert run(connection, source, mode) == "ok"
    assert run(connection, source, mode, options={"force": False}) == "unchanged"
    assert run(connection, source, mode, options={"verify": "count"}) == "ok"
    assert run(connection, source, mode, options={"verify": "count"}) == "ok"
    # What the run itself would say: there is an equal one before it.
    assert run(connection, source, mode, dry_run=True) == "unchanged"
    connection.execute("CREATE SCHEMA elsewhere")
    assert run(connection, source, mode, target_schema="elsewhere") == "ok"
    assert run(connection, source, mode, target_schema="elsewhere") == "unchanged"
    assert run(connection, source, mode) == "unchanged"


def test_rows_that_stay_beside_the_source(connection, source):
    how = {"options": {"sync_delete": False}}
    settled(connection, source, "sync", **how)
    connection.execute("INSERT INTO child (id, note) VALUES (99, 'mine')")
    assert run(connection, source, "sync", **how) == "ok"
    assert run(connection, source, "sync", **how) == "unchanged"
    connection.execute("UPDATE child SET note = 'other' WHERE id = 99")
    assert run(connection, source, "sync", **how) == "ok"
    assert run(connection, source, "replace") == "ok"
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (4,)


def test_what_is_not_decided_by_the_source_alone(connection, source, mode):
    """A filter that asks for the time, rows that were set aside, triggers that are meant to fire: always another run."""
    run(connection, source, "create")
    for condition, second in (("note <> 'zz' OR note IS NULL", "unchanged"), ("DATE('now') > '2020-01-01'", "ok"), ('"random"() IS NOT NULL', "ok")):
        options = {"tables": {"child": {"where": condition}}}
        assert run(connection, source, mode, options=options) == "ok"
        assert run(connection, source, mode, options=options) == second, condition
    make(source, "INSERT INTO child VALUES (20, 77, 'orphan', NULL)")
    for how in ({"orphans": "reject"}, {"orphans": "null"}):
        for _ in range(2):
            assert run(connection, source, mode, **how) == "warning"
            assert connection.execute("SELECT count(*) FROM aliaport.rejected_row WHERE run_id = (SELECT max(run_id) FROM aliaport.run)").fetchone() == (1,)
    make(source, "DELETE FROM child WHERE id = 20; CREATE TABLE host (id INTEGER PRIMARY KEY, ip TEXT); INSERT INTO host VALUES (1, '10.0.0.1')")
    connection.execute("CREATE TABLE host (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, ip inet)")
    for _ in range(2):
        assert run(connection, source, mode) == "ok"
        assert run(connection, source, mode) == "unchanged"
        connection.execute("UPDATE host SET ip = '10.0.0.2'")
    # Triggers that a replace was asked to fire.
    connection.execute("DROP TABLE host")
    make(source, "DROP TABLE host")
    run(connection, source, mode)
    assert run(connection, source, mode, options={"triggers": "on"}) == "ok"
    assert run(connection, source, mode, options={"triggers": "on"}) == ("unchanged" if mode == "sync" else "ok")


def test_who_may_not_import_learns_nothing(connection, source, mode):
    settled(connection, source, mode)
    connection.execute("DROP ROLE IF EXISTS unchanged_reader")
    connection.execute("""CREATE ROLE unchanged_reader; GRANT pg_read_server_files TO unchanged_reader;
        GRANT EXECUTE ON FUNCTION aliaport_import TO unchanged_reader; GRANT SELECT ON parent, child TO unchanged_reader; SET ROLE unchanged_reader""")
    with refused("42501"):
        connection.execute("SELECT aliaport_import(%s, mode => %s)", [str(source), mode])
    connection.execute("RESET ROLE; DROP OWNED BY unchanged_reader; DROP ROLE unchanged_reader")


def test_a_failed_run_and_one_that_was_undone_leave_no_state(connection, source, mode):
    settled(connection, source, mode)
    rows = contents(connection)
    make(source, "UPDATE child SET note = 'new' WHERE id = 10; INSERT INTO child VALUES (30, 99, 'orphan', NULL)")
    for _ in range(2):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            run(connection, source, mode)
    assert connection.execute("SELECT status FROM aliaport.run ORDER BY run_id DESC LIMIT 1").fetchone() == ("failed",)
    make(source, "DELETE FROM child WHERE id = 30")
    connection.execute("BEGIN")
    assert run(connection, source, mode) == "ok"
    assert run(connection, source, mode) == "unchanged"
    connection.execute("ROLLBACK")
    assert contents(connection) == rows
    assert run(connection, source, mode) == "ok"
    assert connection.execute("SELECT note FROM child WHERE id = 10").fetchone() == ("new",)
    # In one transaction with a write of one's own.
    connection.execute("BEGIN; UPDATE child SET note = 'mine' WHERE id = 11")
    assert run(connection, source, mode) == "ok"
    connection.execute("COMMIT")
    assert connection.execute("SELECT note FROM child WHERE id = 11").fetchone() == ("b",)


def test_writers_of_the_target_while_it_is_looked_at(cluster, database, connection, source, mode):
    settled(connection, source, mode)
    rows = contents(connection)
    other = cluster.connect(database)
    other.execute("BEGIN; UPDATE child SET note = 'late' WHERE id = 10")
    statuses = []
    importer = threading.Thread(target=lambda: statuses.append(run(connection, source, mode)))
    importer.start()
    pid = connection.info.backend_pid
    watcher = cluster.connect(database)
    wait_until(lambda: watcher.execute("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()[0], what="the wait")
    other.execute("COMMIT")
    importer.join()
    assert statuses == ["ok"] and contents(connection) == rows
    # What was said stays true until the transaction ends.
    connection.execute("BEGIN")
    assert run(connection, source, mode) == "unchanged"
    other.execute("SET lock_timeout = '200ms'")
    assert other.execute("SELECT count(*) FROM child").fetchone() == (4,)
    with pytest.raises(psycopg.errors.LockNotAvailable):
        other.execute("UPDATE child SET note = 'late' WHERE id = 10")
    connection.execute("COMMIT")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_writer_of_the_source_while_it_is_looked_at(connection, files, journal, mode):
    """Whatever the run says: the target is at a commit between the last before it began and the last when it ended."""
    path = files / "moving.db"
    make(path, f"""PRAGMA journal_mode = {journal}; CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, pad TEXT);
        WITH RECURSIVE i(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM i WHERE n < 2000) INSERT INTO t SELECT n, 0, hex(randomblob(200)) FROM i;""")
    run(connection, path, "create")
    stop, committed, pause = threading.Event(), [0], threading.Event()

    def write():
        writer = sqlite3.connect(path, isolation_level=None, timeout=30)
        writer.execute("PRAGMA wal_autocheckpoint = 20")
        while not stop.is_set():
            if pause.is_set():
                stop.wait(0.02)
                continue
            n = committed[0] + 1
            writer.execute("UPDATE t SET n = ? WHERE id % 500 = 7", [n])
            committed[0] = n
            stop.wait(0.004)
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    seen = {"ok": 0, "unchanged": 0}
    try:
        wait_until(lambda: committed[0] > 3, what="the writer")
        for turn in range(24):
            # Now and then it rests, so that both answers are right sometimes.
            (pause.set if turn % 6 >= 3 else pause.clear)()
            first = committed[0]
            status = run(connection, path, mode)
            last = committed[0]
            rows = connection.execute("SELECT DISTINCT n FROM t WHERE id % 500 = 7").fetchall()
            # A commit can be on its way when the counter is read.
            assert len(rows) == 1 and first <= rows[0][0] <= last + 1, (status, first, rows, last)
            seen[status] += 1
    finally:
        stop.set()
        thread.join()
    assert seen["ok"] >= 4 and seen["unchanged"] >= 4, seen


def test_a_crash_in_between(cluster, database, source, mode):
    connection = cluster.connect(database)
    settled(connection, source, mode)
    connection.execute("ALTER TABLE child SET UNLOGGED")
    assert run(connection, source, mode) == "ok"
    assert run(connection, source, mode) == "unchanged"
    for connection in cluster.connections:
        connection.close()
    cluster.as_server(cluster.bindir / "pg_ctl", "-D", cluster.data, "-l", cluster.directory / "log", "-m", "immediate", "-w", "restart",
                      stdout=None, stderr=None)
    connection = cluster.connect(database)
    # An unlogged table is empty now; the history is not.
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (0,)
    assert run(connection, source, mode) == "ok"
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (4,)
    assert run(connection, source, mode) == "unchanged"
