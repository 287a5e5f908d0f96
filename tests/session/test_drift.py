"""What a source has gained or lost since its tables were filled is never passed over in silence, and its statements work when run."""

import json
import random
import sqlite3

import psycopg
import pytest

from conftest import refused

MODES = ["append", "replace", "sync"]


def alter(path, script):
    source = sqlite3.connect(path, isolation_level=None)
    source.executescript(script)
    source.close()


@pytest.fixture
def source(files):
    path = files / "source.db"
    alter(path, """
        CREATE TABLE cust (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL, email TEXT, phone TEXT);
        CREATE TABLE old (id INTEGER PRIMARY KEY, note TEXT);
        INSERT INTO cust VALUES (1, 'Şule', 'a@b', '1'), (2, 'İnci', NULL, '2');
        INSERT INTO old VALUES (1, 'x');
    """)
    return path


def run(connection, path, mode, **how):
    """Imports; the warnings about drift by code."""
    options = json.dumps(how.pop("options", {}))
    named = "".join(f", {name} => %s" for name in how)
    rows = connection.execute(f"SELECT detail FROM aliaport_import(%s, mode => %s, options => %s{named})",
                              [str(path), mode, options, *how.values()]).fetchall()
    return [w for (detail,) in rows for w in detail["warnings"]
            if w["code"] in ("index_missing", "constraint_missing", "table_vanished", "column_vanished")]


def next_batch(path, mode):
    """For mode append, rows that are not there yet."""
    if mode == "append":
        alter(path, "UPDATE cust SET id = id + 100, phone = phone || '+'; DELETE FROM old;")


def inspected(connection, path, mode, **options):
    """code -> suggestion, of what inspect says about drift, and no word about rows that are there."""
    rows = connection.execute("SELECT code, suggestion FROM aliaport_inspect(%s, options => %s, mode => %s)",
                              [str(path), json.dumps(options), mode]).fetchall()
    assert "target_not_empty" not in dict(rows)
    return {c: s for c, s in rows if c in ("index_missing", "constraint_missing", "table_vanished", "column_vanished", "target_missing_column")}


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_said_where_nothing_drifted(connection, source, mode):
    run(connection, source, "create")
    next_batch(source, mode)
    assert inspected(connection, source, mode) == {}
    assert run(connection, source, mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_new_column_is_an_error_whose_hint_adds_it(connection, source, mode):
    run(connection, source, "create")
    next_batch(source, mode)
    alter(source, "ALTER TABLE cust ADD COLUMN \"Doğum\" DATE; ALTER TABLE cust ADD COLUMN level INTEGER NOT NULL DEFAULT 3;"
                  "ALTER TABLE old ADD COLUMN more TEXT; UPDATE cust SET \"Doğum\" = '2000-01-02'")
    suggestions = connection.execute("SELECT suggestion FROM aliaport_inspect(%s, mode => %s) WHERE code = 'target_missing_column'",
                                     [str(source), mode]).fetchall()
    assert len(suggestions) == 3
    with refused("42703") as caught:
        run(connection, source, mode)
    connection.execute(caught.value.diag.message_hint)
    run(connection, source, mode)
    assert connection.execute("SELECT \"Doğum\"::text, level FROM cust ORDER BY id DESC LIMIT 1").fetchone() == ("2000-01-02", 3)
    assert connection.execute("SELECT format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'cust'::regclass "
                              "AND attname IN ('Doğum', 'level') ORDER BY attnum").fetchall() == [("date", False), ("bigint", True)]


@pytest.mark.parametrize("mode", MODES)
def test_a_vanished_column_is_an_error_until_somebody_decides(connection, source, mode):
    run(connection, source, "create")
    next_batch(source, mode)
    alter(source, "ALTER TABLE cust DROP COLUMN email")
    # A column that was renamed in PostgreSQL is the same column.
    connection.execute("ALTER TABLE cust RENAME COLUMN email TO mail")
    assert set(inspected(connection, source, mode)) == {"column_vanished"}
    with refused("55000") as caught:
        run(connection, source, mode)
    assert "email" in caught.value.diag.message_primary and "mail" in caught.value.diag.message_hint
    skip = {"tables": {"cust": {"columns": {"email": {"skip": True}}}}}
    assert json.dumps(skip["tables"]["cust"], separators=(",", ":")) in caught.value.diag.message_hint
    warnings = run(connection, source, mode, options=skip)
    assert [w["code"] for w in warnings] == ["column_vanished"]
    assert connection.execute("SELECT ok FROM aliaport_validate(%s, options => %s) WHERE table_name = 'cust' AND check_name = 'content'",
                              [str(source), json.dumps(skip)]).fetchone() == (mode != "append",)
    kept = connection.execute("SELECT count(mail) FROM cust").fetchone()[0]
    assert kept == (0 if mode == "replace" else 1)
    if mode != "replace":
        # Its values are still those of the first run, so it is still asked for.
        next_batch(source, mode)
        with refused("55000") as caught:
            run(connection, source, mode)
        connection.execute(caught.value.diag.message_hint)
        next_batch(source, mode)
    assert run(connection, source, mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_renamed_column_is_one_that_came_and_one_that_went(connection, source, mode):
    run(connection, source, "create")
    next_batch(source, mode)
    alter(source, "ALTER TABLE cust RENAME COLUMN email TO mail")
    with refused("42703") as caught:
        run(connection, source, mode)
    assert "RENAME COLUMN email TO mail" in caught.value.diag.message_hint
    connection.execute(caught.value.diag.message_hint)
    with refused("55000"):
        run(connection, source, mode)
    connection.execute("ALTER TABLE cust DROP COLUMN mail; ALTER TABLE cust RENAME COLUMN email TO mail")
    assert run(connection, source, mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_vanished_table_is_a_warning_until_it_is_given_up(connection, source, files, mode):
    run(connection, source, "create")
    other = files / "other.db"
    alter(other, "CREATE TABLE elsewhere (id INTEGER PRIMARY KEY)")
    run(connection, other, "create")
    alter(source, "ALTER TABLE old RENAME TO renamed")
    for _ in range(2):
        next_batch_of = "UPDATE cust SET id = id + 100; UPDATE renamed SET id = id + 100" if mode == "append" else ""
        alter(source, next_batch_of)
        # Every night, and not of a table that another file fills.
        warnings = run(connection, source, mode)
        assert [(w["code"], w["statement"]) for w in warnings] == [("table_vanished", "DROP TABLE public.old")]
        alter(source, next_batch_of)
        assert run(connection, other, mode) == []
    assert set(inspected(connection, source, mode)) == {"table_vanished"}
    assert inspected(connection, source, mode, exclude=["old"]) == {}
    alter(source, next_batch_of)
    connection.execute(warnings[0]["statement"])
    assert run(connection, source, mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_file_that_has_none_of_its_tables_any_more_is_told_by_its_name(connection, source, files, mode):
    run(connection, source, "create")
    connection.execute("CREATE SCHEMA elsewhere")
    connection.execute("SELECT aliaport_import(%s, 'elsewhere')", [str(source)])
    alter(source, "ALTER TABLE old RENAME TO old9; ALTER TABLE cust RENAME TO cust9; UPDATE old9 SET note = 'y'")
    gone = {"DROP TABLE public.cust", "DROP TABLE public.old"}
    assert set(inspected(connection, source, mode)) == {"table_vanished"}
    assert {w["statement"] for w in run(connection, source, mode)} == gone
    # Nor is there a row in the result to say it in.
    alter(source, "DROP TABLE old9; DROP TABLE cust9")
    said = []
    connection.add_notice_handler(lambda notice: said.append((notice.severity, notice.message_primary.split(" was filled")[0])))
    run(connection, source, mode)
    assert {("WARNING", f"table public.{name}") for name in ("cust", "old", "cust9", "old9")} <= set(said)
    # Another file is not asked for these.
    other = files / "other.db"
    alter(other, "CREATE TABLE third (id INTEGER PRIMARY KEY)")
    assert run(connection, other, mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_what_the_import_would_make_on_a_table_is_a_warning_that_makes_it(connection, source, mode):
    run(connection, source, "create")
    next_batch(source, mode)
    alter(source, """
        CREATE INDEX by_name ON cust (name COLLATE NOCASE, phone DESC);
        CREATE UNIQUE INDEX by_phone ON cust (phone) WHERE phone IS NOT NULL;
        CREATE INDEX by_lower ON cust (lower(name));
        CREATE TABLE old2 (id INTEGER PRIMARY KEY, note TEXT UNIQUE NOT NULL CHECK (length(note) < 100), cust_id INTEGER REFERENCES cust);
        DROP TABLE old;
        ALTER TABLE old2 RENAME TO old;
    """)
    connection.execute("ALTER TABLE old ADD COLUMN cust_id bigint")
    warnings = run(connection, source, mode)
    assert sorted(w["code"] for w in warnings) == ["constraint_missing"] * 4 + ["index_missing"] * 3
    suggested = connection.execute("SELECT suggestion FROM aliaport_inspect(%s, mode => %s) WHERE code ~ '_missing$' ORDER BY code", [str(source), mode])
    assert sorted(s.removeprefix("-- postgresql\n").removesuffix(";") for (s,) in suggested.fetchall()) == sorted(w["statement"] for w in warnings)
    for warning in warnings:
        connection.execute(warning["statement"])
    next_batch(source, mode)
    # What was made is found again, expressions and conditions included.
    assert run(connection, source, mode) == []
    # By another name, too.
    connection.execute("ALTER INDEX by_lower RENAME TO another; ALTER INDEX by_phone RENAME TO yet_another")
    next_batch(source, mode)
    assert run(connection, source, mode) == []
    # What looks like it and is not.
    connection.execute("DROP INDEX another, yet_another; CREATE INDEX by_lower ON cust (upper(name)); "
                       "CREATE UNIQUE INDEX by_phone ON cust (phone) WHERE phone IS NULL")
    next_batch(source, mode)
    found = run(connection, source, mode)
    assert [w["code"] for w in found] == ["index_missing"] * 2
    for warning in found:
        connection.execute(warning["statement"])


@pytest.mark.parametrize("mode", ["replace", "sync"])
def test_unchanged_hides_no_drift(connection, source, mode):
    alter(source, "CREATE INDEX by_name ON cust (name)")
    run(connection, source, "create")
    status = "SELECT status FROM aliaport.run ORDER BY run_id DESC LIMIT 1"
    for expected in ("ok", "unchanged"):
        run(connection, source, mode)
        assert connection.execute(status).fetchone() == (expected,)
    connection.execute("DROP INDEX by_name")
    for expected in ("warning", "unchanged"):
        # Told once, repeated as long as it lasts.
        assert [w["code"] for w in run(connection, source, mode)] == ["index_missing"]
        assert connection.execute(status).fetchone() == (expected,)


PARENT = "CREATE TABLE p (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, UNIQUE (a, b)); INSERT INTO p VALUES (1, 1, 1), (2, 2, 2);"


def child(columns, rest="", rows="(1, 1, 5, 'x')"):
    """The child table again, as SQLite changes a constraint: by making the table anew."""
    return f"DROP TABLE IF EXISTS ch; CREATE TABLE ch (id INTEGER PRIMARY KEY, {columns} {rest}); INSERT INTO ch VALUES {rows};"


PLAIN = "pid INTEGER REFERENCES p (id), n INTEGER, t TEXT"
# What changes in the source, from what to what, and the codes by which it is told.
CHANGES = {
    "ON DELETE": (PLAIN, PLAIN.replace("(id)", "(id) ON DELETE CASCADE"), ["constraint_missing"]),
    "ON DELETE goes": (PLAIN.replace("(id)", "(id) ON DELETE SET NULL"), PLAIN, ["constraint_missing"]),
    "ON UPDATE": (PLAIN, PLAIN.replace("(id)", "(id) ON UPDATE SET DEFAULT"), ["constraint_missing"]),
    "DEFERRABLE": (PLAIN, PLAIN.replace("(id)", "(id) DEFERRABLE INITIALLY DEFERRED"), ["constraint_missing"]),
    "all of them": (PLAIN, PLAIN.replace("(id)", "(id) ON DELETE CASCADE ON UPDATE RESTRICT DEFERRABLE"), ["constraint_missing"]),
    "MATCH, which SQLite does not know": (PLAIN, PLAIN.replace("(id)", "(id) MATCH FULL"), []),
    "NOT NULL": (PLAIN, PLAIN.replace("n INTEGER", "n INTEGER NOT NULL"), ["constraint_missing"]),
    "UNIQUE": (PLAIN.replace("n INTEGER", "n INTEGER UNIQUE"), PLAIN + ", UNIQUE (n, t)", ["constraint_missing"]),
    "named CHECK": (PLAIN + ", CONSTRAINT little CHECK (n < 10)", PLAIN + ", CONSTRAINT little CHECK (n < 20)", ["constraint_missing"]),
    "CHECK": (PLAIN + ", CHECK (n < 10)", PLAIN + ", CHECK (n < 20)", ["constraint_missing"]),
    "primary key": (PLAIN, PLAIN + ", UNIQUE (id, n)", ["constraint_missing"]),
    "default, which is no drift": (PLAIN, PLAIN.replace("n INTEGER", "n INTEGER DEFAULT 3"), []),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_constraint_has_become_is_said_with_a_statement_that_runs(connection, files, name, mode):
    before, after, codes = CHANGES[name]
    path = files / "source.db"
    alter(path, PARENT + child(before))
    run(connection, path, "create")

    def night(columns):
        if mode == "append":
            connection.execute("TRUNCATE p, ch")
        alter(path, child(columns))

    night(before)
    assert run(connection, path, mode) == []
    night(after)
    inspected = connection.execute("SELECT suggestion FROM aliaport_inspect(%s, mode => %s) WHERE code = 'constraint_missing'", [str(path), mode]).fetchall()
    warnings = run(connection, path, mode)
    assert [w["code"] for w in warnings] == codes
    assert [s.removeprefix("-- postgresql\n").removesuffix(";") for (s,) in inspected] == [w["statement"] for w in warnings]
    for warning in warnings:
        connection.execute(warning["statement"])
    night(after)
    assert run(connection, path, mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_another_generated_expression_is_said(connection, files, mode):
    path = files / "source.db"
    make = "DROP TABLE IF EXISTS g; CREATE TABLE g (id INTEGER PRIMARY KEY, a INTEGER, b DECIMAL(9, 2), t VARCHAR(20) DEFAULT 'x', {}); INSERT INTO g (id, a) VALUES (1, 2);"
    columns = "c INTEGER GENERATED ALWAYS AS (a * {0}) STORED, d DECIMAL(12, 2) AS (b * {0} + 1) STORED, e TEXT AS (t || '{0}') STORED, f VARCHAR(9) AS (lower(t)) STORED"
    alter(path, make.format(columns.format(2)))
    run(connection, path, "create")
    for number, said in ((2, 0), (3, 2), (3, 0)):
        if mode == "append":
            connection.execute("TRUNCATE g")
        alter(path, make.format(columns.format(number)))
        warnings = run(connection, path, mode, options={"force": mode != "append"})
        assert len(warnings) == said, warnings
        for warning in warnings:
            connection.execute(warning["statement"])
    assert connection.execute("SELECT c, e FROM g").fetchall() == [(6, "x3")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["drop", "rename"])
def test_a_parent_that_was_renamed_destroys_no_rows(connection, files, mode, way):
    path = files / "source.db"
    alter(path, PARENT + child(PLAIN))
    run(connection, path, "create")
    # SQLite has the child's key follow the new name.
    alter(path, "ALTER TABLE p RENAME TO pp; INSERT INTO pp VALUES (3, 3, 3); INSERT INTO ch VALUES (2, 3, 6, 'y');")
    if mode == "append":
        alter(path, "UPDATE ch SET id = id + 10")
    suggestions = dict(connection.execute("SELECT code, suggestion FROM aliaport_inspect(%s, mode => %s) WHERE severity = 'warning'", [str(path), mode]).fetchall())
    assert "DROP CONSTRAINT ch_pid_fkey;" in suggestions["constraint_missing"]
    assert "constraint ch_pid_fkey on table public.ch" in suggestions["table_vanished"]
    with refused("23503") as caught:
        run(connection, path, mode)
    hint = caught.value.diag.message_hint
    assert "'reject'" not in hint and "'null'" not in hint
    statements = [part.split(";")[0] for part in hint.split(" run ")[1:]]
    assert len(statements) == 2
    if way == "drop":
        connection.execute(suggestions["constraint_missing"])
        warnings = run(connection, path, mode)
        assert {w["code"] for w in warnings} == {"constraint_missing", "table_vanished"}
        for warning in warnings:
            connection.execute(warning["statement"])
    else:
        connection.execute(statements[1])
        if mode == "append":
            connection.execute("TRUNCATE pp, ch")
        assert run(connection, path, mode) == []
    assert connection.execute("SELECT pid FROM ch WHERE n = 6").fetchall() == [(3,)]
    (reference,) = connection.execute("SELECT confrelid::regclass::text FROM pg_constraint WHERE conrelid = 'ch'::regclass AND contype = 'f'").fetchone()
    assert reference == "pp"


@pytest.mark.parametrize("mode", MODES)
def test_the_key_that_is_missing_is_not_valid_where_orphans_are_kept(connection, files, mode):
    path = files / "source.db"
    alter(path, PARENT + child("pid INTEGER, n INTEGER, t TEXT"))
    run(connection, path, "create")
    alter(path, child(PLAIN, rows="(21, 77, 5, 'x')"))
    if mode == "append":
        alter(path, "UPDATE p SET id = id + 10, a = a + 10")
    (warning,) = run(connection, path, mode, orphans="keep")
    assert warning["statement"].endswith(" NOT VALID")
    connection.execute(warning["statement"])
    alter(path, "DELETE FROM ch; UPDATE p SET id = id + 100, a = a + 100")
    assert run(connection, path, mode, orphans="keep") == []


@pytest.mark.parametrize("columns, key", [("id INTEGER PRIMARY KEY", "(n)"), ("id INTEGER, n INTEGER, PRIMARY KEY (id, n)", "(pid, n)")])
@pytest.mark.parametrize("mode", MODES)
def test_the_key_to_a_table_that_is_new_is_valid_where_every_row_has_its_parent(connection, files, mode, columns, key):
    path = files / "source.db"
    alter(path, PARENT + child("pid INTEGER, n INTEGER, t TEXT", rows="(1, 1, 5, 'x')"))
    run(connection, path, "create")
    new = f"CREATE TABLE np ({columns}); INSERT INTO np SELECT {'n' if key == '(n)' else 'pid, n'} FROM ch;"
    alter(path, new + child(f"pid INTEGER, n INTEGER, t TEXT, FOREIGN KEY {key} REFERENCES np", rows="(11, 1, 5, 'x')"))
    if mode == "append":
        alter(path, "UPDATE p SET id = id + 10, a = a + 10")
    (warning,) = [w for w in run(connection, path, mode) if w["code"] == "constraint_missing"]
    assert "REFERENCES public.np" in warning["statement"] and "NOT VALID" not in warning["statement"]
    connection.execute(warning["statement"])
    assert connection.execute("SELECT convalidated FROM pg_constraint WHERE confrelid = 'np'::regclass").fetchall() == [(True,)]


def test_a_table_that_others_depend_on_is_not_to_be_dropped_in_one(connection, source):
    run(connection, source, "create")
    connection.execute("CREATE VIEW reads AS SELECT note FROM old; CREATE FUNCTION takes(old) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE own (id bigint REFERENCES old)")
    alter(source, "DROP TABLE old")
    (warning,) = run(connection, source, "sync")
    assert warning["statement"].startswith("-- DROP TABLE public.old fails") and all(
        what in warning["statement"] for what in ("view public.reads", "function public.takes", "constraint own_id_fkey"))
    connection.execute(warning["statement"])
    connection.execute("DROP VIEW reads; DROP FUNCTION takes; DROP TABLE own")
    (warning,) = run(connection, source, "sync")
    connection.execute(warning["statement"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["NOT NULL", "key"])
def test_a_not_null_column_that_vanished_is_a_decision_too(connection, source, mode, kind):
    alter(source, "ALTER TABLE cust ADD COLUMN code TEXT NOT NULL DEFAULT 'c'" if kind == "NOT NULL" else
          "CREATE TABLE k (a INTEGER, code TEXT, PRIMARY KEY (a, code)); INSERT INTO k VALUES (1, 'c')")
    table = "cust" if kind == "NOT NULL" else "k"
    run(connection, source, "create")
    connection.execute(f"ALTER TABLE {table} ALTER COLUMN code DROP DEFAULT")
    next_batch(source, mode)
    alter(source, "ALTER TABLE cust DROP COLUMN code" if kind == "NOT NULL" else
          "DROP TABLE k; CREATE TABLE k (a INTEGER PRIMARY KEY); INSERT INTO k VALUES (1)")
    found = connection.execute("SELECT severity, code, suggestion FROM aliaport_inspect(%s, mode => %s) WHERE table_name = %s AND column_name = 'code'",
                               [str(source), mode, table]).fetchall()
    if (mode, kind) == ("sync", "key"):
        assert {code for _, code, _ in found} <= {"column_vanished", "target_without_key"}
        return
    assert [f[:2] for f in found] == [("error", "column_vanished")]
    with refused("55000") as caught:
        run(connection, source, mode)
    hint = caught.value.diag.message_hint
    skip = {"tables": {"cust": {"columns": {"code": {"skip": True}}}}}
    if kind == "key":
        assert "skip" not in hint and "skip" not in found[0][2]
        connection.execute(hint)
    elif mode == "sync":
        connection.execute(found[0][2])
    else:
        # To leave the column in place, as the hint says it.
        with refused("23502") as caught:
            run(connection, source, mode, options=skip)
        assert caught.value.diag.message_hint.startswith("ALTER TABLE public.cust ALTER COLUMN code DROP NOT NULL;")
        statement = hint.partition("first run ")[2].partition(" and then ")[0]
        assert statement in caught.value.diag.message_hint
        connection.execute(statement)
        assert [w["code"] for w in run(connection, source, mode, options=skip)] == ["column_vanished"]
        return
    run(connection, source, mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_not_null_column_that_was_renamed_shows_the_rename(connection, source, mode):
    run(connection, source, "create")
    next_batch(source, mode)
    alter(source, "ALTER TABLE cust RENAME COLUMN name TO title")
    ((suggestion,),) = connection.execute("SELECT suggestion FROM aliaport_inspect(%s, mode => %s) WHERE code = 'target_missing_column'",
                                          [str(source), mode]).fetchall()
    rename = suggestion.splitlines()[-1]
    assert rename == "-- ALTER TABLE public.cust RENAME COLUMN name TO title;"
    connection.execute(rename.removeprefix("-- "))
    assert run(connection, source, mode) == []


class Night:
    """One SQLite file over random nights, and what it should come to in PostgreSQL."""

    def __init__(self, path, seed):
        self.random, self.path, self.made = random.Random(seed), path, 0
        alter(path, "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, y INTEGER); CREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT, y INTEGER);"
                    "INSERT INTO a VALUES (1, 'a', 1), (2, 'b', 2); INSERT INTO b VALUES (1, 'c', 3)")

    def tables(self):
        source = sqlite3.connect(self.path)
        found = {t: [c[1] for c in source.execute(f"PRAGMA table_info({t})")]
                 for (t,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        source.close()
        return found

    def alter(self):
        """Changes something; the kind of drift that has to be told."""
        self.made += 1
        tables = self.tables()
        table = self.random.choice(sorted(tables))
        columns = [c for c in tables[table] if c != "id"]
        kind = self.random.choice(["add", "drop", "rename_column", "rename_table", "index", "unique", "new_table", "drop_table"])
        new, old = f"n{self.made}", self.random.choice(columns) if columns else None
        if kind == "drop_table" and len(tables) < 2 or old is None and kind in ("drop", "rename_column", "index", "unique"):
            kind = "add"
        source = sqlite3.connect(self.path, isolation_level=None)
        # SQLite drops no column that an index is over.
        if kind == "drop":
            for (name,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", [table]).fetchall():
                source.execute(f"DROP INDEX {name}")
        source.executescript({
            "add": f"ALTER TABLE {table} ADD COLUMN {new} TEXT DEFAULT 'd{self.made}'",
            "drop": f"ALTER TABLE {table} DROP COLUMN {old}",
            "rename_column": f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}",
            "rename_table": f"ALTER TABLE {table} RENAME TO {new}",
            "index": f"CREATE INDEX {new} ON {table} ({old} DESC, id) WHERE id <> {self.made}",
            "unique": f"UPDATE {table} SET {old} = id; CREATE UNIQUE INDEX {new} ON {table} (lower({old}), id) WHERE id <> {self.made}",
            "new_table": f"CREATE TABLE {new} (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO {new} VALUES (1, 'new')",
            "drop_table": f"DROP TABLE {table}",
        }[kind])
        source.executescript(f"INSERT INTO {sorted(self.tables())[0]} (id) VALUES ({1000 + self.made})")
        source.close()
        return {"add": "42703", "drop": "55000", "rename_column": "42703", "rename_table": "table_vanished", "index": "index_missing",
                "unique": "index_missing", "new_table": None, "drop_table": "table_vanished"}[kind]

    def rows(self):
        source = sqlite3.connect(self.path)
        found = {t: sorted(map(str, source.execute(f"SELECT {', '.join(sorted(columns))} FROM {t}")))
                 for t, columns in self.tables().items()}
        source.close()
        return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mode", ["replace", "sync"])
def test_nights_of_random_changes(connection, files, mode, seed):
    night = Night(files / "night.db", seed)
    run(connection, night.path, "create")
    for _ in range(8):
        expected = night.alter()
        told = set()
        for _ in range(4):
            try:
                warnings = run(connection, night.path, mode)
                break
            except psycopg.Error as error:
                assert error.sqlstate in ("42703", "55000"), error
                told.add(error.sqlstate)
                connection.execute(error.diag.message_hint)
        told |= {w["code"] for w in warnings}
        assert expected is None or expected in told
        for table, rows in night.rows().items():
            columns = ", ".join(sorted(night.tables()[table]))
            assert sorted(map(str, connection.execute(f"SELECT {columns} FROM {table}"))) == rows, table
        for warning in warnings:
            connection.execute(warning["statement"])
        assert {w["code"] for w in run(connection, night.path, mode, options={"force": True})} == set()
