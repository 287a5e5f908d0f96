"""The lines of docs/schedule.md with Debian's pg_cron: the job fires, a failing run shows, two that overlap do not both load."""

import pathlib

import pytest

import page
from cluster import Cluster
from conftest import wait_until, wide_source

ROWS = 150_000
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "schedule.md"


@pytest.fixture
def with_cron(pytestconfig, pg_cron):
    """A cluster whose server loads pg_cron, with the settings of the page."""
    settings = page.settings(PAGE) | {"cron.database_name": "postgres", "max_parallel_workers": "0", "fsync": "off"}
    with Cluster(pytestconfig.getoption("--pg-config"), settings) as cluster:
        yield cluster


def test_scheduled_imports(with_cron):
    cluster = with_cron
    source = cluster.files / "aliaport.db"
    wide_source(source, ROWS).close()
    setup, morning, weekly = (block.text for block in page.blocks(PAGE) if block.language == "sql")
    # What the page says, every minute instead of every night. All jobs of a minute start together.
    nightly = setup.replace("/data/aliaport.db", str(source))
    assert "'0 3 * * *'" in nightly
    cluster.psql(nightly.replace("0 3 * * *", "* * * * *"))
    line = nightly.rstrip().splitlines()[-1].replace("0 3 * * *", "* * * * *")
    second, broken = line.replace("aliaport nightly", "second"), line.replace("aliaport nightly", "broken")
    cluster.psql(second)
    cluster.psql("CREATE SCHEMA other")
    cluster.psql(broken.replace("aliaport.db", "nowhere.db").replace("staging", "other"))
    connection = cluster.connect()
    ended = "SELECT count(*) FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')"
    started = "SELECT count(*) FROM cron.job_run_details"
    wait_until(lambda: connection.execute(started).fetchone()[0] >= 3, 75, "the next full minute")
    wait_until(lambda: connection.execute(ended).fetchone()[0] >= 3, 50, "the end of three jobs")
    connection.execute("SELECT cron.unschedule(jobid) FROM cron.job")

    runs = connection.execute("SELECT status, coalesce(left(error, 5), ''), target_schema, rows_imported FROM aliaport.run ORDER BY 1, 2").fetchall()
    assert [r[1:] for r in runs if r[0] == "failed"] == [("55P03", "staging", 0), ("58P01", "other", 0)]
    assert [r[1:] for r in runs if r[0] != "failed"] == [("", "staging", ROWS)]
    assert connection.execute("SELECT count(*) FROM staging.wide").fetchone() == (ROWS,)
    # cron.job no longer has them: by what they did.
    details = connection.execute("SELECT status, return_message, command FROM cron.job_run_details ORDER BY status").fetchall()
    assert [d[0] for d in details] == ["failed", "failed", "succeeded"], details
    messages = sorted(d[1] for d in details if d[0] == "failed")
    assert 'another import into schema "staging" is running' in messages[0] and "could not open SQLite file" in messages[1], messages
    for lines in (morning, weekly):
        for statement in lines.split(";\nSELECT"):
            cluster.psql(statement if statement.startswith("SELECT") else "SELECT" + statement)
    assert "was terminated by signal" not in cluster.log()
