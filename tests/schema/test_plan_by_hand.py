"""The statements that aliaport_plan shows, run by hand, give the schema that the import makes: pg_dump tells no difference."""

import contextlib
import difflib
import gzip
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
FIXTURES = ["harbour", "inspect", "policies", "proof", "target", "orphans"]
# Databases of real programs, where there are any.
CORPUS = pathlib.Path(os.environ.get("ALIAPORT_CORPUS", TESTS.parents[1] / "shared" / "corpus"))
REAL = ["aliaport_seeds", "calibre_metadata", "datasette_fixtures", "django_wagtail", "home_assistant", "northwind", "pgloader_collision", "pocketbase_data",
        "sakila", "signal_cli", "sqlite_fdw_init", "synapse", "vaultwarden", "zotero7"]
# Rows that no plan can know of must not stop the import.
TOLERANT = "on_error => 'reject', orphans => 'null'"
OPTIONS = [
    ("harbour", """{"identifiers": "snake_case", "integer": "integer", "foreign_keys": {"document.work_order_id": {"on_delete": "cascade"}},
        "tables": {"Cari": {"target": "ops.customer", "columns": {"Bakiye": {"type": "numeric"}, "AktifMi": {"skip": true}}}},
        "search": {"Cari": {"columns": ["Unvan"], "config": "turkish"}}}"""),
    ("northwind", '{"identifiers": "lower", "nocase": "citext", "exclude": ["Discounted*"]}'),
    ("northwind", '{"nocase": "ignore", "indexes": false}'),
    ("proof", '{"foreign_key_constraints": false}'),
]


def dump(cluster, database):
    """The schema as pg_dump writes it, without the lines that newer releases make differ on purpose."""
    text = cluster.run("pg_dump", "-s", "--no-sync", "-d", database)
    return [line for line in text.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict "))]


def same_schema(cluster, fresh, path, options="{}"):
    by_hand, imported = fresh("by_hand"), fresh("imported")
    for database in (by_hand, imported):
        cluster.psql("CREATE SCHEMA ops", database)
        if cluster.has_extension("citext"):
            cluster.psql("CREATE EXTENSION citext", database)
        elif "citext" in options:
            pytest.skip("NOT RUN: this PostgreSQL does not have citext (citext.control is not installed)")
    with contextlib.closing(cluster.connect(imported)) as connection:
        plan = connection.execute("SELECT action, sql FROM aliaport_plan(%s, 'public', options => %s) ORDER BY step", [str(path), options]).fetchall()
        tables = connection.execute(f"SELECT count(*) FROM aliaport_import(%s, 'public', {TOLERANT}, options => %s)", [str(path), options]).fetchone()[0]
    assert tables == sum(action == "create_table" for action, _ in plan) > 0
    statements = [sql for action, sql in plan if action.startswith(("create_", "add_"))]
    # The statements name their schema themselves, so a DBA's search path does not matter.
    script = "".join(f"{sql};\n" for sql in ["SET search_path = ops, public", *statements])
    cluster.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", by_hand, input=script)
    difference = difflib.unified_diff(dump(cluster, by_hand), dump(cluster, imported), "by hand", "imported", lineterm="")
    assert "\n".join(difference) == ""
    return statements


@pytest.mark.parametrize("name", ["chinook", "northwind"])
def test_of_the_samples(cluster, samples, fresh, name):
    assert len(same_schema(cluster, fresh, samples[name])) > 30


@pytest.mark.parametrize("name", FIXTURES)
def test_of_a_fixture(cluster, fresh, name):
    # A row that breaks a check ends an import whatever the policy.
    options = '{"tables": {"odd": {"where": "id = 1"}}}' if name == "inspect" else "{}"
    same_schema(cluster, fresh, cluster.files / f"{name}.db", options)


@pytest.mark.parametrize("name, options", OPTIONS, ids=["names_and_types", "citext", "no_indexes", "no_foreign_keys"])
def test_with_options(cluster, samples, fresh, name, options):
    plain, changed = (same_schema(cluster, fresh, cluster.files / f"{name}.db", o) for o in ("{}", options))
    assert plain != changed


def test_of_the_application(cluster, fresh):
    path = cluster.files / "sample.db"
    subprocess.run([sys.executable, TESTS / "sample" / "make_sample.py", path, "--rows", "300"], check=True)
    same_schema(cluster, fresh, path)


@pytest.mark.parametrize("name", REAL)
def test_of_a_real_database(cluster, fresh, name):
    plain, packed = CORPUS / f"{name}.db", CORPUS / f"{name}.db.gz"
    path = cluster.files / f"real-{name}.db"
    if plain.exists():
        shutil.copy(plain, path)
    elif packed.exists():
        with gzip.open(packed) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target)
    else:
        pytest.skip(f"no {plain}")
    same_schema(cluster, fresh, path)
