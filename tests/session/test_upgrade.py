"""An installation of 0.1.0 that is updated is a new installation, keeps its history and its grants, and says what to do before."""

import pathlib
import shutil

import pytest

from conftest import refused

FROZEN = pathlib.Path(__file__).resolve().parents[1] / "upgrade" / "aliaport_import--0.1.0.sql"

# Everything that the extension owns, by its definition. The order of a table's columns is not in it: what is added comes last.
OBJECTS = """
    WITH member AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
                    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'aliaport_import'))
    SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proacl::text, obj_description(p.oid, 'pg_proc')
    FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
    UNION ALL
    SELECT 'view', c.oid::regclass::text, pg_get_viewdef(c.oid), c.relacl::text, obj_description(c.oid, 'pg_class')
    FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass WHERE c.relkind = 'v'
    UNION ALL
    SELECT 'table', c.oid::regclass::text, string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
               pg_get_expr(adbin, adrelid), col_description(c.oid, attnum)), ', ' ORDER BY attname), c.relacl::text, obj_description(c.oid, 'pg_class')
    FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass AND c.relkind = 'r'
    JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum GROUP BY c.oid
    UNION ALL
    SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), NULL, NULL
    FROM member JOIN pg_index ON indrelid = objid AND classid = 'pg_class'::regclass
    UNION ALL
    SELECT 'constraint', conname, pg_get_constraintdef(k.oid), NULL, NULL
    FROM member JOIN pg_constraint k ON conrelid = objid AND classid = 'pg_class'::regclass WHERE contype <> 'n'
    UNION ALL
    SELECT 'dumped', unnest(extconfig)::regclass::text, NULL, NULL, NULL FROM pg_extension WHERE extname = 'aliaport_import'
    ORDER BY 1, 2"""


@pytest.fixture
def old(cluster):
    """A connection to a database with 0.1.0 in it, in a schema that needs quotes."""
    folder = pathlib.Path(cluster.ask_pg_config("--sharedir")) / "extension"
    try:
        shutil.copy(FROZEN, folder)
    except PermissionError:
        pytest.skip("the server's extension folder cannot be written to")
    cluster.recreate_database("session")
    connection = cluster.connect("session")
    yield connection
    connection.close()
    cluster.connections.clear()
    (folder / FROZEN.name).unlink()


def test_an_updated_installation_is_a_new_one(cluster, old, sample):
    # Each in a transaction that is undone, so that both have the same names.
    old.autocommit = False
    old.execute("CREATE SCHEMA \"My Tools\"")
    old.execute("CREATE EXTENSION aliaport_import SCHEMA \"My Tools\"")
    new = old.execute(OBJECTS).fetchall()
    old.rollback()
    old.execute("CREATE SCHEMA \"My Tools\"")
    old.execute("CREATE EXTENSION aliaport_import SCHEMA \"My Tools\" VERSION '0.1.0'")
    assert old.execute(OBJECTS).fetchall() != new
    old.execute("ALTER EXTENSION aliaport_import UPDATE")
    assert old.execute(OBJECTS).fetchall() == new
    old.rollback()
    old.autocommit = True


def test_history_and_grants_survive(cluster, old, sample):
    cluster.psql("DROP ROLE IF EXISTS upgrade_dba", "session")
    old.execute("CREATE ROLE upgrade_dba")
    old.execute("CREATE EXTENSION aliaport_import VERSION '0.1.0'")
    old.execute("GRANT EXECUTE ON FUNCTION aliaport_inspect TO upgrade_dba WITH GRANT OPTION")
    old.execute("INSERT INTO aliaport.run (started_at, path, mode, dry_run, options, status, invoked_by) "
                "VALUES (now(), '/data/old.db', 'create', false, '{}', 'ok', 'ali')")
    source = str(sample(100))
    # Before the update: nothing crashes, and the error says what to do.
    for statement in ("SELECT aliaport_import(%s)", "SELECT aliaport_report()"):
        with refused("55000") as caught:
            old.execute(statement, [source] if "%s" in statement else [])
    assert old.execute("SELECT count(*) > 0 FROM aliaport_inspect(%s)", [source]).fetchone() == (True,)
    # The hint is the statement that helps.
    old.execute(caught.value.diag.message_hint)
    assert old.execute("SELECT path, on_error, orphans FROM aliaport.run").fetchall() == [("/data/old.db", None, None)]
    assert "/data/old.db" in old.execute("SELECT aliaport_report()").fetchone()[0]
    assert old.execute("SELECT has_function_privilege('upgrade_dba', 'aliaport_inspect(text, name, jsonb, text)', 'EXECUTE WITH GRANT OPTION'), "
                       "has_function_privilege('public', 'aliaport_inspect(text, name, jsonb, text)', 'EXECUTE')").fetchone() == (True, False)
    assert old.execute("SELECT count(*) > 0 FROM aliaport_import(%s, orphans => 'keep', on_error => 'reject')", [source]).fetchone() == (True,)
    assert old.execute("SELECT on_error, orphans, database, server_version = current_setting('server_version') "
                       "FROM aliaport.run ORDER BY run_id DESC LIMIT 1").fetchone() == ("reject", "keep", "session", True)
    old.execute("DROP EXTENSION aliaport_import CASCADE")
    old.execute("DROP ROLE upgrade_dba")
