"""Names and texts of the source decide nothing: what they say is shown, and never read to learn what is the case."""

import json
import sqlite3

import psycopg
import pytest


def make(files, script):
    path = files / "hostile.db"
    connection = sqlite3.connect(path)
    for collation in ["UNICODE_NOCASE", "LOCALIZED"]:
        connection.create_collation(collation, lambda a, b: (a > b) - (a < b))
    connection.executescript(script)
    connection.close()
    path.chmod(0o644)
    return str(path)


@pytest.fixture
def ask(connection):
    connection.execute("CREATE SCHEMA t")
    return lambda sql, *args: connection.execute(sql, args).fetchall()


@pytest.mark.parametrize("parent", ["missing", "is declared twice", "b.is declared twice", 'x" is declared twice'])
def test_a_foreign_key_without_its_parent_is_never_ok(ask, files, parent):
    name = parent.replace('"', '""')
    path = make(files, f'CREATE TABLE c (id INTEGER PRIMARY KEY, a INTEGER REFERENCES "{name}"(id)); INSERT INTO c VALUES (1, 1)')
    ask("SELECT 1 FROM aliaport_import(%s, 't')", path)
    checks = ask("SELECT ok, detail FROM aliaport_validate(%s, 't') WHERE check_name = 'foreign_key'", path)
    assert [ok for ok, _ in checks] == [False], checks


def test_a_foreign_key_that_is_declared_twice_is_made_once_and_ok(ask, files):
    path = make(
        files,
        "CREATE TABLE p (id INTEGER PRIMARY KEY);"
        "CREATE TABLE c (id INTEGER PRIMARY KEY, a INTEGER REFERENCES p(id) REFERENCES p(id),"
        " b INTEGER, FOREIGN KEY (a) REFERENCES p, FOREIGN KEY (b) REFERENCES gone (id))",
    )
    ask("SELECT 1 FROM aliaport_import(%s, 't')", path)
    checks = ask("SELECT ok, detail FROM aliaport_validate(%s, 't') WHERE check_name = 'foreign_key'", path)
    assert sorted(ok for ok, _ in checks) == [False, True, True, True], checks


@pytest.mark.parametrize(
    "checks",
    [
        "a INTEGER CHECK (a > 0), b TEXT, CHECK (a > 0 AND soundex(b) <> '')",
        "a INTEGER CHECK (a > 0), b TEXT CHECK (soundex(b) <> ': a > 0')",
        # The first hundred characters are the same.
        f"a INTEGER, b TEXT, CHECK (a > 0 AND b <> '{'x' * 120}'), CHECK (a > 0 AND b <> '{'x' * 120}' || soundex(b))",
    ],
)
def test_inspect_finds_the_rows_of_a_check_that_is_made(ask, files, checks):
    path = make(
        files,
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {checks});"
        "PRAGMA ignore_check_constraints = 1; INSERT INTO t VALUES (1, -5, 'x')",
    )
    found = ask("SELECT severity, code, table_name, row_count FROM aliaport_inspect(%s, 't') WHERE code = 'integrity'", path)
    assert found == [("error", "integrity", "t", 1)]
    with pytest.raises(psycopg.errors.CheckViolation):
        ask("SELECT 1 FROM aliaport_import(%s, 't')", path)


def test_a_collation_is_told_by_its_name_and_not_by_what_is_in_it(ask, files):
    path = make(
        files,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT COLLATE UNICODE_NOCASE, y TEXT COLLATE NOCASE, z TEXT COLLATE LOCALIZED)",
    )
    found = ask("SELECT column_name, code, suggestion FROM aliaport_inspect(%s, 't') WHERE severity = 'warning' ORDER BY 1", path)
    assert {column: "citext" in (hint or "") for column, _, hint in found} == {"x": False, "y": True, "z": False}
    ((detail,),) = ask("SELECT detail FROM aliaport_import(%s, 't')", path)
    codes = {w["column"]: w["code"] for w in detail["warnings"]}
    assert codes == {"x": "not_carried", "y": "nocase", "z": "not_carried"}


def test_advice_on_a_missing_parent_follows_what_is_missing(ask, files):
    path = make(
        files,
        'CREATE TABLE kept (id INTEGER PRIMARY KEY); CREATE TABLE "left out" (id INTEGER PRIMARY KEY);'
        'CREATE TABLE c (id INTEGER PRIMARY KEY, a INTEGER REFERENCES "is left out of"(id), b INTEGER REFERENCES kept(id));',
    )
    rows = ask(
        "SELECT column_name, suggestion FROM aliaport_inspect(%s, 't', %s) WHERE code = 'missing_parent_table' ORDER BY 1",
        path,
        json.dumps({"exclude": ["kept"]}),
    )
    advice = dict(rows)
    assert "restore the parent table" in advice["a"] and "include the parent" in advice["b"]


def test_advice_on_a_key_without_an_index_is_about_that_key(ask, files):
    path = make(
        files,
        'CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT, "c.a " TEXT);'
        'CREATE TABLE c (id INTEGER PRIMARY KEY, a TEXT REFERENCES p(k), b TEXT REFERENCES p("c.a "));',
    )
    rows = dict(ask("SELECT column_name, suggestion FROM aliaport_inspect(%s, 't') WHERE code = 'unindexed_parent'", path))
    assert '("k")' in rows["a"] and '("c.a ")' in rows["b"]


def test_the_report_takes_a_statement_apart_from_a_name_that_looks_like_one(ask, files):
    path = make(
        files,
        'CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE VIEW "a is not carried over: CREATE b" AS SELECT 1;',
    )
    ask("SELECT 1 FROM aliaport_import(%s, 't')", path)
    ((report,),) = ask("SELECT aliaport_report(NULL, 'json')::json")
    (lost,) = report["not_carried"]
    assert lost["message"] == 'view "a is not carried over: CREATE b" is not carried over'
    assert lost["sql"].startswith("CREATE VIEW")


def test_validate_says_why_an_index_is_missing_by_the_index_itself(ask, files):
    path = make(
        files,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);"
        'CREATE UNIQUE INDEX one ON t (a) WHERE a > \'index "two"\' || soundex(a);'
        "CREATE UNIQUE INDEX two ON t (a) WHERE a > soundex(a);",
    )
    ask("SELECT 1 FROM aliaport_import(%s, 't')", path)
    details = ask("SELECT source_value, detail FROM aliaport_validate(%s, 't') WHERE check_name = 'unique' AND NOT ok", path)
    assert {source: detail.split('"')[1] for source, detail in details} == {
        'unique index one with a condition': "one",
        'unique index two with a condition': "two",
    }


NEWLINE = "v\nDROP TABLE victim;--"
RETURN = "v\rDROP TABLE victim;--"


def advice(ask, path, mode):
    """Every text that a DBA would paste: suggestions, statements of warnings, HINTs that begin with a statement."""
    for code, suggestion in ask("SELECT code, suggestion FROM aliaport_inspect(%s, 't', mode => %s)", path, mode):
        if suggestion and not code.startswith(("server", "connection")):
            yield suggestion
    try:
        found = ask("SELECT detail FROM aliaport_import(%s, 't', %s, on_error => 'reject', dry_run => true)", path, mode)
    except psycopg.Error as error:
        yield error.diag.message_hint
    else:
        for (detail,) in found:
            yield from (w["statement"] for w in detail.get("warnings", []) if w.get("statement"))
            yield (detail.get("error") or {}).get("hint") or ""


@pytest.mark.parametrize("name", [NEWLINE, RETURN], ids=["newline", "return"])
@pytest.mark.parametrize(
    "before, source, target",
    [
        # A bad value in a column that is there.
        ("", "CREATE TABLE t (id INTEGER PRIMARY KEY, {n} INTEGER); INSERT INTO t VALUES (1, 'x'), (2, x'00ff')",
         "CREATE TABLE t.t (id bigint PRIMARY KEY, {n} bigint)"),
        ("", "CREATE TABLE {n} (id INTEGER PRIMARY KEY, d DATE, b BOOLEAN, j JSON, s VARCHAR(2)); INSERT INTO {n} VALUES (1, 'x', 5, '{{', 'long')",
         "CREATE TABLE t.{n} (id bigint PRIMARY KEY, d date, b boolean, j jsonb, s varchar(2))"),
        # Columns and tables that came, went, or have another name; with a view that depends on what went.
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, {n} TEXT); INSERT INTO t VALUES (1, 'a')",
         "CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT); INSERT INTO t VALUES (1, 'a')", ""),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, {n} TEXT)", "CREATE TABLE t (id INTEGER PRIMARY KEY)", ""),
        ("CREATE TABLE {n} (id INTEGER PRIMARY KEY); CREATE TABLE z (id INTEGER PRIMARY KEY)",
         "CREATE TABLE z (id INTEGER PRIMARY KEY)", 'CREATE VIEW t."w{raw}" AS SELECT * FROM t.{n}'),
        # A key that has another parent, and one without.
        ("CREATE TABLE {n} (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES {n});"
         "INSERT INTO {n} VALUES (1); INSERT INTO c VALUES (1, 1)",
         "CREATE TABLE o (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES o);"
         "INSERT INTO o VALUES (1), (2); INSERT INTO c VALUES (1, 2), (2, 9)", ""),
        # Orphans and repeated keys.
        ("", "CREATE TABLE {n} (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, {n} INTEGER REFERENCES {n}); INSERT INTO c VALUES (1, 9)", ""),
        ("", "CREATE TABLE t (id INTEGER PRIMARY KEY, {n} TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'a')",
         "CREATE TABLE t.t (id bigint PRIMARY KEY, {n} text UNIQUE)"),
    ],
)
def test_a_line_break_in_a_name_ends_no_comment(connection, ask, files, name, before, source, target):
    names = {"n": '"' + name + '"', "raw": name}
    if before:
        ask("SELECT 1 FROM aliaport_import(%s, 't')", make(files, before.format(**names)))
        (files / "hostile.db").unlink()
    if target:
        connection.execute(target.format(**names))
    connection.execute("CREATE TABLE public.victim ()")
    path = make(files, "CREATE TABLE victim (x);" + source.format(**names))
    texts = {text for mode in ("create", "append", "replace", "sync") for text in advice(ask, path, mode) if text}
    assert texts
    for text in texts:
        with sqlite3.connect(":memory:") as copy, sqlite3.connect(path) as original:
            original.backup(copy)
            try:
                copy.executescript(text)
            except sqlite3.Error:
                pass  # a statement for the other engine, or prose
            assert copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'victim'").fetchone() == (1,), text
        connection.execute("BEGIN")
        try:
            connection.execute(text)
        except psycopg.Error:
            connection.execute("ROLLBACK")
            connection.execute("BEGIN")
        assert connection.execute("SELECT to_regclass('public.victim')").fetchone() != (None,), text
        connection.execute("ROLLBACK")
    connection.execute("DROP TABLE public.victim")
