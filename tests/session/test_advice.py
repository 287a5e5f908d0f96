"""What a run says of its rows is true of those that landed, and its advice works as it stands and is not what was done already."""

import json
import re
import sqlite3

import psycopg
import pytest
from psycopg import sql


def source(files, script):
    path = files / f"{len(list(files.iterdir()))}.db"
    with sqlite3.connect(path) as db:
        db.executescript(script)
    db.close()
    path.chmod(0o644)
    return str(path)


def run(c, path, **how):
    how["options"] = json.dumps(how.get("options", {}))
    names = sql.SQL("").join(sql.SQL(", {} => {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in how.items())
    rows = c.execute(
        sql.SQL("SELECT load_order, table_name, source_rows, imported_rows, rejected_rows, target_rows, status, detail FROM aliaport_import({}{})")
        .format(path, names)).fetchall()
    fields = ("table_name", "source_rows", "imported_rows", "rejected_rows", "target_rows", "status", "detail")
    return {row[1]: dict(zip(fields, row[1:], strict=True)) for row in rows}


def odd(column):
    return f"""CREATE TABLE "it's ""odd" (id INTEGER PRIMARY KEY, "a 'b' ""c" {column});"""


@pytest.mark.parametrize("column, value", [
    ("DATE", "'2024-13-45'"),
    ("VARCHAR(3)", "'abcd'"),
    ("SMALLINT", "40000"),
    ("SMALLINT", "1.5"),
    ("NUMERIC(3,1)", "12345"),
    ("INTEGER", "'many'"),
    ("JSON", "'{'"),
    ("UUID", "'nobody'"),
    ("TEXT", "CAST(x'ff' AS TEXT)"),
    ("TEXT", "'a' || char(0) || 'b'"),
    ("DATE", "1e300"),
])
def test_the_option_in_a_hint_works_as_it_stands(connection, files, column, value):
    path = source(files, odd(column) + f"""INSERT INTO "it's ""odd" VALUES (1, {value})""")
    with pytest.raises(psycopg.Error) as error:
        run(connection, path)
    hint = error.value.diag.message_hint
    options = re.search(r"options => E?'(?:[^'\\]|''|\\.)*'", hint)
    assert "<" not in hint and options, hint
    if '"number"' in hint:
        return
    ((_, status),) = connection.execute(f"SELECT imported_rows, status FROM aliaport_import({sql.Literal(path).as_string()}, {options[0]})").fetchall()
    assert status in ("ok", "warning")


def hints(c, path, mode="create"):
    """What an import and an inspection say to do about the values of column v."""
    with pytest.raises(psycopg.Error) as error:
        run(c, path, mode=mode)
    said = c.execute("SELECT suggestion FROM aliaport_inspect(%s, mode => %s) WHERE severity = 'error' AND column_name = 'v' AND code <> 'orphan_rows'", [path, mode]).fetchall()
    return error.value.diag.message_hint, " ".join(s for (s,) in said)


# The values of a column of one type, and the type that takes all of them.
MIXED = [
    ("boolean", "(x'01'), (1)", None),
    ("boolean", "(1), ('maybe'), (2.5)", "text"),
    ("bytea", "(x'01'), (12345)", None),
    ("bytea", "('a'), (1)", "text"),
    ("smallint", "(1), (100000)", "bigint"),
    ("smallint", "(100000), (1.5)", "numeric"),
    ("smallint", "(100000), ('abc')", "text"),
    ("integer", "('abc'), (x'ff')", "bytea"),
    ("integer", "('abc'), (x'ff'), (5)", None),
    ("numeric(3,1)", "(12345), ('abc')", "text"),
    ("text", "('a' || char(0) || 'b'), ('c')", "bytea"),
    ("text", "('a'), (x'ff')", "bytea"),
    ("uuid", "('nobody'), (x'00')", "bytea"),
    ("date", "('2024-13-45'), (x'00'), (8)", None),
]


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("pg_type, values, better", MIXED)
def test_the_type_in_a_hint_takes_all_values_of_the_column(connection, files, made, pg_type, values, better):
    path = source(files, f"CREATE TABLE t (v {'BLOB' if pg_type == 'bytea' else pg_type}); INSERT INTO t VALUES {values}")
    if made:
        connection.execute(f"CREATE TABLE t (v {pg_type})")
    hint, said = hints(connection, path)
    if better is None:
        assert not any(word in hint + said for word in ("TYPE", '"type"')), (hint, said)
        return
    if made:
        statement = hint.partition("first: ")[2]
        assert f" TYPE {better} USING " in statement and statement in said, (hint, said)
        connection.execute(statement)
        run(connection, path)
    else:
        option = json.dumps({"tables": {"t": {"columns": {"v": {"type": better}}}}}, separators=(",", ":"))
        assert f"options => '{option}'" in hint and f"options => '{option}'" in said, (hint, said)
        run(connection, path, options=json.loads(option))


# What depends on column v of table t, and what is said of it; None where PostgreSQL makes it anew by itself.
DEPENDENTS = [
    ("", None),
    ("ALTER TABLE t ADD UNIQUE (v); ALTER TABLE t ALTER v SET DEFAULT 1; CREATE INDEX ON t (v DESC)", None),
    ("CREATE TABLE p (id bigint PRIMARY KEY); ALTER TABLE t ADD CONSTRAINT points FOREIGN KEY (v) REFERENCES p", "constraint points on table public.t"),
    ("ALTER TABLE t ADD UNIQUE (v); CREATE TABLE c (t bigint CONSTRAINT pointed REFERENCES t (v))", "constraint pointed on table public.c"),
    ("CREATE VIEW shows AS SELECT v + 1 FROM t", "view public.shows"),
    ("ALTER TABLE t ADD CONSTRAINT positive CHECK (v > 0)", "constraint positive on table public.t"),
    ("CREATE INDEX twice ON t ((v * 2))", "index public.twice"),
    ("CREATE INDEX partial ON t (id) WHERE v > 0", "index public.partial"),
    ("ALTER TABLE t ADD twice bigint GENERATED ALWAYS AS (v * 2) STORED", "column twice of table public.t"),
    ("CREATE POLICY few ON t USING (v > 0)", "policy few on table public.t"),
    ("CREATE TRIGGER tells BEFORE UPDATE OF v ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", "trigger tells on table public.t"),
    ("ALTER TABLE t ALTER v SET NOT NULL, ALTER v ADD GENERATED BY DEFAULT AS IDENTITY", "its identity"),
]


@pytest.mark.parametrize("script, what", DEPENDENTS)
def test_a_column_that_others_depend_on_is_not_to_be_given_another_type(connection, files, script, what):
    path = source(files, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 5), (2, '1.0x')")
    connection.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, v bigint); {script}")
    hint, said = hints(connection, path)
    if what is None:
        connection.execute(hint.partition("first: ")[2])
        run(connection, path)
        return
    for words in (hint, said):
        assert what in words and "depends on it" in words and "ALTER" not in words, words
    # It is so: the statement that is not offered fails.
    with pytest.raises(psycopg.Error):
        connection.execute("ALTER TABLE t ALTER v TYPE text USING v::text")


def test_a_column_of_a_key_that_the_import_makes_keeps_its_type(connection, files):
    path = source(files, "CREATE TABLE u (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER REFERENCES u);"
                         "INSERT INTO u VALUES (1); INSERT INTO t VALUES (1, 'one')")
    for words in hints(connection, path):
        assert "foreign key t.v depends on it" in words and '"type"' not in words, words


# What migration tools call their tables, as far as such a table could not be skipped for its name alone.
HISTORIES = ["migrations", "VersionInfo", "aerich", "seaql_migrations", "migratehistory", "schema_version", "my_app_migration"]


@pytest.mark.parametrize("others", ["", "CREATE TABLE users (id INTEGER PRIMARY KEY); INSERT INTO users VALUES (1);"], ids=["alone", "others"])
@pytest.mark.parametrize("history", HISTORIES)
def test_a_history_of_migrations_is_to_be_left_out_first(connection, files, history, others):
    path = source(files, f"CREATE TABLE {history} (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO {history} VALUES (1, 'theirs');"
                         f"CREATE TABLE data (id INTEGER PRIMARY KEY); INSERT INTO data VALUES (1); {others}")
    name = f'"{history}"' if history != history.lower() else history
    connection.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, name text); INSERT INTO {name} VALUES (1, 'ours')")
    if others:
        connection.execute("CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users VALUES (1)")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as error:
        run(connection, path)
    hint = error.value.diag.message_hint
    said = dict(connection.execute("SELECT table_name, suggestion FROM aliaport_inspect(%s) WHERE code = 'target_not_empty'", [path]).fetchall())
    option = re.search(r"options => '([^']*)'", hint)
    assert option and option[0] in said[history] and hint.index("exclude") < hint.index("replace"), (hint, said)
    assert "exclude" not in said.get("users", "")
    rows = run(connection, path, mode="append" if others else "create", on_error="reject", options=json.loads(option[1]))
    assert set(rows) == {"data", "users"} & set(rows) and "data" in rows
    assert connection.execute(f"SELECT name FROM {name}").fetchall() == [("ours",)]


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("dry_run", [False, True])
def test_lossy_counts_values_that_landed(connection, files, made, dry_run):
    """A rounded number, in rows that are left out for every reason that there is."""
    c = connection
    script = """
        PRAGMA ignore_check_constraints = on;
        CREATE TABLE parent (id INTEGER PRIMARY KEY);
        INSERT INTO parent VALUES (1);
        CREATE TABLE t (id INTEGER PRIMARY KEY, price NUMERIC(6,2), code TEXT UNIQUE, born DATE, parent_id INTEGER REFERENCES parent, n INTEGER CHECK (n > 0),
                        wait CHAR(5));
        INSERT INTO t VALUES (1, 1.005, 'a', '2024-01-01', 1, 1, 'x'), (2, 1.25, 'b', '2024-01-01', 1, 1, 'y'), (3, 3.333, 'c', NULL, NULL, 1, 'z'),
            (4, 4.444, 'd', 'never', 1, 1, 'bad    '), (5, 5.555, 'e', NULL, 9, 1, 'orph   '), (6, 6.666, 'f', NULL, 1, 0, 'chec   '),
            (8, 8.888, 'h', NULL, 1, 1, 'fine   ');
    """
    if made:
        # The code of row 7 is taken in the table that is there already.
        c.execute("CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (100);"
                  "CREATE TABLE t (id bigint PRIMARY KEY, price numeric(6,2), code text UNIQUE, born date, parent_id bigint REFERENCES parent,"
                  " n bigint CHECK (n > 0), wait char(5)); INSERT INTO t (id, code) VALUES (100, 'taken')")
        script += "INSERT INTO t VALUES (7, 7.777, 'taken', NULL, 1, 1, 'dupl   ')"
    path = source(files, script)
    row = run(c, path, mode="append" if made else "create", on_error="reject", orphans="reject", dry_run=dry_run)["t"]
    counts = {(w["code"], w["column"]): w["count"] for w in row["detail"]["warnings"]}
    assert row["imported_rows"] == 4 and row["rejected_rows"] == (4 if made else 3), row
    # Rows 1, 3 and 8 are rounded; of row 8 a blank is cut, too.
    assert counts[("numeric_rounded", "price")] == 3, counts
    blanks = {k: v for k, v in counts.items() if k[1] == "wait"}
    assert list(blanks.values()) == [1], counts
    assert row["detail"]["lossy"] == 4, row["detail"]
    # A value that was cleared is lost; what the row lost besides is still there.
    if not made:
        c.execute("DROP TABLE IF EXISTS t, parent")
        row = run(c, path, on_error="null", orphans="null", dry_run=dry_run)["t"]
        counts = {(w["code"], w["column"]): w["count"] for w in row["detail"]["warnings"]}
        assert (row["imported_rows"], counts[("numeric_rounded", "price")]) == (6, 5), (row, counts)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_row_that_no_page_holds_is_named(connection, files, dry_run):
    columns = ", ".join(f"c{n} TEXT" for n in range(600))
    path = source(files, f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns}); INSERT INTO wide (id) VALUES (1), (7), (9);"
                         f"UPDATE wide SET ({', '.join(f'c{n}' for n in range(600))}) = ({', '.join(['hex(randomblob(10))'] * 600)}) WHERE id = 7")
    if dry_run:
        error = run(connection, path, dry_run=True)["wide"]["detail"]["error"]
        code, detail = error["sqlstate"], error["detail"]
    else:
        with pytest.raises(psycopg.Error) as raised:
            run(connection, path)
        code, detail = raised.value.sqlstate, raised.value.diag.message_detail
    assert code == "54000" and detail == 'SQLite table "wide", rowid 7, key (id) = (7).', detail


def test_a_table_that_fails_in_a_dry_run_has_its_rows_counted(connection, files):
    path = source(files, """CREATE TABLE a (id INTEGER PRIMARY KEY, d DATE); CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a);
        INSERT INTO a VALUES (1, '2024-01-01'), (2, 'never'), (3, NULL); INSERT INTO b VALUES (1, 1), (2, 9)""")
    for options, expected in [({}, 3), ({"tables": {"a": {"where": "id < 3"}}}, 2)]:
        rows = run(connection, path, dry_run=True, options=options)
        assert (rows["a"]["source_rows"], rows["a"]["status"], rows["a"]["imported_rows"]) == (expected, "failed", 0), rows["a"]
        assert rows["b"]["source_rows"] == 2


def test_no_hint_offers_what_was_given(connection, files):
    c = connection
    c.execute("""CREATE FUNCTION broken(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / ($1 - $1); END $$;
        CREATE TABLE t (id bigint PRIMARY KEY, n bigint, g bigint GENERATED ALWAYS AS (broken(n)) STORED)""")
    path = source(files, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 2)")
    for on_error in ("abort", "reject", "null"):
        with pytest.raises(psycopg.errors.DivisionByZero) as error:
            run(c, path, on_error=on_error)
        assert on_error == "abort" or "on_error" not in error.value.diag.message_hint, error.value.diag.message_hint
