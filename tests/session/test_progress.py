"""A second session watches an import: aliaport.progress, PostgreSQL's own progress views, and the notices of the first."""

import re
import threading

import pytest

from conftest import wide_source

ROWS = 200_000
WATCH = "SELECT p.*, eta > started_at, started_at <= clock_timestamp(), a.application_name FROM aliaport.progress p JOIN pg_stat_activity a USING (pid)"


@pytest.fixture(scope="module")
def big(cluster):
    path = cluster.files / "progress.db"
    db = wide_source(path, ROWS)
    db.executescript("CREATE TABLE part (id INTEGER PRIMARY KEY, wide_id INTEGER REFERENCES wide, n INTEGER);"
                     "INSERT INTO part SELECT id, id, id FROM wide;")
    db.close()
    return path


def watched(connection, big, *looks, call="SELECT aliaport_import(%s)"):
    """What each look of (connection, query) sees while the import runs, without repetitions."""
    thread = threading.Thread(target=connection.execute, args=(call, [str(big)]))
    seen = [[] for _ in looks]
    thread.start()
    while thread.is_alive():
        for rows, (watcher, query) in zip(seen, looks):
            rows.extend(r for r in watcher.execute(query).fetchall() if r not in rows[-1:])
    thread.join()
    return seen


def test_another_session_sees_it_go_on(cluster, database, big):
    importer = cluster.connect(database, application_name="the nightly job")
    watcher = cluster.connect(database)
    progress, copy, index = watched(
        importer, big, (watcher, WATCH),
        (watcher, "SELECT command, type, bytes_processed, bytes_total, tuples_processed FROM pg_stat_progress_copy WHERE datname = current_database()"),
        (watcher, "SELECT phase FROM pg_stat_progress_create_index"))
    run_id, size = watcher.execute("SELECT run_id, source_bytes FROM aliaport.run").fetchone()
    assert {(r[0], r[1], r[-1]) for r in progress} == {(importer.info.backend_pid, run_id, "the nightly job")}
    phases = [p for i, p in enumerate(r[2] for r in progress) if i == 0 or progress[i - 1][2] != p]
    assert phases.index("load") < phases.index("index"), phases
    assert all(began for *_, began, _ in progress)
    for table in ("public.wide", "public.part"):
        loads = [r for r in progress if r[2] == "load" and r[3] == table]
        assert len(loads) > 3 and {r[5] for r in loads} == {ROWS}, loads[:5]
        done = [r[4] for r in loads]
        assert done == sorted(done) and 0 < done[-1] <= ROWS
        assert {r[7] for r in loads} == {size} and all(0 <= r[6] <= size for r in loads)
    parts = [r[6] for r in progress if r[3] == "public.part" and r[2] == "load"]
    assert min(parts) >= size * 0.4, "the second table begins where the first ended"
    late = [r for r in progress if r[2] == "load" and r[4] > ROWS / 2]
    assert late and all(r[9] is not None and r[10] for r in late)
    # PostgreSQL's own views.
    assert {c[:2] for c in copy} == {("COPY FROM", "CALLBACK")}
    assert max(c[4] for c in copy) > ROWS / 2 and all(0 <= c[2] <= c[3] <= size for c in copy) and max(c[3] for c in copy) > 0
    assert index
    assert watcher.execute("SELECT count(*) FROM aliaport.progress").fetchone() == (0,)


def test_it_is_shown_as_postgresql_shows_sessions(cluster, database, connection, big):
    """Not to roles that may not see the session; and nobody's advisory lock leads the view astray."""
    for role in ("see_nothing", "see_stats"):
        connection.execute(f"DROP ROLE IF EXISTS {role}")
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA aliaport TO {role}")
        connection.execute(f"GRANT SELECT ON aliaport.progress TO {role}")
    connection.execute("GRANT pg_read_all_stats TO see_stats")
    nothing, stats = (cluster.connect(database, role) for role in ("see_nothing", "see_stats"))
    nothing.execute("SELECT pg_advisory_lock(1634494832, n) FROM generate_series(-2, 2) AS n")
    hidden, shown = watched(connection, big, (nothing, "SELECT run_id FROM aliaport.progress"), (stats, "SELECT run_id FROM aliaport.progress"))
    assert hidden == [] and len(shown) == 1
    for role, other in (("see_nothing", nothing), ("see_stats", stats)):
        other.close()
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


def test_a_failed_or_finished_import_in_an_open_transaction_is_not_shown(cluster, database, connection):
    other = cluster.connect(database)
    connection.execute("BEGIN")
    connection.execute("SELECT aliaport_import(%s)", [str(cluster.files / "harbour.db")])
    assert other.execute("SELECT count(*) FROM aliaport.progress").fetchone() == (0,)
    connection.execute("ROLLBACK")


def test_a_notice_a_table(cluster, connection):
    notices = []
    connection.add_notice_handler(lambda n: notices.append((n.severity_nonlocalized, n.message_primary)))
    tables = connection.execute("SELECT table_name, imported_rows FROM aliaport_import(%s)", [str(cluster.files / "harbour.db")]).fetchall()
    for (severity, message), (table, rows) in zip(notices, tables, strict=True):
        assert severity == "NOTICE"
        found = re.fullmatch(r"table (.+): (\d+) rows in \d+\.\d{3} s \(\d+ rows/s\)", message)
        assert found and found[1].removeprefix("public.") == table and int(found[2]) == rows, message
    notices.clear()
    connection.execute("CREATE SCHEMA quiet; SET client_min_messages = warning")
    connection.execute("SELECT aliaport_import(%s, 'quiet')", [str(cluster.files / "harbour.db")])
    assert notices == []
