"""What a SQLite file declares, and so what PostgreSQL should have: by SQLite's own PRAGMAs and a few rules written a second time here.

What PRAGMAs do not tell (checks, predicates, terms of expression indexes) is cut out of the CREATE statements as text. All expressions
of a source that this module is used on are valid in both databases, so PostgreSQL itself says how it would print them.
"""

import re
import sqlite3

TYPES = {
    "INTEGER": "bigint", "SMALLINT": "smallint", "REAL": "double precision", "NUMERIC": "numeric", "BOOLEAN": "boolean", "TEXT": "text",
    "NTEXT": "text", "VARCHAR": "character varying", "NVARCHAR": "character varying", "NCHAR": "character varying", "BLOB": "bytea",
    "IMAGE": "bytea", "DATE": "date", "TIME": "time without time zone", "DATETIME": "timestamp with time zone", "JSON": "jsonb",
}
OPENING = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|\[[^]]*\]|[()]")


def type_of(declared):
    name, arguments = re.fullmatch(r"(\w+)\s*(\(.*\))?", declared).groups()
    return TYPES[name.upper()] + (arguments or "").replace(" ", "")


def bracketed(text, at):
    """The text inside the parenthesis that opens at this position."""
    depth = 0
    for found in OPENING.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return text[at + 1 : found.start()].strip()
    raise ValueError(text)


def checks(sql):
    return sorted(bracketed(sql, found.end() - 1) for found in re.finditer(r"\bCHECK\s*\(", sql))


def declared_names(sql):
    return {a or b for a, b in re.findall(r'CONSTRAINT (?:"([^"]+)"|\[([^]]+)\])', sql)}


class Source:
    """`tables` maps a name to what is expected of it, in the form in which catalog.py reads it."""

    def __init__(self, path):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.tables = {}
        for _, name, kind, _, without_rowid, _ in self.db.execute("PRAGMA main.table_list").fetchall():
            if kind == "table" and not name.startswith("sqlite_"):
                self.tables[name] = self.table(name, without_rowid)
        self.db.close()

    def pragma(self, what, name):
        return self.db.execute(f"SELECT * FROM pragma_{what}(?)", (name,)).fetchall()

    def table(self, name, without_rowid):
        sql = self.db.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)).fetchone()[0]
        rows = self.pragma("table_info", name)
        key = [row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5]]
        is_identity = len(key) == 1 and not without_rowid and any(r[1] == key[0] and r[2].upper() == "INTEGER" for r in rows)
        uniques, indexes = self.keys(name)
        return {
            "columns": [(column, type_of(declared), bool(not_null or column in key), is_identity and column in key)
                        for _, column, declared, not_null, _, _ in rows],
            "defaults": {row[1]: self.db.execute(f"SELECT {row[4]}").fetchone()[0] for row in rows if row[4] is not None},
            "primary key": key,
            "uniques": uniques,
            "indexes": indexes,
            "checks": checks(sql),
            "foreign keys": self.foreign_keys(name),
            "deferred": len(re.findall("DEFERRABLE INITIALLY DEFERRED", sql)),
            "names": declared_names(sql),
        }

    def keys(self, table):
        """Unique constraints as a list of column lists; indexes by name (a unique constraint that folds case is one, without a name)."""
        uniques, indexes = [], {}
        for _, name, is_unique, origin, is_partial in self.pragma("index_list", table):
            if origin == "pk":
                continue
            terms = [(column, bool(descending), collation == "NOCASE")
                     for _, _, column, descending, collation, is_key in self.pragma("index_xinfo", name) if is_key]
            if origin == "u" and not any(folds for _, _, folds in terms):
                uniques.append([column for column, _, _ in terms])
                continue
            sql = self.db.execute("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?", (name,)).fetchone()
            sql = sql[0] if sql and sql[0] else ""
            text = [f'"{column}"' if column else bracketed(sql, sql.index("(")) for column, _, _ in terms]
            text = [f'lower({t} COLLATE "C")' if folds else t for t, (_, _, folds) in zip(text, terms)]
            predicate = sql[sql.rindex(" WHERE ") + 7 :] if is_partial else None
            indexes[name if origin == "c" else ""] = (bool(is_unique), text, [d for _, d, _ in terms], predicate)
        return sorted(uniques), indexes

    def foreign_keys(self, table):
        found = {}
        for number, _, parent, column, parent_column, on_update, on_delete, _ in self.pragma("foreign_key_list", table):
            key = found.setdefault(number, ([], parent, [], on_update, on_delete))
            key[0].append(column)
            # Without a name it is the parent's primary key.
            key[2].append(parent_column or [r[1] for r in self.pragma("table_info", parent) if r[5] == len(key[0])][0])
        return sorted(found.values())
