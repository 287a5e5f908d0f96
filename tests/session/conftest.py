"""One private cluster for the whole run, a database of its own for each test, and sources to import."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "cluster"), str(TESTS / "fixtures")]

import build  # noqa: E402
import debian  # noqa: E402
from cluster import Cluster  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--pg-config", required=True, help="of the PostgreSQL that has the extension")
    parser.addoption("--packages", help="folder that keeps Debian packages that tests unpack, from run to run")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: makes or imports a million rows")


@pytest.fixture(scope="session")
def cluster(pytestconfig):
    with Cluster(pytestconfig.getoption("--pg-config"), {"fsync": "off"}) as cluster:
        build.build(cluster.files)
        yield cluster


@pytest.fixture
def files(cluster, request):
    """A folder of this test's own that the server may read."""
    folder = cluster.files / request.node.name.replace("/", "_").replace(" ", "_")
    folder.mkdir()
    return folder


@pytest.fixture
def database(cluster, request):
    """The name of a fresh database with the extension in it."""
    cluster.recreate_database("session")
    cluster.psql("CREATE EXTENSION aliaport_import", "session")
    yield "session"
    # What a test leaves open would block the next one.
    for connection in cluster.connections:
        connection.close()
    cluster.connections.clear()


@pytest.fixture
def connection(cluster, database):
    return cluster.connect(database)


@pytest.fixture(scope="session")
def sample(cluster):
    """The path of the sample database with a number of rows, made once."""

    def make(rows, *how):
        path = cluster.files / f"sample-{rows}{''.join(how)}.db"
        if not path.exists():
            subprocess.run([sys.executable, TESTS / "sample" / "make_sample.py", path, "--rows", str(rows), *how], check=True)
        return path

    return make


@pytest.fixture(scope="session")
def package(pytestconfig, tmp_path_factory):
    """Gives the root of an unpacked Debian package; without it the test is skipped, with a word."""
    folder = pytestconfig.getoption("--packages") or tmp_path_factory.mktemp("packages")

    def unpacked(name):
        return debian.unpack(folder, name) or pytest.skip(f"Debian package {name} cannot be had here")

    return unpacked


@pytest.fixture(scope="session")
def pg_cron(pytestconfig, package):
    """Puts Debian's pg_cron into the private PostgreSQL where it is not there; without it the test is skipped."""
    cluster = Cluster(pytestconfig.getoption("--pg-config"))
    share, library = (pathlib.Path(cluster.ask_pg_config(what)) for what in ("--sharedir", "--pkglibdir"))
    if not (share / "extension" / "pg_cron.control").exists():
        root = package(f"postgresql-{cluster.major}-cron")
        try:
            for file in (root / f"usr/share/postgresql/{cluster.major}/extension").iterdir():
                shutil.copy(file, share / "extension")
            shutil.copy(root / f"usr/lib/postgresql/{cluster.major}/lib/pg_cron.so", library)
        except PermissionError:
            pytest.skip("pg_cron is not installed and cannot be")


@contextlib.contextmanager
def refused(sqlstate):
    """Expects an error with this SQLSTATE whose three parts are written as PostgreSQL's style guide wants them."""
    import psycopg

    with pytest.raises(psycopg.Error) as caught:
        yield caught
    error = caught.value.diag
    text = f"{error.sqlstate}: {error.message_primary}\nDETAIL: {error.message_detail}\nHINT: {error.message_hint}"
    assert error.sqlstate == sqlstate, text
    assert not error.message_primary.endswith(".") and not error.message_primary[0].isupper() or \
        error.message_primary.startswith("SQLite "), text
    assert error.message_detail and error.message_detail.rstrip()[-1] in ".\"'`)", text
    # A hint may end with the statement to run.
    assert error.message_hint and error.message_hint[-1] in ".;", text
    assert "panic" not in text and "unwrap" not in text and ".rs" not in text, text


def listing(folder):
    """Every file of a folder with the sha256 of its content."""
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir())}


def open_files(pid, path):
    """How many of a backend's file descriptors are on this file or one beside it with its name."""
    found = 0
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found += os.readlink(descriptor).startswith(str(path))
    return found


def wide_source(path, rows, mode="delete"):
    """A source whose load takes a while, and whose index builds take as long."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA journal_mode = {mode}")
    db.executescript("""
        PRAGMA synchronous = OFF;
        CREATE TABLE wide (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT NOT NULL, c DATETIME NOT NULL, d NUMERIC(15, 2), e JSON);
        CREATE UNIQUE INDEX wide_a ON wide (a);
        CREATE INDEX wide_b_a ON wide (b, a);
        CREATE INDEX wide_c ON wide (c DESC);
    """)
    db.execute("BEGIN")
    db.executemany("INSERT INTO wide VALUES (?, ?, ?, ?, ?, ?)", (
        (i, f"{(i * 7919) % 1_000_003:07d}-şamandıra-{i}", f"iskele {i % 977}", f"2025-01-01 {i % 24:02d}:{i % 60:02d}:00.{i % 1_000_000:06d}",
         i / 100.0, '{"adet": %d, "ad": "Işık"}' % i) for i in range(rows)))
    db.execute("COMMIT")
    return db


def wait_until(condition, seconds=30.0, what="condition"):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {seconds} s"
        time.sleep(0.01)
