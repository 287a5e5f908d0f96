"""What is refused, from outside: operating-system rights, roles, locks. tests/pg_regress/sql/refusals.sql has the rest."""

import os
import sqlite3

import pytest

from conftest import refused, wide_source


def import_(connection, path, *rest):
    return connection.execute("SELECT * FROM aliaport_import(%s" + ", %s" * len(rest) + ")", [str(path), *rest]).fetchall()


@pytest.mark.parametrize("name, sqlstate", [
    ("missing.db", "58P01"),
    ("folder.db", "42809"),
    ("text.db", "22P04"),
    ("empty.db", "22P04"),
    ("header.db", "22P04"),
    ("encrypted.db", "22P04"),
    ("cut.db", "22P04"),
])
def test_what_is_no_database_is_named_and_nothing_remains(cluster, connection, name, sqlstate):
    with refused(sqlstate) as caught:
        import_(connection, cluster.files / name)
    assert name in caught.value.diag.message_primary + caught.value.diag.message_detail
    assert connection.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchone() == (0,)


def test_a_relative_path_is_refused(connection):
    with refused("42602"):
        import_(connection, "aliaport.db")


def test_a_pipe_does_not_hang_the_backend(files, connection):
    os.mkfifo(files / "pipe.db")
    connection.execute("SET statement_timeout = '5s'")
    with refused("42809"):
        import_(connection, files / "pipe.db")


def test_a_file_the_server_may_not_read_is_refused(cluster, files, connection):
    path = files / "secret.db"
    path.write_bytes((cluster.files / "harbour.db").read_bytes())
    path.chmod(0)
    with refused("42501") as caught:
        import_(connection, path)
    assert str(path) in caught.value.diag.message_primary + caught.value.diag.message_detail


def test_a_folder_the_server_may_not_enter_is_refused(cluster, files, connection):
    inner = files / "closed"
    inner.mkdir()
    (inner / "a.db").write_bytes((cluster.files / "harbour.db").read_bytes())
    inner.chmod(0)
    try:
        with refused("42501"):
            import_(connection, inner / "a.db")
    finally:
        inner.chmod(0o755)


def test_a_plain_role_may_not_read_the_servers_files(cluster, database, connection):
    connection.execute("CREATE ROLE plain LOGIN")
    connection.execute("GRANT CREATE, USAGE ON SCHEMA public TO plain")
    try:
        plain = cluster.connect(database, user="plain")
        with refused_by_postgresql("42501"):
            import_(plain, cluster.files / "harbour.db")
        connection.execute("GRANT EXECUTE ON FUNCTION aliaport_import TO plain")
        with refused("42501") as caught:
            import_(plain, cluster.files / "harbour.db")
        assert "pg_read_server_files" in caught.value.diag.message_detail + caught.value.diag.message_hint
        # A role that may not know whether a file is there learns nothing from the message.
        with refused("42501"):
            import_(plain, cluster.files / "missing.db")
        connection.execute("GRANT pg_read_server_files TO plain")
        assert import_(plain, cluster.files / "harbour.db")
        plain.close()
    finally:
        connection.execute("DROP OWNED BY plain CASCADE")
        connection.execute("DROP ROLE plain")


def refused_by_postgresql(sqlstate):
    import psycopg

    return pytest.raises(psycopg.errors.lookup(sqlstate))


def test_a_symbolic_link_does_not_lead_out_of_the_allowed_directories(cluster, files, connection):
    (files / "link.db").symlink_to(cluster.files / "harbour.db")
    # The setting exists once the library is loaded.
    connection.execute("SELECT aliaport_import_version()")
    connection.execute(f"SET aliaport_import.allowed_directories = '{files}'")
    with refused("42501"):
        import_(connection, files / "link.db")
    connection.execute(f"SET aliaport_import.allowed_directories = '{cluster.files}'")
    assert import_(connection, files / "link.db")


def test_a_locked_file_is_waited_for_and_then_refused(files, connection):
    path = files / "locked.db"
    writer = wide_source(path, 10)
    writer.execute("BEGIN EXCLUSIVE")
    connection.execute("SELECT aliaport_import_version()")
    connection.execute("SET aliaport_import.busy_timeout = 300")
    connection.execute("SET statement_timeout = '5s'")
    with refused("55P03"):
        import_(connection, path)
    writer.execute("ROLLBACK")
    assert import_(connection, path)
    writer.close()


def test_an_error_in_the_middle_leaves_no_handle_and_no_table(files, connection):
    path = files / "late.db"
    db = wide_source(path, 20_000)
    db.execute("UPDATE wide SET d = 'on iki' WHERE id = 19999")
    db.close()
    pid = connection.info.backend_pid
    with refused("22P02") as caught:
        import_(connection, path)
    text = caught.value.diag.message_primary + caught.value.diag.message_detail
    assert all(part in text for part in ("wide", '"d"', "19999", "on iki")), text
    assert not [link for link in map(os.readlink, _descriptors(pid)) if link.startswith(str(path))]
    assert connection.execute("SELECT to_regclass('wide')").fetchone() == (None,)
    sqlite3.connect(path, isolation_level=None).executescript("UPDATE wide SET d = 12 WHERE id = 19999")
    assert import_(connection, path)[0][3] == 20_000


def _descriptors(pid):
    return [f"/proc/{pid}/fd/{n}" for n in os.listdir(f"/proc/{pid}/fd") if os.path.islink(f"/proc/{pid}/fd/{n}")]
