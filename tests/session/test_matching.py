"""Mode sync loads the rows that differ: whatever the key, the order of the rows and the state of the target's heap."""

import random
import sqlite3

import psycopg
import pytest

from test_modes import run

KEYS = {
    "rowid": ("id INTEGER PRIMARY KEY", ")", ["id"], lambda n: (n,)),
    "descending": ("id INTEGER NOT NULL PRIMARY KEY DESC", ")", ["id"], lambda n: (-n * 7,)),
    "text": ("id TEXT NOT NULL PRIMARY KEY", ")", ["id"], lambda n: (f"{n * 7919 % 1009:x}-ğ-{n}",)),
    "real": ("id REAL NOT NULL PRIMARY KEY", ")", ["id"], lambda n: (n / 8,)),
    "date": ("id DATETIME NOT NULL PRIMARY KEY", ")", ["id"], lambda n: (f"2024-{n % 12 + 1:02}-{n % 28 + 1:02} 10:{n // 336 % 60:02}:{n % 60:02}",)),
    "composite": ("k TEXT NOT NULL, l INTEGER NOT NULL", ", PRIMARY KEY (k, l))", ["k", "l"], lambda n: ("xyz"[n % 3] * (n % 40 + 1), n)),
    "without rowid": ("k TEXT NOT NULL, l BLOB NOT NULL", ", PRIMARY KEY (l, k)) WITHOUT ROWID", ["k", "l"], lambda n: (str(n % 5), bytes([n % 256, n // 256]))),
    "unique": ("id INTEGER NOT NULL UNIQUE", ")", ["id"], lambda n: (n * 31 % 4093,)),
}
# Values that differ by little, and such as the target compresses or keeps out of line.
NUMBERS = [None, 0.0, -0.0, 1.0, 1.5, float("inf")]
TEXTS = [None, "", "a", "A", "ç" * 50, "kısa " * 2000, "x" * 9000]
# What may have happened to the target's heap since.
HEAPS = {
    "as loaded": "",
    "every row moved": "UPDATE t SET kept = 'kept' WHERE n % 2 = 0; UPDATE t SET kept = kept",
    "another order": "CREATE INDEX by ON t (md5(s), n); CLUSTER t USING by",
    "vacuumed": "UPDATE t SET kept = 'x' WHERE n % 3 = 0; VACUUM t",
    "a column gone": "ALTER TABLE t DROP COLUMN kept; ALTER TABLE t ADD COLUMN more int DEFAULT 7",
    "other compression": "ALTER TABLE t ALTER s SET STORAGE EXTERNAL; UPDATE t SET s = s || '' WHERE n % 2 = 1",
}


def values(rng):
    noise = "".join(rng.choice("0123456789abcdefğş") for _ in range(4000)) if rng.random() < 0.1 else None
    return rng.randrange(100), rng.choice(NUMBERS), noise or rng.choice(TEXTS), rng.choice([None, b"", b"\x00\xff" * 30])


def edit(source, rng, keys, of, names, share):
    """Changes a share of the rows: some change, go or come, and some of those that come were there before."""
    there = source.execute(f"SELECT {names} FROM t").fetchall()
    where = " AND ".join(f"{name} = ?" for name in names.split(", "))
    for key in rng.sample(there, int(len(there) * share)):
        kind = rng.randrange(4)
        if kind == 0:
            source.execute(f"DELETE FROM t WHERE {where}", key)
        elif kind == 1:  # gone and back again, at the end of the table where that has an order of its own
            row = source.execute(f"SELECT * FROM t WHERE {where}", key).fetchone()
            source.execute(f"DELETE FROM t WHERE {where}", key)
            source.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(row))})", row)
        else:
            source.execute(f"UPDATE t SET n = ?, r = ?, s = ?, b = ? WHERE {where}", (*values(rng), *key))
    for _ in range(rng.randrange(1 + int(20 * share))):
        key = of(rng.choice(keys))
        source.execute(f"INSERT OR IGNORE INTO t VALUES ({', '.join('?' * (len(key) + 4))})", (*key, *values(rng)))


def rows(connection, names):
    return dict((key, (row, place)) for key, row, place in connection.execute(
        f"SELECT ROW({names})::text, ROW({names}, n, r, s, b)::text, ROW(ctid, xmin)::text FROM t"))


@pytest.mark.parametrize("heap", HEAPS)
@pytest.mark.parametrize("kind", KEYS)
def test_rows_that_did_not_change_stay_where_they_are(connection, files, kind, heap):
    rng = random.Random(f"{kind} {heap}")
    definition, more, names, of = KEYS[kind]
    names = ", ".join(names)
    source = sqlite3.connect(files / "rows.db")
    source.executescript(f"CREATE TABLE t ({definition}, n INTEGER, r REAL, s TEXT, b BLOB{more}")
    keys = list(range(1, 1200))
    for n in rng.sample(keys, 700):
        key = of(n)
        source.execute(f"INSERT OR IGNORE INTO t VALUES ({', '.join('?' * (len(key) + 4))})", (*key, *values(rng)))
    source.commit()
    run(connection, files / "rows.db", "create")
    connection.execute("ALTER TABLE t ADD COLUMN kept text")
    for statement in filter(None, HEAPS[heap].split(";")):
        connection.execute(statement)
    for share in (0, 0.02, 0.6, 0.02):
        edit(source, rng, keys, of, names, share)
        source.commit()
        before = rows(connection, names)
        # What is compared is the stored image, in which -0 is not 0.
        found = run(connection, files / "rows.db", "sync", options={"force": True})["t"]
        after = rows(connection, names)
        connection.execute("DROP SCHEMA IF EXISTS fresh CASCADE; CREATE SCHEMA fresh")
        connection.execute("SELECT aliaport_import(%s, 'fresh')", [str(files / "rows.db")])
        fresh = connection.execute(f"SELECT ROW({names})::text, ROW({names}, n, r, s, b)::text FROM fresh.t").fetchall()
        assert {key: row for key, (row, _) in after.items()} == dict(fresh)
        same = {key for key, (row, _) in after.items() if key in before and before[key][0] == row}
        assert all(before[key] == after[key] for key in same)
        both = after.keys() & before.keys()
        assert found["counts"] == (len(after.keys() - before.keys()), len(both - same), len(before.keys() - after.keys()), len(same))
        assert found["match"]
    source.close()


def make(path, script):
    source = sqlite3.connect(path, isolation_level=None)
    source.executescript(script)
    source.close()
    return path


def test_one_of_two_rows_with_one_key_is_unchanged(connection, files):
    """PostgreSQL's key may be wider than SQLite's: then one row of the source has the table's row, and another its key."""
    path = make(files / "twice.db", "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v INT); INSERT INTO t VALUES ('a', 1), ('b', 2);")
    connection.execute("CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE t (id citext PRIMARY KEY, v bigint)")
    run(connection, path, "sync")
    make(path, "INSERT INTO t VALUES ('A', 1), ('c', 3);")
    with pytest.raises(psycopg.errors.UniqueViolation) as error:
        run(connection, path, "sync")
    assert '"A"' in error.value.diag.message_detail
    assert run(connection, path, "sync", on_error="reject")["t"]["counts"] == (1, 0, 0, 2)
    assert connection.execute("SELECT id::text FROM t ORDER BY 1").fetchall() == [("a",), ("b",), ("c",)]


@pytest.mark.parametrize("on_error", ["abort", "reject"])
def test_a_new_row_takes_the_unique_value_of_an_unchanged_one(connection, files, on_error):
    path = make(files / "unique.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (2, 'x'), (3, 'y');")
    run(connection, path, "create")
    connection.execute("CREATE UNIQUE INDEX ON t (v)")
    make(path, "INSERT INTO t VALUES (1, 'y'), (9, 'x');")
    if on_error == "abort":
        with pytest.raises(psycopg.errors.UniqueViolation) as error:
            run(connection, path, "sync")
        assert "2 rows have a key" in error.value.diag.message_detail
        return
    # The first row of the source keeps the value, as in every other mode.
    found = run(connection, path, "sync", on_error=on_error)["t"]
    assert (found["counts"], found["rejected"]) == ((1, 0, 1, 1), 2)
    assert connection.execute("SELECT id FROM t ORDER BY 1").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("orphans", ["abort", "keep", "reject", "null"])
def test_unchanged_rows_lose_their_parent(connection, files, orphans):
    path = make(files / "family.db", """
        CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p);
        CREATE TABLE d (id INTEGER PRIMARY KEY, c INTEGER REFERENCES c);
        INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (11, 1), (12, 2); INSERT INTO d VALUES (111, 11), (112, 12);""")
    run(connection, path, "create")
    make(path, "DELETE FROM p WHERE id = 1;")
    if orphans in ("abort", "keep"):
        with pytest.raises(psycopg.errors.ForeignKeyViolation) as error:
            run(connection, path, "sync", orphans=orphans)
        assert "id = 11 points at 1" in error.value.diag.message_detail
        return
    found = run(connection, path, "sync", orphans=orphans)
    content = [connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in "pcd"]
    if orphans == "reject":
        assert content == [[(2,)], [(12, 2)], [(112, 12)]]
        assert [found[t]["counts"] for t in "pcd"] == [(0, 0, 1, 1)] * 3
    else:
        assert content == [[(2,)], [(11, None), (12, 2)], [(111, 11), (112, 12)]]
        assert [found[t]["counts"] for t in "pcd"] == [(0, 0, 1, 1), (0, 1, 0, 1), (0, 0, 0, 2)]


def test_statistics_are_gathered_of_what_has_changed_much(connection, files):
    path = make(files / "statistics.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
                "INSERT INTO t SELECT i, 0 FROM n;")
    run(connection, path, "create")
    counted = "SELECT pg_stat_get_analyze_count('t'::regclass), reltuples FROM pg_class WHERE oid = 't'::regclass"
    known, _ = connection.execute(counted).fetchone()
    make(path, "UPDATE t SET v = 1 WHERE id % 40 = 0;")
    assert run(connection, path, "sync")["t"]["counts"] == (0, 50, 0, 1950)
    assert connection.execute(counted).fetchone() == (known, 2000)
    make(path, "DELETE FROM t WHERE id > 1500;")
    assert run(connection, path, "sync")["t"]["counts"] == (0, 0, 500, 1500)
    assert connection.execute(counted).fetchone() == (known + 1, 1500)
    connection.execute("ALTER TABLE t SET (autovacuum_analyze_threshold = 0, autovacuum_analyze_scale_factor = 0)")
    make(path, "UPDATE t SET v = 2 WHERE id = 7;")
    run(connection, path, "sync")
    assert connection.execute(counted).fetchone() == (known + 2, 1500)
