"""One scenario for every kind of target: all modes, one after the other, and after each of them a query of the target returns the rows of
the source and nothing else.

A kind is the SQL that makes table "orders" (and "customer", where that shall be imported with it) before the import. `begin` opens
the transaction of each import. What the rows should be is asked of
SQLite, never of the import.
"""

import json
import sqlite3

# How the rows of the last run got into each table; only the history has it.
PATHS = "SELECT table_name, detail ->> 'path' FROM aliaport.run_table WHERE run_id = (SELECT max(run_id) FROM aliaport.run)"

ROWS = 1200
COLUMNS = "id, customer_id, ts, total, paid, note"
# What the target columns are made of; a kind adds its own storage.
ORDERS = "id bigint NOT NULL, customer_id bigint NOT NULL, ts timestamp NOT NULL, total numeric(15,2), paid boolean, note text, PRIMARY KEY (id, ts)"
CUSTOMER = "id bigint PRIMARY KEY, name text NOT NULL"


def make_source(path):
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE orders (id INTEGER NOT NULL, customer_id INTEGER NOT NULL REFERENCES customer (id), ts DATETIME NOT NULL,
                             total NUMERIC(15, 2), paid BOOLEAN, note TEXT, PRIMARY KEY (id, ts));
    """)
    db.executemany("INSERT INTO customer VALUES (?, ?)", ((i, f"müşteri {i}") for i in range(40)))
    db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", (
        (i, i % 40, f"2025-{1 + i % 12:02d}-{1 + i % 28:02d} 10:00:{i % 60:02d}", i / 100, i % 2, f"n{i}" if i % 7 else None) for i in range(ROWS)))
    db.commit()
    db.close()
    return path


def change(path, script):
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()


class Target:
    """A target of some kind in a database with the extension, and the source that goes there."""

    def __init__(self, connection, path, begin=""):
        self.connection, self.path, self.begin = connection, path, begin

    def run(self, mode="create", where=None, **how):
        options = how.pop("options", {}) | {"include": ["orders", "customer"] if self.has_customer() else ["orders"]}
        if where:
            options["tables"] = {"orders": {"where": where}}
        named = "".join(f", {name} => %s" for name in how)
        with self.connection.transaction():
            if self.begin:
                self.connection.execute(self.begin)
            rows = self.connection.execute(
                f"SELECT table_name, source_rows, target_rows, content_match, status, detail FROM aliaport_import(%s, 'public', mode => %s, options => %s{named})",
                [str(self.path), mode, json.dumps(options), *how.values()]).fetchall()
            paths = dict(self.connection.execute(PATHS).fetchall())
        return {table: {"source": source, "rows": target, "match": match, "status": status, "path": paths[table], "detail": detail}
                for table, source, target, match, status, detail in rows}

    def has_customer(self):
        return self.connection.execute("SELECT to_regclass('public.customer') IS NOT NULL").fetchone()[0]

    def rows(self):
        """What a query returns, in no order of the target's."""
        text = "id, customer_id, to_char(ts, 'YYYY-MM-DD HH24:MI:SS'), total::text, paid::int, note"
        return sorted(self.connection.execute(f"SELECT {text} FROM orders").fetchall(), key=repr)

    def expected(self, where="true"):
        db = sqlite3.connect(self.path)
        rows = db.execute(f"SELECT id, customer_id, ts, printf('%.2f', total), paid, note FROM orders WHERE {where}").fetchall()
        db.close()
        return sorted(rows, key=repr)

    def shows(self, where="true"):
        expected = self.expected(where)
        assert self.connection.execute("SELECT count(*) FROM orders").fetchone() == (len(expected),)
        assert self.rows() == expected

    def checks(self):
        """What aliaport_validate says of rows and content."""
        options = {"include": ["orders", "customer"] if self.has_customer() else ["orders"]}
        found = self.connection.execute("SELECT check_name, ok, detail FROM aliaport_validate(%s, 'public', %s) WHERE check_name IN ('rows', 'content')",
                                        [str(self.path), json.dumps(options)]).fetchall()
        return {name: [ok for other, ok, _ in found if other == name] for name, _, _ in found}, " ".join(d or "" for _, _, d in found)


def proven(found, rows=None, match=True):
    orders = next(row for table, row in found.items() if table.endswith("orders"))
    assert orders["match"] is match and orders["status"] in ("ok", "warning"), orders
    assert rows is None or orders["rows"] == rows, orders
    return orders


def scenario(target, path, has_key=True):
    """All modes. `path` is the way that rows take into the target. Without a key there is no sync, and a row may be there twice."""
    half = f"id < {ROWS // 2}"
    found = target.run(where=half)
    assert proven(found, ROWS // 2)["path"] == path
    target.shows(half)
    rest = f"id >= {ROWS // 2}"
    # The customers are there already.
    proven(target.run("append", where=rest, **({"on_error": "reject"} if target.has_customer() else {})), ROWS)
    target.shows()
    if has_key:
        # Keys that are there already are set aside one by one, whoever keeps the old rows.
        proven(target.run("append", on_error="reject", orphans="reject"), ROWS)
        target.shows()
    assert target.checks()[0]["rows"][-1] and target.checks()[0]["content"][-1]

    proven(target.run("replace"), ROWS)
    target.shows()
    # A rehearsal leaves nothing behind; counting alone sees the same.
    proven(target.run("replace", dry_run=True, on_error="reject", orphans="reject"), ROWS)
    target.shows()
    proven(target.run("replace", options={"verify": "count"}), ROWS, match=None)
    proven(target.run("replace", options={"verify": "none"}), ROWS, match=None)
    target.shows()

    connection = target.connection
    connection.execute("UPDATE orders SET note = 'elsewhere' WHERE id < 10")
    connection.execute("DELETE FROM orders WHERE id BETWEEN 100 AND 120")
    connection.execute(f"INSERT INTO orders ({COLUMNS}) VALUES (99999, 1, '2025-02-01', 1, true, NULL)")
    checks, words = target.checks()
    assert checks["rows"][-1] is False and checks["content"][-1] is False
    assert "21 rows missing in the target" in words and "10 rows with other values" in words and "99999" in words, words
    if has_key:
        counts = proven(target.run("sync"), ROWS)["detail"]
        assert [counts[k] for k in ("inserted", "updated", "deleted", "unchanged")] == [21, 10, 1, ROWS - 31], counts
        target.shows()
        counts = proven(target.run("sync", on_error="reject", orphans="reject"), ROWS)["detail"]
        assert [counts[k] for k in ("inserted", "updated", "deleted")] == [0, 0, 0], counts
    else:
        proven(target.run("replace"), ROWS)
    checks, words = target.checks()
    assert all(checks["rows"]) and all(checks["content"]), words

    # Rows that are bad, and rows without a parent.
    change(target.path, f"""PRAGMA foreign_keys = off; UPDATE orders SET total = 'bad' WHERE id = 7; INSERT INTO orders VALUES ({ROWS}, 12345, '2025-01-01 00:00:00', 1, 1, 'orphan');""")
    kept = f"id <> 7 AND id <> {ROWS}" if target.has_customer() else "id <> 7"
    for mode in ("replace", "sync") if has_key else ("replace",):
        proven(target.run(mode, on_error="reject", orphans="reject"), len(target.expected(kept)))
        target.shows(kept)
    if not has_key:
        return
    # What stays although the source has it no more.
    connection.execute(f"INSERT INTO orders ({COLUMNS}) VALUES (99999, 1, '2025-02-01', 1, true, NULL)")
    orders = proven(target.run("sync", on_error="reject", orphans="reject", options={"sync_delete": False}))
    assert orders["rows"] == len(target.expected(kept)) + 1
