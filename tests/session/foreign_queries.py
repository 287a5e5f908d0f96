"""Makes SQLite tables of all kinds and queries over them, and asks each query of the foreign table and of its copy in PostgreSQL.

    foreign_queries.py --pg-config ... [--queries 10000] [--seed 1] [--locale C.UTF-8 | tr_TR.UTF-8 | icu:tr]

A database of the generator is known by its seed, a query by its number in it; both are printed with each difference.
"""

import collections
import pathlib
import random
import sqlite3

# What PostgreSQL makes of a column, by families whose values are compared with one another.
FAMILY = {"bigint": "integer", "integer": "integer", "smallint": "integer", "double precision": "real", "real": "real",
          "numeric": "numeric", "numeric(10,2)": "numeric", "numeric(6,1)": "numeric", "text": "text", "varchar": "text",
          "varchar(3)": "text", "char(3)": "char", "boolean": "boolean", "date": "date", "timestamp": "timestamp",
          "timestamp(0)": "timestamp", "timestamptz": "timestamptz", "bytea": "bytea", "uuid": "uuid", "jsonb": "jsonb"}

INTEGERS = [0, 1, 2, 3, 5, 5, 7, -1, 10, 42, 100, 32767, -32768, 2**31 - 1, -(2**31), 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
REALS = [0.0, -0.0, 1.0, 1.5, -1.5, 0.1, 0.2, 5.0, 2.675, 19.99, 1e15, 9007199254740992.0, 1e308, 5e-324, float("inf"), float("-inf")]
TEXTS = ["", " ", "a", "A", "b", "abc", "ABC", "abd", "Abc", "ab", "ab ", "ab  ", "ç", "Ç", "ı", "i", "I", "İ", "izmir", "ısırgan", "zeytin",
         "Elma", "elma", "çilek", "d", "5", "10", "100%", "100x", "a_b", "a\\b", "€", "\U0001f600", "\uffff", "\ud7ff", "\ue000", "1e3", "nan", "\x01"]
INSTANTS = ["2024-01-05 10:00:00", "2024-01-05 00:00:00", "2024-01-06 00:00:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00", "1970-01-01 00:00:00",
            "0001-01-01 00:00:00", "9999-12-31 23:59:59", "2024-01-05 12:00:01", "2024-01-05 10:00:00"]
ODD_INSTANTS = ["2024-01-05T10:00:00", "2024-01-05 10:00:00.5", "2024-01-05 10:00", "2024-01-05", " 2024-01-05 10:00:00", "2024-1-5 10:00:00",
                "2024-01-05 10:00:00Z", "2024-01-05 12:00:00+02:00", "2024-01-05 24:00:00", "infinity", "-infinity", "10000-01-01 00:00:00",
                "0044-03-15 12:00:00 BC", 1704448800, 1704448800000, 2460314.9166666665, 0, "", "x", b"2024-01-05"]
FORMS = ["{d} {t}", "{d}T{t}", "{d} {t}.000", "{d} {t}.123456", "{d}T{t}.500000", "{d}T{t}Z", "{d} {t}+00:00", "{d} {t}+00", "{d} {m}", "{d}"]
BYTES = [b"", b"\0", b"abc", b"ab", b"\xff", b"\xff\xff", b"5"]
NAN_LIKE = ["NaN", "nan", " NaN", "Infinity", "-inf", "inf"]

# Declared types of SQLite that fit, and some that do not.
DECLARED = {
    "integer": ["INTEGER", "BIGINT", "INT", "", "NUMERIC", "REAL", "TEXT", "BLOB"],
    "real": ["REAL", "DOUBLE", "", "NUMERIC", "INTEGER", "TEXT"],
    "numeric": ["NUMERIC(10,2)", "DECIMAL", "", "REAL", "TEXT", "INTEGER"],
    "text": ["TEXT", "VARCHAR(20)", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM", "", "NUMERIC", "INTEGER", "BLOB"],
    "char": ["CHAR(3)", "TEXT COLLATE NOCASE", ""],
    "boolean": ["BOOLEAN", "INTEGER", "TINYINT(1)", "", "TEXT", "REAL"],
    "date": ["DATE", "TEXT", "", "TEXT COLLATE NOCASE"],
    "timestamp": ["DATETIME", "TEXT", "", "TIMESTAMP", "TEXT COLLATE NOCASE"],
    "timestamptz": ["DATETIME", "TEXT", "", "TIMESTAMP"],
    "bytea": ["BLOB", "", "TEXT"],
    "uuid": ["UUID", "TEXT", "BLOB"],
    "jsonb": ["JSON", "TEXT"],
}
# Of which families no value leads to an error where it is compared, by `<` and by min and max.
ORDERED = ["integer", "real", "numeric", "text", "char", "date", "timestamp", "timestamptz", "bytea"]

Column = collections.namedtuple("Column", "name declared pg_type family values")
Table = collections.namedtuple("Table", "name columns has_rowid")


def literal(value):
    """A value in SQL, for both systems."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    return "'" + str(value).replace("'", "''") + "'"


def fits(value, pg_type):
    """Whether a value of those that are no mistakes can be stored in a type."""
    if pg_type in ("smallint", "integer"):
        return abs(value) < 2 ** (15 if pg_type == "smallint" else 31)
    if pg_type in ("numeric(6,1)", "real"):
        return abs(value) < 99999 and (value == 0 or abs(value) > 1e-30)
    return len(value) <= 3 if pg_type in ("varchar(3)", "char(3)") else True


class Generator:
    """One database and its queries."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.on_error = self.random.choice(["abort", "abort", "null", "null", "reject"])
        self.zone = self.random.choice(["UTC", "UTC", "Europe/Istanbul", "America/New_York", "Europe/Berlin"])
        self.encoding = self.random.choice(["UTF-8"] * 5 + ["UTF-16le", "UTF-16be"])
        self.tables = [self.table(f"t{i}") for i in range(2)]

    # Tables

    def stored(self, family):
        """The values that a column draws from, which may all be of one kind."""
        pick = self.random
        is_clean = self.on_error == "abort" or pick.random() < 0.6
        if family == "integer":
            clean = pick.choice([INTEGERS, INTEGERS[:11], [0, 1], [5]])
            return clean if is_clean else [*clean, 1.0, 5.0, 3.7, "5", " 5 ", "+5", "5.0", "abc", "", b"5", 1e300, 7, *NAN_LIKE]
        if family == "real":
            return REALS if is_clean else [*REALS, 5, 2**53 + 1, 2**53 - 1, "1.5", " 1.5", "", "x", b"1.5", "5", *NAN_LIKE]
        if family == "numeric":
            clean = [0, 5, 1.5, 19.99, 0.1, 2.675, 100, -3.25, 12345678.91, 0.3]
            return clean if is_clean else [*clean, "19.990", "12345678901234567890.12", "1e3", "", "x", b"1", 2**63 - 1, 1e300, *NAN_LIKE, 0.005, 0.015, 19.994]
        if family in ("text", "char"):
            clean = pick.choice([TEXTS, TEXTS[:12], ["a", "b", "open", "closed"]])
            return clean if is_clean else [*clean, 5, 10, 1.5, 1e300, b"abc", b"", "a\0b", -1]
        if family == "boolean":
            return [0, 1] if is_clean else [0, 1, "t", "false", "TRUE", "x", 2, 1.0, 0.0, b"", "1", " no "]
        if family == "date":
            clean = [i[:10] for i in INSTANTS]
            return clean if is_clean else [*clean, *ODD_INSTANTS]
        if family in ("timestamp", "timestamptz"):
            form = pick.choice(FORMS)
            clean = [form.format(d=i[:10], t=i[11:], m=i[11:16]) for i in INSTANTS]
            return clean if is_clean else [*clean, *INSTANTS, *pick.sample(ODD_INSTANTS, 6)]
        if family == "bytea":
            return BYTES if is_clean else [*BYTES, "abc", "", "\\x61", 5]
        if family == "uuid":
            return ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC999C0B4EF8BB6D6BB9BD380A11", b"0123456789abcdef", *([] if is_clean else ["x", 5])]
        return ['{"a": 1}', '{"a": 2, "b": [1, 2]}', "[]", *([] if is_clean else ["{", 5, b"{}"])]

    def table(self, name):
        pick = self.random
        columns = []
        for i in range(pick.randint(4, 9)):
            pg_type = pick.choice(list(FAMILY) + ["bigint", "text", "text", "timestamp", "double precision", "boolean"])
            family = FAMILY[pg_type]
            is_usual = self.on_error == "abort" or pick.random() < 0.6
            declared = DECLARED[family][0] if is_usual else pick.choice(DECLARED[family])
            values = self.stored(family)
            if self.on_error == "abort":
                values = [v for v in values if fits(v, pg_type)] or [None]
            columns.append(Column(f"c{i}" if pick.random() < 0.9 else f'C "{i}', declared, pg_type, family, values))
        return Table(name, columns, pick.random() < 0.85)

    def make_source(self, path):
        """Writes the SQLite file."""
        pick = self.random
        pathlib.Path(path).unlink(missing_ok=True)
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA encoding = '{self.encoding}'")
        for table in self.tables:
            quoted = ['"' + c.name.replace('"', '""') + '"' for c in table.columns]
            definitions = ", ".join(f"{q} {c.declared}" for q, c in zip(quoted, table.columns))
            db.execute(f"CREATE TABLE {table.name} (id INTEGER PRIMARY KEY NOT NULL, {definitions}){'' if table.has_rowid else ' WITHOUT ROWID'}")
            rows = pick.choice([0, 1, 12, 40, 40, 90])
            share = pick.choice([0, 0.1, 0.3])
            for i in range(1, rows + 1):
                values = [None if pick.random() < share else pick.choice(c.values) for c in table.columns]
                # sqlite3 takes no text with half a surrogate, and no other text that is none: a cast makes one.
                marks = ["CAST(x'ff61' AS TEXT)" if c.family == "text" and b"abc" in c.values and self.encoding == "UTF-8" and pick.random() < 0.03 else "?"
                         for c in table.columns]
                arguments = [i, *(v for v, mark in zip(values, marks) if mark == "?")]
                db.execute(f"INSERT INTO {table.name} VALUES (?, {', '.join(marks)})", arguments)
            for i, q in enumerate(quoted):
                if pick.random() < 0.4:
                    more = f", {pick.choice(quoted)}" if pick.random() < 0.3 else ""
                    db.execute(f"CREATE INDEX {table.name}_{i} ON {table.name} ({q}{pick.choice(['', ' DESC'])}{more})")
            if pick.random() < 0.3:
                db.execute("ANALYZE")
        db.commit()
        db.close()

    def statements(self, path):
        """What makes the foreign tables in schema f and their copies in schema h."""
        yield "DROP SERVER IF EXISTS generated CASCADE"
        yield "DROP SCHEMA IF EXISTS f CASCADE"
        yield "DROP SCHEMA IF EXISTS h CASCADE"
        yield "CREATE SCHEMA f"
        yield "CREATE SCHEMA h"
        yield f"CREATE SERVER generated FOREIGN DATA WRAPPER aliaport_fdw OPTIONS (path {literal(path)}, timezone '{self.zone}')"
        for table in self.tables:
            columns = ", ".join([f"{self.sql(c)} {c.pg_type} OPTIONS (column_name {literal(c.name)})" for c in table.columns])
            # The word of the option that leaves the row out is skip; the import's word is reject.
            action = "skip" if self.on_error == "reject" else self.on_error
            yield (f"CREATE FOREIGN TABLE f.{table.name} (id bigint, {columns}) SERVER generated "
                   f"OPTIONS (table_name '{table.name}', on_error '{action}')")
            yield f"CREATE TABLE h.{table.name} AS SELECT * FROM f.{table.name}"
            yield f"ANALYZE h.{table.name}"
        if self.random.random() < 0.75:
            yield from (f"ANALYZE f.{table.name}" for table in self.tables)

    def sql(self, column, alias=None):
        quoted = '"' + column.name.replace('"', '""') + '"'
        return f"{alias}.{quoted}" if alias else quoted

    # Conditions

    def constant(self, family, exact_type=None):
        """A constant of a family, mostly one of those that are stored."""
        pick = self.random
        if pick.random() < 0.03:
            return "NULL::" + {"integer": "bigint", "real": "float8", "char": "char(3)"}.get(family, family)
        if family == "integer":
            v = pick.choice(INTEGERS + [4, 6])
            size = "smallint" if -(2**15) <= v < 2**15 else "integer" if -(2**31) <= v < 2**31 else "bigint"
            return f"'{v}'::{exact_type or pick.choice([size, 'bigint'])}"
        if family == "real":
            kind = exact_type or pick.choice(["float8", "float8", "float4"])
            v = pick.choice([0, 1.5, -1.5, 0.1, 5, 1e15] if kind == "float4" else [*REALS, "NaN", 2**53 + 2, 4.9])
            return f"'{v}'::{kind}"
        if family == "numeric":
            return f"'{pick.choice([0, 5, 1.5, 19.99, 0.1, 2.675, 2.68, 100, 'NaN', 'Infinity', 1000, 0.01, '12345678901234567890.12', 9223372036854775807])}'::numeric"
        if family in ("text", "char"):
            text = literal(pick.choice([*TEXTS, "abc\U0010ffff", "zz"]))
            return f"{text}::{exact_type or 'text'}"
        if family == "boolean":
            return pick.choice(["true", "false"])
        if family == "date":
            return f"'{pick.choice(INSTANTS)[:10]}'::date" if pick.random() < 0.9 else f"'{pick.choice(['infinity', '-infinity', '10000-01-01', '0044-03-15 BC'])}'::date"
        if family in ("timestamp", "timestamptz"):
            v = pick.choice([*INSTANTS, "2024-01-05 10:00:00.5", "2024-01-05 10:00:00.123456", "2024-01-05 09:59:59.999999", "infinity", "-infinity",
                             "10000-01-01 00:00:00", "0044-03-15 12:00:00 BC"])
            return f"'{v}'::{family}"
        if family == "bytea":
            return literal(pick.choice(BYTES))
        if family == "uuid":
            return "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"
        return """'{"a": 1}'::jsonb"""

    def array(self, family):
        kind = {"integer": "bigint", "real": "float8", "char": "text"}.get(family, family)
        elements = [self.constant(family, kind if family in ("integer", "real", "text", "char") else None) for _ in range(self.random.randint(0, 4))]
        if self.random.random() < 0.03:
            return f"NULL::{kind}[]"
        return f"ARRAY[{', '.join(elements)}]::{kind}[]"

    def atom(self, column, alias=None, constant=None):
        """A condition on one column."""
        pick = self.random
        c, family = self.sql(column, alias), column.family
        constant = constant or self.constant
        choices = ["null", "compare", "compare", "compare"]
        if family in ORDERED:
            choices += ["order", "order", "between"]
        if family in ("text", "char"):
            choices += ["like", "like"]
        if family == "boolean":
            choices += ["boolean"] * 4
        if family != "jsonb":
            choices += ["list", "list"]
        kind = pick.choice(choices)
        if kind == "null":
            return f"{c} IS {pick.choice(['', 'NOT '])}NULL"
        if kind == "compare":
            sign = pick.choice(["=", "=", "=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"])
            return f"{c} {sign} {constant(family)}" if pick.random() < 0.8 else f"{constant(family)} {sign} {c}"
        if kind == "order":
            sign = pick.choice(["<", "<=", ">", ">="])
            collation = ' COLLATE "C"' if family == "text" and pick.random() < 0.3 else ""
            other = {"date": "timestamp", "timestamp": "date", "integer": "numeric", "timestamptz": "date"}.get(family) if pick.random() < 0.1 else None
            value = self.constant(other) if other else constant(family)
            return f"{c}{collation} {sign} {value}" if pick.random() < 0.8 else f"{value} {sign} {c}{collation}"
        if kind == "between":
            return f"{c} {pick.choice(['', 'NOT '])}BETWEEN {constant(family)} AND {constant(family)}"
        if kind == "like":
            pattern = literal(pick.choice(["abc%", "ab%", "a%", "%b%", "%", "", "a_b", "ab\\_%", "a\\\\%", "Ç%", "ı%", "\ud7ff%", "\U0001f600%", "abc", "A%", "_", "100\\%", "5%"]))
            return f"{c} {pick.choice(['LIKE', 'LIKE', 'NOT LIKE', 'ILIKE'])} {pattern}"
        if kind == "boolean":
            return pick.choice(["{}", "NOT {}", "{} IS TRUE", "{} IS NOT TRUE", "{} IS FALSE", "{} IS NOT FALSE", "{} IS UNKNOWN", "{} = true", "{} <> false",
                                "NOT ({} IS TRUE)", "coalesce({}, false)"]).format(c)
        if pick.random() < 0.5 or constant != self.constant:
            elements = ", ".join(constant(family) for _ in range(pick.randint(1, 3)))
            return f"{c} {pick.choice(['', '', 'NOT '])}IN ({elements})"
        return f"{c} {pick.choice(['= ANY', '= ANY', '<> ALL', '= ALL', '<> ANY', '< ANY'] if family in ORDERED else ['= ANY', '<> ALL'])} ({self.array(family)})"

    def condition(self, table, alias=None, constant=None, depth=2):
        pick = self.random
        if depth == 0 or pick.random() < 0.5:
            if pick.random() < 0.12:
                id = f"{alias}.id" if alias else "id"
                return pick.choice([f"{id} = {pick.randint(0, 50)}", f"{id} < {pick.randint(0, 50)}::smallint", f"{id} = ANY ('{{1,3,5,40}}')", f"{id} BETWEEN 3 AND 9",
                                    f"{id} % 2 = 0", f"{id} > 5.5", f"{id} IN (1, 2, 9223372036854775807)"])
            return self.atom(pick.choice(table.columns), alias, constant)
        inner = [self.condition(table, alias, constant, depth - 1) for _ in range(2)]
        return pick.choice(["({} AND {})", "({} AND {})", "({} OR {})", "NOT ({} AND {})", "NOT ({} OR {})"]).format(*inner)

    def where(self, table, alias=None, constant=None):
        return "" if self.random.random() < 0.15 else f" WHERE {self.condition(table, alias, constant)}"

    # Queries

    def aggregates(self, table, alias=None):
        pick = self.random
        found = []
        for _ in range(pick.randint(1, 3)):
            column = pick.choice(table.columns)
            c = self.sql(column, alias)
            choices = ["count(*)", f"count({c})"]
            if column.family != "jsonb" and column.family != "char":
                choices.append(f"count(DISTINCT {c})")
            if column.family in ORDERED and column.family not in ("bytea", "uuid"):
                choices += [f"min({c})", f"max({c})"]
            if column.family == "text":
                choices.append(f'max({c} COLLATE "C")')
            if column.family == "integer":
                choices += [f"sum({c})", f"sum({c})", f"avg({c})", f"count(*) FILTER (WHERE {c} > 3)"]
            if column.family == "numeric":
                choices += [f"sum({c})"]
            if column.family == "boolean":
                choices += [f"bool_and({c})", f"bool_or({c})"]
            found.append(pick.choice(choices))
        return found

    def query(self, constant=None):
        """SQL, and by how many leading columns its rows are ordered; None where not all rows are asked for."""
        pick = self.random
        table, other = pick.sample(self.tables, 2)
        kind = pick.choice(["plain", "plain", "order", "order", "aggregate", "aggregate", "group", "group", "distinct", "join", "join", "semi", "limit", "union",
                            "window", "scalar"])
        columns = pick.sample(table.columns, pick.randint(1, min(3, len(table.columns))))
        # There is no order of json.
        sortable = [c for c in columns if c.family != "jsonb"] or [Column("id", "", "bigint", "integer", [])]
        names = ", ".join(self.sql(c) for c in columns)
        if kind == "plain":
            return f"SELECT {pick.choice(['id, ', '', '*, '])}{names} FROM {table.name}{self.where(table, None, constant)}", 0
        if kind == "order":
            keys = ", ".join(self.sql(c) for c in sortable)
            collation = {c.name: ' COLLATE "C"' if c.family == "text" and pick.random() < 0.3 else "" for c in sortable}
            order = ", ".join(f"{self.sql(c)}{collation[c.name]}{pick.choice(['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}" for c in sortable)
            if pick.random() < 0.5:
                return f"SELECT {keys}, id, {names} FROM {table.name}{self.where(table, None, constant)} ORDER BY {order}", len(sortable)
            limit = pick.choice([f"LIMIT {pick.randint(0, 8)}", f"LIMIT {pick.randint(1, 8)} OFFSET {pick.randint(0, 5)}", f"OFFSET {pick.randint(0, 30)}"])
            return f"SELECT {keys} FROM {table.name}{self.where(table, None, constant)} ORDER BY {order} {limit}", len(sortable)
        if kind == "aggregate":
            return f"SELECT {', '.join(self.aggregates(table))} FROM {table.name}{self.where(table, None, constant)}", 0
        if kind == "group":
            keys = ", ".join(self.sql(c) for c in columns if c.family != "char") or "id"
            having = pick.choice(["", "", " HAVING count(*) > 1"])
            order = pick.choice(["", f" ORDER BY {', '.join(str(i + 1) for i in range(len(keys.split(', '))))}"])
            return (f"SELECT {keys}, {', '.join(self.aggregates(table))} FROM {table.name}{self.where(table, None, constant)} GROUP BY {keys}{having}{order}",
                    len(keys.split(", ")) if order else 0)
        if kind == "distinct":
            # The blanks that char(n) is filled up with are not compared.
            return f"SELECT DISTINCT {names} FROM {table.name}{self.where(table, None, constant)}", 0
        if kind in ("join", "semi"):
            pairs = [(a, b) for a in table.columns for b in other.columns if a.family == b.family and a.family != "jsonb"]
            id = Column("id", "", "bigint", "integer", [])
            pairs += [(id, b) for b in other.columns if b.family == "integer"] + [(a, id) for a in table.columns if a.family == "integer"] + [(id, id)]
            a, b = pick.choice(pairs)
            on = f"{self.sql(a, 'a')} {pick.choice(['=', '=', '=', '<' if a.family in ORDERED else '='])} {self.sql(b, 'b')}"
            if kind == "join":
                joined = pick.choice(["JOIN", "JOIN", "LEFT JOIN"])
                selected = pick.choice(["count(*)", f"a.id, b.id, {self.sql(a, 'a')}"])
                return f"SELECT {selected} FROM {table.name} a {joined} {other.name} b ON {on}{self.where(table, 'a', constant)}", 0
            if pick.random() < 0.5:
                return f"SELECT a.id FROM {table.name} a WHERE {pick.choice(['', 'NOT '])}EXISTS (SELECT FROM {other.name} b WHERE {on} AND {self.condition(other, 'b')})", 0
            return f"SELECT a.id FROM {table.name} a WHERE {self.sql(a, 'a')} {pick.choice(['', 'NOT '])}IN (SELECT {self.sql(b, 'b')} FROM {other.name} b{self.where(other, 'b')})", 0
        if kind == "limit":
            return f"SELECT count(*) FROM (SELECT {names} FROM {table.name}{self.where(table, None, constant)} LIMIT {pick.randint(0, 20)}) s", 0
        if kind == "union":
            word = pick.choice(["UNION ALL", "UNION", "INTERSECT", "EXCEPT"])
            return f"SELECT {names} FROM {table.name}{self.where(table)} {word} SELECT {names} FROM {table.name}{self.where(table)}", 0
        if kind == "window":
            return f"SELECT id, row_number() OVER (ORDER BY {self.sql(sortable[0])}, id) FROM {table.name}{self.where(table, None, constant)}", 0
        a = f"SELECT id, (SELECT {self.aggregates(other, 'b')[0]} FROM {other.name} b WHERE b.id {pick.choice(['=', '<='])} a.id) FROM {table.name} a"
        return a + self.where(table, "a", constant), 0

    def prepared(self):
        """A statement with parameters, its types, and values to execute it with."""
        types, values = [], []

        def constant(family, exact_type=None):
            if self.random.random() < 0.4:
                return self.constant(family, exact_type)
            types.append({"integer": "bigint", "real": "float8", "char": "text"}.get(family, family))
            # NULL and every value of the family.
            values.append([self.constant(family, types[-1] if family in ("integer", "real", "text", "char") else None) for _ in range(7)])
            return f"${len(types)}"

        sql, ordered = self.query(constant)
        return sql, ordered, types, list(zip(*values)) if values else [()] * 2


SETTINGS = ["enable_hashjoin", "enable_mergejoin", "enable_nestloop", "enable_sort", "enable_hashagg", "enable_material"]


class Comparison:
    """Asks both tables."""

    def __init__(self, connection):
        import psycopg
        from psycopg.types.string import TextLoader

        self.connection, self.error = connection, psycopg.Error
        # DEALLOCATE ALL would take statements away that psycopg has prepared.
        connection.prepare_threshold = None
        # Values are compared as PostgreSQL writes them.
        for oid in (16, 17, 20, 21, 23, 25, 700, 701, 1042, 1043, 1082, 1114, 1184, 1700, 2950, 3802):
            connection.adapters.register_loader(oid, TextLoader)
        self.asked = 0
        self.failed = collections.Counter()

    def ask(self, schema, statements):
        """The rows of each statement, or the SQLSTATE of its error."""
        self.connection.execute(f"SET search_path = {schema}")
        results = []
        for sql in statements:
            try:
                cursor = self.connection.execute(sql)
                # The sign of a zero is not what zeros are grouped, sorted or compared by.
                results.append([tuple("0" if v == "-0" else v for v in row) for row in cursor.fetchall()] if cursor.description else None)
            except self.error as e:
                results.append(e.diag.sqlstate or str(e))
        return results

    def differences(self, statements, ordered):
        """Statements over the foreign tables that give something else than over the copies."""
        for sql, foreign, copied in zip(statements, self.ask("f", statements), self.ask("h", statements)):
            self.asked += foreign is not None
            if isinstance(copied, str):
                # Nothing is said of whether an error of one row is met before another's.
                self.failed[copied] += 1
                if isinstance(foreign, str) and foreign != copied:
                    yield sql, foreign, copied
                continue
            if isinstance(foreign, str):
                yield sql, foreign, copied
            elif foreign is not None:
                keys = [row[:ordered] for row in foreign], [row[:ordered] for row in copied]
                if keys[0] != keys[1] or collections.Counter(foreign) != collections.Counter(copied):
                    yield sql, sorted(foreign, key=str), sorted(copied, key=str)

    def database(self, seed, path, queries):
        """Every difference of one generated database."""
        generator = Generator(seed)
        pick = generator.random
        generator.make_source(path)
        pathlib.Path(path).chmod(0o644)
        for statement in generator.statements(path):
            self.connection.execute(statement)
        for number in range(queries):
            for setting in SETTINGS:
                self.connection.execute(f"SET {setting} = {'on' if pick.random() < 0.75 else 'off'}")
            self.connection.execute(f"SET plan_cache_mode = {pick.choice(['auto', 'force_generic_plan'])}")
            if pick.random() < 0.75:
                sql, ordered = generator.query()
                statements = [sql]
            else:
                sql, ordered, types, values = generator.prepared()
                header = f"PREPARE asked ({', '.join(types)}) AS" if types else "PREPARE asked AS"
                executions = [f"EXECUTE asked ({', '.join(v)})" if v else "EXECUTE asked" for v in values]
                statements = ["DEALLOCATE ALL", f"{header} {sql}", *executions]
            for wrong, foreign, copied in self.differences(statements, ordered):
                yield f"seed {seed}, query {number}: {sql}\n  {wrong}\n  foreign: {foreign}\n  copied:  {copied}"


def create_database(cluster, name, locale):
    """A database of a locale; False where the server does not have it."""
    if locale.startswith("icu:"):
        how = f"LOCALE_PROVIDER icu ICU_LOCALE '{locale[4:]}' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"
    else:
        how = f"LC_COLLATE '{locale}' LC_CTYPE '{locale}'"
    try:
        cluster.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cluster.run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c",
                    f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' {how}", stderr=-3)
    except Exception:
        return False
    cluster.psql("CREATE EXTENSION aliaport_import", name)
    return True


def main():
    import argparse
    import sys

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))
    from cluster import Cluster

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pg-config", required=True)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--locale", action="append")
    parser.add_argument("--stop-after", type=int, default=5, help="differences")
    args = parser.parse_args()
    found = 0
    with Cluster(args.pg_config, {"fsync": "off"}) as cluster:
        for locale in args.locale or ["C.UTF-8", "tr_TR.UTF-8", "icu:tr"]:
            if not create_database(cluster, "generated", locale):
                print(f"{locale}: this server does not have it")
                continue
            with cluster.connect("generated") as connection:
                comparison, seed = Comparison(connection), args.seed
                while comparison.asked < args.queries and found < args.stop_after:
                    for difference in comparison.database(seed, cluster.files / "generated.db", 40):
                        found += 1
                        print(f"{locale}, {difference}\n", flush=True)
                    seed += 1
                print(f"{locale}: {comparison.asked} queries over {seed - args.seed} databases; errors of both: {dict(comparison.failed)}", flush=True)
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
