"""append, replace and sync: what each promises about rows, readers, keys and foreign keys, seen from other sessions."""

import json
import random
import sqlite3

import psycopg
import pytest

from conftest import refused
from targets import PATHS

SCHEMA = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE, amount NUMERIC(10, 2));
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent ON DELETE CASCADE, note TEXT);
"""


def make(path, script):
    """Runs a script on a source, which is made where it is missing."""
    source = sqlite3.connect(path)
    source.executescript(script)
    source.commit()
    source.close()
    return path


@pytest.fixture
def source(files):
    path = files / "source.db"
    return make(path, SCHEMA + """
        INSERT INTO parent VALUES (1, 'bir', 1.5), (2, 'iki', 2.25), (3, 'üç', NULL);
        INSERT INTO child VALUES (10, 1, 'a'), (11, 1, 'b'), (12, 2, 'c'), (13, NULL, 'd');
    """)


def run(connection, path, mode, **how):
    """Imports; by table: imported, rejected and target rows, what was counted, and the codes of its warnings."""
    options = json.dumps(how.pop("options", {}))
    named = "".join(f", {name} => %s" for name in how)
    rows = connection.execute(
        f"SELECT table_name, imported_rows, rejected_rows, target_rows, content_match, detail FROM aliaport_import(%s, mode => %s, options => %s{named})",
        [str(path), mode, options, *how.values()]).fetchall()
    paths = dict(connection.execute(PATHS).fetchall())
    found = {}
    for table, imported, rejected, target, match, detail in rows:
        assert match is not False
        counts = tuple(detail.get(k) for k in ("inserted", "updated", "deleted", "unchanged"))
        found[table] = {"imported": imported, "rejected": rejected, "rows": target, "counts": counts, "match": match,
                        "path": paths[table], "codes": sorted({w["code"] for w in detail["warnings"]} - {"not_carried"})}
    return found


def places(connection, table, key="id"):
    return dict(connection.execute(f"SELECT {key}, (ctid, xmin)::text FROM {table}").fetchall())


@pytest.mark.parametrize("mode", ["append", "replace", "sync"])
def test_others_read_the_old_rows_until_commit(cluster, database, connection, source, mode):
    run(connection, source, "create")
    make(source, "UPDATE parent SET amount = 9 WHERE id = 1; INSERT INTO parent VALUES (4, 'dört', 4); DELETE FROM child WHERE id = 12;")
    if mode == "append":
        make(source, "DELETE FROM child; DELETE FROM parent WHERE id < 4; INSERT INTO child VALUES (20, 4, 'x');")
    other = cluster.connect(database)
    other.execute("SET lock_timeout = '500ms'")
    query = "SELECT (SELECT json_agg(p ORDER BY id) FROM parent p), (SELECT json_agg(c ORDER BY id) FROM child c)"
    before = other.execute(query).fetchone()
    by_index = "SELECT amount FROM parent WHERE name = 'bir'"
    connection.execute("BEGIN")
    run(connection, source, mode)
    during = connection.execute(query).fetchone()
    assert during != before
    assert other.execute(query).fetchone() == before
    other.execute("SET enable_seqscan = off")
    assert str(other.execute(by_index).fetchone()[0]) == "1.50"
    # A writer waits, so that no row of its own is overrun.
    with pytest.raises(psycopg.errors.LockNotAvailable):
        other.execute("UPDATE parent SET amount = 0 WHERE id = 2")
    connection.execute("COMMIT")
    assert other.execute(query).fetchone() == during


def test_truncate_makes_readers_wait(cluster, database, connection, source):
    run(connection, source, "create")
    other = cluster.connect(database)
    other.execute("SET lock_timeout = '200ms'")
    connection.execute("BEGIN")
    connection.execute("SET LOCAL aliaport_import.replace_method = truncate")
    assert run(connection, source, "replace")["parent"]["path"] == "bulk"
    with pytest.raises(psycopg.errors.LockNotAvailable):
        other.execute("SELECT count(*) FROM parent")
    connection.execute("COMMIT")
    assert other.execute("SELECT count(*) FROM child").fetchone() == (4,)


def test_replace_gives_way_to_what_the_caller_may(cluster, database, connection, source):
    """The contract's privilege is TRUNCATE: without DELETE the tables are truncated."""
    run(connection, source, "create")
    connection.execute("DROP ROLE IF EXISTS mode_truncator")
    connection.execute("""CREATE ROLE mode_truncator; GRANT pg_read_server_files TO mode_truncator;
        GRANT EXECUTE ON FUNCTION aliaport_import, aliaport_plan TO mode_truncator; GRANT SELECT, INSERT, TRUNCATE ON parent, child TO mode_truncator;
        GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO mode_truncator; GRANT USAGE ON SCHEMA aliaport TO mode_truncator;
        GRANT SELECT ON ALL TABLES IN SCHEMA aliaport TO mode_truncator; SET ROLE mode_truncator""")
    plan = connection.execute("SELECT sql FROM aliaport_plan(%s, mode => 'replace') WHERE action = 'truncate'", [str(source)]).fetchall()
    assert plan == [("TRUNCATE TABLE public.parent, public.child",)]
    found = run(connection, source, "replace")
    assert found["child"]["rows"] == 4
    with refused("42501"):
        run(connection, source, "sync")
    connection.execute("RESET ROLE; REVOKE TRUNCATE ON child FROM mode_truncator; SET ROLE mode_truncator")
    with refused("42501"):
        run(connection, source, "replace")
    connection.execute("RESET ROLE; DROP OWNED BY mode_truncator; DROP ROLE mode_truncator")


def test_sync_leaves_equal_rows_alone(connection, source):
    run(connection, source, "create")
    parents, children = places(connection, "parent"), places(connection, "child")
    found = run(connection, source, "sync")
    assert found["parent"]["counts"] == (0, 0, 0, 3) and found["child"]["counts"] == (0, 0, 0, 4)
    assert (places(connection, "parent"), places(connection, "child")) == (parents, children)
    make(source, """UPDATE parent SET amount = 2.26 WHERE id = 2; DELETE FROM child WHERE id = 11; UPDATE child SET note = NULL WHERE id = 13;
                    INSERT INTO child VALUES (14, 3, 'e');""")
    found = run(connection, source, "sync")
    assert found["parent"]["counts"] == (0, 1, 0, 2) and found["child"]["counts"] == (1, 1, 1, 2)
    assert found["parent"]["imported"] == 1 and found["child"]["imported"] == 2
    assert found["parent"]["match"] is True and found["child"]["match"] is True
    assert {k: v for k, v in places(connection, "parent").items() if k != 2} == {k: v for k, v in parents.items() if k != 2}
    after = places(connection, "child")
    assert after[10] == children[10] and after[12] == children[12] and sorted(after) == [10, 12, 13, 14]


def test_sync_of_the_sample_changes_nothing_twice(connection, sample):
    """Every type of a real application compares equal with itself."""
    path = sample(2000)
    run(connection, path, "create")
    found = run(connection, path, "sync")
    assert len(found) > 20 and all(f["counts"][:3] == (0, 0, 0) for f in found.values()), found


def test_sync_without_a_key_offers_replace(connection, source):
    run(connection, source, "create")
    connection.execute("ALTER TABLE child DROP CONSTRAINT child_pkey")
    with refused("55000") as caught:
        run(connection, source, "sync")
    assert "replace" in caught.value.diag.message_hint
    # A unique key that holds NULL tells no rows apart; one that does not is enough.
    connection.execute("CREATE UNIQUE INDEX child_key ON child (id)")
    connection.execute("ALTER TABLE child ALTER id DROP IDENTITY IF EXISTS, ALTER id DROP NOT NULL")
    with refused("55000"):
        run(connection, source, "sync")
    connection.execute("ALTER TABLE child ALTER id SET NOT NULL")
    assert run(connection, source, "sync")["child"]["counts"] == (0, 0, 0, 4)


def test_no_action_of_the_target_destroys_what_the_source_has(connection, source):
    """The parent vanishes, its child moves to another one: ON DELETE CASCADE must not take it along."""
    run(connection, source, "create")
    assert connection.execute("SELECT confdeltype::text FROM pg_constraint WHERE conname = 'child_parent_id_fkey'").fetchone() == ("c",)
    make(source, "UPDATE child SET parent_id = 2; DELETE FROM parent WHERE id IN (1, 3); INSERT INTO parent VALUES (5, 'bir', 0);")
    found = run(connection, source, "sync")
    assert found["parent"]["counts"] == (1, 0, 2, 1) and found["child"]["counts"] == (0, 3, 0, 1)
    assert connection.execute("SELECT array_agg(parent_id ORDER BY id) FROM child").fetchone()[0] == [2, 2, 2, 2]
    # Parents and children go together, whatever the order.
    make(source, "DELETE FROM child; DELETE FROM parent;")
    found = run(connection, source, "sync")
    assert found["parent"]["counts"] == (0, 0, 2, 0) and found["child"]["counts"] == (0, 0, 4, 0)


def test_foreign_keys_in_a_circle(connection, files):
    path = make(files / "circle.db", """
        CREATE TABLE dept (id INTEGER PRIMARY KEY, head INTEGER NOT NULL REFERENCES emp);
        CREATE TABLE emp (id INTEGER PRIMARY KEY, dept INTEGER NOT NULL REFERENCES dept, boss INTEGER REFERENCES emp);
        INSERT INTO dept VALUES (1, 10), (2, 20);
        INSERT INTO emp VALUES (10, 1, NULL), (11, 1, 10), (20, 2, 10);
    """)
    run(connection, path, "create")
    make(path, """INSERT INTO dept VALUES (3, 30); INSERT INTO emp VALUES (30, 3, 11), (31, 3, 30); UPDATE emp SET boss = 30 WHERE id = 20;
                  DELETE FROM emp WHERE id = 10; UPDATE dept SET head = 11 WHERE id = 1; UPDATE emp SET boss = NULL WHERE id = 11;""")
    found = run(connection, path, "sync")
    assert found["dept"]["counts"] == (1, 1, 0, 1) and found["emp"]["counts"] == (2, 2, 1, 0)
    for mode in ("replace", "sync"):
        found = run(connection, path, mode)
        assert (found["dept"]["rows"], found["emp"]["rows"]) == (3, 4)
    make(path, "DELETE FROM emp; DELETE FROM dept; INSERT INTO dept VALUES (9, 90); INSERT INTO emp VALUES (90, 9, 90);")
    run(connection, path, "append")
    assert connection.execute("SELECT count(*) FROM emp").fetchone() == (5,)
    make(path, "UPDATE dept SET head = 91")
    for mode in ("append", "replace", "sync"):
        with refused("23503"):
            run(connection, path, mode)
    assert connection.execute("SELECT count(*) FROM emp").fetchone() == (5,)


def test_unique_values_change_places(connection, source):
    run(connection, source, "create")
    connection.execute("ALTER TABLE parent ADD COLUMN own text DEFAULT 'default', ADD COLUMN twice numeric GENERATED ALWAYS AS (amount * 2) STORED")
    connection.execute("UPDATE parent SET own = 'kept ' || id")
    make(source, """UPDATE parent SET name = '?' WHERE id = 1; UPDATE parent SET name = 'bir' WHERE id = 2; UPDATE parent SET name = 'üç ' WHERE id = 3;
                    UPDATE parent SET name = 'iki' WHERE id = 1; INSERT INTO parent VALUES (4, 'üç', 7);""")
    found = run(connection, source, "sync")
    assert found["parent"]["counts"] == (1, 3, 0, 0)
    # What the source does not have keeps its value, also in rows that were deleted and inserted again.
    assert connection.execute("SELECT id, name, own, twice::text FROM parent ORDER BY id").fetchall() == [
        (1, "iki", "kept 1", "3.00"), (2, "bir", "kept 2", "4.50"), (3, "üç ", "kept 3", None), (4, "üç", "default", "14.00")]
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (4,)


def test_rows_that_tables_outside_refer_to(connection, source):
    run(connection, source, "create")
    connection.execute("CREATE TABLE invoice (id int PRIMARY KEY, parent bigint REFERENCES parent ON DELETE CASCADE)")
    connection.execute("INSERT INTO invoice VALUES (1, 3), (2, NULL)")
    make(source, "DELETE FROM parent WHERE id = 3")
    for mode in ("sync", "replace"):
        with refused("23503") as caught:
            run(connection, source, mode)
        assert "invoice" in caught.value.diag.message_primary and "3" in caught.value.diag.message_detail
    found = run(connection, source, "sync", options={"sync_delete": False})
    assert found["parent"]["counts"] == (0, 0, 0, 2) and found["parent"]["rows"] == 3
    make(source, "INSERT INTO parent VALUES (3, 'yine', NULL)")
    for mode in ("sync", "replace"):
        run(connection, source, mode)
    assert connection.execute("SELECT * FROM invoice ORDER BY id").fetchall() == [(1, 3), (2, None)]
    # Under row security the check would be blind, so it is refused.
    connection.execute("DROP ROLE IF EXISTS mode_syncer")
    connection.execute("""CREATE ROLE mode_syncer; GRANT pg_read_server_files TO mode_syncer; GRANT EXECUTE ON FUNCTION aliaport_import TO mode_syncer;
        GRANT ALL ON parent, child, invoice TO mode_syncer; ALTER TABLE invoice ENABLE ROW LEVEL SECURITY; SET ROLE mode_syncer""")
    for mode in ("sync", "replace"):
        with refused("42501"):
            run(connection, source, mode)
    connection.execute("RESET ROLE; ALTER TABLE invoice DISABLE ROW LEVEL SECURITY; ALTER TABLE parent ENABLE ROW LEVEL SECURITY; SET ROLE mode_syncer")
    with refused("42501"):
        run(connection, source, "sync")
    connection.execute("RESET ROLE; DROP OWNED BY mode_syncer; DROP ROLE mode_syncer")


@pytest.mark.parametrize("mode", ["append", "sync"])
def test_what_stays_in_the_table_takes_its_keys(connection, source, mode):
    """The new row is set aside, not the old one; its children follow their own fate."""
    run(connection, source, "create")
    make(source, "DELETE FROM child; DELETE FROM parent; INSERT INTO parent VALUES (7, 'iki', 0), (8, 'sekiz', 0); INSERT INTO child VALUES (30, 7, 'x'), (31, 8, 'y'), (32, 1, 'z');")
    options = {"sync_delete": False} if mode == "sync" else {}
    with refused("23505") as caught:
        run(connection, source, mode, orphans="reject", options=options)
    assert '"id":7' in caught.value.diag.message_detail
    found = run(connection, source, mode, on_error="reject", orphans="reject", options=options)
    assert (found["parent"]["imported"], found["parent"]["rejected"], found["parent"]["rows"]) == (1, 1, 4)
    assert (found["child"]["imported"], found["child"]["rejected"], found["child"]["rows"]) == (2, 1, 6)
    kept = connection.execute("SELECT table_name, source_key ->> 'id', sqlstate, action FROM aliaport.rejected_row ORDER BY 1").fetchall()
    assert kept == [("child", "30", "23503", "rejected"), ("parent", "7", "23505", "rejected")]
    assert connection.execute("SELECT amount::text FROM parent WHERE name = 'iki'").fetchone() == ("2.25",)


def test_policies_touch_no_row_that_was_there_before(connection, source):
    run(connection, source, "create")
    connection.execute("ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey")
    connection.execute("INSERT INTO child VALUES (40, 99, 'old orphan')")
    connection.execute("ALTER TABLE child ADD CONSTRAINT child_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES parent ON DELETE CASCADE NOT VALID")
    make(source, "DELETE FROM child; DELETE FROM parent; INSERT INTO child VALUES (50, 98, 'new orphan'), (51, 1, 'fine')")
    with refused("23503"):
        run(connection, source, "append")
    found = run(connection, source, "append", orphans="null")
    assert found["child"]["codes"] == ["nulled", "orphan_rows"]
    assert connection.execute("SELECT id, parent_id FROM child WHERE id >= 40 ORDER BY 1").fetchall() == [(40, 99), (50, None), (51, 1)]
    make(source, "DELETE FROM child; INSERT INTO child VALUES (60, 98, 'new orphan')")
    found = run(connection, source, "append", orphans="keep")
    assert found["child"]["codes"] == ["orphan_rows"]
    assert connection.execute("SELECT id, parent_id FROM child WHERE id >= 40 ORDER BY 1").fetchall() == [(40, 99), (50, None), (51, 1), (60, 98)]


def test_a_rejected_row_is_no_row_of_the_source(connection, source):
    """Sync ends as replace does: the target's old row with the key of a rejected row goes."""
    run(connection, source, "create")
    make(source, "UPDATE parent SET amount = 'çok' WHERE id = 3")
    with refused("22P02"):
        run(connection, source, "sync")
    found = run(connection, source, "sync", on_error="reject")
    assert (found["parent"]["counts"], found["parent"]["rejected"]) == ((0, 0, 1, 2), 1)
    # So do rows that a filter leaves out.
    found = run(connection, source, "sync", on_error="reject", options={"tables": {"child": {"where": "id < 12"}}})
    assert found["child"]["counts"] == (0, 0, 2, 2)


def test_tables_of_every_kind(connection, source):
    """Partitions, GENERATED ALWAYS, domains, missing tables; rows wander between partitions."""
    connection.execute("""
        CREATE DOMAIN title AS text CHECK (value <> 'yasak');
        CREATE TABLE parent (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, amount numeric(10, 2), name title);
        CREATE TABLE child (note text, parent_id int REFERENCES parent, id int PRIMARY KEY, size int GENERATED ALWAYS AS (length(note)) STORED) PARTITION BY RANGE (id);
        CREATE TABLE child_1 PARTITION OF child FOR VALUES FROM (0) TO (12);
        CREATE TABLE child_2 (size int GENERATED ALWAYS AS (length(note)) STORED, id int NOT NULL, note text, parent_id int);
        ALTER TABLE child ATTACH PARTITION child_2 DEFAULT""")
    for mode in ("create", "replace", "sync"):
        found = run(connection, source, mode)
        assert found["parent"]["match"] and found["child"]["match"]
        assert connection.execute("SELECT count(*), sum(size) FROM child").fetchone() == (4, 4)
    assert found["child"]["counts"] == (0, 0, 0, 4)
    make(source, "UPDATE child SET note = 'uzun', parent_id = 3 WHERE id IN (10, 13); UPDATE parent SET name = 'BİR' WHERE id = 1; UPDATE child SET id = 5 WHERE id = 12")
    found = run(connection, source, "sync")
    assert found["child"]["counts"] == (1, 2, 1, 1) and found["parent"]["counts"] == (0, 1, 0, 2)
    assert connection.execute("SELECT tableoid::regclass::text, id, size FROM child ORDER BY id").fetchall() == [
        ("child_1", 5, 1), ("child_1", 10, 4), ("child_1", 11, 1), ("child_2", 13, 4)]
    make(source, "UPDATE parent SET name = 'yasak' WHERE id = 2")
    with refused("23514"):
        run(connection, source, "sync")
    make(source, "CREATE TABLE late (id INTEGER PRIMARY KEY); INSERT INTO late VALUES (1); UPDATE parent SET name = 'iki' WHERE id = 2; DELETE FROM child WHERE id = 11")
    found = run(connection, source, "sync")
    assert found["late"]["path"] == "bulk" and found["late"]["rows"] == 1 and found["child"]["counts"] == (0, 0, 1, 3)


def test_triggers_fire_where_options_say_so(connection, source):
    run(connection, source, "create")
    connection.execute("""CREATE TABLE log (what text);
        CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN COALESCE(NEW, OLD); END $$;
        CREATE TRIGGER log BEFORE INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION log();
        CREATE TRIGGER always BEFORE INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION log();
        CREATE TRIGGER replica BEFORE INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION log();
        ALTER TABLE child ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica""")
    states = "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = 'child'::regclass AND NOT tgisinternal ORDER BY 1"
    before = connection.execute(states).fetchall()
    make(source, "UPDATE child SET note = 'A' WHERE id = 10; DELETE FROM child WHERE id = 11; INSERT INTO child VALUES (15, 2, 'n')")
    for mode in ("replace", "sync"):
        run(connection, source, mode)
    assert connection.execute("SELECT count(*) FROM log").fetchone() == (0,)
    make(source, "UPDATE child SET note = 'B' WHERE id = 10; DELETE FROM child WHERE id = 15; INSERT INTO child VALUES (16, 2, 'n')")
    run(connection, source, "sync", options={"triggers": "on"})
    assert connection.execute("SELECT what, count(*) FROM log GROUP BY what ORDER BY what").fetchall() == [("DELETE", 2), ("INSERT", 2), ("UPDATE", 2)]
    assert connection.execute(states).fetchall() == before
    assert connection.execute("SHOW session_replication_role").fetchone() == ("origin",)


def test_a_dry_run_and_an_error_leave_no_trace(connection, source):
    run(connection, source, "create")
    before = places(connection, "parent"), places(connection, "child")
    make(source, "UPDATE parent SET amount = 5; DELETE FROM child")
    for mode in ("replace", "sync"):
        assert run(connection, source, mode, dry_run=True)["child"]["rows"] == 0
    make(source, "INSERT INTO child VALUES (1, 77, 'orphan')")
    for mode in ("append", "replace", "sync"):
        with refused("23503" if mode != "append" else "23505"):
            run(connection, source, mode, **({"orphans": "reject"} if mode == "append" else {}))
    assert (places(connection, "parent"), places(connection, "child")) == before
    assert connection.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'aliaport_import%' AND relpersistence = 't'").fetchone() == (0,)
    # The setting is the caller's own again also after an error that was caught.
    assert connection.execute("SHOW session_replication_role").fetchone() == ("origin",)
    run(connection, source, "sync", orphans="null")
    run(connection, source, "sync", orphans="null")


PROPERTY = """
    CREATE TABLE town (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, mayor INTEGER REFERENCES person DEFERRABLE INITIALLY DEFERRED, area REAL);
    CREATE TABLE person (id INTEGER PRIMARY KEY, town TEXT REFERENCES town (code) DEFERRABLE INITIALLY DEFERRED, nick TEXT UNIQUE, born DATE,
                         parent INTEGER REFERENCES person DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE trip (person INTEGER REFERENCES person DEFERRABLE INITIALLY DEFERRED, day DATE, body TEXT, extra JSON, photo BLOB, PRIMARY KEY (person, day)) WITHOUT ROWID;
"""


def edit(source, rng):
    """Some random changes that leave the source whole: its foreign keys are deferred, and it checks them itself."""
    def one(sql):
        found = source.execute(f"{sql} ORDER BY random() LIMIT 1").fetchone()
        return found[0] if found else None

    for _ in range(rng.randrange(1, 25)):
        n, kind = rng.randrange(100_000), rng.randrange(11)
        person, other, town = one("SELECT id FROM person"), one("SELECT id FROM person"), one("SELECT code FROM town")
        if kind < 3:
            source.execute("INSERT OR IGNORE INTO person VALUES (?, ?, ?, ?, ?)",
                           (n, town, rng.choice([None, f"n{n % 50}"]), rng.choice([None, "2001-02-03", "1999-12-31"]), person))
        elif kind == 3:
            source.execute("INSERT OR IGNORE INTO town VALUES (?, ?, ?, ?)", (n % 500, f"t{n % 40}", person, rng.choice([None, 0.0, -0.0, 1.5, n / 7])))
        elif kind == 4 and person:
            source.execute("INSERT OR IGNORE INTO trip VALUES (?, ?, ?, ?, ?)",
                           (person, f"2024-0{rng.randrange(1, 10)}-1{rng.randrange(10)}", "ş" * rng.randrange(5), rng.choice([None, '{"a": 1}', "[1.0]", "[1.00]"]), rng.randbytes(rng.randrange(9))))
        elif kind == 5 and person and other:  # swap
            nicks = [source.execute("SELECT nick FROM person WHERE id = ?", (p,)).fetchone()[0] for p in (person, other)]
            source.execute("UPDATE person SET nick = NULL WHERE id IN (?, ?)", (person, other))
            for p, nick in zip((person, other), reversed(nicks)):
                source.execute("UPDATE OR IGNORE person SET nick = ? WHERE id = ?", (nick, p))
        elif kind == 6 and person:
            source.execute("UPDATE person SET born = ?, parent = ? WHERE id = ?", (rng.choice(["2000-01-01", None]), other, person))
        elif kind == 7 and person:  # vanishes; whoever points at it points elsewhere
            source.execute("DELETE FROM trip WHERE person = ?", (person,))
            source.execute("UPDATE person SET parent = NULLIF(?, ?) WHERE parent = ?", (other, person, person))
            source.execute("UPDATE town SET mayor = NULLIF(?, ?) WHERE mayor = ?", (other, person, person))
            source.execute("DELETE FROM person WHERE id = ?", (person,))
        elif kind == 8 and town:  # a key that others point at changes
            source.execute("UPDATE OR IGNORE town SET code = ? WHERE code = ?", (f"t{n % 40}", town))
            source.execute("UPDATE person SET town = ? WHERE town = ? AND NOT EXISTS (SELECT 1 FROM town WHERE code = ?)", (one("SELECT code FROM town"), town, town))
        elif kind == 9:
            source.execute("UPDATE trip SET body = body || 'x' WHERE person % 7 = 0")
        elif kind == 10 and person:
            source.execute("UPDATE OR IGNORE trip SET person = ? WHERE person = ?", (person, other))


@pytest.mark.parametrize("seed", range(6))
def test_sync_equals_a_fresh_import(connection, files, seed):
    """Whatever was edited: the same rows as a fresh import, and rows that did not change stay where they are."""
    rng = random.Random(seed)
    path = files / "edited.db"
    source = sqlite3.connect(path)
    source.execute("PRAGMA foreign_keys = on")
    source.executescript(PROPERTY)
    tables = {"town": "id", "person": "id", "trip": "person, day"}
    image = {t: f"SELECT ({key})::text, t::text, (ctid, xmin)::text FROM {{}}{t} t" for t, key in tables.items()}
    for _ in range(4):
        edit(source, rng)
        source.commit()
    run(connection, path, "create")
    connection.execute("ALTER TABLE trip ADD COLUMN own text")
    for step in range(8):
        edit(source, rng)
        source.commit()
        connection.execute("UPDATE trip SET own = 'kept'")
        before = {t: {k: (row, place) for k, row, place in connection.execute(image[t].format("")).fetchall()} for t in tables}
        mode = "replace" if step == 5 else "sync"
        found = run(connection, path, mode)
        after = {t: {k: (row, place) for k, row, place in connection.execute(image[t].format("")).fetchall()} for t in tables}
        connection.execute("DROP SCHEMA IF EXISTS fresh CASCADE")
        connection.execute("CREATE SCHEMA fresh")
        connection.execute("SELECT aliaport_import(%s, 'fresh')", [str(path)])
        for table in tables:
            names = [n for (n,) in connection.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", ["fresh." + table])]
            listed = ", ".join(names)
            difference = connection.execute(
                f"SELECT count(*) FROM ((SELECT {listed} FROM {table} EXCEPT ALL SELECT {listed} FROM fresh.{table}) UNION ALL "
                f"(SELECT {listed} FROM fresh.{table} EXCEPT ALL SELECT {listed} FROM {table})) AS d").fetchone()
            assert difference == (0,), (seed, step, table)
            if mode == "sync":
                same = [k for k, (row, _) in after[table].items() if k in before[table] and before[table][k][0] == row]
                assert all(before[table][k][1] == after[table][k][1] for k in same), (seed, step, table)
                counts = (len(after[table].keys() - before[table].keys()), len(after[table].keys() & before[table].keys()) - len(same),
                          len(before[table].keys() - after[table].keys()), len(same))
                assert found[table]["counts"] == counts, (seed, step, table)
                if table == "trip":
                    assert all("kept" in after[table][k][0] for k in after[table].keys() & before[table].keys())
    source.close()


@pytest.mark.parametrize("action", ["", "ON DELETE CASCADE", "ON DELETE SET NULL"])
def test_orphans_set_aside_from_an_existing_table_take_nothing_along_unseen(connection, files, action):
    db = sqlite3.connect(files / "chain.db", isolation_level=None)
    db.executescript("""
        CREATE TABLE p (id INTEGER PRIMARY KEY);
        CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p);
        CREATE TABLE d (id INTEGER PRIMARY KEY, c_id INTEGER REFERENCES c);
        INSERT INTO p VALUES (1); INSERT INTO c VALUES (3, 99), (4, 1); INSERT INTO d VALUES (3, 3), (4, 4);
    """)
    db.close()
    connection.execute(f"""
        CREATE TABLE p (id bigint PRIMARY KEY);
        CREATE TABLE c (id bigint PRIMARY KEY, p_id bigint REFERENCES p);
        CREATE TABLE d (id bigint PRIMARY KEY, c_id bigint REFERENCES c {action});
        CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''user trigger''; END';
        CREATE TRIGGER fires BEFORE DELETE ON c FOR EACH ROW EXECUTE FUNCTION fires()""")
    rows = connection.execute("SELECT table_name, imported_rows, rejected_rows, target_rows FROM aliaport_import(%s, orphans => 'reject')",
                              [str(files / "chain.db")]).fetchall()
    assert rows == [("p", 1, 0, 1), ("c", 1, 1, 1), ("d", 1, 1, 1)]
    assert connection.execute("SELECT id, c_id FROM d").fetchall() == [(4, 4)]
    assert connection.execute("SELECT table_name, source_key ->> 'id' FROM aliaport.rejected_row ORDER BY 1").fetchall() == [("c", "3"), ("d", "3")]
    assert connection.execute("SELECT tgenabled FROM pg_trigger WHERE tgname = 'fires'").fetchone() == ("O",)
