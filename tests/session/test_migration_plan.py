"""The chapters of the migration plan (docs/seed.md) that are about schema and data: each by the plan's own tables and numbers."""

import datetime
import decimal
import shutil
import sqlite3

import psycopg
import pytest

from conftest import listing, refused

# What the plan decides for its foreign keys (chapter 2.4).
DECIDED = """{"foreign_keys": {
    "work_order_item.work_order_id": {"on_delete": "cascade", "orphans": "reject"},
    "barinma_contract.motorbot_id": {"on_delete": "restrict"},
    "audit_event.user_id": {"on_delete": "set null", "orphans": "null"}}}"""
IMPORT = "SELECT table_name, source_rows, imported_rows, rejected_rows, target_rows, orphan_rows, content_match, sequence_next FROM aliaport_import"


@pytest.fixture
def source(cluster):
    return str(cluster.files / "migration.db")


@pytest.fixture
def imported(connection, source):
    """A connection to a database that has the plan's tables, imported with the plan's decisions."""
    connection.execute(f"{IMPORT}(%s, options => %s)", [source, DECIDED])
    return connection


def value(connection, sql, *arguments):
    return connection.execute(sql, arguments).fetchone()[0]


def test_2_1_each_type_of_the_plan_has_its_counterpart(imported, connection):
    types = dict(connection.execute("""SELECT attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)""").fetchall())
    assert types["work_order.id"] == "bigint"
    assert (types["parametre.Ad"], types["parametre.Kod"]) == ("text", "character varying(20)")
    # Not real: SQLite's REAL has 8 bytes.
    assert (types["parametre.oran"], types["parametre.tutar"]) == ("double precision", "numeric(15,2)")
    assert types["users.is_active"] == "boolean"
    assert (types["work_order.created_at"], types["parametre.gun"], types["parametre.imza"]) == ("timestamp with time zone", "date", "bytea")
    row = connection.execute('SELECT oran, tutar, gun, imza FROM parametre ORDER BY id').fetchall()
    assert row == [(0.1, decimal.Decimal("18.10"), datetime.date(2025, 1, 23), b"\x00\xff"), (1e300, decimal.Decimal("-0.01"), None, b"")]


@pytest.mark.parametrize("decision", ["timestamptz", "timestamp"])
def test_2_1_a_naive_datetime_is_utc_whatever_the_session_says(connection, source, decision):
    options = f'{{"include": ["work_order"], "tables": {{"work_order": {{"columns": {{"created_at": {{"type": "{decision}"}}}}}}}}}}'
    # In Berlin there is no such time on that day.
    connection.execute("SET timezone = 'Europe/Berlin'")
    connection.execute(f"{IMPORT}(%s, options => %s)", [source, options])
    connection.execute("SET timezone = 'UTC'")
    assert value(connection, "SELECT created_at::text FROM work_order WHERE id = 7").removesuffix("+00") == "2025-03-30 02:30:00.123456"


def test_2_1_lengths_and_decimals_are_checked_before_and_counted_after(files, connection):
    path = files / "values.db"
    with sqlite3.connect(path) as db:
        db.executescript("""CREATE TABLE t (id INTEGER PRIMARY KEY, kod VARCHAR(5), tutar NUMERIC(6, 2));
            INSERT INTO t VALUES (1, 'İskele', 1.005), (2, 'İskel', 12345.5)""")
    found = connection.execute("SELECT code, severity, column_name, row_count FROM aliaport_inspect(%s) WHERE table_name = 't'", [str(path)]).fetchall()
    assert {("too_long", "error", "kod", 1), ("out_of_range", "error", "tutar", 1)} <= set(found)
    rows = connection.execute("SELECT imported_rows, detail FROM aliaport_import(%s, options => %s)",
                              [str(path), '{"tables": {"t": {"columns": {"kod": {"type": "text"}, "tutar": {"type": "numeric(7, 2)"}}}}}']).fetchall()
    assert rows[0][0] == 2 and rows[0][1]["lossy"] == 1
    # The shortest decimal 1.005 is rounded, not the double that is a little less.
    assert value(connection, "SELECT tutar::text FROM t WHERE id = 1") == "1.01"


def test_2_2_the_next_key_is_free_and_the_plans_recipe_is_not(imported, connection):
    # AUTOINCREMENT stood at 12, though the largest key is 10.
    assert value(connection, "INSERT INTO work_order (wo_number, created_at) VALUES ('yeni', now()) RETURNING id") == 13
    assert value(connection, "INSERT INTO motorbot (ad) VALUES ('yeni') RETURNING id") == 3
    sequence = value(connection, "SELECT pg_get_serial_sequence('motorbot', 'id')")
    connection.execute("SELECT setval(%s, COALESCE((SELECT max(id) FROM motorbot), 1), false)", [sequence])
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO motorbot (ad) VALUES ('daha yeni')")


def test_2_2_the_plans_own_kinds_of_sequence_are_set(connection, source):
    connection.execute("""CREATE TABLE motorbot (id serial PRIMARY KEY, ad text NOT NULL);
        CREATE SEQUENCE work_order_numbers;
        CREATE TABLE work_order (id integer PRIMARY KEY DEFAULT nextval('work_order_numbers'), wo_number varchar(50), is_active boolean, created_at timestamp);
        CREATE TABLE users (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, is_active boolean)""")
    rows = connection.execute(f"{IMPORT}(%s, options => %s)", [source, '{"include": ["motorbot", "work_order", "users"]}']).fetchall()
    assert {row[0]: row[-1] for row in rows} == {"motorbot": 3, "work_order": 13, "users": 3}
    assert value(connection, "INSERT INTO motorbot (ad) VALUES ('yeni') RETURNING id") == 3
    assert value(connection, "INSERT INTO work_order DEFAULT VALUES RETURNING id") == 13
    assert value(connection, "INSERT INTO users DEFAULT VALUES RETURNING id") == 3


def test_2_3_a_column_that_folds_case_stays_unique_without_case(imported, connection):
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO parametre (\"Kod\", \"Ad\") VALUES ('kdv', 'x')")
    # As in SQLite, only ASCII letters fold: the Turkish letters are left alone in every locale.
    connection.execute("INSERT INTO parametre (\"Kod\", \"Ad\") VALUES ('çark', 'x'), ('ÇARK', 'x')")


def test_2_3_the_index_without_case_serves_a_query_in_its_words(imported, connection):
    connection.execute("SET enable_seqscan = off")

    def plan(condition):
        return "\n".join(row[0] for row in connection.execute(f"EXPLAIN SELECT * FROM parametre WHERE {condition}"))

    assert "uq_parametre_kod" in plan("lower(\"Kod\" COLLATE \"C\") = 'kdv'")
    assert "ix_parametre_ad" in plan("lower(\"Ad\" COLLATE \"C\") = 'kur'")
    # The plan's func.lower(Parametre.Kod) is another expression: it needs .collate("C").
    assert "uq_parametre_kod" not in plan("lower(\"Kod\") = 'kdv'")


def test_2_3_with_citext_the_applications_queries_stay_as_they_are(connection, source):
    connection.execute("CREATE EXTENSION citext")
    connection.execute(f"{IMPORT}(%s, options => %s)", [source, '{"include": ["parametre"], "nocase": "citext"}'])
    assert value(connection, "SELECT count(*) FROM parametre WHERE \"Kod\" = 'kdv'") == 1
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("INSERT INTO parametre (\"Kod\", \"Ad\") VALUES ('kdv', 'x')")


def test_2_4_orphans_are_children_without_a_parent(connection, source):
    found = connection.execute("SELECT table_name, column_name, row_count, severity FROM aliaport_inspect(%s) WHERE code = 'orphan_rows' ORDER BY 1", [source])
    assert found.fetchall() == [("audit_event", "user_id", 1, "error"), ("work_order_item", "work_order_id", 2, "error")]
    # The plan's first query names the work orders that have no items: good rows.
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as db:
        assert db.execute("""SELECT wo.id FROM work_order wo LEFT JOIN work_order_item woi ON wo.id = woi.work_order_id
            WHERE woi.work_order_id IS NULL""").fetchall() == [(7,)]
    with refused("23503") as caught:
        connection.execute("SELECT aliaport_import(%s)", [source])
    assert "work_order_item" in caught.value.diag.message_detail and "audit_event" in caught.value.diag.message_detail


def test_2_4_each_relationship_has_its_own_decision(imported, connection):
    assert value(connection, "SELECT count(*) FROM work_order WHERE id = 7") == 1
    set_aside = connection.execute("SELECT table_name, source_key, action FROM aliaport.rejected_row ORDER BY table_name, source_key ->> 'id'").fetchall()
    assert set_aside == [("audit_event", {"id": 2, "rowid": 2}, "nulled"), ("work_order_item", {"id": 4, "rowid": 4}, "rejected"),
                         ("work_order_item", {"id": 5, "rowid": 5}, "rejected")]
    connection.execute("DELETE FROM work_order WHERE id = 3")
    assert value(connection, "SELECT array_agg(id) FROM work_order_item") == [3]
    with pytest.raises(psycopg.errors.IntegrityError):
        connection.execute("DELETE FROM motorbot WHERE id = 2")
    connection.execute("DELETE FROM users WHERE id = 1")
    assert value(connection, "SELECT array_agg(user_id) FROM audit_event") == [None, None]


def test_2_5_booleans_are_booleans(imported, connection):
    assert connection.execute("SELECT id FROM work_order WHERE is_active ORDER BY id").fetchall() == [(3,), (10,)]
    assert value(connection, "INSERT INTO users (email) VALUES ('yeni') RETURNING is_active") is True
    # Why the plan searches the code for == 1.
    with pytest.raises(psycopg.errors.UndefinedFunction):
        connection.execute("SELECT id FROM work_order WHERE is_active = 1")


def test_4_2_every_row_keeps_its_key_and_its_parent(imported, connection, source):
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as db:
        expected = db.execute("""SELECT i.id, w.id, w.wo_number FROM work_order_item i JOIN work_order w ON w.id = i.work_order_id ORDER BY 1""").fetchall()
    joined = connection.execute("SELECT i.id, w.id, w.wo_number FROM work_order_item i JOIN work_order w ON w.id = i.work_order_id ORDER BY 1").fetchall()
    assert joined == expected == [(1, 3, "WO-3"), (2, 3, "WO-3"), (3, 10, "WO-10")]


def test_4_2_parents_come_first_and_half_a_database_never_stays(files, connection, source):
    order = [row[0] for row in connection.execute(f"{IMPORT}(%s, dry_run => true, options => %s)", [source, DECIDED])]
    assert order.index("work_order") < order.index("work_order_item") and order.index("users") < order.index("audit_event")
    path = files / "late.db"
    with sqlite3.connect(path) as db:
        db.executescript("CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY REFERENCES a, n INTEGER)")
        db.executemany("INSERT INTO a VALUES (?)", ((i,) for i in range(5000)))
        # More than four of the plan's batches have gone by when the last row turns out to be bad.
        db.executemany("INSERT INTO b VALUES (?, ?)", ((i, i if i < 4999 else "son") for i in range(5000)))
    with refused("22P02"):
        connection.execute("SELECT aliaport_import(%s)", [str(path)])
    assert value(connection, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace") == 0


def test_4_2_the_way_back_is_the_file_as_it_was(connection, source, files):
    copy = files / "aliaport.db"
    shutil.copy(source, copy)
    before = listing(files)
    connection.execute("BEGIN")
    connection.execute(f"{IMPORT}(%s, options => %s)", [str(copy), DECIDED])
    connection.execute("ROLLBACK")
    assert value(connection, "SELECT to_regclass('work_order')") is None
    assert listing(files) == before


def test_4_3_the_applications_own_role_can_do_it(cluster, database, connection, source):
    connection.execute("""CREATE ROLE aliaport_user LOGIN; GRANT pg_read_server_files TO aliaport_user; CREATE SCHEMA app AUTHORIZATION aliaport_user;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO aliaport_user""")
    try:
        mine = cluster.connect(database, user="aliaport_user")
        rows = mine.execute(f"{IMPORT}(%s, 'app', options => %s)", [source, DECIDED]).fetchall()
        assert len(rows) == 7 and all(row[6] for row in rows)
        assert value(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'app' AND tableowner = 'aliaport_user'") == 7
        mine.close()
    finally:
        connection.execute("DROP OWNED BY aliaport_user CASCADE; DROP ROLE aliaport_user")


def test_4_3_the_check_before_finds_what_the_target_would_refuse(files, connection):
    """SQLite has no unique key on wo_number; the target that Alembic made has one."""
    path = files / "double.db"
    with sqlite3.connect(path) as db:
        db.executescript("""CREATE TABLE work_order (id INTEGER PRIMARY KEY, wo_number VARCHAR(50) NOT NULL);
            INSERT INTO work_order VALUES (1, 'WO-1'), (2, 'WO-2'), (3, 'WO-1')""")
    inspect = "SELECT code, row_count, sample FROM aliaport_inspect(%s) WHERE severity = 'error'"
    assert connection.execute(inspect, [str(path)]).fetchall() == []
    connection.execute("CREATE TABLE work_order (id serial PRIMARY KEY, wo_number varchar(50) NOT NULL UNIQUE)")
    found = connection.execute(inspect, [str(path)]).fetchall()
    assert [row[0] for row in found] == ["duplicate_key"] and "WO-1" in str(found[0][2])
    with refused("23505"):
        connection.execute("SELECT aliaport_import(%s)", [str(path)])


def test_4_3_a_dry_run_tells_the_truth_and_leaves_nothing(connection, source):
    tried = connection.execute(f"{IMPORT}(%s, dry_run => true, options => %s)", [source, DECIDED]).fetchall()
    assert value(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    aside = "SELECT table_name, source_key::text, column_name, action, row_data::text FROM aliaport.rejected_row WHERE run_id = %s ORDER BY 1, 2, 3"
    rehearsed = connection.execute(aside, [1]).fetchall()
    assert connection.execute("SELECT dry_run FROM aliaport.run").fetchall() == [(True,)]
    assert connection.execute(f"{IMPORT}(%s, options => %s)", [source, DECIDED]).fetchall() == tried
    assert rehearsed and connection.execute(aside, [2]).fetchall() == rehearsed
    # What would stop an import is a row of a dry run, not its end.
    connection.execute("DROP TABLE work_order_item, work_order, audit_event, users, parametre, barinma_contract, motorbot")
    failed = connection.execute("SELECT detail -> 'error' FROM aliaport_import(%s, dry_run => true) WHERE status = 'failed'", [source]).fetchall()
    orphans = [error["detail"] for (error,) in failed if error["sqlstate"] == "23503"]
    for key in ("work_order_item.work_order_id: 2 rows", "audit_event.user_id: 1 row"):
        assert any(key in detail for detail in orphans), (key, orphans)


def test_4_4_the_proof_after_counts_compares_and_finds_orphans(imported, connection, source):
    checks = {(row[0], row[1]): row[2:] for row in connection.execute(
        "SELECT table_name, check_name, source_value, target_value, ok, detail FROM aliaport_validate(%s)", [source])}
    assert all(row[2] for row in checks.values())
    assert checks["parametre", "rows"][:2] == checks["users", "rows"][:2] == ("2", "2")
    # The rows that were set aside are accounted for, and named as such.
    assert checks["work_order_item", "rows"][:2] == ("5", "3") and "2 rows were set aside" in checks["work_order_item", "rows"][3]
    assert checks["work_order_item", "foreign_key"][1] == checks["audit_event", "foreign_key"][1] == "0"
    assert checks["parametre", "content"][0] == checks["parametre", "content"][1]
    connection.execute("UPDATE parametre SET tutar = tutar + 0.01 WHERE id = 1")
    connection.execute("ALTER TABLE work_order_item DROP CONSTRAINT work_order_item_work_order_id_fkey; DELETE FROM work_order WHERE id = 3")
    failed = connection.execute("SELECT table_name, check_name FROM aliaport_validate(%s) WHERE NOT ok", [source]).fetchall()
    assert {("parametre", "content"), ("work_order", "rows"), ("work_order", "content"), ("work_order_item", "foreign_key")} <= set(failed)
    assert not {"users", "motorbot", "barinma_contract", "audit_event"} & {table for table, _ in failed}


def test_4_4_sample_queries_answer_alike(imported, connection, source):
    query = """SELECT w.wo_number, count(*), sum(i.total) FROM work_order w JOIN work_order_item i ON i.work_order_id = w.id
        GROUP BY w.wo_number ORDER BY w.wo_number"""
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as db:
        before = [(n, c, round(decimal.Decimal(t), 2)) for n, c, t in db.execute(query)]
    assert connection.execute(query).fetchall() == before


def test_5_2_the_optional_steps_are_options(connection, source):
    connection.execute(f"{IMPORT}(%s, options => %s)", [source, """{"include": ["audit_event", "parametre", "users"],
        "tables": {"audit_event": {"columns": {"extra_data": {"type": "jsonb"}}}}, "foreign_keys": {"audit_event.user_id": {"orphans": "null"}},
        "search": {"parametre": {"columns": ["Ad", "Aciklama"], "config": "turkish"}}}"""])
    assert value(connection, "SELECT id FROM audit_event WHERE extra_data ->> 'user_id' = '123'") == 1
    # Turkish stemming: the text has "ücretleri" and "teknelerin".
    assert value(connection, "SELECT id FROM parametre WHERE search @@ plainto_tsquery('turkish', 'tekne ücret')") == 1
    connection.execute("SET enable_seqscan = off")
    plan = "\n".join(r[0] for r in connection.execute("EXPLAIN SELECT id FROM parametre WHERE search @@ plainto_tsquery('turkish', 'tekne')"))
    assert "Bitmap Index Scan" in plan


def test_6_2_what_was_imported_moves_on_to_a_server_without_the_extension(cluster, imported):
    """A managed service takes no extension of one's own: import on a server that does, then dump and restore."""
    archive = cluster.files / "public.dump"
    cluster.run("pg_dump", "-Fc", "-T", "aliaport.*", "-e", "plpgsql", "-d", "session", "-f", archive)
    cluster.recreate_database("managed")
    cluster.run("pg_restore", "--exit-on-error", "--single-transaction", "-d", "managed", archive)
    assert cluster.psql("SELECT count(*) FROM pg_extension WHERE extname LIKE 'aliaport%'", "managed") == "0"
    assert cluster.psql("INSERT INTO work_order (wo_number, created_at) VALUES ('yeni', now()) RETURNING id", "managed") == "13"
    assert cluster.psql("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated", "managed") == "3"
    assert cluster.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'aliaport'", "managed") == "0"
    cluster.psql("DROP DATABASE managed")
