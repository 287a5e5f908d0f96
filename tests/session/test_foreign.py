"""Foreign tables from outside: what a session keeps, and what it gives back; who may read; files that change."""

import sqlite3
import threading
import time

import psycopg
import pytest

from conftest import listing, open_files, refused


@pytest.fixture
def port(files, connection):
    """A file, and foreign tables over it."""
    path = files / "port.db"
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, i INTEGER);
        WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i, 'v' || i, i FROM n;
        CREATE TABLE bad (id INTEGER PRIMARY KEY, i INTEGER);
        WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO bad SELECT i, CASE i WHEN 400 THEN 'x' ELSE i END FROM n;
    """)
    db.close()
    connection.execute(f"CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path '{path}')")
    connection.execute("CREATE FOREIGN TABLE t (id bigint, v text, i bigint) SERVER port")
    connection.execute("CREATE FOREIGN TABLE bad (id bigint, i bigint) SERVER port")
    return path


def one(connection, sql, *args):
    return connection.execute(sql, args).fetchone()[0]


def test_three_hundred_errors_leave_nothing(port, connection):
    connection.execute("""
        CREATE FUNCTION errors() RETURNS int LANGUAGE plpgsql AS $$
        DECLARE caught int := 0; x bigint;
        BEGIN
            FOR n IN 1..300 LOOP
                BEGIN
                    IF n % 3 = 0 THEN SELECT sum(i) INTO x FROM bad;
                    ELSIF n % 3 = 1 THEN SELECT sum(1 / (id - 700)) INTO x FROM t;
                    ELSE SELECT count(*) / 0 INTO x FROM t WHERE id > 100;
                    END IF;
                EXCEPTION WHEN OTHERS THEN caught := caught + 1;
                END;
            END LOOP;
            RETURN caught;
        END $$""")
    assert one(connection, "SELECT errors()") == 300
    assert open_files(connection.info.backend_pid, port) <= 1
    memory = "SELECT sum(total_bytes) FROM pg_backend_memory_contexts"
    before = one(connection, memory)
    assert one(connection, "SELECT errors()") == 300
    assert one(connection, memory) < before + (1 << 20)
    assert one(connection, "SELECT count(*) FROM t") == 2000


def test_prepared_plans_cursors_and_limits(port, connection):
    connection.prepare_threshold = 0
    for n in range(1, 8):
        assert one(connection, "SELECT v FROM t WHERE id = %s", n) == f"v{n}"
        assert one(connection, "SELECT count(*) FROM (SELECT 1 FROM t LIMIT %s) x", n) == n
    connection.execute("PREPARE p (bigint) AS SELECT v FROM t WHERE id = $1")
    assert [one(connection, f"EXECUTE p({n})") for n in range(1, 8)] == [f"v{n}" for n in range(1, 8)]
    with connection.transaction():
        connection.execute("DECLARE c CURSOR FOR SELECT id FROM t")
        assert len(connection.execute("FETCH 10 FROM c").fetchall()) == 10
        assert one(connection, "SELECT count(*) FROM t") == 2000
        assert connection.execute("FETCH 1 FROM c").fetchone() == (11,)


def test_the_session_gives_the_file_back(port, connection):
    pid = connection.info.backend_pid
    assert one(connection, "SELECT count(*) FROM t") == 2000
    assert open_files(pid, port) == 1
    # Kept without a lock: a writer does not wait.
    db = sqlite3.connect(port, timeout=0)
    db.execute("INSERT INTO t (v) VALUES ('new')")
    db.commit()
    assert one(connection, "SELECT count(*) FROM t") == 2001
    connection.execute("DISCARD ALL")
    assert open_files(pid, port) == 0
    assert one(connection, "SELECT count(*) FROM t") == 2001
    db.executescript("PRAGMA journal_mode = wal; INSERT INTO t (v) VALUES ('wal')")
    assert one(connection, "SELECT count(*) FROM t") == 2002
    assert open_files(pid, port) == 0, "a database in WAL mode is not kept"
    db.close()


def test_one_snapshot_a_transaction(port, connection):
    db = sqlite3.connect(port, isolation_level=None)
    db.execute("PRAGMA journal_mode = wal")
    db.execute("INSERT INTO t (v) VALUES ('a')")
    with connection.transaction():
        assert one(connection, "SELECT count(*) FROM t") == 2001
        db.execute("INSERT INTO t (v) VALUES ('b')")
        assert one(connection, "SELECT count(*) FROM t") == 2001
        assert one(connection, "SELECT max(id) FROM t WHERE id > 5") == 2001
    assert one(connection, "SELECT count(*) FROM t") == 2002
    db.close()


def test_another_file_in_its_place(port, connection, files):
    assert one(connection, "SELECT count(*) FROM t") == 2000
    other = files / "other.db"
    db = sqlite3.connect(other)
    db.executescript("CREATE TABLE t (v TEXT, i INTEGER, id INTEGER PRIMARY KEY); INSERT INTO t VALUES ('other', 1, 1)")
    db.close()
    other.rename(port)
    assert connection.execute("SELECT * FROM t").fetchall() == [(1, "other", 1)]
    port.unlink()
    with refused("58P01"):
        connection.execute("SELECT * FROM t")


def test_several_servers_over_one_file(port, connection):
    connection.execute(f"CREATE SERVER again FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path '{port}', timezone 'Asia/Tokyo')")
    connection.execute("CREATE FOREIGN TABLE u (id bigint, v text) SERVER again OPTIONS (table_name 't')")
    assert one(connection, "SELECT count(*) FROM t JOIN u USING (id, v)") == 2000
    connection.execute("DROP SERVER again CASCADE")
    assert one(connection, "SELECT count(*) FROM t a JOIN t b USING (id)") == 2000


def test_the_right_is_asked_of_who_runs(port, connection, cluster, database):
    connection.execute("DROP ROLE IF EXISTS reader")
    connection.execute("CREATE ROLE reader LOGIN")
    connection.execute("GRANT SELECT ON t TO reader")
    connection.execute("CREATE VIEW by_owner AS SELECT * FROM t")
    connection.execute("GRANT SELECT ON by_owner TO reader")
    connection.execute("PREPARE p AS SELECT count(*) FROM t")
    assert one(connection, "EXECUTE p") == 2000
    connection.execute("SET ROLE reader")
    for sql in ("SELECT * FROM t", "SELECT * FROM by_owner", "EXECUTE p"):
        with refused("42501"):
            connection.execute(sql)
    connection.execute("RESET ROLE")
    connection.execute("GRANT pg_read_server_files TO reader")
    connection.execute("SET ROLE reader")
    assert one(connection, "SELECT count(*) FROM t") == 2000
    connection.execute("RESET ROLE")
    connection.execute("SET aliaport_import.allowed_directories = '/elsewhere'")
    with refused("42501"):
        connection.execute("SELECT * FROM t")
    with refused("42501"):
        connection.execute(f"CREATE SERVER more FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path '{port}')")
    with refused("42501"):
        connection.execute(f"ALTER SERVER port OPTIONS (SET path '{port}')")
    connection.execute("RESET aliaport_import.allowed_directories")
    connection.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_the_file_is_untouched_and_a_cancel_comes_at_once(port, connection):
    db = sqlite3.connect(port)
    db.executescript("CREATE VIEW slow AS SELECT count(*) AS n FROM t a, t b, t c")
    db.close()
    before = listing(port.parent)
    connection.execute("CREATE FOREIGN TABLE slow (n bigint) SERVER port")
    connection.execute("SET statement_timeout = '300ms'")
    begun = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT n FROM slow")
    assert time.monotonic() - begun < 2
    connection.execute("RESET statement_timeout")
    assert one(connection, "SELECT count(*) FROM t") == 2000
    assert listing(port.parent) == before


def test_a_locked_file_is_waited_for(port, connection):
    connection.execute("ALTER SERVER port OPTIONS (ADD busy_timeout '100')")
    db = sqlite3.connect(port, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN EXCLUSIVE")
    with refused("55P03"):
        connection.execute("SELECT * FROM t")
    connection.execute("ALTER SERVER port OPTIONS (SET busy_timeout '20000')")
    ends = threading.Timer(0.5, db.execute, ("ROLLBACK",))
    ends.start()
    assert one(connection, "SELECT count(*) FROM t") == 2000
    ends.join()
    db.close()


def test_a_census_is_of_one_state_of_the_file(port, connection):
    """What ANALYZE has proven is not concluded of another state, nor by a plan that was made before."""
    asked = "SELECT count(*) FROM t WHERE i < 5"
    connection.execute("PREPARE p (bigint) AS SELECT count(*) FROM t WHERE i < $1")
    connection.execute("ANALYZE t")
    assert one(connection, "SELECT proof FROM aliaport.foreign_census WHERE table_name = 't' AND column_name = 'i'") == "integer"

    def statement(sql):
        plan = connection.execute(f"EXPLAIN (VERBOSE, COSTS OFF) {sql}").fetchall()
        return " ".join(line for (line,) in plan)

    exact = statement(asked)
    assert "< ?1" in exact and ">= \'\'" not in exact
    connection.execute("SET plan_cache_mode = force_generic_plan")
    assert one(connection, "EXECUTE p(5)") == 4
    db = sqlite3.connect(port)
    db.execute("UPDATE t SET i = 'zero' WHERE id = 1")
    db.commit()
    db.close()
    assert ">= \'\'" in statement(asked)
    for sql in (asked, "EXECUTE p(5)"):
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute(sql)
    connection.execute("ALTER FOREIGN TABLE t OPTIONS (ADD on_error 'skip')")
    connection.execute("ANALYZE t")
    assert connection.execute("SELECT bad, proof FROM aliaport.foreign_census WHERE column_name = 'i' AND table_name = 't'").fetchone() == (1, None)
    assert one(connection, "SELECT reltuples FROM pg_class WHERE relname = 't'") == 1999
    assert one(connection, asked) == 3


def test_analyze_of_a_file_that_is_gone_is_a_warning(port, connection):
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    port.unlink()
    connection.execute("ANALYZE t")
    assert notices == ["58P01", "01000"]


def test_a_backend_that_is_ended_in_a_scan_goes_quietly(port, connection, cluster, database):
    db = sqlite3.connect(port)
    db.executescript("CREATE VIEW slow AS SELECT count(*) AS n FROM t a, t b, t c")
    db.close()
    connection.execute("CREATE FOREIGN TABLE slow (n bigint) SERVER port")
    other = cluster.connect(database)
    pid = other.info.backend_pid
    assert one(other, "SELECT count(*) FROM t") == 2000
    thrown = []

    def scan():
        try:
            other.execute("SELECT n FROM slow")
        except psycopg.Error as error:
            thrown.append(error.sqlstate)

    thread = threading.Thread(target=scan)
    thread.start()
    time.sleep(0.3)
    assert one(connection, "SELECT pg_terminate_backend(%s, 5000)", pid)
    thread.join()
    assert thrown == ["57P01"]
    assert "was terminated by signal" not in cluster.log()
    # Nothing is locked any more.
    db = sqlite3.connect(port, timeout=0)
    db.execute("DELETE FROM t WHERE id = 1")
    db.commit()
    db.close()
    assert one(connection, "SELECT count(*) FROM t") == 1999


def test_a_generated_column_that_fails_is_a_bad_value(files, connection):
    """Whatever else the query asks of the table."""
    path = files / "generated.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("""
        CREATE TABLE g (id INTEGER PRIMARY KEY, j TEXT, v INTEGER);
        INSERT INTO g VALUES (1, '{"a": 1}', NULL), (2, 'broken', NULL), (3, '{"a": 3}', NULL);
        PRAGMA writable_schema = 1;
        UPDATE sqlite_schema SET sql = 'CREATE TABLE g (id INTEGER PRIMARY KEY, j TEXT, v INTEGER AS (json_extract(j, ''$.a'')) VIRTUAL)' WHERE name = 'g';
    """)
    db.close()
    connection.execute(f"CREATE SERVER port FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path '{path}')")
    connection.execute("IMPORT FOREIGN SCHEMA main FROM SERVER port INTO public")
    queries = ("SELECT id, v FROM g WHERE id >= 2", "SELECT id, v FROM g WHERE id IN (1, 2) ORDER BY id")
    for sql in queries:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(sql)
        assert not caught.value.sqlstate.startswith("XX")
    assert connection.execute("SELECT id FROM g WHERE id >= 2").fetchall() == [(2,), (3,)]
    connection.execute("ALTER FOREIGN TABLE g OPTIONS (ADD on_error 'null')")
    assert [connection.execute(sql).fetchall() for sql in queries] == [[(2, None), (3, 3)], [(1, 1), (2, None)]]
    connection.execute("ALTER FOREIGN TABLE g OPTIONS (SET on_error 'skip')")
    assert [connection.execute(sql).fetchall() for sql in queries] == [[(3, 3)], [(1, 1)]]
    assert connection.execute("SELECT id FROM g").fetchall() == [(1,), (3,)]
