"""The command line of `make roundtrip`, and the cluster."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))

from cluster import Cluster  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--pg-config", required=True, help="of the PostgreSQL that has the extension")


@pytest.fixture(scope="session")
def cluster(pytestconfig):
    with Cluster(pytestconfig.getoption("--pg-config"), {"fsync": "off"}) as cluster:
        yield cluster
