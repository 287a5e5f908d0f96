"""One import is one statement: it lands whole or not at all, also beside another one."""

import sqlite3
import threading
import time

import psycopg
import pytest

from conftest import refused, wide_source

RELATIONS = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


def test_rollback_undoes_all_of_it(cluster, connection):
    path = str(cluster.files / "harbour.db")
    before = connection.execute(RELATIONS).fetchone()
    connection.execute("BEGIN")
    assert connection.execute("SELECT count(*) FROM aliaport_import(%s)", [path]).fetchone()[0] >= 5
    assert connection.execute(RELATIONS).fetchone() != before
    connection.execute("ROLLBACK")
    assert connection.execute(RELATIONS).fetchone() == before
    assert connection.execute("SELECT count(*) FROM aliaport.run").fetchone() == (0,)
    # A savepoint is enough.
    connection.execute("BEGIN")
    connection.execute("SAVEPOINT a")
    connection.execute("SELECT aliaport_import(%s)", [path])
    connection.execute("ROLLBACK TO a")
    connection.execute("SELECT aliaport_import(%s)", [path])
    connection.execute("COMMIT")
    assert connection.execute("SELECT count(*) FROM work_order").fetchone() == (3,)
    assert connection.execute("SELECT count(*) FROM aliaport.run").fetchone() == (1,)


def test_nobody_sees_a_half_of_it(cluster, database, connection, sample):
    """Another session sees no table before COMMIT and every row after it."""
    other = cluster.connect(database)
    connection.execute("BEGIN")
    connection.execute("SELECT aliaport_import(%s)", [str(sample(2000))])
    assert other.execute(RELATIONS).fetchone() == (0,)
    connection.execute("COMMIT")
    assert other.execute("SELECT count(*) FROM work_order_item").fetchone() == (2000,)


def test_a_snapshot_taken_before_it_sees_none_of_its_rows(cluster, database, connection):
    """Rows that were loaded frozen would show; the catalogue shows the table, so the rows must not."""
    other = cluster.connect(database)
    connection.execute("CREATE TABLE \"Cari\" (\"Id\" bigint, \"Unvan\" text, \"Bakiye\" numeric, \"AktifMi\" boolean, \"CreatedAt\" timestamptz)")
    other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    other.execute("SELECT 1")
    connection.execute("SELECT aliaport_import(%s)", [str(cluster.files / "harbour.db")])
    assert other.execute('SELECT count(*) FROM "Cari"').fetchone() == (0,)
    other.execute("COMMIT")
    assert other.execute('SELECT count(*) FROM "Cari"').fetchone() == (2,)


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_pages_of_new_rows_are_all_visible_and_their_rows_frozen(connection, sample, mode):
    """The first VACUUM has nothing to do, and an index-only scan looks at no row."""
    path = str(sample(2000))
    connection.execute("SELECT aliaport_import(%s)", [path])
    if mode == "replace":
        connection.execute("SET aliaport_import.replace_method = truncate")
        connection.execute("SELECT aliaport_import(%s, mode => 'replace', options => '{\"force\": true}')", [path])
    connection.execute("CREATE EXTENSION pageinspect")
    # From 18 on a table is made longer by more pages than it needs at once; these hold no row.
    pages = connection.execute("SELECT (SELECT count(DISTINCT split_part(ctid::text, ',', 1)) FROM work_order_item), relallvisible"
                               " FROM pg_class WHERE relname = 'work_order_item'").fetchone()
    assert pages[0] > 10 and pages[0] == pages[1], pages
    # xmin committed and invalid at once: HEAP_XMIN_FROZEN.
    frozen = "SELECT count(*) FILTER (WHERE t_infomask & 768 = 768), count(*) FROM heap_page_items(get_raw_page('work_order_item', %s))"
    for page in (0, pages[0] - 1):
        found = connection.execute(frozen, [page]).fetchone()
        assert found[0] == found[1] > 0, (page, found)
    connection.execute("SET enable_seqscan = off")
    plan = connection.execute("EXPLAIN (ANALYZE, FORMAT json) SELECT count(id) FROM work_order_item WHERE id > 0").fetchone()[0]
    node = plan[0]["Plan"]
    while node["Node Type"] != "Index Only Scan":
        node = node["Plans"][0]
    assert node["Heap Fetches"] == 0, node


def test_two_imports_into_one_schema_do_not_mix(cluster, database, connection, sample):
    path = str(sample(2000))
    connection.execute("BEGIN")
    connection.execute("SELECT aliaport_import(%s)", [path])
    second = cluster.connect(database)
    second.execute("SET statement_timeout = '10s'")
    # Also a role that pg_stat_activity tells nothing of other sessions is told who holds it, and since when.
    second.execute("DROP ROLE IF EXISTS second_importer")
    second.execute("CREATE ROLE second_importer IN ROLE pg_read_server_files")
    second.execute("GRANT EXECUTE ON FUNCTION aliaport_import TO second_importer")
    second.execute("SET ROLE second_importer")
    start = time.monotonic()
    with refused("55P03") as error:
        second.execute("SELECT aliaport_import(%s)", [path])
    assert time.monotonic() - start < 5
    second.execute("RESET ROLE")
    second.execute("DROP OWNED BY second_importer; DROP ROLE second_importer")
    since = second.execute("SELECT xact_start FROM pg_stat_activity WHERE pid = %s", [connection.info.backend_pid]).fetchone()[0]
    assert error.value.diag.message_detail == \
        f"Process {connection.info.backend_pid} (role postgres) has been importing into it since {since:%Y-%m-%d %H:%M:%S.%f}".rstrip("0") + "+00."
    connection.execute("ROLLBACK")
    assert second.execute("SELECT count(*) FROM aliaport_import(%s)", [path]).fetchone()[0] > 20


def test_two_imports_into_two_schemas_run_side_by_side(cluster, database, files):
    path = files / "source.db"
    wide_source(path, 30_000).close()
    connections = [cluster.connect(database) for _ in range(2)]
    for n, one in enumerate(connections):
        one.execute(f"CREATE SCHEMA s{n}")
    results = [None, None]

    def run(n):
        try:
            results[n] = connections[n].execute(f"SELECT target_rows, content_match FROM aliaport_import(%s, 's{n}')", [str(path)]).fetchall()
        except psycopg.Error as e:
            results[n] = e

    threads = [threading.Thread(target=run, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [[(30_000, True)]] * 2
    assert connections[0].execute("SELECT count(*) FROM ((TABLE s0.wide EXCEPT TABLE s1.wide) UNION ALL (TABLE s1.wide EXCEPT TABLE s0.wide)) AS d"
                                  ).fetchone() == (0,)


def test_a_dropped_extension_can_be_made_again(cluster, connection):
    path = str(cluster.files / "harbour.db")
    connection.execute("SELECT aliaport_import(%s)", [path])
    connection.execute("DROP EXTENSION aliaport_import")
    connection.execute("CREATE EXTENSION aliaport_import")
    connection.execute("CREATE SCHEMA again")
    assert connection.execute("SELECT count(*) FROM aliaport_import(%s, 'again')", [path]).fetchone()[0] >= 5


def test_a_dump_holds_the_history_and_restores(cluster, database, connection):
    path = str(cluster.files / "harbour.db")
    connection.execute("SELECT aliaport_import(%s)", [path])
    history = "SELECT to_jsonb(r) FROM aliaport.run r", "SELECT to_jsonb(t) FROM aliaport.run_table t ORDER BY load_order"
    before = [connection.execute(query).fetchall() for query in history]
    assert before[0] and before[1]
    dump = cluster.directory / "dump"
    cluster.run("pg_dump", "-Fc", "-f", dump, database)
    cluster.recreate_database("restored")
    cluster.run("pg_restore", "--exit-on-error", "-d", "restored", dump)
    restored = cluster.connect("restored")
    assert [restored.execute(query).fetchall() for query in history] == before
    assert restored.execute('SELECT count(*) FROM "Cari"').fetchone() == (2,)
    # The next run gets a number of its own.
    restored.execute("CREATE SCHEMA again")
    restored.execute("SELECT aliaport_import(%s, 'again')", [path])
    assert restored.execute("SELECT count(DISTINCT run_id) FROM aliaport.run").fetchone() == (2,)
    restored.close()


@pytest.mark.parametrize("rows", [50, 2000])
def test_the_sample_lands_whole(connection, sample, rows):
    import sqlite3

    path = sample(rows)
    found = connection.execute(
        "SELECT source_rows, imported_rows, rejected_rows, target_rows, orphan_rows, content_match, table_name, status FROM aliaport_import(%s)",
        [str(path)]).fetchall()
    source = sqlite3.connect(path)
    names = [n for (n,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    assert len(found) == len(names)
    for source_rows, imported, rejected, target, orphans, match, table, status in found:
        count = source.execute(f'SELECT count(*) FROM "{table.strip(chr(34))}"').fetchone()[0]
        assert (source_rows, imported, rejected, target, orphans, match) == (count, count, 0, count, 0, True), table
        assert status in ("ok", "warning")
    source.close()
    # No key is given twice: what AUTOINCREMENT had reached counts.
    assert connection.execute("SELECT pg_get_serial_sequence('work_order', 'id') IS NOT NULL").fetchone() == (True,)
    high = connection.execute("SELECT max(id) FROM work_order").fetchone()[0]
    given = connection.execute("INSERT INTO work_order (wo_number, cari_id, type, subject, status) VALUES ('yeni', 1, 'DIGER', 's', 'DRAFT') RETURNING id")
    assert given.fetchone()[0] > high + 1


def test_one_session_imports_as_often_as_it_likes(files, connection):
    """What told one import's reader to stop must not stop the next, nor the scans that follow a load."""
    import sqlite3

    path = files / "again.db"
    source = sqlite3.connect(path)
    source.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    source.execute("CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent, body TEXT)")
    source.execute("INSERT INTO parent VALUES (1)")
    source.executemany("INSERT INTO child VALUES (?, ?, 'satır')", ((i, 1 if i % 1000 else 2) for i in range(1, 50_001)))
    source.commit()
    source.close()
    for schema in ("one", "two"):
        connection.execute(f"CREATE SCHEMA {schema}")
        found = connection.execute(
            "SELECT table_name, imported_rows, rejected_rows FROM aliaport_import(%s, %s, orphans => 'reject')",
            [str(path), schema]).fetchall()
        assert found == [(f"{schema}.parent", 1, 0), (f"{schema}.child", 49_950, 50)]
    keys = connection.execute("SELECT count(DISTINCT source_key) FROM aliaport.rejected_row").fetchone()
    assert keys == (50,)


def error_of(connection, sql, *arguments):
    try:
        connection.execute(sql, arguments)
    except psycopg.Error as error:
        return error
    return None


@pytest.fixture
def one_table(files):
    path = files / "one.db"
    with sqlite3.connect(path) as source:
        source.executescript("CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    source.close()
    path.chmod(0o644)
    return str(path)


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_two_imports_into_one_table_exclude_each_other_whatever_their_schema(cluster, database, connection, one_table, mode):
    other = cluster.connect(database)
    connection.execute("CREATE SCHEMA s1; CREATE SCHEMA s2; CREATE SCHEMA s3; CREATE TABLE s3.u (a bigint, b text)")
    sql = "SELECT target_rows FROM aliaport_import(%s, %s, %s, options => '{\"tables\": {\"t\": {\"target\": \"s3.u\"}}}')"
    connection.execute("BEGIN")
    assert connection.execute(sql, [one_table, "s1", mode]).fetchall() == [(2,)]
    assert error_of(other, sql, one_table, "s2", mode).sqlstate == "55P03"
    # The schema that it goes to by name is the same one.
    assert error_of(other, sql, one_table, "s3", mode).sqlstate == "55P03"
    connection.execute("COMMIT")
    assert connection.execute("SELECT count(*) FROM s3.u").fetchone() == (2,)


def test_mode_create_waits_for_whoever_writes_and_then_finds_the_rows(cluster, database, connection, one_table):
    """Another session's rows are there, though nobody sees them when the import is planned."""
    other = cluster.connect(database)
    connection.execute("CREATE TABLE t (a bigint, b text)")
    other.execute("BEGIN")
    other.execute("INSERT INTO t VALUES (9, 'z')")
    found = []
    thread = threading.Thread(target=lambda: found.append(error_of(connection, "SELECT aliaport_import(%s)", one_table)))
    thread.start()
    waits = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted AND mode = 'ShareRowExclusiveLock'"
    watcher = cluster.connect(database)
    while watcher.execute(waits).fetchone() == (0,):
        assert thread.is_alive(), found
        time.sleep(0.02)
    other.execute("COMMIT")
    thread.join()
    assert [error.sqlstate for error in found] == ["55000"]
    assert watcher.execute("SELECT count(*) FROM t").fetchone() == (1,)


@pytest.mark.parametrize("mode", ["create", "append", "replace"])
def test_a_schema_that_is_renamed_meanwhile_is_no_bug_of_ours(cluster, database, connection, one_table, mode):
    """The name is looked up more than once, and nothing locks a schema."""
    other, watcher = cluster.connect(database), cluster.connect(database)
    connection.execute("CREATE SCHEMA s; CREATE TABLE s.t (a bigint, b text)")
    other.execute("BEGIN")
    other.execute("LOCK TABLE s.t IN ROW EXCLUSIVE MODE")
    found = []
    thread = threading.Thread(target=lambda: found.append(error_of(connection, "SELECT aliaport_import(%s, 's', %s)", one_table, mode)))
    thread.start()
    while watcher.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
        assert thread.is_alive(), found
        time.sleep(0.02)
    watcher.execute("ALTER SCHEMA s RENAME TO gone")
    other.execute("COMMIT")
    thread.join()
    assert [error.sqlstate in ("42P01", "40001", "3F000") for error in found] == [True], [str(error) for error in found]
    assert watcher.execute("SELECT count(*) FROM gone.t").fetchone() == (0,)
