"""Databases whose applications have left something wrong in every place that a seed finds, and tables that are there already for them."""

import sqlite3

NOT_UTF8 = "CAST(x'61ff' AS TEXT)"

# Of each declared type: what belongs there, and what does not, as SQL.
VALUES = {
    "BOOLEAN": (["0", "1"], ["2", "'maybe'", "''", "x'01'", "x'00'", "-1"]),
    "DATE": (["'2024-01-01'", "'1999-12-31'"], ["'2024-13-45'", "''", "20241231", "1700000000", "'2024-01-01 10:00:00'", "x'00'"]),
    "DATETIME": (["'2024-01-01 10:00:00'"], ["'never'", "''", "1700000000123", "86400000", "1700000000.25", "'2024-01-01 10:00:00.1234567'", "1e300"]),
    "VARCHAR(3)": (["'abc'", "'x'"], ["'abcdef'", "''", "x'6162'", "x'ff'", "'a' || char(0) || 'b'", "1234", NOT_UTF8]),
    "TEXT": (["'a'", "'bb'", "''"], ["x'6b6f72'", "x'ff00'", "'a' || char(0) || 'b' || char(0) || char(0)", NOT_UTF8]),
    "CHAR(4)": (["'abcd'", "'ab'"], ["'ab    '", "'abcdef'", "x'61'"]),
    "SMALLINT": (["1", "-5"], ["40000", "'abc'", "''", "3.7", "1e300", "x'31'"]),
    "INTEGER": (["1", "1000000"], ["'abc'", "''", "3.7", "x'01'", "9223372036854775807"]),
    "NUMERIC(6,2)": (["1.5", "12"], ["1.005", "123456.5", "'abc'", "''", "'12,50'"]),
    "REAL": (["1.5", "2"], ["'abc'", "''", "x'31'"]),
    "JSON": (["'{\"a\": 1}'", "'[1]'"], ["'{'", "''", "'{\"a\": 1, \"a\": 2}'", "x'00ff'", "'\"\\u0000\"'"]),
    "UUID": (["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], ["'nobody'", "''", "x'00'", "x'00112233445566778899aabbccddeeff'"]),
    "BLOB": (["x'00ff'", "x''"], ["'text'", "12", "1.5"]),
    "STRING": (["'a'", "'b'"], ["x'31'", "''"]),
}

# Types of columns that are there already, by what the source declares.
THERE = {
    "BOOLEAN": ["boolean", "smallint"], "DATE": ["date", "timestamp"], "DATETIME": ["timestamptz", "timestamp(0)", "date"],
    "VARCHAR(3)": ["varchar(3)", "varchar(2)", "text"], "TEXT": ["text", "varchar(2)"], "CHAR(4)": ["char(4)", "text"],
    "SMALLINT": ["smallint", "boolean"], "INTEGER": ["bigint", "integer", "smallint"], "NUMERIC(6,2)": ["numeric(6,2)", "integer", "real"],
    "REAL": ["double precision", "real", "numeric(4,1)"], "JSON": ["jsonb", "json", "text"], "UUID": ["uuid", "text"],
    "BLOB": ["bytea", "text"], "STRING": ["text"],
}


def make(rng, path):
    """Writes a source; gives its tables as {name: [(column, declared type, referenced table)]}."""
    tables, script = {}, ["PRAGMA foreign_keys = off"]
    for number in range(rng.randint(1, 3)):
        name = f"t{number}"
        kind = rng.choice(["rowid", "rowid", "rowid", "text", "none", "without"])
        columns, definitions = [], []
        if kind in ("text", "without"):
            columns.append(("id", "TEXT", None))
            definitions.append("id TEXT PRIMARY KEY")
        elif kind == "rowid":
            columns.append(("id", "INTEGER PRIMARY KEY", None))
            definitions.append("id INTEGER PRIMARY KEY")
        for c in range(rng.randint(2, 6)):
            declared = rng.choice(list(VALUES))
            columns.append((f"c{c}", declared, None))
            unique = rng.choice(["", "", "", "", " UNIQUE", " COLLATE NOCASE"]) if declared in ("TEXT", "DATE", "INTEGER") else ""
            definitions.append(f"c{c} {declared}{unique}")
        parents = [(p, has) for p, has in tables.items() if any(c[1] == "INTEGER PRIMARY KEY" for c in has)]
        if parents and rng.random() < 0.8:
            parent, _ = rng.choice(parents)
            columns.append(("parent_id", "INTEGER", parent))
            definitions.append(f"parent_id INTEGER{rng.choice(['', ' NOT NULL'])} REFERENCES {parent} (id)")
        if kind == "rowid" and rng.random() < 0.3:
            columns.append(("previous_id", "INTEGER", name))
            definitions.append(f"previous_id INTEGER REFERENCES {name} (id)")
        tables[name] = columns
        script.append(f"CREATE TABLE {name} ({', '.join(definitions)}){' WITHOUT ROWID' if kind == 'without' else ''}")
        if rng.random() < 0.1:
            script.append(f"CREATE TRIGGER touch_{name} AFTER UPDATE ON {name} BEGIN UPDATE {name} SET {columns[-1][0]} = NULL; END")
        dirt = rng.choice([0.0, 0.03, 0.1])
        for row in range(rng.randint(0, 12)):
            values = []
            for column, declared, parent in columns:
                if declared == "INTEGER PRIMARY KEY":
                    values.append(str(row + 1))
                elif column == "id":
                    values.append("NULL" if kind == "text" and rng.random() < dirt else f"'k{row}'")
                elif parent:
                    values.append(rng.choice(["1", "2"]) if rng.random() > 0.2 else rng.choice(["99", "NULL", "'x'"] if "NOT NULL" not in definitions[-1] else ["99"]))
                else:
                    good, bad = VALUES[declared]
                    values.append(rng.choice(bad) if rng.random() < dirt else rng.choice([*good, "NULL"]))
            script.append(f"INSERT OR IGNORE INTO {name} VALUES ({', '.join(values)})")
    with sqlite3.connect(path) as db:
        for statement in script:
            db.execute(statement)
    db.close()
    path.chmod(0o644)
    return tables


def there(rng, tables):
    """Statements that make some of the tables in PostgreSQL, stricter or otherwise than the source has them."""
    out = []
    made = set()
    for name, columns in tables.items():
        if rng.random() < 0.3:
            continue
        definitions = []
        for column, declared, parent in columns:
            if declared == "INTEGER PRIMARY KEY":
                definitions.append(f"{column} {rng.choice(['bigint', 'integer'])} PRIMARY KEY")
                continue
            of_type = rng.choice(THERE.get(declared, ["bigint"]))
            extra = rng.choice(["", "", "", "", " NOT NULL", " UNIQUE", " CHECK ({c}::text <> '1')"]).format(c=column)
            if of_type in ("json", "jsonb") and "UNIQUE" in extra and of_type == "json":
                extra = ""
            if parent and parent in made and rng.random() < 0.5:
                of_type, extra = "bigint", f"{' NOT NULL' if 'NOT NULL' in extra else ''} REFERENCES {parent} (id)"
            definitions.append(f"{column} {'bigint' if parent else of_type}{extra}")
        out.append(f"CREATE TABLE {name} ({', '.join(definitions)})")
        made.add(name)
    return out
