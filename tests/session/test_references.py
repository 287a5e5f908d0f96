"""What aliaport_inspect says of rows without a parent is what an import with the same mode and options ends with, whoever declares the key."""

import json
import sqlite3

import psycopg
import pytest

TARGET = """CREATE TABLE p (id {type} PRIMARY KEY, v text); CREATE TABLE ch (id bigint PRIMARY KEY, pid {type} CONSTRAINT ours REFERENCES p, v text);"""
FILLED = TARGET + "INSERT INTO p VALUES ({one}, 'a'); INSERT INTO ch VALUES (1, {one}, 'a');"
SOURCE = """CREATE TABLE p (id {type} NOT NULL PRIMARY KEY, v text); CREATE TABLE ch (id INTEGER PRIMARY KEY, pid {type} {key}, v text);"""
ONE = "INSERT INTO p VALUES ({one}, 'a'); INSERT INTO ch VALUES (1, {one}, 'a'), (7, NULL, 'n');"
ORPHAN = ONE + "INSERT INTO ch VALUES (2, {other}, 'o');"
ALONE = "CREATE TABLE ch (id INTEGER PRIMARY KEY, pid {type}, v text); INSERT INTO ch VALUES (5, {one}, 'b'), (6, {other}, 'b');"
NEXT = "INSERT INTO ch VALUES (11, {one}, 'b'); INSERT INTO p VALUES ({other}, 'b');"
KINDS = {"bigint": ("INTEGER", "1", "99"), "text": ("TEXT", "'a'", "'b c'"), "varchar(9)": ("TEXT", "'1'", "'01'"),
         "uuid": ("TEXT", "'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-00000000000A'")}
MODES = ["create", "append", "replace", "sync"]
SKIP = {"tables": {"p": {"columns": {"id": {"skip": True}}}}}

# The target, the source, the source's key, options.
CASES = {
    "no row is missing": (TARGET, SOURCE + ONE, "", {}),
    "the target's own key": (TARGET, SOURCE + ORPHAN, "", {}),
    "the target's own key, filled": (FILLED, SOURCE + ORPHAN, "", {}),
    "a parent that only the target has": (FILLED, SOURCE + NEXT, "", {}),
    "a parent that only the target has, kept": (FILLED, SOURCE + NEXT, "", {"sync_delete": False}),
    "a table that the source does not have": (FILLED, ALONE, "", {}),
    "a parent left out, empty": (TARGET, SOURCE + ONE, "REFERENCES p", {"exclude": ["p"]}),
    "a parent left out, filled": (FILLED, SOURCE + ONE, "REFERENCES p", {"exclude": ["p"]}),
    "a parent left out, another row": (FILLED, SOURCE + ORPHAN, "REFERENCES p", {"exclude": ["p"]}),
    "a parent left out, a new child": ("CREATE TABLE p (id {type} PRIMARY KEY, v text); INSERT INTO p VALUES ({one}, 'a');",
                                       SOURCE + ORPHAN, "REFERENCES p", {"exclude": ["p"]}),
    "rows that options leave out": (TARGET, SOURCE + ONE, "", {"tables": {"p": {"where": "v = 'none'"}}}),
    "a column left out, no row points": (TARGET.replace("p (id {type}", "p (id {type} DEFAULT {other}"), SOURCE + "INSERT INTO p VALUES ({one}, 'a');",
                                         "REFERENCES p", SKIP),
    "a column left out": (TARGET.replace("p (id {type}", "p (id {type} DEFAULT {other}"), SOURCE + ONE, "REFERENCES p", SKIP),
    "not enforced any more": (TARGET + "ALTER TABLE ch DROP CONSTRAINT ours;", SOURCE + ORPHAN, "", {}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_an_inspection_finds_the_rows_that_an_import_ends_with(connection, files, case, kind):
    c = connection
    target, source, key, options = CASES[case]
    declared, one, other = KINDS[kind]
    path = files / "t.db"
    with sqlite3.connect(path) as db:
        db.executescript(source.format(type=declared, key=key, one=one, other=other))
    db.close()
    path.chmod(0o644)
    c.execute(target.format(type=kind, one=one, other=other))
    tried = 0
    for mode in MODES:
        if "sync_delete" in options and mode != "sync":
            continue
        arguments = [str(path), mode, json.dumps(options)]
        with c.transaction(force_rollback=True):
            found = c.execute("SELECT table_name, column_name, row_count, suggestion FROM aliaport_inspect(%s, 'public', mode => %s, options => %s) "
                              "WHERE severity = 'error' AND code = 'orphan_rows'", arguments).fetchall()
        with c.transaction(force_rollback=True):
            try:
                with c.transaction():
                    c.execute("SELECT aliaport_import(%s, 'public', mode => %s, options => %s)", arguments)
                    refused = False
            except psycopg.errors.ForeignKeyViolation:
                refused = True
            except psycopg.Error as error:
                # What else is in the way in this mode: rows that are there, a key that is needed.
                assert error.sqlstate in ("55000", "22023", "23505", "42P10"), error
                continue
            assert bool(found) == refused, (mode, found)
            assert all(row[:2] == ("ch", "pid") and row[2] > 0 for row in found)
            tried += 1
            if found and "ALTER TABLE" in found[0][3]:
                c.execute(found[0][3])
                try:
                    c.execute("SELECT aliaport_import(%s, 'public', mode => %s, options => %s)", arguments)
                except psycopg.errors.UniqueViolation:
                    assert mode == "append"
    assert tried


@pytest.mark.parametrize("options", [SKIP, {"exclude": ["p"]}, {"tables": {"ch": {"columns": {"pid": {"skip": True}}}}}])
@pytest.mark.parametrize("named", ["", "(id)"])
def test_validate_does_not_ask_for_a_key_that_options_left_out(connection, files, options, named):
    c = connection
    path = files / "t.db"
    with sqlite3.connect(path) as db:
        db.executescript("CREATE TABLE p (id INTEGER PRIMARY KEY, v text);"
                         f"CREATE TABLE ch (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p {named});"
                         "INSERT INTO p VALUES (1, 'a'); INSERT INTO ch VALUES (1, 1);")
    db.close()
    path.chmod(0o644)
    c.execute("SELECT aliaport_import(%s, 'public', options => %s)", [str(path), json.dumps(options)])
    assert c.execute("SELECT * FROM aliaport_validate(%s, 'public', %s) WHERE NOT ok", [str(path), json.dumps(options)]).fetchall() == []
