"""The pages of docs/ are run as they stand: a line that does not work, or prints something else, fails here.

docs/schedule.md has a test of its own, which waits until its jobs fire.
"""

import pathlib
import shutil
import subprocess
import sys

import pytest

import page
from cluster import Cluster
from conftest import TESTS

DOCS = TESTS.parent / "docs"
RUNBOOK = DOCS / "runbook.md"

# Who the page's grants are for, and what its shortest lines take for granted.
BEFORE = """
    CREATE ROLE nightly; CREATE ROLE operator; CREATE ROLE team;
    CREATE DATABASE aliaport;
    \\connect aliaport
    CREATE SCHEMA app;
"""


def start(pg_config, settings=None):
    return Cluster(pg_config, {"fsync": "off"} | (settings or {}))


def furnish(cluster, *arguments):
    """A folder in place of /, with the file that the pages import."""
    root = cluster.files
    (root / "data").mkdir()
    make_sample(root / "data" / "aliaport.db", *arguments)
    return root


def make_sample(path, *arguments):
    subprocess.run([sys.executable, TESTS / "sample" / "make_sample.py", path, *arguments], check=True)


@pytest.fixture(scope="module")
def sqlite3_folder(package):
    """Where the program sqlite3 is."""
    found = shutil.which("sqlite3")
    return pathlib.Path(found).parent if found else package("sqlite3") / "usr/bin"


@pytest.fixture
def has_cron(request):
    """Whether the server can load pg_cron: where it cannot, the page's lines that need it are left out."""
    try:
        request.getfixturevalue("pg_cron")
    except pytest.skip.Exception:
        return False
    return True


def test_the_runbook(pytestconfig, sqlite3_folder, has_cron):
    with start(pytestconfig.getoption("--pg-config"), page.settings(RUNBOOK) if has_cron else None) as cluster:
        root = furnish(cluster, "--rows", "50000", "--defects")
        make_sample(root / "data" / "old.db", "--rows", "500", "--dirty")
        (root / "srv" / "aliaport").mkdir(parents=True)
        (root / "srv" / "aliaport" / ".env").write_text("DATABASE_URL=sqlite:////data/aliaport.db\n")
        with page.Runner(cluster, "postgres", root, [sqlite3_folder], has_cron) as reader:
            ran = reader.page(RUNBOOK)
        # Two need pg_cron.
        every = [block for block in page.blocks(RUNBOOK) if block.language in ("sql", "sh")]
        assert ran == len(every) - sum(block.note.startswith("not run here") for block in every) - (0 if has_cron else 2)
        assert [block.line for block in every if block.language == "sql" and block.expected is None] == []
        assert "was terminated by signal" not in cluster.log()


def test_the_other_pages(pytestconfig):
    with start(pytestconfig.getoption("--pg-config")) as cluster:
        root = furnish(cluster, "--rows", "500")
        for name in ("../README.md", "foreign-tables.md", "history.md", "install.md", "monitoring.md", "modes.md", "options.md", "report.md", "troubleshooting.md", "warnings.md"):
            with page.Runner(cluster, "postgres", root) as reader:
                reader.psql("", BEFORE)
                if name not in ("../README.md", "install.md"):
                    reader.psql("", "CREATE EXTENSION aliaport_import;")
                assert reader.page(DOCS / name, ["sql"]) > 0, name
                left = reader.psql("", """\\connect postgres
                    DROP DATABASE aliaport;
                    SELECT 'DROP ROLE ' || rolname FROM pg_roles WHERE rolname !~ '^pg_|^postgres$' \\gexec
                """)
                assert "ERROR" not in left, left


def test_a_difference_is_seen():
    said = " n | took\n---+------\n 1 | ...\n...\n(2 rows)\n"
    assert page.differs(said, "  n  |  took  \n-----+--------\n   1 | 00:00:01\n   2 | x\n\n(2 rows)\n\n") is None
    for printed in ("n | took\n--+--\n 2 | 1\n(2 rows)", "n | took\n--+--\n 1 | 1\n(1 row)", "n | took\n--+--\n 1 | 1\n(2 rows)\nERROR:  no"):
        assert page.differs(said, printed)
