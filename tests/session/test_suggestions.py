"""What aliaport_inspect suggests is run as it stands, by the program that it names: the finding is gone, and nothing else has come or changed."""

import json
import random
import re
import shutil
import sqlite3

import dirty
import pytest
from psycopg import sql

FIELDS = ("severity", "code", "table", "column", "count", "sample", "message", "suggestion")

# What only a new session or a restart shows, and what a key that is taken away leaves missing.
LATER = {"server_timezone", "connection_capacity"}


def inspect(c, path, **how):
    how["options"] = json.dumps(how.get("options", {}))
    names = sql.SQL("").join(sql.SQL(", {} => {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in how.items())
    rows = c.execute(sql.SQL("SELECT * FROM aliaport_inspect({}{})").format(str(path), names)).fetchall()
    return [dict(zip(FIELDS, row, strict=True)) for row in rows]


def place(finding):
    return finding["code"], finding["table"], finding["column"]


def is_said_again(finding, after):
    return any(place(f) == place(finding) and f["message"] == finding["message"] for f in after)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def content(path):
    """Every value of a file, as bytes and by its place."""
    db = sqlite3.connect(path)
    db.text_factory = bytes
    out = {}
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall():
        name = quoted(table.decode())
        columns = [column.decode() for _, column, *_ in db.execute(f"PRAGMA table_info({name})")]
        values = ", ".join(f"typeof({quoted(column)}), {quoted(column)}" for column in columns)
        out[table.decode()] = (columns, db.execute(f"SELECT {values} FROM {name}").fetchall())
    db.close()
    return out


def require_only_named(before, after, finding):
    """As many values of the finding's columns differ as it counts, and none beside them; no row went."""
    changed = 0
    named = (finding["column"] or "").split(", ")
    for table, (columns, rows) in before.items():
        assert len(after[table][1]) == len(rows), f"{finding['suggestion']} lost rows"
        for old, new in zip(rows, after[table][1], strict=True):
            differs = [column for n, column in enumerate(columns) if old[2 * n:2 * n + 2] != new[2 * n:2 * n + 2]]
            assert not differs or (table == finding["table"] and set(differs) <= set(named)), (finding, differs, old, new)
            changed += bool(differs)
    assert changed == finding["count"], (finding, changed)


def try_one(c, path, finding, before, how):
    """Runs one suggestion; gives how it helped: run, option, shown or said."""
    text = finding["suggestion"]
    tool, *lines = text.split("\n")
    assert tool in ("-- sqlite", "-- postgresql"), finding
    run = "\n".join(line for line in lines if not line.startswith("--"))
    assert "DELETE" not in run and "TRUNCATE" not in run, finding
    for deleted in re.findall("-- .*DELETE FROM.*", text):
        assert re.search(r"delete \d+ rows?: ", deleted), finding
        assert lines[0] != deleted, finding
    new = None
    if tool == "-- sqlite":
        copy = path.with_name("copy.db")
        shutil.copy(path, copy)
        copy.chmod(0o644)
        db = sqlite3.connect(copy)
        db.executescript(text)
        db.close()
        if run and not run.startswith("SELECT"):
            if run.startswith("UPDATE"):
                require_only_named(content(path), content(copy), finding)
            new = inspect(c, copy, **how)
    elif run:
        with c.transaction(force_rollback=True):
            c.execute(text)
            new = inspect(c, path, **how)
    if new is not None and finding["code"] not in LATER:
        assert not is_said_again(finding, new), (finding, [f["message"] for f in new if place(f) == place(finding)])
        places = {place(f) for f in before}
        # Rows that are good now can repeat a key, point nowhere or break a check, and texts in a column of bytes are told.
        come = [f for f in new if place(f) not in places and f["severity"] != "info"
                and not (f["code"] in ("duplicate_key", "orphan_rows", "target_check") and f["table"] == finding["table"])
                # A key of the source that was given up in the target is told, as it has to be; one that is made demands what it demands.
                and f["code"] != "constraint_missing" and not (finding["code"] == "constraint_missing" and f["code"] == "null_in_not_null")]
        assert not come, (finding, come)
        return "run"
    options = [m.replace("''", "'") for m in re.findall(r"options => E?'((?:[^']|'')*)'", text)]
    for option in options:
        if "..." in option or "another_name" in option or '"exclude"' in option:
            continue
        new = inspect(c, path, **how | {"options": json.loads(option)})
        worse = [f for f in new if place(f) == place(finding) and f["message"] == finding["message"] and f["severity"] == finding["severity"] != "info"]
        assert not worse, (finding, option, worse)
    return "option" if options else "shown" if run else "said"


@pytest.mark.parametrize("there", [False, True], ids=["made", "there"])
@pytest.mark.parametrize("seed", range(4))
def test_each_suggestion_settles_its_finding_and_nothing_else(connection, files, seed, there):
    c = connection
    c.autocommit = True
    helped = {}
    for number in range(8):
        rng = random.Random(f"{seed} {number}")
        path = files / f"{number}.db"
        tables = dirty.make(rng, path)
        made = dirty.there(rng, tables) if there else []
        for statement in made:
            c.execute(statement)
        how = {"mode": rng.choice(["create", "append", "replace"])}
        findings = inspect(c, path, **how)
        for finding in findings:
            if finding["suggestion"]:
                help = try_one(c, path, finding, findings, how)
                helped.setdefault(finding["code"], []).append(help)
            else:
                assert finding["severity"] != "error", finding
        c.execute("DROP TABLE IF EXISTS t0, t1, t2 CASCADE")
    assert sum(len(h) for h in helped.values()) > 5


@pytest.mark.parametrize("source", ["inspect", "policies", "rules", "orphans", "harbour", "target", "bad_nul", "bad_null"])
def test_the_suggestions_of_the_fixtures_do_what_they_say(connection, cluster, files, source):
    path = files / "source.db"
    shutil.copy(cluster.files / f"{source}.db", path)
    path.chmod(0o644)
    connection.autocommit = True
    findings = inspect(connection, path)
    for finding in findings:
        if finding["suggestion"]:
            try_one(connection, path, finding, findings, {})


