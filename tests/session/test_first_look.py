"""From the first look at a file that nobody has looked after to an import that is proven, with nothing but what the extension itself prints."""

import json
import re
import sqlite3
import subprocess
import sys

from conftest import TESTS

# What there is to be found in a source alone; the codes of targets, modes and servers have their own tests.
KINDS = {"bad_boolean", "bad_datetime", "bad_json", "bad_uuid", "case_collision", "duplicate_key", "identifier_too_long", "integrity", "invalid_utf8",
         "missing_parent_table", "not_carried", "nul_character", "null_in_not_null", "orphan_rows", "out_of_range", "row_too_wide",
         "sequence_exhausted", "too_long", "too_many_columns", "type_mismatch", "unindexed_parent"}


class Reader:
    """Somebody who has psql, sqlite3 and what aliaport_inspect says, and follows it line by line."""

    def __init__(self, connection, path):
        self.connection, self.path, self.options, self.arguments = connection, path, {}, {}

    def look(self):
        return self.connection.execute(
            "SELECT severity, code, table_name, column_name, message, suggestion FROM aliaport_inspect(%s, options => %s)",
            [str(self.path), json.dumps(self.options)]).fetchall()

    def follow(self, finding):
        """Does what a suggestion says first: runs it, or keeps the argument that it names for the import."""
        _, code, table, _, _, suggestion = finding
        tool, *lines = suggestion.split("\n")
        statement = "\n".join(line for line in lines if not line.startswith("--")).strip()
        if tool == "-- sqlite" and statement and not statement.startswith("SELECT"):
            db = sqlite3.connect(self.path)
            db.executescript(suggestion)
            db.close()
        elif tool == "-- postgresql" and statement:
            self.connection.execute(suggestion)
        elif options := re.search(r"options => E?'((?:[^']|'')*)'", suggestion):
            merge(self.options, json.loads(options[1].replace("''", "'")))
        elif code == "too_many_columns":
            # In prose: which of its columns could be spared is not known, so the table is left out.
            merge(self.options, {"exclude": [table]})
        elif not any(f"{word} => '" in suggestion for word in self.arguments):
            self.decide(suggestion)

    def decide(self, advice):
        """Takes the first policy that an advice names."""
        word = re.search(r"(on_error|orphans) => '(\w+)'", advice)
        assert word and word[1] not in self.arguments, f"nothing to do in: {advice}"
        self.arguments[word[1]] = word[2]

    def call(self, function, **more):
        arguments = self.arguments | {"options": json.dumps(self.options)} | more
        named = "".join(f", {name} => %s" for name in arguments)
        return self.connection.execute(f"SELECT * FROM {function}(%s{named})", [str(self.path), *arguments.values()])


def merge(into, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        elif isinstance(value, list):
            into[key] = into.get(key, []) + [v for v in value if v not in into.get(key, [])]
        else:
            into[key] = value


def test_the_dirty_sample_gets_in(connection, files):
    path = files / "aliaport.db"
    subprocess.run([sys.executable, TESTS / "sample" / "make_sample.py", path, "--rows", "500", "--dirty"], check=True)
    path.chmod(0o644)
    reader = Reader(connection, path)
    findings = reader.look()
    assert {code for _, code, *_ in findings} >= KINDS
    # One after the other, as a person does; what an earlier step has settled is not there any more.
    followed = set()
    while errors := [f for f in findings if f[0] == "error" and f[1:5] not in followed]:
        followed.add(errors[0][1:5])
        assert errors[0][5], f"no suggestion: {errors[0]}"
        reader.follow(errors[0])
        findings = reader.look()
    # What would stop the import still is what falls with other rows; its HINT says what to do.
    rehearsed = reader.call("aliaport_import", dry_run=True).fetchall()
    while failed := [row for row in rehearsed if row[10] == "failed"]:
        reader.decide(failed[0][11]["error"]["hint"])
        rehearsed = reader.call("aliaport_import", dry_run=True).fetchall()
    rows = reader.call("aliaport_import").fetchall()
    assert [row[:9] for row in rows] == [row[:9] for row in rehearsed]
    assert all(row[7] for row in rows) and sum(row[3] + row[4] for row in rows) == sum(row[2] for row in rows) > 1000
    # What is left out stands in the history, and every value that is there is the source's.
    assert connection.execute("SELECT count(*) FROM aliaport.rejected_row JOIN aliaport.run USING (run_id) WHERE NOT dry_run").fetchone()[0] == sum(row[4] for row in rows)
    wrong = connection.execute("SELECT * FROM aliaport_validate(%s, options => %s) WHERE NOT ok AND check_name IN ('rows', 'content')",
                               [str(path), json.dumps(reader.options)]).fetchall()
    assert wrong == []
