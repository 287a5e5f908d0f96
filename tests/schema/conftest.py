"""The command line of `make schema`, one private cluster, and the sources."""

import pathlib
import sqlite3
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "cluster"), str(TESTS / "fixtures")]

import build  # noqa: E402
from cluster import Cluster  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--pg-config", required=True, help="of the PostgreSQL that has the extension")


@pytest.fixture(scope="session")
def cluster(pytestconfig):
    with Cluster(pytestconfig.getoption("--pg-config"), {"fsync": "off"}) as cluster:
        build.build(cluster.files)
        yield cluster


def run_script(script, path):
    """Makes a database of one of this folder's SQL files, whose foreign keys must hold."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    db.executescript(script.read_text(encoding="utf-8"))
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.close()


@pytest.fixture(scope="session")
def samples(cluster):
    """Name and path of the two databases of this folder."""
    scripts = sorted(pathlib.Path(__file__).parent.glob("*.sql"))
    paths = {script.stem: cluster.files / f"{script.stem}.db" for script in scripts}
    for script in scripts:
        run_script(script, paths[script.stem])
    return paths


@pytest.fixture
def fresh(cluster):
    """Makes fresh databases with the extension in them."""

    def make(name):
        cluster.recreate_database(name)
        cluster.psql("CREATE EXTENSION aliaport_import", name)
        return name

    yield make
    for connection in cluster.connections:
        connection.close()
    cluster.connections.clear()
