"""Tables that another extension keeps elsewhere: TimescaleDB's hypertables, the tables of Citus. They run where the server has the extension, and
say so where it has not: `make engines PG_CONFIG=...` is for a server that has.
"""

import pathlib

import psycopg
import pytest

from cluster import Cluster
from targets import CUSTOMER, ORDERS, ROWS, Target, change, make_source, proven, scenario


@pytest.fixture(scope="module")
def engine(pytestconfig):
    """Gives a cluster that has loaded an extension, one for each of them; without the extension the test is skipped, with a word."""
    clusters = {}

    def start(name):
        if name not in clusters:
            config = pytestconfig.getoption("--pg-config")
            control = pathlib.Path(Cluster(config).ask_pg_config("--sharedir")) / "extension" / f"{name}.control"
            if not control.exists():
                pytest.skip(f"NOT RUN: this PostgreSQL does not have {name} ({control.name} is not installed)")
            clusters[name] = Cluster(config, {"fsync": "off", "shared_preload_libraries": name}).start()
        return clusters[name]

    yield start
    for cluster in clusters.values():
        cluster.stop()


def fresh(cluster, extension):
    """A connection to a fresh database with both extensions."""
    # The engine's own workers may be in it.
    cluster.psql("DROP DATABASE IF EXISTS engine WITH (FORCE)")
    cluster.recreate_database("engine")
    connection = cluster.connect("engine")
    connection.execute(f"CREATE EXTENSION {extension}; CREATE EXTENSION aliaport_import; SET client_min_messages = warning")
    return connection


def source_of(cluster, name):
    path = cluster.files / f"{name}.db"
    path.unlink(missing_ok=True)
    return make_source(path)


@pytest.mark.parametrize("chunks", ["without chunks", "with chunks"])
def test_hypertable(engine, chunks):
    cluster = engine("timescaledb")
    connection = fresh(cluster, "timescaledb")
    connection.execute(f"CREATE TABLE customer ({CUSTOMER}); CREATE TABLE orders ({ORDERS})")
    connection.execute("SELECT create_hypertable('orders', by_range('ts'))")
    if chunks == "with chunks":
        connection.execute("INSERT INTO orders VALUES (1, 1, '2025-01-01', 1, true, NULL), (1, 1, '2025-06-01', 1, true, NULL); DELETE FROM orders")
    scenario(Target(connection, source_of(cluster, "hypertable")), "executor")
    # Nothing stands where no query looks.
    assert connection.execute("SELECT count(*) FROM ONLY orders").fetchone() == (0,)


CITUS = {
    "reference": "SELECT create_reference_table('customer'); SELECT create_reference_table('orders')",
    "distributed": "SELECT create_distributed_table('orders', 'id')",
    "distributed beside reference": "SELECT create_reference_table('customer'); SELECT create_distributed_table('orders', 'id')",
    "Citus local": "SELECT citus_add_local_table_to_metadata('customer'); SELECT citus_add_local_table_to_metadata('orders')",
    "not known to Citus": "SELECT 1",
}


@pytest.mark.parametrize("kind", CITUS)
def test_citus(engine, kind):
    cluster = engine("citus")
    connection = fresh(cluster, "citus")
    # One node that holds the shards, reached through the socket.
    connection.execute(f"ALTER SYSTEM SET citus.local_hostname = '{cluster.directory}'")
    connection.execute("SELECT pg_reload_conf()")
    connection.execute("SELECT citus_set_coordinator_host(%s)", [str(cluster.directory)])
    connection.execute("SELECT citus_set_node_property(%s, 5432, 'shouldhaveshards', true)", [str(cluster.directory)])
    customer = "" if kind == "distributed" else f"CREATE TABLE customer ({CUSTOMER});"
    connection.execute(f"{customer} CREATE TABLE orders ({ORDERS})")
    for statement in CITUS[kind].split("; "):
        connection.execute(statement)
    # Citus asks for it where one transaction goes to distributed and to reference tables.
    begin = "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'"
    scenario(Target(connection, source_of(cluster, "citus"), begin), "bulk" if kind == "not known to Citus" else "executor")


def test_columnar(engine):
    """Columnar tables of Citus have no UPDATE and no DELETE: every mode that needs none works, sync refuses what it cannot do."""
    cluster = engine("citus")
    connection = fresh(cluster, "citus")
    connection.execute(f"CREATE TABLE orders ({ORDERS}) USING columnar")
    target = Target(connection, source_of(cluster, "columnar"))
    half = f"id < {ROWS // 2}"
    assert proven(target.run(where=half), ROWS // 2)["path"] == "executor"
    proven(target.run("append", where=f"id >= {ROWS // 2}"), ROWS)
    target.shows()
    for how in ({}, {"dry_run": True}, {"on_error": "reject", "orphans": "reject"}):
        proven(target.run("replace", **how), ROWS)
        target.shows()
    assert proven(target.run("sync"), ROWS)["detail"]["unchanged"] == ROWS
    change(target.path, "DELETE FROM orders WHERE id = 3")
    with pytest.raises(psycopg.Error, match="not (supported|implemented)") as refused:
        target.run("sync")
    assert "while vanished rows of public.orders were deleted" in refused.value.diag.message_detail and refused.value.diag.message_hint
    checks, words = target.checks()
    assert checks["content"] == [False] and "1 row only in the target" in words, words
