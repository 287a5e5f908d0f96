"""Nobody's code runs where PostgreSQL's rules are off, or with rights that it has not got by itself."""

import json
import sqlite3
import threading
import time

import psycopg
import pytest

from conftest import refused, wait_until

IMPORTER = """
    CREATE ROLE {role} LOGIN;
    GRANT pg_read_server_files TO {role};
    GRANT EXECUTE ON FUNCTION aliaport_import, aliaport_inspect TO {role};
    CREATE SCHEMA m AUTHORIZATION {role};
"""


def source(files, script, name="source.db"):
    path = files / name
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()
    return str(path)


@pytest.fixture
def mallory(cluster, database, connection):
    """A role that may import, and a table of the DBA's with a foreign key and an audit, into which it may insert."""
    connection.execute("DROP ROLE IF EXISTS mallory")
    connection.execute(IMPORTER.format(role="mallory"))
    connection.execute("""
        CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (1);
        CREATE TABLE ledger (parent bigint REFERENCES parent, role text DEFAULT current_setting('session_replication_role'));
        CREATE TABLE audit (amount bigint);
        CREATE FUNCTION audits() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.audit VALUES (NEW.parent); RETURN NEW; END';
        CREATE TRIGGER audits AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION audits();
        GRANT INSERT, SELECT ON ledger TO mallory;
        SET SESSION AUTHORIZATION mallory;
        CREATE FUNCTION m.f(n bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.ledger VALUES (1); RETURN n; END';
        CREATE FUNCTION m.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.ledger VALUES (1); RETURN NEW; END';
        CREATE FUNCTION m.i(n bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM m.f(n); RETURN n; END';
        CREATE FUNCTION m.s(n bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
            'BEGIN IF current_setting(''session_replication_role'') <> ''origin'' THEN RAISE EXCEPTION ''as a replica''; END IF; RETURN n; END';
    """)
    yield connection
    connection.execute("RESET SESSION AUTHORIZATION")


T = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 5), (2, 6)"

# What an INSERT or UPDATE of a staged row evaluates.
TABLES = {
    "default": "CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint, d bigint DEFAULT m.f(1))",
    "check": "CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint CHECK (m.f(v) > 0))",
    "domain": "CREATE DOMAIN m.d AS bigint CHECK (m.f(VALUE) > 0); CREATE TABLE m.t (id bigint PRIMARY KEY, v m.d)",
    "domain of a domain": "CREATE DOMAIN m.b AS bigint CHECK (m.f(VALUE) > 0); CREATE DOMAIN m.d AS m.b; CREATE TABLE m.t (id bigint PRIMARY KEY, v m.d)",
    "cast to a domain": "CREATE DOMAIN m.d AS bigint CHECK (m.f(VALUE) > 0); CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint, d bigint DEFAULT 3::m.d)",
    "text as an array of a domain": "CREATE DOMAIN m.d AS bigint CHECK (m.f(VALUE) > 0); CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint, d text DEFAULT (('{1}'::text)::m.d[])::text)",
    "operator": "CREATE FUNCTION m.o(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT m.f($1) > 0'; CREATE OPERATOR m.%% (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = m.o);"
                " CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint CHECK (v OPERATOR(m.%%) v))",
    "query in a text": "CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint, d text DEFAULT query_to_xml('SELECT m.f(1)', false, false, '')::text)",
    "cast to json": "CREATE TYPE m.e AS ENUM ('a'); CREATE FUNCTION m.j(m.e) RETURNS json LANGUAGE sql AS 'SELECT to_json(m.f(1))'; CREATE CAST (m.e AS json) WITH FUNCTION m.j(m.e);"
                    " CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint, d jsonb DEFAULT to_jsonb('a'::m.e))",
    "composite": "CREATE TYPE m.c AS (a bigint); CREATE FUNCTION m.g(bigint) RETURNS m.c LANGUAGE sql AS 'SELECT ROW(m.f($1))::m.c'; CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint, d m.c DEFAULT m.g(1))",
    "index": "CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint); CREATE INDEX ON m.t (m.i(v))",
    "predicate": "CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint); CREATE INDEX ON m.t (v) WHERE m.i(v) > 0",
    "generated column": "CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint, d bigint GENERATED ALWAYS AS (m.i(v)) STORED, e bigint DEFAULT 1)",
    "partition key": "CREATE TABLE m.t (id bigint, v bigint) PARTITION BY RANGE (m.i(v)); CREATE TABLE m.p PARTITION OF m.t FOR VALUES FROM (0) TO (1000)",
    "trigger of a partition": "CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint) PARTITION BY RANGE (id); CREATE TABLE m.p PARTITION OF m.t FOR VALUES FROM (0) TO (1000);"
                              " CREATE TRIGGER t AFTER INSERT ON m.p FOR EACH ROW EXECUTE FUNCTION m.t(); ALTER TABLE m.p ENABLE ALWAYS TRIGGER t",
}


@pytest.mark.parametrize("mode", ["append", "replace", "sync"])
@pytest.mark.parametrize("name", TABLES)
def test_what_a_table_calls_runs_under_ordinary_rules(mallory, files, name, mode):
    mallory.execute(TABLES[name].replace("%%", "%"))
    # Rows that are there before keep the load from going straight into the heap.
    if "PRIMARY KEY" in TABLES[name] or mode != "sync":
        mallory.execute("INSERT INTO m.t (id, v) VALUES (9, 9)")
        rows = mallory.execute("SELECT status FROM public.aliaport_import(%s, 'm', %s)", [source(files, T), mode]).fetchall()
        assert [status for status, in rows] != ["failed"]
    mallory.execute("RESET SESSION AUTHORIZATION")
    assert mallory.execute("SELECT count(*) FROM ledger WHERE role <> 'origin'").fetchone() == (0,)
    assert mallory.execute("SELECT (SELECT count(*) FROM ledger) = (SELECT count(*) FROM audit)").fetchone() == (True,)


def test_a_harmless_table_is_still_written_as_a_replica(connection, files):
    """A cycle of keys that cannot be deferred lands, because its keys are checked in the end."""
    connection.execute("""
        CREATE SCHEMA app; CREATE EXTENSION citext;
        CREATE TYPE app.mood AS ENUM ('calm');
        CREATE DOMAIN app.name AS text CHECK (length(VALUE) < 9 AND VALUE <> 'x');
        CREATE TABLE app.a (id bigint PRIMARY KEY, b_id bigint, name app.name, at timestamptz DEFAULT now(), k uuid DEFAULT gen_random_uuid(), n bigserial, mood app.mood DEFAULT 'calm'
            CHECK (mood IN ('calm')), c citext CHECK (c <> 'Z') DEFAULT 'q', day text DEFAULT to_char(now(), 'YYYY') || 'x', j jsonb DEFAULT '{}'::jsonb || '{"a": 1}', big bigint GENERATED ALWAYS AS (id * 2) STORED);
        CREATE TABLE app.b (id bigint PRIMARY KEY, a_id bigint REFERENCES app.a, x bigint DEFAULT 4);
        ALTER TABLE app.a ADD CONSTRAINT a_b FOREIGN KEY (b_id) REFERENCES app.b;
        CREATE INDEX ON app.a (lower(name), (id + 1)) WHERE id > 0;
        INSERT INTO app.a (id) VALUES (7)
    """)
    path = source(files, """CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INTEGER REFERENCES b, name TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a);
        INSERT INTO a VALUES (1, 1, 'one'); INSERT INTO b VALUES (1, 1)""")
    for mode in ("append", "sync", "replace"):
        connection.execute("SELECT aliaport_import(%s, 'app', %s)", [path, mode])
        assert connection.execute("SELECT count(*) FROM app.b JOIN app.a ON a.id = b.a_id").fetchone() == (1,)


def test_a_cycle_with_somebodys_code_waits_where_it_can(mallory, files):
    mallory.execute("""
        CREATE TABLE m.a (id bigint PRIMARY KEY, b_id bigint, d bigint DEFAULT m.s(1));
        CREATE TABLE m.b (id bigint PRIMARY KEY, a_id bigint REFERENCES m.a, d bigint DEFAULT m.s(1));
        ALTER TABLE m.a ADD CONSTRAINT a_b FOREIGN KEY (b_id) REFERENCES m.b
    """)
    path = source(files, """CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INTEGER REFERENCES b); CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a);
        INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1)""")
    for mode in ("append", "replace", "sync"):
        with refused("0A000") as caught:
            mallory.execute("SELECT public.aliaport_import(%s, 'm', %s)", [path, mode])
        assert "function m.s(bigint)" in caught.value.diag.message_detail
    hint = caught.value.diag.message_hint
    mallory.execute(hint[hint.index("ALTER TABLE"):hint.index(";")])
    for mode in ("append", "replace", "sync"):
        mallory.execute("SELECT public.aliaport_import(%s, 'm', %s)", [path, mode])
    assert mallory.execute("SELECT count(*) FROM m.a JOIN m.b ON a.b_id = b.id").fetchone() == (1,)
    # The constraint is as it was: checked with each statement.
    with pytest.raises(psycopg.errors.ForeignKeyViolation), mallory.transaction():
        mallory.execute("INSERT INTO m.a VALUES (5, 55)")
        pytest.fail("it was not checked")


def test_inspect_runs_nobodys_code(mallory, files):
    mallory.execute("CREATE DOMAIN m.d AS bigint CHECK (m.f(VALUE) > 0); CREATE DOMAIN m.e AS bigint CHECK (VALUE > 5); CREATE TABLE m.t (id m.e PRIMARY KEY, v m.d)")
    mallory.execute("RESET SESSION AUTHORIZATION")
    found = mallory.execute("SELECT severity, code, column_name, message FROM aliaport_inspect(%s, 'm') WHERE table_name = 't' ORDER BY 1, 3", [source(files, T)]).fetchall()
    assert [row[:3] for row in found if row[1] == "type_mismatch"] == [("error", "type_mismatch", "id"), ("info", "type_mismatch", "v")], found
    assert any("function m.f(bigint)" in row[3] for row in found)
    assert mallory.execute("SELECT count(*) FROM ledger").fetchone() == (0,)


NESTING = """
    CREATE SCHEMA app; CREATE SCHEMA inner_one;
    CREATE FUNCTION app.nest(n bigint) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        IF n %% 1000 = 7 THEN
            BEGIN
                PERFORM public.{call};
                RAISE NOTICE 'inner landed';
            EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE NOTICE 'inner refused';
            END;
        END IF;
        RETURN true;
    END $$;
    CREATE TABLE app.t (id bigint PRIMARY KEY, v bigint CHECK (app.nest(v)));
"""


def many(files):
    return source(files, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 20000) INSERT INTO t SELECT i, i FROM r", "many.db")


@pytest.mark.parametrize("function", ["import", "validate", "inspect", "plan"])
def test_a_check_cannot_open_another_file_during_a_load(connection, files, function):
    call = f"aliaport_{function}('{{inner}}', 'inner_one')"
    inner = source(files, T, "inner.db")
    connection.execute(NESTING.replace("%%", "%").format(call=call.format(inner=inner)))
    notices = []
    connection.add_notice_handler(lambda n: notices.append(n.message_primary))
    rows = connection.execute("SELECT imported_rows, content_match FROM aliaport_import(%s, 'app')", [many(files)]).fetchall()
    assert rows == [(20000, True)]
    assert notices.count("inner refused") == 20 and "inner landed" not in notices
    with refused("55000"):
        connection.execute("CREATE OR REPLACE FUNCTION app.nest(n bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM public." + call.format(inner=inner) + "; RETURN true; END $$")
        connection.execute("TRUNCATE app.t")
        connection.execute("SELECT aliaport_import(%s, 'app')", [str(files / "many.db")])


def test_a_trigger_may_import(connection, files):
    inner = source(files, T, "inner.db")
    connection.execute(f"""CREATE SCHEMA app; CREATE SCHEMA inner_one; CREATE TABLE app.t (id bigint PRIMARY KEY, v bigint);
        CREATE FUNCTION app.nest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.aliaport_import('{inner}', 'inner_one'); RETURN NULL; END $$;
        CREATE TRIGGER nest AFTER INSERT ON app.t FOR EACH STATEMENT EXECUTE FUNCTION app.nest()""")
    connection.execute("SELECT aliaport_import(%s, 'app', 'append', options => %s)", [many(files), json.dumps({"triggers": "on"})])
    assert connection.execute("SELECT (SELECT count(*) FROM app.t), (SELECT count(*) FROM inner_one.t)").fetchone() == (20000, 2)


def test_terminated_while_a_check_asks_for_another_file(cluster, database, connection, files):
    inner = source(files, T, "inner.db")
    connection.execute(NESTING.replace("%%", "%").format(call=f"aliaport_import('{inner}', 'inner_one')").replace("n % 1000 = 7", "true"))
    for pause in (0.05, 0.2, 0.5):
        other = cluster.connect(database)
        pid = other.info.backend_pid

        def run():
            with pytest.raises(psycopg.Error):
                other.execute("SELECT aliaport_import(%s, 'app')", [str(files / "many.db")])

        if not (files / "many.db").exists():
            many(files)
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(pause)
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        thread.join(30)
        assert not thread.is_alive()
        wait_until(lambda: connection.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() == (0,), what="the end of the process")
    # The server did not go down with it.
    assert connection.execute("SELECT count(*) FROM app.t").fetchone() == (0,)


@pytest.mark.parametrize("options", [{"include": ["t"]}, {"exclude": ["other"]}])
def test_a_table_that_options_leave_out_need_not_be_readable(connection, files, options):
    connection.execute("DROP ROLE IF EXISTS limited")
    connection.execute(IMPORTER.format(role="limited"))
    connection.execute("GRANT EXECUTE ON FUNCTION aliaport_validate, aliaport_plan TO limited; CREATE TABLE m.t (id bigint PRIMARY KEY, v bigint);"
                       "CREATE TABLE m.other (id bigint PRIMARY KEY); ALTER TABLE m.t OWNER TO limited; SET SESSION AUTHORIZATION limited")
    path = source(files, T + "; CREATE TABLE other (id INTEGER PRIMARY KEY)")
    try:
        for sql in ("SELECT * FROM aliaport_plan(%s, 'm', 'append', %s)", "SELECT * FROM aliaport_inspect(%s, 'm', %s, 'append')",
                    "SELECT target_rows FROM aliaport_import(%s, 'm', 'append', options => %s)", "SELECT * FROM aliaport_validate(%s, 'm', %s)"):
            connection.execute(sql, [path, json.dumps(options)])
            with refused("42501") as error:
                connection.execute(sql, [path, "{}"])
        assert "other" in error.value.diag.message_primary
        hint = error.value.diag.message_hint
    finally:
        connection.execute("RESET SESSION AUTHORIZATION")
    # What is left to do is what the HINT says.
    connection.execute(hint[hint.index("GRANT"):])
    connection.execute("SET SESSION AUTHORIZATION limited")
    try:
        connection.execute("SELECT * FROM aliaport_validate(%s, 'm')", [path])
    finally:
        connection.execute("RESET SESSION AUTHORIZATION; DROP SCHEMA m CASCADE; DROP OWNED BY limited; DROP ROLE limited")
