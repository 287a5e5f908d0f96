"""Orphans under every policy and in every mode: against a plain reference, and in time in proportion to the rows."""

import collections
import json
import random
import re
import sqlite3

import psycopg
import pytest

Key = collections.namedtuple("Key", "columns parent referenced policy")


def graph(seed):
    """Tables that point at each other and at themselves, some of whose rows point nowhere, and a policy for each key."""
    dice = random.Random(seed)
    names = [f"t{i}" for i in range(dice.randint(2, 4))]
    tables, rows = {}, {}
    for name in names:
        keys, columns = [], {"id": "INTEGER PRIMARY KEY", "u": "INTEGER UNIQUE", "a": "INTEGER", "b": "INTEGER"}
        for number in range(dice.randint(0, 3)):
            parent = dice.choice(names)
            columns[f"f{number}"] = "INTEGER NOT NULL" if dice.random() < 0.2 else "INTEGER"
            keys.append(Key((f"f{number}",), parent, ("id",) if dice.random() < 0.7 else ("u",), dice.choice(("reject", "null"))))
        # What is pointed at may be a reference itself, and two keys may share a column.
        if dice.random() < 0.3:
            keys.append(Key(("u",), dice.choice(names), ("id",), dice.choice(("reject", "null"))))
        if dice.random() < 0.5:
            keys.append(Key(("a", "b"), dice.choice(names), ("a", "b"), dice.choice(("reject", "null"))))
        tables[name] = columns, keys
        size = dice.randint(10, 60)
        ids = dice.sample(range(1, 71), size)
        rows[name] = []
        pairs = dice.sample([(a, b) for a in range(9) for b in range(9)], size)
        for row_id, unique, pair in zip(ids, dice.sample(range(1, 71), size), pairs):
            row = {"id": row_id, "u": unique if dice.random() < 0.8 else None, "a": pair[0], "b": pair[1] if dice.random() < 0.9 else None}
            for column, declared in columns.items():
                if column.startswith("f"):
                    row[column] = dice.randint(1, 75) if "NOT" in declared or dice.random() < 0.7 else None
            rows[name].append(row)
    return tables, rows


def deep(seed):
    """One to three tables in turn, whose rows form a long list with branches, a list that stays, and a ring; second keys lead anywhere."""
    dice = random.Random(1000 + seed)
    names = [f"t{i}" for i in range(1 + seed % 3)]
    tables = {}
    for number, name in enumerate(names):
        parent = names[(number + 1) % len(names)]
        columns = {"id": "INTEGER PRIMARY KEY", "u": "INTEGER UNIQUE", "a": "INTEGER", "b": "INTEGER", "f0": "INTEGER", "f1": "INTEGER"}
        keys = [Key(("f0",), parent, (dice.choice(("id", "u")),), "reject" if dice.random() < 0.9 else "null"),
                Key(("f1",), parent, (dice.choice(("id", "u")),), dice.choice(("reject", "reject", "null")))]
        tables[name] = columns, keys
    # Tables above and below the circle.
    tables["above"] = {"id": "INTEGER PRIMARY KEY", "u": "INTEGER UNIQUE", "a": "INTEGER", "b": "INTEGER", "f0": "INTEGER"}, [
        Key(("f0",), "above", ("id",), "reject")]
    tables["below"] = tables["above"][0], [Key(("f0",), names[0], ("id",), dice.choice(("reject", "null")))]
    tables[names[0]][0]["f2"] = "INTEGER"
    tables[names[0]][1].append(Key(("f2",), "above", ("id",), "reject"))
    rows = {name: [] for name in tables}
    ids = iter(dice.sample(range(100, 3000), 1200))
    uniques = iter(dice.sample(range(100, 3000), 1200))

    def row(name, **columns):
        rows[name].append(dict.fromkeys(tables[name][0]) | {"id": next(ids), "u": next(uniques)} | columns)
        return rows[name][-1]

    def points_at(name, node, column):
        key = next(k for k in tables[name][1] if k.columns == (column,))
        return node[key.referenced[0]]

    upper = [row("above", f0=75)]
    for _ in range(30):
        upper.append(row("above", f0=upper[-1]["id"]))
    nodes, count = [], 240
    for number in range(2 * count):
        name = names[-number % len(names)]
        if number % count == 0:
            parent = 75 if number == 0 else None
        else:
            before = nodes[-1] if dice.random() < 0.9 else nodes[-1 - len(names) * dice.randint(0, (number % count - 1) // len(names))]
            parent = points_at(name, before[1], "f0")
        nodes.append((name, row(name, f0=parent)))
    ring = [(names[-i % len(names)], row(names[-i % len(names)])) for i in range(3 * len(names))]
    for (name, node), (_, parent) in zip(ring, [ring[-1], *ring]):
        node["f0"] = points_at(name, parent, "f0")
    for number, (name, node) in enumerate(nodes):
        others = [n for n in nodes + ring if n[0] == tables[name][1][1].parent]
        if number < count and seed % 2 and number + 1 < count and nodes[number + 1][0] == others[0][0]:
            # A list that knows both its neighbours.
            node["f1"] = points_at(name, nodes[number + 1][1], "f1")
        elif dice.random() < 0.02 or number == 2 * count - 1:
            node["f1"] = points_at(name, dice.choice(others)[1], "f1")
        if name == names[0] and dice.random() < 0.01:
            node["f2"] = dice.choice(upper)["id"]
    if dice.random() < 0.5:
        # The ring hangs on a row that falls.
        name, node = ring[0]
        node["f1"] = points_at(name, next(n for t, n in nodes[count // 2:] if t == tables[name][1][1].parent), "f1")
    for _ in range(40):
        row("below", f0=dice.choice(rows[names[0]])["id"])
    for some in rows.values():
        dice.shuffle(some)
    return tables, rows


def source(path, tables, rows):
    db = sqlite3.connect(path)
    for name, (columns, keys) in tables.items():
        parts = [f"{c} {d}" for c, d in columns.items()] + ["UNIQUE (a, b)"]
        parts += [f"FOREIGN KEY ({', '.join(k.columns)}) REFERENCES {k.parent} ({', '.join(k.referenced)})" for k in keys]
        db.execute(f"CREATE TABLE {name} ({', '.join(parts)})")
        for row in rows[name]:
            db.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", [row[c] for c in columns])
    db.commit()
    db.close()
    return str(path)


def expected(tables, rows, order, others):
    """What becomes of the rows, by the words of docs/policies.md: pass by pass over whole tables."""
    alive = {name: {row["id"]: dict(row) for row in rows[name]} for name in tables}
    fate = {name: {} for name in tables}
    due = set(order)
    while due:
        name = next(t for t in order if t in due)
        due.discard(name)
        columns, keys = tables[name]
        lost = set()
        present = {}
        for key in keys:
            stand = [*alive[key.parent].values(), *others.get(key.parent, [])]
            present[key] = {tuple(row[c] for c in key.referenced) for row in stand}
        for row_id, row in list(alive[name].items()):
            value = {key: tuple(row[c] for c in key.columns) for key in keys}
            hits = [key for key in keys if None not in value[key] and value[key] not in present[key]]
            if not hits:
                continue
            named = {c for key in hits for c in key.columns}
            if any(key.policy == "reject" or any("NOT" in columns[c] for c in key.columns) for key in hits):
                fate[name][row_id] = ("rejected", named)
                del alive[name][row_id]
                lost |= set(columns)
            else:
                fate[name][row_id] = ("nulled", named | fate[name].get(row_id, ("", set()))[1])
                row.update(dict.fromkeys(named))
                lost |= named
        due |= {t for t in order for key in tables[t][1] if key.parent == name and lost & set(key.referenced)}
    return alive, fate


@pytest.mark.parametrize("shape, seed", [(graph, seed) for seed in range(12)] + [(deep, seed) for seed in range(9)])
def test_every_policy_does_what_the_reference_says(connection, files, shape, seed):
    tables, rows = shape(seed)
    path = source(files / "graph.db", tables, rows)
    empty = source(files / "empty.db", tables, {name: [] for name in tables})
    options = {"foreign_keys": {f"{name}.{','.join(key.columns)}": {"orphans": key.policy} for name, (_, keys) in tables.items() for key in keys}}
    for mode, old in (("create", False), ("append", False), ("append", True), ("replace", True), ("sync", True), ("sync kept", True)):
        connection.execute("DROP SCHEMA IF EXISTS g CASCADE; CREATE SCHEMA g; DELETE FROM aliaport.run")
        others = {}
        if mode != "create":
            connection.execute("SELECT aliaport_import(%s, 'g')", [empty])
        if old:
            # Rows that point at each other, past the keys, which they keep all together.
            connection.execute("SET session_replication_role = replica")
            for name, (columns, _) in tables.items():
                others[name] = [dict.fromkeys(columns, 74) | {"a": 20, "b": 20}]
                connection.execute(f"INSERT INTO g.{name} ({', '.join(columns)}) VALUES ({', '.join(map(str, others[name][0].values()))})")
            connection.execute("RESET session_replication_role")
        stay = others if mode in ("append", "sync kept") else {}
        result = connection.execute(
            "SELECT table_name, rejected_rows, orphan_rows FROM aliaport_import(%s, 'g', mode => %s, options => %s) ORDER BY load_order",
            [path, mode.split()[0], json.dumps(options | ({"sync_delete": False} if mode == "sync kept" else {}))]).fetchall()
        order = [name.removeprefix("g.") for name, _, _ in result]
        alive, fate = expected(tables, rows, order, stay)
        found = collections.defaultdict(dict)
        for name, row_id, column, action in connection.execute(
                "SELECT table_name, (row_data ->> 'id')::int, column_name, action FROM aliaport.rejected_row"):
            assert row_id not in found[name], (mode, name, row_id)
            found[name][row_id] = (action, set(column.split(", ")))
        what = f"{shape.__name__} {seed}, mode {mode}"
        for name, rejected, orphans in result:
            name = name.removeprefix("g.")
            assert found[name] == fate[name], (what, name)
            assert (rejected, orphans) == (sum(f[0] == "rejected" for f in fate[name].values()), len(fate[name])), (what, name)
            columns = list(tables[name][0])
            stored = connection.execute(f"SELECT {', '.join(columns)} FROM g.{name} ORDER BY id").fetchall()
            kept = [tuple(row[c] for c in columns) for _, row in sorted(alive[name].items())]
            kept += [tuple(row.values()) for row in stay.get(name, [])]
            assert stored == sorted(kept, key=lambda row: row[0]), (what, name)


def chain(path, rows):
    """A list each of whose rows points at the one before, and the first one nowhere."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE v (id INTEGER PRIMARY KEY, prev INTEGER REFERENCES v (id), t TEXT)")
    db.executemany("INSERT INTO v VALUES (?, ?, 'x')", ((i, i - 1 if i > 1 else 0) for i in range(1, rows + 1)))
    db.executemany("INSERT INTO v VALUES (?, NULL, 'x')", ((i,) for i in range(rows + 1, 2 * rows + 1)))
    db.commit()
    db.close()
    return str(path)


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_chain_falls_in_time_in_proportion_to_its_rows(connection, files, mode):
    path = chain(files / "chain.db", 20_000)
    if mode != "create":
        connection.execute("SELECT aliaport_import(%s, orphans => 'null')", [path])
    # With a pass over the table for each row that falls this would be an hour.
    connection.execute("SET statement_timeout = '120s'")
    assert connection.execute("SELECT imported_rows, rejected_rows, orphan_rows FROM aliaport_import(%s, mode => %s, orphans => 'reject')",
                              [path, mode]).fetchall() == [(20_000, 20_000, 20_000)]
    assert connection.execute("SELECT count(DISTINCT row_data ->> 'prev') FROM aliaport.rejected_row r JOIN aliaport.run USING (run_id) WHERE action = 'rejected'"
                              ).fetchone() == (20_000,)


@pytest.mark.parametrize("mode", ["create", "append", "replace", "sync"])
def test_two_keys_take_no_look_at_a_parent_for_each_row(connection, files, mode):
    rows = 100_000
    path = files / "two.db"
    db = sqlite3.connect(path)
    db.executescript("""CREATE TABLE p (id INTEGER PRIMARY KEY);
        CREATE TABLE c (id INTEGER PRIMARY KEY, a INTEGER REFERENCES p (id), b INTEGER REFERENCES p (id))""")
    db.executemany("INSERT INTO p VALUES (?)", ((i,) for i in range(1, rows)))
    db.executemany("INSERT INTO c VALUES (?, ?, ?)", ((i, i if i > 1 else 0, i if i > 1 else None) for i in range(1, rows)))
    db.commit()
    db.close()
    if mode != "create":
        connection.execute("SELECT aliaport_import(%s, orphans => 'null')", [str(path)])
        if mode == "append":
            connection.execute("TRUNCATE p, c")
    connection.execute("SET work_mem = '1MB'; SET statement_timeout = '120s'")
    assert connection.execute("SELECT sum(orphan_rows), sum(rejected_rows) FROM aliaport_import(%s, mode => %s, orphans => 'null')",
                              [str(path), mode]).fetchall() == [(1, 0)]


def nightly(files):
    path = files / "nightly.db"
    with sqlite3.connect(path) as db:
        db.executescript("""CREATE TABLE p (id INTEGER PRIMARY KEY);
            CREATE TABLE ch (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p, note TEXT);
            INSERT INTO p VALUES (1), (2); INSERT INTO ch VALUES (1, 1, 'a'), (2, 77, 'b');""")
    db.close()
    path.chmod(0o644)

    def change(script):
        with sqlite3.connect(path) as db:
            db.executescript(script)
        db.close()

    def rows():
        with sqlite3.connect(path) as db:
            found = db.execute("SELECT * FROM ch ORDER BY id").fetchall()
        db.close()
        return found

    return str(path), change, rows


def keeping(c, path, mode, orphans="keep", options="{}"):
    return c.execute("SELECT orphan_rows, status FROM aliaport_import(%s, 'public', mode => %s, orphans => %s, options => %s) WHERE table_name LIKE '%%ch'",
                     [path, mode, orphans, options]).fetchone()


def stored(c):
    return c.execute("SELECT id, pid, note FROM ch ORDER BY id").fetchall()


def is_valid(c):
    return c.execute("SELECT convalidated FROM pg_constraint WHERE conrelid = 'ch'::regclass AND contype = 'f'").fetchone()


@pytest.mark.parametrize("mode", ["sync", "replace"])
def test_orphans_can_be_kept_night_after_night(connection, files, mode):
    c = connection
    path, change, rows = nightly(files)
    assert keeping(c, path, "create") == (1, "warning")
    for script, orphans in [("", 1), ("UPDATE ch SET note = 'B' WHERE id = 2", 1), ("INSERT INTO ch VALUES (3, 78, 'c')", 2),
                            ("UPDATE ch SET pid = 79 WHERE id = 1", 3), ("DELETE FROM p WHERE id = 2; UPDATE ch SET pid = 2 WHERE id = 1", 3),
                            ("UPDATE ch SET pid = 1", 0), ("UPDATE ch SET pid = 80 WHERE id = 3", 1)]:
        change(script)
        assert keeping(c, path, mode)[0] == orphans
        assert stored(c) == rows() and is_valid(c) == (False,)
    # It still refuses everybody else's, and the import's under another policy.
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        c.execute("INSERT INTO ch VALUES (9, 99)")
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as error:
        keeping(c, path, mode, "abort")
    assert "'keep' keeps them" in error.value.diag.message_hint
    # Once it is valid it stays so, and the HINT says how to keep them.
    change("UPDATE ch SET pid = 1")
    assert keeping(c, path, mode) == (0, "ok")
    c.execute("ALTER TABLE ch VALIDATE CONSTRAINT ch_pid_fkey")
    change("UPDATE ch SET pid = 81 WHERE id = 3")
    (advice,) = c.execute("SELECT suggestion FROM aliaport_inspect(%s, 'public', mode => %s) WHERE code = 'orphan_rows'", [path, mode]).fetchone()
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as error:
        keeping(c, path, mode)
    (statement,) = re.findall(r"ALTER TABLE .*?;", error.value.diag.message_hint)
    assert is_valid(c) == (True,) and statement in advice
    c.execute(statement)
    assert keeping(c, path, mode)[0] == 1
    (add,) = c.execute("SELECT f ->> 'statement' FROM aliaport.run_table, jsonb_array_elements(detail -> 'warnings') f "
                       "WHERE f ->> 'code' = 'constraint_missing' ORDER BY run_id DESC LIMIT 1").fetchone()
    c.execute(add)
    assert keeping(c, path, mode)[0] == 1 and stored(c) == rows() and is_valid(c) == (False,)


def test_orphans_are_kept_in_append_and_in_empty_tables_with_a_constraint_that_is_not_valid(connection, files):
    c = connection
    path, change, rows = nightly(files)
    c.execute("CREATE TABLE p (id bigint PRIMARY KEY); CREATE TABLE ch (id bigint PRIMARY KEY, pid bigint, note text);"
              "ALTER TABLE ch ADD CONSTRAINT ch_pid_fkey FOREIGN KEY (pid) REFERENCES p NOT VALID")
    assert keeping(c, path, "create") == (1, "warning")
    first = rows()
    change("DELETE FROM ch; DELETE FROM p; INSERT INTO p VALUES (5); INSERT INTO ch VALUES (5, 1, 'e'), (6, 76, 'f')")
    assert keeping(c, path, "append")[0] == 1
    assert stored(c) == first + rows() and is_valid(c) == (False,)


def test_where_triggers_fire_only_new_orphans_are_refused(connection, files):
    """PostgreSQL itself checks each row that is written there."""
    c = connection
    path, change, rows = nightly(files)
    keeping(c, path, "create")
    on = '{"triggers": "on"}'
    c.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
              "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON ch FOR EACH ROW EXECUTE FUNCTION f()")
    change("UPDATE ch SET note = 'B' WHERE id = 2; INSERT INTO ch VALUES (3, 2, 'c')")
    assert keeping(c, path, "sync", options=on)[0] == 1 and stored(c) == rows()
    for mode, script in [("sync", "UPDATE ch SET pid = 78 WHERE id = 1"), ("replace", "")]:
        change(script)
        with pytest.raises(psycopg.errors.ForeignKeyViolation) as error:
            keeping(c, path, mode, options=on)
        (statement,) = re.findall(r"ALTER TABLE .*?;", error.value.diag.message_hint)
    c.execute(statement)
    assert keeping(c, path, "replace", options=on)[0] == 2 and stored(c) == rows()
