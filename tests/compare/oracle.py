"""Judges an import: reads every value with sqlite3 and with psycopg, and says of each whether it arrived.

    equal       the target's value means what the source's means (meaning.py has the rules)
    announced   it does not, or its row is missing, and the tool said so: it refused, named the row, or counted the loss
    silent      it does not, or its row is missing, and nobody said so

It uses nothing of the tools it judges. Tables and columns are found by name: the very name, else without regard to case, else by
what a cut or a renamed name leaves of it. Rows are found by their primary key.
"""

import collections
import contextlib
import dataclasses
import re
import sqlite3

import meaning
from torture import CHECKS, DEFERRED

# A silent difference is listed once a column, with its first address.
SHOWN = 40
# Microseconds since 1970; a default before it is not the current time.
LONG_AGO = 50 * 365 * 86_400 * 1_000_000


@dataclasses.dataclass
class Said:
    """What a tool said about its own run."""

    exit: int = 0
    # The run ended early: all that is missing is announced.
    gave_up: bool = False
    # (table, key): this row was set aside; (table, key, column): this value was.
    rows: set = dataclasses.field(default_factory=set)
    values: set = dataclasses.field(default_factory=set)
    # Rows of a table, values of a column, that were counted without an address.
    lost_rows: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    changed: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # Numbers of a column that were read as times: most of them rightly.
    read_as_time: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # Warnings and errors as text.
    messages: list = dataclasses.field(default_factory=list)

    def names(self, *words):
        """Whether one message has all the words, each as a word of its own."""
        patterns = [re.compile(rf"(?<!\w){re.escape(w)}(?!\w)", re.IGNORECASE) for w in words]
        return any(all(p.search(m) for p in patterns) for m in self.messages)


@dataclasses.dataclass
class Verdict:
    """The counts of one database and tool."""

    source_rows: int = 0
    target_rows: int = 0
    values: int = 0
    equal: int = 0
    announced: int = 0
    silent: int = 0
    constraints: int = 0
    kept: int = 0
    lost_announced: int = 0
    lost_silent: int = 0
    # Sentences: where, what it was, what it is.
    differences: list = dataclasses.field(default_factory=list)
    # Kind: the places of constraints that are gone without a word.
    gone: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))


@dataclasses.dataclass
class Column:
    name: str
    declared: str
    required: bool
    default: str | None
    key: int
    generated: bool


@dataclasses.dataclass
class Table:
    name: str
    columns: list
    # Key, as a tuple of texts: (storage class, value) of each column; a text's value is its bytes in the database's encoding.
    rows: dict

    @property
    def key(self):
        return [c.name for c in sorted((c for c in self.columns if c.key), key=lambda c: c.key)]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class Source:
    """The SQLite file."""

    def __init__(self, path):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.encoding = self.db.execute("PRAGMA encoding").fetchone()[0].lower()
        tables = self.db.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'").fetchall()
        names = [name for name, in tables if not name.startswith("sqlite_")]
        self.tables = {name: self.read(name) for name in sorted(names)}

    def read(self, name):
        columns = [Column(n, d, bool(nn), dflt, pk, hidden > 1) for n, d, nn, dflt, pk, hidden in self.db.execute(
            'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1', [name])]
        names = [quoted(c.name) for c in columns]
        picked = ", ".join(f"typeof({n}), CASE typeof({n}) WHEN 'text' THEN CAST({n} AS BLOB) ELSE {n} END" for n in names)
        keys = sorted((c.key, i) for i, c in enumerate(columns) if c.key)
        assert keys, f"{name} has no primary key"
        rows = {}
        for row in self.db.execute(f"SELECT {picked} FROM {quoted(name)}"):
            values = list(zip(row[::2], row[1::2]))
            rows[tuple(self.text(values[i]) for _, i in keys)] = values
        return Table(name, columns, rows)

    def text(self, value):
        kind, value = value
        return value.decode(self.encoding) if kind == "text" else str(value)

    def constraints(self, database):
        """Every (kind, table, columns, more) that PostgreSQL could keep."""
        for table in self.tables.values():
            types = {c.name: c.declared.upper() for c in table.columns}
            yield "primary key", table.name, tuple(table.key), None
            for c in table.columns:
                if c.required and not c.key:
                    yield "not null", table.name, (c.name,), None
                if c.default is not None and c.default.upper() != "NULL":
                    value = self.db.execute(f"SELECT typeof(v), v FROM (SELECT {c.default} AS v)").fetchone()
                    yield "default", table.name, (c.name,), value
                if c.generated:
                    yield "generated column", table.name, (c.name,), None
            if len(table.key) == 1 and types[table.key[0]] == "INTEGER":
                yield "next key", table.name, (table.key[0],), self.high_water(table.name)
            yield from self.foreign_keys(database, table.name)
            yield from self.indexes(table.name)
            for columns in CHECKS.get((database, table.name), []):
                yield "check", table.name, columns, None

    def high_water(self, table):
        """AUTOINCREMENT's: the greatest key that ever was."""
        with contextlib.suppress(sqlite3.OperationalError):
            return (self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [table]).fetchone() or [0])[0]
        return 0

    def foreign_keys(self, database, table):
        found = collections.defaultdict(list)
        for row in self.db.execute(
                'SELECT id, seq, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?) ORDER BY id, seq', [table]):
            found[row[0]].append(row)
        for rows in found.values():
            parent = rows[0][2]
            to = tuple(r[4] for r in rows)
            if None in to and parent in self.tables:
                to = tuple(self.tables[parent].key)
            names = tuple(r[3] for r in rows)
            yield "foreign key", table, names, (parent, to, rows[0][5], rows[0][6], (database, table, names) in DEFERRED)

    def indexes(self, table):
        rows = self.db.execute('SELECT name, "unique", origin, partial FROM pragma_index_list(?)', [table]).fetchall()
        names = {name for name, *_ in rows}
        for name, unique, origin, partial in rows:
            if origin == "pk":
                continue
            parts = list(self.db.execute('SELECT name, "desc", coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno', [name]))
            # (column or None: an expression, descending, folds case)
            what = tuple((n, bool(d), c.upper() == "NOCASE") for n, d, c in parts)
            kind = ("unique partial index" if unique else "partial index") if partial else "unique" if unique else "index"
            yield kind, table, tuple(n for n, *_ in parts if n), (bool(unique), bool(partial), what, name, names)


CATALOG = {
    "tables": """SELECT c.oid, c.relname, array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attnum IS NOT NULL)
        FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p') GROUP BY c.oid""",
    "columns": """SELECT a.attname, format_type(a.atttypid, NULL), a.attnotnull, a.attgenerated <> '', pg_get_expr(d.adbin, d.adrelid),
        pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""",
    "constraints": """SELECT contype::text, conname, (SELECT array_agg(attname ORDER BY o) FROM unnest(conkey) WITH ORDINALITY AS u (n, o)
            JOIN pg_attribute ON attrelid = conrelid AND attnum = n), confrelid,
        (SELECT array_agg(attname ORDER BY o) FROM unnest(confkey) WITH ORDINALITY AS u (n, o)
            JOIN pg_attribute ON attrelid = confrelid AND attnum = n),
        confupdtype::text, confdeltype::text, condeferred FROM pg_constraint WHERE conrelid = %s""",
    "indexes": """SELECT (SELECT relname FROM pg_class WHERE oid = indexrelid), indisunique, indpred IS NOT NULL,
        (SELECT array_agg(attname ORDER BY k) FROM generate_series(1, indnkeyatts) AS k
            LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[k - 1] AND attnum > 0),
        (SELECT array_agg(indoption[k - 1]::int & 1 = 1 ORDER BY k) FROM generate_series(1, indnkeyatts) AS k),
        (SELECT array_agg(pg_get_indexdef(indexrelid, k, true) ORDER BY k) FROM generate_series(1, indnkeyatts) AS k)
        FROM pg_index WHERE indrelid = %s AND indisvalid""",
}
ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


class Target:
    """A schema of the PostgreSQL database; the connection's client encoding is SQL_ASCII, so that a text that is none can be read too."""

    def __init__(self, connection, schema="public"):
        self.connection = connection
        self.used = set()
        for name, value in {"client_encoding": "SQL_ASCII", "TimeZone": "UTC", "DateStyle": "ISO", "bytea_output": "hex",
                            "extra_float_digits": "1", "search_path": schema}.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        self.tables = {name: (oid, columns or []) for oid, name, columns in self.ask(CATALOG["tables"], [schema])}

    def ask(self, sql, parameters=None):
        """Rows; what came as bytes is text, names being UTF-8."""
        def plain(value):
            if isinstance(value, bytes):
                return value.decode("utf-8")
            return [plain(v) for v in value] if isinstance(value, list) else value
        return [tuple(map(plain, row)) for row in self.connection.execute(sql, parameters).fetchall()]

    def columns(self, table):
        """Name: (type, not null, generated, default, sequence)."""
        return {row[0]: row[1:] for row in self.ask(CATALOG["columns"], [self.tables[table][0]])}

    def rows(self, table, key, columns):
        """Key: the values as bytes, or None."""
        picked = ", ".join(f"{quoted(c)}::text" for c in [*key, *columns])
        found = collections.defaultdict(list)
        with self.connection.cursor() as cursor:
            for row in cursor.execute(f"SELECT {picked} FROM {quoted(table)}".encode()):
                row = [v.encode() if isinstance(v, str) else v for v in row]
                found[tuple((v or b"").decode("utf-8", "replace") for v in row[: len(key)])].append(row[len(key):])
        return found

    def value(self, expression):
        """An expression's value as bytes, or an error's text."""
        got = self.connection.execute(f"SELECT ({expression})::text".encode()).fetchone()[0]
        return got.encode() if isinstance(got, str) else got


def paired(wanted, there):
    """Finds each wanted name among those there; a name that is not to be found has None."""
    free = list(there)
    found = dict.fromkeys(wanted)
    same = [lambda w, t: w == t,
            lambda w, t: w.casefold() == t.casefold(),
            lambda w, t: w.encode()[:40].lower() == t.encode()[:40].lower(),
            lambda w, t: t.casefold().strip("_").startswith(w.casefold())]
    for rule in same:
        for name in [w for w in wanted if found[w] is None]:
            for candidate in free:
                if rule(name, candidate):
                    found[name] = candidate
                    free.remove(candidate)
                    break
    return found, free


def judge(path, database, connection, said, schema="public"):
    """The Verdict on the import of the file `path` into a schema."""
    source, target, verdict = Source(path), Target(connection, schema), Verdict()
    found, extra = paired_tables(source, target)
    columns = {}
    for table in source.tables.values():
        columns[table.name] = values(source, table, target, found[table.name], said, verdict)
    for name in extra:
        if not said.names(name):
            verdict.differences.append(f"table {name} is none of the source's")
    for constraint in source.constraints(database):
        judge_constraint(target, constraint, found, columns, said, verdict)
    source.db.close()
    return verdict


def paired_tables(source, target):
    """As paired(); of tables whose names were cut alike, the one that has the rows."""
    found, extra = paired(source.tables, target.tables)
    for one in found:
        for other in found:
            if one < other and (found[one] or found[other]) and one.encode()[:40] == other.encode()[:40]:
                if fits(source.tables[one], target, found[one]) + fits(source.tables[other], target, found[other]) < \
                        fits(source.tables[one], target, found[other]) + fits(source.tables[other], target, found[one]):
                    found[one], found[other] = found[other], found[one]
    return found, extra


def fits(table, target, name):
    if not name:
        return 0
    pairs, _ = paired([c.name for c in table.columns], target.tables[name][1])
    if not all(pairs[k] for k in table.key):
        return 0
    return len(table.rows.keys() & target.rows(name, [pairs[k] for k in table.key], []).keys())


def values(source, table, target, name, said, verdict):
    """Compares the rows of a table; the target's name of each column."""
    verdict.source_rows += len(table.rows)
    width = len(table.columns)
    verdict.values += len(table.rows) * width
    pairs = dict.fromkeys((c.name for c in table.columns))
    there = {}
    if name:
        pairs, _ = paired([c.name for c in table.columns], target.tables[name][1])
        if all(pairs[k] for k in table.key):
            there = target.rows(name, [pairs[k] for k in table.key], [p for p in pairs.values() if p])
    types = {c: row[0] for c, row in target.columns(name).items()} if name else {}
    verdict.target_rows += sum(map(len, there.values()))

    missing = [key for key in table.rows if key not in there]
    unnamed = [key for key in missing if (table.name, key) not in said.rows]
    announced = len(unnamed) if said.exit or said.gave_up else min(len(unnamed), said.lost_rows[table.name.casefold()])
    silent = len(unnamed) - announced
    verdict.announced += (len(missing) - silent) * width
    verdict.silent += silent * width
    if silent:
        first = address(table, unnamed[announced])
        verdict.differences.append(f"{table.name}: {silent} of {len(table.rows)} rows are missing, the first among them {first}")
    for key, copies in there.items():
        if key not in table.rows or len(copies) > 1:
            times = f"{len(copies)} times, in the source {int(key in table.rows)} times"
            verdict.differences.append(f"{table.name}: row {address(table, key)} is there {times}")

    for at, column in enumerate(table.columns):
        if pairs[column.name] is None:
            arrived = len(table.rows) - len(missing)
            if said.exit or said.names(table.name, column.name):
                verdict.announced += arrived
            else:
                verdict.silent += arrived
                if arrived:
                    verdict.differences.append(f"{table.name}.{column.name}: the column is missing")
            continue
        position = [p for p in pairs.values() if p].index(pairs[column.name])
        differ, right_numbers = [], 0
        for key, row in table.rows.items():
            if key in there:
                got = there[key][0][position]
                if meaning.same(row[at], column.declared, types[pairs[column.name]], got, source.encoding):
                    verdict.equal += 1
                    right_numbers += row[at][0] in ("integer", "real")
                elif (table.name, key, column.name) in said.values:
                    verdict.announced += 1
                else:
                    differ.append((key, row[at], got))
        where = table.name.casefold(), column.name.casefold()
        announced = min(len(differ), said.changed[where] + max(0, said.read_as_time[where] - right_numbers))
        verdict.announced += announced
        verdict.silent += len(differ) - announced
        if len(differ) > announced:
            key, was, got = differ[announced]
            more = f" (and {len(differ) - announced - 1} more)" if len(differ) > announced + 1 else ""
            where = f"{table.name}.{column.name}, {address(table, key)}"
            verdict.differences.append(f"{where}: {shown(was, source.encoding)} is {printed(got)} as {types[pairs[column.name]]}{more}")
    return pairs


def address(table, key):
    return ", ".join(f"{c} {v}" for c, v in zip(table.key, key))


def shown(value, encoding):
    kind, value = value
    if kind == "text":
        with contextlib.suppress(UnicodeDecodeError):
            value = value.decode(encoding)
    elif kind == "blob":
        value = bytes(value)
    text = "NULL" if value is None else repr(value)
    return f"{kind} {text[:SHOWN]}{'...' if len(text) > SHOWN else ''}" if kind != "null" else text


def printed(got):
    if got is None:
        return "NULL"
    text = repr(got.decode("utf-8", "backslashreplace"))
    return text[:SHOWN] + ("..." if len(text) > SHOWN else "")


def judge_constraint(target, constraint, found, columns, said, verdict):
    kind, table, names, _ = constraint
    verdict.constraints += 1
    if found[table] and all(columns[table][n] for n in names) and is_kept(target, constraint, found, columns):
        verdict.kept += 1
    elif said.exit or said.gave_up or is_announced(constraint, said):
        verdict.lost_announced += 1
    else:
        verdict.lost_silent += 1
        verdict.gone[kind].append(f"{table}{' (' + ', '.join(names) + ')' if names else ''}")


# How a message calls what it speaks of.
WORDS = {"primary key": ["primary key"], "not null": ["not null"], "check": ["check"], "foreign key": ["foreign key"], "default": ["default"],
         "generated column": ["generated"], "next key": ["sequence", "identity"]}


def is_announced(constraint, said):
    """Whether a message names the table, a column and the kind; or the index; or says that the table could not be made."""
    kind, table, names, more = constraint
    if said.names(table, "create table"):
        return True
    if kind not in WORDS:
        # pgloader puts a number before an index's name.
        return any(more[3].casefold() in m.casefold() for m in said.messages) or any(said.names(table, "index", n) for n in names)
    return any(said.names(table, word, n) for word in WORDS[kind] for n in names)


def is_kept(target, constraint, found, columns):
    kind, table, names, more = constraint
    name, here = found[table], [columns[table][n] for n in names]
    attributes = target.columns(name)
    of = target.tables[name][0]
    constraints = target.ask(CATALOG["constraints"], [of])
    if kind == "not null":
        return attributes[here[0]][1]
    if kind == "generated column":
        return attributes[here[0]][2]
    if kind == "primary key":
        return any(t == "p" and c == here for t, _, c, *_ in constraints)
    if kind == "check":
        return any(t == "c" and sorted(c) == sorted(here) for t, _, c, *_ in constraints)
    if kind == "default":
        return attributes[here[0]][3] is not None and same_default(more, attributes[here[0]][0], target.value(attributes[here[0]][3]))
    if kind == "next key":
        type_, _, _, default, sequence = attributes[here[0]]
        if not sequence and "nextval" not in (default or ""):
            return False
        greatest = int(target.value(f"SELECT coalesce(max({quoted(here[0])}), 0) FROM {quoted(name)}"))
        return int(target.value(default if default else "nextval('" + sequence.replace("'", "''") + "')")) > max(more, greatest)
    if kind == "foreign key":
        parent, to, *rules = more
        if not found.get(parent):
            return False
        wanted = ("f", here, target.tables[found[parent]][0], [columns_of(target, found[parent], n) for n in to], *rules)
        return any((t, c, r, rc, ACTIONS.get(u), ACTIONS.get(d), deferred) == wanted for t, _, c, r, rc, u, d, deferred in constraints)
    unique, partial, parts, own_name, names_there = more
    indexes = target.ask(CATALOG["indexes"], [of])
    # One index of the target stands for one of the source: that of its name, else any that is still free and nobody's namesake.
    candidates = [row for row in indexes if row[0] == own_name] or [row for row in indexes if row[0] not in names_there]
    for index, is_unique, is_partial, attnames, descending, definitions in candidates:
        if index not in target.used and (is_unique, is_partial, len(attnames)) == (unique, partial, len(parts)) and all(
                part_is_kept(part, attname, down, definition, columns[table], attributes)
                for part, attname, down, definition in zip(parts, attnames, descending, definitions)):
            target.used.add(index)
            return True
    return False


def columns_of(target, table, name):
    return paired([name], target.tables[table][1])[0][name]


def part_is_kept(part, attname, down, definition, columns, attributes):
    column, descending, folds = part
    if down != descending:
        return False
    if column is None:
        return attname is None
    if folds:
        return (attname is None and "lower(" in definition and columns[column] in definition) or (
            attname == columns[column] and attributes[attname][0] == "citext")
    return attname == columns[column]


def same_default(default, type_, got):
    """Both were evaluated just now, so the current time may be some seconds apart."""
    kind, value = default
    value = value.encode() if isinstance(value, str) else value
    if meaning.same((kind, value), "", type_, got, "utf-8"):
        return True
    if kind != "text" or got is None:
        return False
    was, is_ = (meaning.instant(t.decode("utf-8", "replace")) for t in (value, got))
    return was is not None and is_ is not None and abs(was - is_) < 300 * 1_000_000 and was > LONG_AGO
