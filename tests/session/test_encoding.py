"""A database that is not in UTF-8 is refused before anything is read, and is told how to get one that is."""

import re
import sqlite3

import psycopg
import pytest

# Argument lists whose texts are not ASCII, in the order of the functions' parameters.
CALLS = {
    "import": "aliaport_import(%s, 'public', options => '{\"include\": [\"Şule\"]}')",
    "import without a path": "aliaport_import(NULL::text || %s)",
    "plan": "aliaport_plan(%s, options => '{\"include\": [\"Şule\"]}')",
    "validate": "aliaport_validate(%s)",
}


@pytest.fixture(params=["WIN1254", "LATIN5", "LATIN1", "SQL_ASCII", "EUC_JP"])
def foreign(cluster, request):
    name = f"enc_{request.param.lower()}"
    cluster.psql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' LOCALE 'C'", "postgres")
    cluster.psql("CREATE EXTENSION aliaport_import", name)
    yield request.param, name
    for made in (name, f"{name}_utf8"):
        cluster.psql(f"DROP DATABASE IF EXISTS {made} WITH (FORCE)", "postgres")


def texts(encoding):
    """What a client of such a database can say beyond ASCII."""
    return {"EUC_JP": "日本", "LATIN1": "Sülé"}.get(encoding, "Şule")


def test_nothing_is_read_and_the_hint_works(cluster, files, foreign):
    encoding, name = foreign
    word = texts(encoding)
    source = sqlite3.connect(files / "s.db")
    source.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO t VALUES (1, 'Şule 日本')")
    source.close()
    (files / "s.db").chmod(0o644)
    with cluster.connect(name) as c:
        c.execute("SET client_encoding = UTF8")
        for call in CALLS.values():
            with pytest.raises(psycopg.errors.FeatureNotSupported) as refused:
                # A file that is not there: nobody looks for it.
                c.execute(f"SELECT * FROM {call.replace('Şule', word)}", [f"/nowhere/{word}.db"])
            assert str(refused.value.diag.message_primary) == f"database encoding {encoding} is not supported"
            assert "Nothing was read" in refused.value.diag.message_detail
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            c.execute(f"SELECT aliaport_report(NULL, '{word}')")
        found = c.execute(
            f"SELECT severity, code, suggestion FROM aliaport_inspect('/nowhere/{word}.db', options => '{{\"x\": \"{word}\"}}')"
        ).fetchall()
        assert [row[:2] for row in found] == [("error", "server_encoding")]
        statement = re.search(r"CREATE DATABASE .*?;", refused.value.diag.message_hint).group()
        assert found[0][2].startswith(f"-- postgresql\n{statement}")
        # The history is there, and empty: a run would have to hold the path.
        for relation in ["run", "run_table", "rejected_row", "progress", "metrics"]:
            c.execute(f"SELECT * FROM aliaport.{relation}")
        assert c.execute("SELECT count(*) FROM aliaport.run").fetchone() == (0,)
        c.execute(statement)
    made = statement.split()[2]
    extension = re.search(r"CREATE EXTENSION .*?;", refused.value.diag.message_hint).group()
    with cluster.connect(made) as c:
        c.execute(extension)
        assert c.execute("SELECT content_match FROM aliaport_import(%s)", [str(files / "s.db")]).fetchall() == [(True,)]
        assert c.execute("SELECT n FROM t").fetchall() == [("Şule 日本",)]


def test_a_database_whose_name_is_not_ascii_is_told_too(cluster):
    with cluster.connect("postgres") as c:
        c.execute("CREATE DATABASE \"Şule\" TEMPLATE template0 ENCODING 'LATIN5' LOCALE 'C'")
    try:
        cluster.psql("CREATE EXTENSION aliaport_import", "Şule")
        with cluster.connect("Şule") as c, pytest.raises(psycopg.errors.FeatureNotSupported) as refused:
            c.execute("SELECT * FROM aliaport_import('/nowhere.db')")
        assert "CREATE DATABASE aliaport_utf8 " in refused.value.diag.message_hint
    finally:
        with cluster.connect("postgres") as c:
            c.execute('DROP DATABASE "Şule" WITH (FORCE)')
