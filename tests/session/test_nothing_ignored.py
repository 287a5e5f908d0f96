"""What the import does not carry over, does not do, or is asked for in vain is said: clauses, triggers, options."""

import json
import sqlite3

import psycopg
import pytest

from conftest import refused


@pytest.fixture
def ask(connection):
    connection.execute("CREATE SCHEMA t")
    return lambda sql, *args: connection.execute(sql, args or None).fetchall()


def make(files, script):
    path = files / "source.db"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    path.chmod(0o644)
    return str(path)


def test_an_on_conflict_clause_that_vanishes_is_said(ask, files):
    path = make(
        files,
        "CREATE TABLE oc (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, k TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'x',"
        " u TEXT UNIQUE ON CONFLICT IGNORE, a INT NOT NULL ON CONFLICT ABORT, b INT NULL ON CONFLICT FAIL,"
        " UNIQUE (a, b) ON CONFLICT FAIL, CHECK (a > 0) ON CONFLICT IGNORE);"
        "CREATE TABLE pk (a INT, b INT, PRIMARY KEY (a, b) ON CONFLICT ROLLBACK) WITHOUT ROWID;",
    )
    expected = {
        "ON CONFLICT REPLACE of PRIMARY KEY (id)",
        "ON CONFLICT REPLACE of NOT NULL (k)",
        "ON CONFLICT IGNORE of UNIQUE (u)",
        "ON CONFLICT FAIL of UNIQUE (a, b)",
        "ON CONFLICT ROLLBACK of PRIMARY KEY (a, b)",
    }
    inspected = ask("SELECT severity, message FROM aliaport_inspect(%s, 't') WHERE code = 'not_carried'", path)
    assert {m.split(" of table")[0] for s, m in inspected if s == "warning"} == expected
    notes = ask("SELECT note FROM aliaport_plan(%s, 't') WHERE action = 'create_table'", path)
    assert {part.removeprefix("without ") for (note,) in notes for part in note.split("; ")} == expected
    details = ask("SELECT detail FROM aliaport_import(%s, 't')", path)
    warnings = [w for (detail,) in details for w in detail["warnings"]]
    assert {w["message"].split(" of table")[0] for w in warnings if w["code"] == "not_carried"} == expected


def test_a_collation_of_a_constraint_that_vanishes_is_said(ask, files):
    path = make(files, "CREATE TABLE t (a TEXT, b TEXT, PRIMARY KEY (a COLLATE RTRIM), UNIQUE (b COLLATE RTRIM))")
    said = {m for (m,) in ask("SELECT message FROM aliaport_inspect(%s, 't') WHERE code = 'not_carried'", path)}
    assert said == {
        'collation RTRIM of the primary key of table "t" is not carried over',
        'collation RTRIM of a unique constraint of table "t" is not carried over',
    }


TRIGGERS = """
CREATE FUNCTION t.fires() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO t.log VALUES (TG_NAME); RETURN COALESCE(NEW, OLD); END $$;
CREATE TABLE t.log (name text);
CREATE TABLE t.a (id bigint PRIMARY KEY, n text);
CREATE TRIGGER "on Insert" BEFORE INSERT ON t.a FOR EACH ROW EXECUTE FUNCTION t.fires();
CREATE TRIGGER on_delete AFTER DELETE ON t.a FOR EACH ROW EXECUTE FUNCTION t.fires();
CREATE TRIGGER on_update AFTER UPDATE ON t.a FOR EACH ROW EXECUTE FUNCTION t.fires();
CREATE TRIGGER disabled BEFORE INSERT ON t.a FOR EACH ROW EXECUTE FUNCTION t.fires();
ALTER TABLE t.a DISABLE TRIGGER disabled;
CREATE TABLE t.b (id bigint PRIMARY KEY, n text) PARTITION BY RANGE (id);
CREATE TABLE t.b1 PARTITION OF t.b FOR VALUES FROM (0) TO (100);
CREATE TRIGGER in_part BEFORE INSERT ON t.b1 FOR EACH ROW EXECUTE FUNCTION t.fires();
CREATE TABLE t.c (id bigint PRIMARY KEY, n text);
"""


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("mode", ["create", "append", "replace", "sync"])
def test_user_triggers_that_do_not_fire_are_named(connection, ask, files, mode, dry_run):
    path = make(files, "".join(f"CREATE TABLE {t} (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO {t} VALUES (1, 'x'), (3, 'z');" for t in "abcd"))
    connection.execute(TRIGGERS)
    if mode != "create":
        keys = "(50), (51)" if mode == "append" else "(1), (2)"
        connection.execute(f"INSERT INTO t.a VALUES {keys}; INSERT INTO t.b VALUES {keys}; DELETE FROM t.log")
    call = "SELECT table_name, detail FROM aliaport_import(%s, 't', %s, dry_run => %s, options => %s)"
    warned = {}
    for name, detail in ask(call, path, mode, dry_run, "{}"):
        for warning in detail["warnings"]:
            if warning["code"] == "triggers_off":
                assert name not in warned
                warned[name] = warning["message"].split('"off"): ')[1]
    wanted = {"replace": '"on Insert", on_delete', "sync": '"on Insert", on_delete, on_update'}.get(mode, '"on Insert"')
    assert warned == {"t.a": wanted, "t.b": "in_part"}
    assert ask("SELECT count(*) FROM t.log") == [(0,)]
    if not dry_run:
        # With "on" they fire, and nothing is said.
        connection.execute("TRUNCATE t.a, t.b, t.c, t.d")
        rows = ask(call, path, mode, False, '{"triggers": "on"}')
        assert not [w for _, d in rows for w in d["warnings"] if w["code"] == "triggers_off"]
        assert ask("SELECT name, count(*) FROM t.log GROUP BY 1 ORDER BY 1") == [("in_part", 2), ("on Insert", 2)]


PARTITIONED = """
CREATE TABLE t.log (name text);
CREATE FUNCTION t.logs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t.log VALUES (TG_NAME); RETURN COALESCE(NEW, OLD); END $$;
CREATE FUNCTION t.changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t.log VALUES (TG_NAME); NEW.n := 'changed'; RETURN NEW; END $$;
CREATE TABLE t.a (id bigint PRIMARY KEY, n text {check}) PARTITION BY RANGE (id);
CREATE TABLE t.a_low PARTITION OF t.a FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
CREATE TABLE t.a_lowest PARTITION OF t.a_low FOR VALUES FROM (0) TO (10);
CREATE TABLE t.a_rest PARTITION OF t.a DEFAULT;
CREATE TRIGGER everywhere AFTER INSERT OR UPDATE OR DELETE ON t.a FOR EACH ROW EXECUTE FUNCTION t.logs();
CREATE TRIGGER own BEFORE INSERT OR UPDATE ON t.a_lowest FOR EACH ROW EXECUTE FUNCTION t.changes();
CREATE TRIGGER replica BEFORE INSERT OR UPDATE ON t.a_rest FOR EACH ROW EXECUTE FUNCTION t.changes();
CREATE TRIGGER usual BEFORE INSERT OR UPDATE ON t.a_lowest FOR EACH ROW EXECUTE FUNCTION t.changes();
CREATE TRIGGER statement AFTER INSERT ON t.a_lowest EXECUTE FUNCTION t.logs();
ALTER TABLE t.a_lowest ENABLE ALWAYS TRIGGER own, ENABLE ALWAYS TRIGGER statement;
ALTER TABLE ONLY t.a_lowest ENABLE ALWAYS TRIGGER everywhere;
ALTER TABLE ONLY t.a_rest DISABLE TRIGGER everywhere;
ALTER TABLE t.a_rest ENABLE REPLICA TRIGGER replica;
INSERT INTO t.a VALUES (3, 'three'), (300, 'three hundred');
DELETE FROM t.log;
"""


@pytest.mark.parametrize("check", ["", "CHECK (t.any(n))"], ids=["as a replica", "as anybody"])
@pytest.mark.parametrize("mode", ["create", "append", "replace", "sync"])
def test_triggers_of_partitions_do_not_fire_either(connection, ask, files, mode, check):
    path = make(files, "CREATE TABLE a (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO a VALUES (1, 'x'), (2, 'y'), (200, 'z')")
    connection.execute("CREATE FUNCTION t.any(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'")
    connection.execute(PARTITIONED.format(check=check))
    connection.execute("TRUNCATE t.a" if mode == "create" else "UPDATE t.a SET id = id + 1; DELETE FROM t.log")
    enabled = "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    before = ask(enabled)
    ((detail,),) = ask("SELECT detail FROM aliaport_import(%s, 't', %s)", path, mode)
    assert ask("SELECT name FROM t.log") == []
    assert [r for r in ask("SELECT * FROM t.a ORDER BY id") if r[1] in "xyz"] == [(1, "x"), (2, "y"), (200, "z")]
    assert ask(enabled) == before
    # What an ordinary statement would fire is named, and a statement on the table fires no partition's own.
    ((said,),) = [(w["message"].split('"off"): ')[1],) for w in detail["warnings"] if w["code"] == "triggers_off"]
    assert said == "everywhere, own, usual"


EMPTIED = """
CREATE TABLE t.plain (id bigint PRIMARY KEY, n text);
CREATE TABLE t.parts (id bigint PRIMARY KEY, n text) PARTITION BY RANGE (id);
CREATE TABLE t.low PARTITION OF t.parts FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
CREATE TABLE t.lowest PARTITION OF t.low FOR VALUES FROM (0) TO (10);
CREATE TABLE t.log (name text);
CREATE FUNCTION t.logs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t.log VALUES (TG_NAME); RETURN NULL; END $$;
"""


@pytest.mark.parametrize("method", ["delete", "truncate"])
def test_triggers_of_truncate_do_not_fire_at_any_level(connection, ask, files, method):
    tables = ["plain", "parts", "low", "lowest"]
    path = make(files, "".join(f"CREATE TABLE {t} (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO {t} VALUES (1, 'x');" for t in tables[:2]))
    connection.execute(EMPTIED)
    for table in tables:
        for when in ("before", "after"):
            for how in ("ORIGIN", "ALWAYS", "REPLICA"):
                name = f"{table}_{when}_{how}"
                connection.execute(f"CREATE TRIGGER {name} {when} TRUNCATE ON t.{table} EXECUTE FUNCTION t.logs();"
                                   f"ALTER TABLE t.{table} ENABLE {how if how != 'ORIGIN' else ''} TRIGGER {name}")
    connection.execute("INSERT INTO t.plain VALUES (7, 'old'); INSERT INTO t.parts VALUES (7, 'old')")
    enabled = "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    before = ask(enabled)
    connection.execute(f"SET aliaport_import.replace_method = {method}")
    call = "SELECT table_name, detail FROM aliaport_import(%s, 't', 'replace', options => %s)"
    said = {}
    for name, detail in ask(call, path, "{}"):
        said |= {name: w["message"].split('"off"): ')[1].split(", ") for w in detail["warnings"] if w["code"] == "triggers_off"}
    assert ask("SELECT name FROM t.log") == [] and ask(enabled) == before
    assert ask("SELECT id FROM t.plain UNION ALL SELECT id FROM t.parts") == [(1,), (1,)]
    fired = {t: {f"{t}_{when}_{how}".lower() for when in ("before", "after") for how in ("origin", "always")} for t in tables}
    wanted = {"t.plain": fired["plain"], "t.parts": fired["parts"] | fired["low"] | fired["lowest"]} if method == "truncate" else {}
    assert {name: set(names) for name, names in said.items()} == wanted
    # With "on" they do what was said of them.
    ask(call, path, '{"triggers": "on"}')
    assert {name for (name,) in ask("SELECT name FROM t.log")} == set().union(*wanted.values())


SOURCE = """
CREATE TABLE p (id INTEGER PRIMARY KEY);
CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER, at DATETIME, s TEXT, p INTEGER REFERENCES p(id), CHECK (n < 100));
CREATE TABLE alembic_version (version_num TEXT PRIMARY KEY);
INSERT INTO p VALUES (1); INSERT INTO a VALUES (1, 2, '2024-01-01', 'x', 1); INSERT INTO alembic_version VALUES ('abc');
"""

# Options that can have no effect, and what names them.
IN_VAIN = [
    ({"include": ["zzz*"]}, 'option "include" has "zzz*"'),
    ({"include": ["a", "b?"]}, 'option "include" has "b?"'),
    ({"exclude": ["tmp_*"]}, 'option "exclude" has "tmp_*"'),
    ({"exclude": ["*"]}, "leave no table to import"),
    ({"include": ["a"], "exclude": ["?"]}, "leave no table to import"),
    ({"exclude": ["a"], "tables": {"a": {"where": "n > 1"}}}, "tables.a.where"),
    ({"exclude": ["a"], "tables": {"A": {"target": "b"}}}, "tables.A.target"),
    ({"exclude": ["a"], "tables": {"a": {"columns": {"n": {"type": "text"}}}}}, "tables.a.columns.n"),
    ({"include": ["a"], "tables": {"p": {"where": "id > 1"}}}, "tables.p.where"),
    ({"exclude": ["a"], "search": {"a": {"columns": ["s"]}}}, "search.a"),
    ({"exclude": ["a"], "foreign_keys": {"a.p": {"orphans": "keep"}}}, "foreign_keys.a.p"),
    ({"foreign_key_constraints": False, "foreign_keys": {"a.p": {"on_delete": "cascade"}}}, "foreign_keys.a.p.on_delete"),
    ({"tables": {"a": {"columns": {"n": {"number": "unix_ms"}}}}}, "tables.a.columns.n.number"),
    ({"tables": {"a": {"columns": {"s": {"number": "julian"}}}}}, "tables.a.columns.s.number"),
    ({"tables": {"a": {"columns": {"at": {"type": "text", "number": "unix_s"}}}}}, "tables.a.columns.at.number"),
    ({"tables": {"a": {"columns": {"n": {"skip": True, "type": "text"}}}}}, "tables.a.columns.n.type"),
    ({"tables": {"a": {"columns": {"n": {"skip": True, "target": "m"}}}}}, "tables.a.columns.n.target"),
    ({"tables": {"a": {"columns": {"n": {"skip": True}, "N": {"type": "text"}}}}}, "is given twice"),
    ({"tables": {"a": {"columns": {"p": {"skip": True}}}}, "foreign_keys": {"a.p": {"on_delete": "cascade"}}}, "foreign_keys.a.p"),
    ({"tables": {"p": {"columns": {"id": {"skip": True}}}}, "foreign_keys": {"a.p": {"orphans": "keep"}}}, "foreign_keys.a.p"),
    ({"exclude": ["p"], "foreign_keys": {"a.p": {"on_delete": "cascade"}}}, "foreign_keys.a.p"),
    ({"tables": {"a": {}, "A": {}}}, "is given twice"),
    ({"foreign_keys": {"a.p": {"orphans": "keep"}, "A.P": {"orphans": "null"}}}, "is given twice"),
    ({"search": {"a": {"columns": ["s", "S"]}}}, 'names column "S" twice'),
]


def test_options_in_vain_are_refused_everywhere(connection, ask, files):
    path = make(files, SOURCE)
    for options, named in IN_VAIN:
        for call in ["import", "plan", "inspect", "validate"]:
            with pytest.raises(psycopg.errors.InvalidParameterValue) as refused:
                ask(f"SELECT * FROM aliaport_{call}(%s, 't', options => %s)", path, json.dumps(options))
            assert named in refused.value.diag.message_primary, (options, refused.value.diag.message_primary)
            assert refused.value.diag.message_hint


@pytest.mark.parametrize("mode", ["create", "append", "replace", "sync"])
def test_options_of_another_mode_are_refused(ask, files, mode):
    path = make(files, SOURCE)
    for option, value, modes in [("sync_delete", False, ["sync"]), ("force", True, ["replace", "sync"])]:
        options = json.dumps({option: value})
        for call in ["import(%s, 't', mode => %s, options => %s, dry_run => true)", "plan(%s, 't', mode => %s, options => %s)",
                     "inspect(%s, 't', mode => %s, options => %s)"]:
            if mode in modes:
                ask(f"SELECT 1 FROM aliaport_{call}", path, mode, options)
                continue
            with pytest.raises(psycopg.errors.InvalidParameterValue, match=f'"{option}" = .* has no effect in mode {mode}'):
                ask(f"SELECT 1 FROM aliaport_{call}", path, mode, options)


# What only the server or SQLite can say, by the SQLSTATE that the import gives.
WRONG = [
    ({"search": {"a": {"columns": ["s"], "config": "klingon"}}}, "42704"),
    ({"search": {"a": {"columns": ["s"], "config": "bad.\"name"}}}, "42602"),
    ({"tables": {"a": {"columns": {"n": {"type": "anyarray"}}}}}, "42P16"),
    ({"tables": {"a": {"columns": {"n": {"type": "nowhere.type"}}}}}, "42704"),
    ({"tables": {"a": {"where": "nosuch = 1"}}}, "22023"),
    ({"tables": {"a": {"where": "n >"}}}, "22023"),
]


def test_what_the_server_does_not_have_is_said_before_the_import(ask, files):
    path = make(files, SOURCE)
    for options, sqlstate in WRONG:
        for call in ["import", "plan", "inspect"]:
            with refused(sqlstate):
                ask(f"SELECT * FROM aliaport_{call}(%s, 't', options => %s)", path, json.dumps(options))
    ask("SELECT 1 FROM aliaport_import(%s, 't', options => %s)", path, json.dumps({"search": {"a": {"columns": ["s"], "config": "turkish"}}}))


def test_an_action_for_a_constraint_that_is_there_is_refused_and_the_hint_works(connection, ask, files):
    path = make(files, SOURCE)
    call = "SELECT 1 FROM aliaport_import(%s, 't', %s, options => %s)"
    ask(call, path, "create", "{}")
    options = json.dumps({"foreign_keys": {"a.p": {"on_delete": "cascade"}}})
    for mode in ["append", "replace", "sync"]:
        for of in ["import", "plan", "inspect"]:
            with refused("22023") as caught:
                ask(f"SELECT 1 FROM aliaport_{of}(%s, 't', mode => %s, options => %s)", path, mode, options)
    connection.execute(caught.value.diag.message_hint.partition("first: ")[2])
    for mode in ["replace", "sync"]:
        ((warnings,),) = ask("SELECT jsonb_path_query_array(detail, '$.warnings[*].code') FROM aliaport_import(%s, 't', %s, options => %s)"
                             " WHERE table_name = 't.a'", path, mode, options)
        assert warnings == []


def test_inspect_leaves_out_what_a_missing_column_was_asked_for(connection, ask, files):
    path = make(files, SOURCE)
    connection.execute("CREATE TABLE t.a (id bigint PRIMARY KEY, n integer, at timestamp, s text)")
    options = json.dumps({"foreign_keys": {"a.p": {"orphans": "keep"}}})
    codes = [c for (c,) in ask("SELECT code FROM aliaport_inspect(%s, 't', %s) WHERE severity = 'error'", path, options)]
    assert codes == ["target_missing_column"]


# Options that have one.
WITH_EFFECT = [
    {"include": ["*"], "exclude": ["alembic*"]},
    {"include": ["a"], "exclude": ["p", "alembic*"]},
    {"include": ["a"], "tables": {"p": {"target": "t.parent", "columns": {"id": {"target": "key"}}}}},
    {"tables": {"a": {"columns": {"at": {"number": "unix_ms"}, "n": {"type": "numeric"}, "s": {"skip": True}}}}},
    {"tables": {"a": {"columns": {"n": {"number": "auto"}, "s": {"skip": False}}}}},
    {"tables": {"a": {"columns": {"n": {"type": "timestamptz", "number": "unix_s"}}}}},
    {"tables": {"a": {"columns": {"n": {"type": "date", "number": "unix_s"}}}}},
    {"foreign_keys": {"a.p": {"orphans": "keep", "on_delete": "cascade"}}},
]


def test_options_with_an_effect_are_taken_again_and_again(connection, ask, files):
    path = make(files, SOURCE)
    for options in WITH_EFFECT:
        connection.execute("DROP SCHEMA t CASCADE; CREATE SCHEMA t; CREATE TABLE t.parent (key bigint PRIMARY KEY); INSERT INTO t.parent VALUES (1)")
        # The first night makes the tables, the second one finds them.
        for mode in ["create", "sync", "replace"]:
            ask("SELECT 1 FROM aliaport_import(%s, 't', %s, options => %s)", path, mode, json.dumps(options))
        ask("SELECT 1 FROM aliaport_validate(%s, 't', %s)", path, json.dumps(options))


def test_a_type_for_a_column_that_is_there_is_refused_and_the_hint_works(connection, ask, files):
    path = make(files, SOURCE)
    connection.execute("CREATE DOMAIN t.short AS varchar(5); CREATE TABLE t.a (id bigint PRIMARY KEY, n integer, at timestamp, s t.short, p bigint)")
    options = json.dumps({"exclude": ["p", "alembic*"], "tables": {"a": {"columns": {"n": {"type": "numeric(9,2)"}, "s": {"type": "t.short"}}}}})
    call = "SELECT 1 FROM aliaport_import(%s, 't', options => %s)"
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refused:
        ask(call, path, options)
    assert "exists and is of type integer" in refused.value.diag.message_primary
    statement = refused.value.diag.message_hint.partition("first: ")[2]
    connection.execute(statement)
    ask(call, path, options)


def test_bookkeeping_that_is_kept_takes_no_options(connection, ask, files):
    path = make(files, SOURCE)
    connection.execute("CREATE TABLE t.alembic_version (version_num text); INSERT INTO t.alembic_version VALUES ('new')")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="tables.alembic_version.where"):
        ask("SELECT * FROM aliaport_import(%s, 't', options => %s)", path, '{"tables": {"alembic_version": {"where": "true"}}}')


def test_the_hint_for_a_bad_value_of_a_table_that_is_there_works(connection, ask, files):
    path = make(
        files,
        "CREATE TABLE b (id INTEGER PRIMARY KEY, v, w, x, y); INSERT INTO b VALUES (1, 'abc', x'00ff', 3000000000, 'too long')",
    )
    connection.execute("CREATE TABLE t.b (id bigint PRIMARY KEY, v integer, w text, x integer, y varchar(3))")
    changed = []
    for _ in range(6):
        try:
            ask("SELECT 1 FROM aliaport_import(%s, 't')", path)
            break
        except psycopg.DataError as error:
            hint = error.diag.message_hint
            assert "options.tables" not in hint, hint
            statement = hint.partition("first: ")[2]
            changed.append(statement.split()[5])
            connection.execute(statement)
    assert changed == ["v", "w", "x", "y"]
    assert ask("SELECT v, w, x, y FROM t.b") == [("abc", b"\x00\xff", 3000000000, "too long")]


def test_rejected_rows_name_the_columns_of_a_key_without_quotes(connection, ask, files):
    path = make(files, 'CREATE TABLE p ("Id" INTEGER, "Kod" TEXT); INSERT INTO p VALUES (1, \'a\'), (1, \'a\')')
    connection.execute('CREATE TABLE t.p ("Id" int, "Kod" text, UNIQUE ("Id", "Kod"))')
    ask("SELECT 1 FROM aliaport_import(%s, 't', on_error => 'reject')", path)
    assert ask("SELECT column_name, sqlstate FROM aliaport.rejected_row") == [("Id, Kod", "23505")]
