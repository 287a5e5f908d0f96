"""Targets that are more than a heap of their own: what a query of them returns is what was imported, in every mode."""

import sqlite3

import pytest

from conftest import refused
from targets import CUSTOMER, ORDERS, Target, make_source, scenario

CUSTOMERS = f"CREATE TABLE customer ({CUSTOMER});"

# The way that rows take into the empty table, and the SQL that makes it.
KINDS = {
    "heap": ("bulk", f"{CUSTOMERS} CREATE TABLE orders ({ORDERS})"),
    "unlogged": ("bulk", f"CREATE UNLOGGED TABLE orders ({ORDERS})"),
    "tablespace": ("bulk", f"{CUSTOMERS} CREATE TABLE orders ({ORDERS}) TABLESPACE elsewhere"),
    "partitioned": ("executor", f"""{CUSTOMERS} CREATE TABLE orders ({ORDERS}) PARTITION BY RANGE (ts);
        CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (MINVALUE) TO ('2025-06-01');
        CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM ('2025-06-01') TO (MAXVALUE) PARTITION BY HASH (id);
        CREATE TABLE orders_2a PARTITION OF orders_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE orders_2b PARTITION OF orders_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)"""),
    "foreign partition": ("executor", f"""CREATE SCHEMA remote; CREATE TABLE remote.orders_2 ({ORDERS});
        CREATE TABLE orders ({ORDERS.replace(", PRIMARY KEY (id, ts)", "")}) PARTITION BY RANGE (ts);
        CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (MINVALUE) TO ('2025-06-01');
        CREATE FOREIGN TABLE orders_2 PARTITION OF orders FOR VALUES FROM ('2025-06-01') TO (MAXVALUE)
            SERVER loopback OPTIONS (schema_name 'remote', table_name 'orders_2')"""),
    "child of another table": ("executor", f"""{CUSTOMERS} CREATE TABLE above (id bigint, note text); INSERT INTO above VALUES (-1, 'not ours');
        CREATE TABLE orders ({ORDERS}) INHERITS (above)"""),
    "trigger function of an extension": ("executor", f"""{CUSTOMERS} CREATE EXTENSION moddatetime; CREATE TABLE orders ({ORDERS}, touched timestamp);
        CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION moddatetime (touched)"""),
}


@pytest.fixture
def loopback(cluster, connection):
    connection.execute("CREATE EXTENSION postgres_fdw")
    connection.execute(f"CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{cluster.directory}', port '5432', dbname 'session')")
    connection.execute("CREATE USER MAPPING FOR postgres SERVER loopback OPTIONS (user 'postgres')")


@pytest.fixture(scope="module")
def tablespace(cluster):
    folder = cluster.directory / "elsewhere"
    cluster.as_server("mkdir", folder)
    cluster.psql(f"CREATE TABLESPACE elsewhere LOCATION '{folder}'")


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_sees_the_rows(connection, files, loopback, tablespace, kind):
    path, setup = KINDS[kind]
    connection.execute(setup)
    keyless = kind == "foreign partition"
    scenario(Target(connection, make_source(files / "shop.db")), path, has_key=not keyless)


def test_rows_of_an_inheriting_table_are_not_the_imports(connection, files):
    """The import fills the table itself; count(*) of it counts the other rows, too, and is told apart from a loss."""
    connection.execute(f"CREATE TABLE orders ({ORDERS}); CREATE TABLE below () INHERITS (orders)")
    target = Target(connection, make_source(files / "shop.db"))
    target.run()
    connection.execute("INSERT INTO below VALUES (-1, 1, '2025-01-01', 1, true, 'not ours')")
    for mode, options in (("sync", {}), ("sync", {"verify": "count"}), ("sync", {"verify": "none"})):
        target.run(mode, options=options)
        assert connection.execute("SELECT count(*) FROM ONLY orders").fetchone() == (len(target.expected()),)
        assert connection.execute("SELECT note FROM below").fetchall() == [("not ours",)]


def test_a_trigger_that_leaves_rows_out_is_no_success(connection, files):
    from conftest import refused

    connection.execute(f"""CREATE TABLE orders ({ORDERS});
        CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF new.id = 5 THEN RETURN NULL; END IF; RETURN new; END';
        CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION drop_row()""")
    target = Target(connection, make_source(files / "shop.db"))
    for verify in ("content", "count"):
        with refused("22000"):
            target.run(options={"triggers": "on", "verify": verify})
    target.run(options={"triggers": "on", "verify": "none"})
    target.shows("id <> 5")


@pytest.mark.parametrize("mode", ["create", "append", "replace", "sync"])
def test_keys_to_partitioned_tables_are_those_that_the_dba_made(connection, files, mode):
    """Beside a key to a partitioned table PostgreSQL keeps one for each partition, which holds a part of the parents only."""
    path = files / "keys.db"
    with sqlite3.connect(path) as source:
        source.executescript(
            "CREATE TABLE p (id INTEGER PRIMARY KEY, up INTEGER REFERENCES p(id));"
            "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id));"
            "INSERT INTO p VALUES (1, 20), (2, 1), (20, 2), (21, NULL), (30, 30);"
            "INSERT INTO c VALUES (1, 1), (2, 20), (3, 30), (4, NULL)"
        )
    source.close()
    path.chmod(0o644)
    connection.execute(
        "CREATE SEQUENCE ps; CREATE SEQUENCE cs;"
        "CREATE TABLE p (id bigint PRIMARY KEY DEFAULT nextval('ps'), up bigint REFERENCES p (id)) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (100) PARTITION BY RANGE (id);"
        "CREATE TABLE p21 PARTITION OF p2 FOR VALUES FROM (10) TO (25); CREATE TABLE p22 PARTITION OF p2 DEFAULT;"
        "CREATE TABLE c (id bigint PRIMARY KEY DEFAULT nextval('cs'), p bigint REFERENCES p (id)) PARTITION BY LIST (id); CREATE TABLE c1 PARTITION OF c DEFAULT"
    )
    sql = "SELECT table_name, target_rows, orphan_rows, content_match, detail -> 'warnings' FROM aliaport_import(%s, mode => %s)"
    clean = [("p", 5, 0, True, []), ("c", 4, 0, True, [])]
    assert [row for row in connection.execute("SELECT code, table_name, message FROM aliaport_inspect(%s, mode => %s)", [str(path), mode])
            if not row[0].startswith(("server", "connection"))] == []
    assert connection.execute(sql, [str(path), mode]).fetchall() == clean
    if mode in ("replace", "sync"):
        assert [row[:4] for row in connection.execute(sql, [str(path), mode])] == [row[:4] for row in clean]
    assert connection.execute("SELECT * FROM aliaport_validate(%s) WHERE NOT ok", [str(path)]).fetchall() == []
    # A real orphan is one, once.
    with sqlite3.connect(path) as source:
        source.execute("INSERT INTO c VALUES (5, 77)")
    source.close()
    with refused("23503") as error:
        connection.execute(sql, [str(path), "replace"])
    assert "1 row without a parent" in error.value.diag.message_detail and "p1" not in error.value.diag.message_detail
    # A row that goes straight into a partition of the child obeys the same key.
    other = files / "part.db"
    with sqlite3.connect(other) as source:
        source.executescript("CREATE TABLE c1 (id INTEGER PRIMARY KEY, p INTEGER); INSERT INTO c1 VALUES (7, 20), (8, 1)")
    source.close()
    other.chmod(0o644)
    assert connection.execute(sql, [str(other), "replace"]).fetchall()[0][:4] == ("c1", 2, 0, True)


@pytest.mark.parametrize("method", ["delete", "truncate"])
def test_replace_leaves_the_rows_of_inheriting_tables_alone(connection, files, method):
    path = files / "heirs.db"
    with sqlite3.connect(path) as source:
        source.executescript("CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (5)")
    source.close()
    path.chmod(0o644)
    connection.execute("SELECT aliaport_import(%s)", [str(path)])
    connection.execute("CREATE TABLE below (more int) INHERITS (a); CREATE TABLE deeper () INHERITS (below);"
                       "INSERT INTO below VALUES (7, 'kept', 1); INSERT INTO deeper VALUES (8, 'kept, too', 2)")
    connection.execute(f"SET aliaport_import.replace_method = {method}")
    for step in connection.execute("SELECT sql FROM aliaport_plan(%s, mode => 'replace') WHERE action = 'truncate' AND object ~ '\\ya\\y'", [str(path)]):
        assert "ONLY" in step[0]
    for _ in range(2):
        found = connection.execute("SELECT table_name, imported_rows, content_match FROM aliaport_import(%s, mode => 'replace', options => '{\"force\": true}') ORDER BY 1", [str(path)]).fetchall()
        assert found == [("a", 1, True), ("b", 1, True)]
    assert connection.execute("SELECT tableoid::regclass::text, id, v FROM a ORDER BY id").fetchall() == \
        [("a", 1, "x"), ("below", 7, "kept"), ("deeper", 8, "kept, too")]


def test_every_check_of_a_comparison_sees_the_rows_of_a_foreign_partition(connection, files, loopback):
    """Such a table can have neither keys nor sequences: what they would have kept out is counted by a query of it."""
    path = files / "parts.db"
    with sqlite3.connect(path) as source:
        source.executescript("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER NOT NULL REFERENCES p (id), q TEXT NOT NULL);"
                             "INSERT INTO p VALUES (1), (2)")
        source.executemany("INSERT INTO c VALUES (?, ?, ?)", ((i, 1 + i % 2, f"q{i}") for i in range(1, 41)))
    source.close()
    path.chmod(0o644)
    connection.execute("""CREATE TABLE p (id bigint PRIMARY KEY); CREATE TABLE c (id bigint, p bigint, q text) PARTITION BY RANGE (id);
        CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (10); CREATE SCHEMA remote; CREATE TABLE remote.c2 (id bigint, p bigint, q text);
        CREATE FOREIGN TABLE c2 PARTITION OF c FOR VALUES FROM (10) TO (100) SERVER loopback OPTIONS (schema_name 'remote', table_name 'c2')""")
    connection.execute("SELECT aliaport_import(%s, options => '{\"foreign_key_constraints\": false}')", [str(path)])

    def said():
        return {(name, source): target for name, source, target in connection.execute(
            "SELECT check_name, detail, target_value FROM aliaport_validate(%s) WHERE table_name = 'c' AND NOT ok AND check_name <> 'sequence'", [str(path)])}

    before = {("not_null", f"column {name} is not NOT NULL in the target"): "0" for name in ("id", "p", "q")} | {
        ("unique", "the target has no such key; its values are unique all the same"): None, ("foreign_key", "c.p -> p: the target has no such constraint"): "0"}
    assert said() == before
    # Two rows on the other server, and one here.
    connection.execute("UPDATE remote.c2 SET p = 77, id = 30, q = NULL WHERE id IN (30, 31); UPDATE c1 SET p = 78 WHERE id = 2")
    found = said()
    assert found["not_null", "column q is not NOT NULL in the target"] == "2"
    assert ("unique", "the target has no such key; 1 value is there more than once") in found
    assert found["foreign_key", "c.p -> p: the target has no such constraint; 3 rows without a parent"] == "3"
    assert found["min_max", "column p"] == "1 .. 78"
    assert any(name == "content" and "1 row missing in the target: id = 31" in detail for name, detail in found)
