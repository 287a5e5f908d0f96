"""aliaport.metrics, and what prometheus-postgres-exporter and Prometheus' own checker make of the files in monitoring/."""

import contextlib
import os
import pathlib
import re
import socket
import sqlite3
import subprocess
import time
import urllib.request

import psycopg
import pytest

from conftest import wait_until

MONITORING = pathlib.Path(__file__).resolve().parents[2] / "monitoring"


@pytest.fixture
def imported(cluster, connection, files):
    """A schema whose last run failed after one with rejected rows, and one whose last run was good."""
    path = files / "metrics.db"
    db = sqlite3.connect(path)
    db.execute('CREATE TABLE "İş Emri" (id INTEGER PRIMARY KEY, n INTEGER)')
    db.executemany('INSERT INTO "İş Emri" VALUES (?, ?)', ((i, i if i % 100 else "x") for i in range(1, 1001)))
    db.commit()
    db.close()
    connection.execute("CREATE SCHEMA bad")
    connection.execute("SELECT aliaport_import(%s, 'public', on_error => 'reject')", [str(path)])
    connection.execute("SELECT aliaport_import(%s, 'bad', on_error => 'reject')", [str(path)])
    connection.execute("SELECT aliaport_import(%s, 'bad', mode => 'replace', on_error => 'reject', dry_run => true)", [str(path)])
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        connection.execute("SELECT aliaport_import(%s, 'bad', mode => 'replace')", [str(path)])
    connection.execute('INSERT INTO "İş Emri" SELECT i, i FROM generate_series(2001, 2007) AS i')
    connection.execute('DELETE FROM bad."İş Emri" WHERE id <= 90')
    return connection


def metrics(connection):
    found = connection.execute("SELECT name, labels ->> 'target_schema', labels ->> 'table', value FROM aliaport.metrics").fetchall()
    keys = [(name, schema, table) for name, schema, table, _ in found]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, (value for *_, value in found)))


# Tables of the schemas bad and public, by the name that regclass gave them.
DRIFT = {("public", '"İş Emri"'): (990, 7), ("bad", 'bad."İş Emri"'): (990, -90)}


def expect(found):
    for schema, failed, rows, rejected in [("public", 0, 990, 10), ("bad", 1, 0, 0)]:
        of = {name.removeprefix("aliaport_run_"): v for (name, s, table), v in found.items() if s == schema and table is None}
        assert (of["failed"], of["rows"], of["rejected_rows"], of["orphan_rows"]) == (failed, rows, rejected, 0)
        assert of["warning"] == 1 - failed
        assert 0 <= of["age_seconds"] < 600 and 0 <= of["success_age_seconds"] < 600 and 0 < of["seconds"] < 60 and of["source_bytes"] > 0
    for (schema, table), (rows, drift) in DRIFT.items():
        of = {name.removeprefix("aliaport_table_"): v for (name, s, t), v in found.items() if (s, t) == (schema, table)}
        assert of == {"rows": rows, "live_rows": rows + drift, "drift_rows": drift}
    assert found["aliaport_imports_running", None, None] == 0


def settled(connection):
    """Statistics reach other sessions a moment later."""
    with contextlib.suppress(AssertionError, KeyError):
        expect(metrics(connection))
        return True


def test_the_view(cluster, database, imported):
    other = cluster.connect(database)
    wait_until(lambda: settled(other), 60, "the statistics")
    expect(metrics(other))
    other.execute('DROP TABLE bad."İş Emri"')
    assert ("aliaport_table_rows", "bad", 'bad."İş Emri"') not in metrics(other)


def test_the_exporter_reads_it(cluster, database, imported, package):
    exporter = package("prometheus-postgres-exporter") / "usr/bin/prometheus-postgres-exporter"
    imported.execute("DROP ROLE IF EXISTS exporter")
    # The lines of docs/monitoring.md.
    text = (MONITORING.parent / "docs" / "monitoring.md").read_text()
    for line in re.search(r"```sql\n(CREATE ROLE exporter.*?)```", text, re.S)[1].splitlines():
        imported.execute(line)
    other = cluster.connect(database)
    wait_until(lambda: settled(other), 60, "the statistics")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {"DATA_SOURCE_NAME": f"user=exporter host={cluster.directory} dbname={database} sslmode=disable"}
    process = subprocess.Popen([exporter, f"--web.listen-address={address}", f"--extend.query-path={MONITORING / 'postgres_exporter.yaml'}"],
                               env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        page = None
        end = time.monotonic() + 20
        while page is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                page = urllib.request.urlopen(f"http://{address}/metrics", timeout=20).read().decode()
            time.sleep(0.1)
    finally:
        process.terminate()
        log = process.communicate()[0]
    assert page, log
    found = {}
    for name, labels, value in re.findall(r"^(aliaport_\w+)\{(.*)\} (\S+)$", page, re.M):
        of = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
        found[name, of.get("target_schema"), of.get("table", "").replace('\\"', '"') or None] = float(value)
    expect(found)
    # The rules for the server itself use the exporter's own metrics.
    for name in ("pg_stat_activity_count", "pg_settings_max_connections", "pg_stat_database_xact_rollback", "pg_stat_database_xact_commit"):
        assert re.search(rf"^{name}\b", page, re.M), name
    imported.execute("DROP OWNED BY exporter; DROP ROLE exporter")


def test_the_alerts(package):
    promtool = package("prometheus") / "usr/bin/promtool"
    for verb in (["check", "rules", MONITORING / "alerts.yaml"],
                 ["test", "rules", pathlib.Path(__file__).with_name("alerts_test.yaml")]):
        done = subprocess.run([promtool, *verb], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
