"""The same file becomes the same rows in every session, and whatever a value loses on its way is counted, in every type."""

import sqlite3
from decimal import Decimal, InvalidOperation

import psycopg
import pytest

from conftest import refused

SESSIONS = {
    "plain": {},
    "tokyo": {"timezone": "Asia/Tokyo", "datestyle": "SQL, DMY", "intervalstyle": "sql_standard", "array_nulls": "off",
              "extra_float_digits": "-10", "bytea_output": "escape", "standard_conforming_strings": "off"},
    "new_york": {"timezone": "America/New_York", "datestyle": "Postgres, MDY", "intervalstyle": "iso_8601", "xmloption": "document",
                 "transform_null_equals": "on", "quote_all_identifiers": "on"},
    "german": {"timezone": "Europe/Berlin", "datestyle": "German", "intervalstyle": "postgres_verbose", "lc_numeric": "C.UTF-8",
               "lc_monetary": "C.UTF-8"},
}

# A value for every type whose input function follows settings, and some for those that hold such types.
COLUMNS = {
    "at": ("timestamptz", "2024-01-01 00:00:00"),
    "clock": ("timetz", "09:30"),
    "during": ("tstzrange", "[2024-01-01 00:00:00,2024-01-02 00:00:00)"),
    "many": ("tstzmultirange", "{[2024-01-01,2024-01-02), [2024-03-01,)}"),
    "stamps": ("timestamptz[]", '["2024-01-01 00:00:00", null]'),
    "literal": ("timestamptz[]", '{"2024-01-01 00:00:00",NULL}'),
    "days": ("date[]", '["2024-02-01", "2024-12-31"]'),
    "spans": ("daterange", "[2024-02-01,2024-03-01)"),
    "span": ("interval", "-1 day, 02:03:04"),
    "net": ("interval", "1.02:03:04"),
    "net_list": ("interval[]", '["1.02:03:04", "-00:00:01"]'),
    "price": ("money", "-12.5"),
    "words": ("text[]", '["now", "today", null]'),
    "floats": ("double precision[]", "[0.1, 1e300]"),
    "part": ("xml", "text <b>and</b>"),
    "booked": ("booking", "(2024-01-01 00:00:00,1.50,now)"),
    "open_at": ("opening", "09:30"),
    "openings": ("opening[]", '["09:30"]'),
}


@pytest.fixture
def types(connection):
    connection.execute("CREATE TYPE public.booking AS (at timestamptz, price numeric(6,2), note text)")
    connection.execute("CREATE DOMAIN public.opening AS timetz CHECK (VALUE > '01:00+00')")
    connection.commit()
    return connection


def source(path, declared, rows):
    db = sqlite3.connect(path)
    db.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(declared)})")
    db.executemany(f"INSERT INTO t VALUES ({', '.join('?' * (len(declared) + 1))})", rows)
    db.commit()
    db.close()
    return str(path)


def as_binary(connection, table):
    """The bytes of a table's rows, which no setting changes."""
    with connection.cursor().copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
        return b"".join(bytes(block) for block in copy)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("is_created", [False, True])
def test_sessions_with_other_settings_get_the_same_bytes(types, files, zone, is_created):
    path = source(files / "same.db", COLUMNS, [(1, *(value for _, value in COLUMNS.values())), (2, *[None] * len(COLUMNS))])
    options = {"timezone": zone}
    if is_created:
        options["tables"] = {"t": {"columns": {name: {"type": kind} for name, (kind, _) in COLUMNS.items()}}}
    found = {}
    for name, settings in SESSIONS.items():
        with types.transaction(force_rollback=True):
            for setting, value in settings.items():
                types.execute("SELECT set_config(%s, %s, true)", (setting, value))
            given = {setting: types.execute("SELECT current_setting(%s)", (setting,)).fetchone() for setting in settings}
            types.execute("CREATE SCHEMA s")
            if not is_created:
                columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
                types.execute(f"CREATE TABLE s.t (id bigserial PRIMARY KEY, {columns})")
            row = types.execute("SELECT status, detail FROM aliaport_import(%s, 's', options => %s)",
                                (path, psycopg.types.json.Jsonb(options))).fetchone()
            ((digest,),) = types.execute("SELECT detail ->> 'digest' FROM aliaport.run_table ORDER BY run_id DESC LIMIT 1").fetchall()
            bad = types.execute("SELECT * FROM aliaport_validate(%s, 's', %s) WHERE NOT ok",
                                (path, psycopg.types.json.Jsonb(options))).fetchall()
            assert not bad, bad
            after = {setting: types.execute("SELECT current_setting(%s)", (setting,)).fetchone() for setting in settings}
            assert after == given
            found[name] = (as_binary(types, "s.t"), row[0], digest, row[1]["warnings"])
    plain = found.pop("plain")
    for name, other in found.items():
        assert other == plain, name


def test_naive_times_are_in_the_zone_of_the_options_wherever_they_stand(types, files):
    path = source(files / "zone.db", COLUMNS, [(1, *(value for _, value in COLUMNS.values()))])
    types.execute("SET timezone = 'Asia/Tokyo'")
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    types.execute(f"CREATE TABLE t (id bigserial PRIMARY KEY, {columns})")
    types.execute("SELECT aliaport_import(%s)", (path,))
    types.execute("SET timezone = 'UTC'; SET intervalstyle = 'postgres'")
    row = types.execute("SELECT at::text, clock::text, during::text, stamps::text, literal::text, booked::text, open_at::text, span::text, "
                        "net::text, net_list::text, price::numeric::text, words::text FROM t").fetchone()
    assert row == (
        "2024-01-01 00:00:00+00", "09:30:00+00", '["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")',
        '{"2024-01-01 00:00:00+00",NULL}', '{"2024-01-01 00:00:00+00",NULL}', '("2024-01-01 00:00:00+00",1.50,now)', "09:30:00+00",
        "-1 days +02:03:04", "1 day 02:03:04", '{"1 day 02:03:04",-00:00:01}', "-12.50", "{now,today,NULL}")


@pytest.mark.parametrize("kind, value, sqlstate", [
    ("timestamptz[]", '["2024-01-01T00:00:00Z", "now"]', "22007"),
    ("date[]", '["today"]', "22007"),
    ("date[]", "{tomorrow}", "22007"),
    ("date[]", '["01/02/2024"]', "22007"),
    ("daterange", "[yesterday,)", "22007"),
    ("tsmultirange", "{[now,)}", "22007"),
    ("timetz", "now", "22007"),
    ("opening", "now", "22007"),
    ("opening[]", "{now}", "22007"),
    ("booking", "(now,1,x)", "22007"),
    ("booking[]", '{"(today,1,x)"}', "22007"),
    ("interval", "-1 02:03:04", "22007"),
    ("money", "12,5", "22P02"),
    ("money", "$1.00", "22P02"),
    ("bit(3)", 101, "22P02"),
    ("oid", "-1", "22003"),
    ("xid", "abc", "22P02"),
])
def test_what_follows_the_clock_or_the_session_is_a_bad_value(types, files, kind, value, sqlstate):
    path = source(files / "bad.db", ["v"], [(1, value)])
    types.execute(f"CREATE TABLE t (id bigserial PRIMARY KEY, v {kind})")
    types.commit()
    with refused(sqlstate):
        types.execute("SELECT aliaport_import(%s)", (path,))
    types.rollback()
    codes = [row[0] for row in types.execute("SELECT code FROM aliaport_inspect(%s) WHERE severity = 'error'", (path,))]
    assert codes in (["bad_datetime"], ["type_mismatch"], ["out_of_range"]), codes


LOSSES = [
    ("numeric(6,2)[]", "[1.239, 99.996]", "numeric_rounded"),
    ("money", 0.125, "numeric_rounded"),
    ("varchar(2)[]", '["ab  "]', "blanks_cut"),
    ("char(4)", "ab ", "blanks_cut"),
    ("timestamp(0)[]", '["2024-12-31 23:59:59.7"]', "sub_microsecond"),
    ("tsrange", "[2024-01-01 00:00:00.0000001,)", "sub_microsecond"),
    ("timetz(0)", "09:30:00.5Z", "sub_microsecond"),
    ("time(0)", "09:30:00.5", "sub_microsecond"),
    ("interval(0)", "00:00:01.5", "sub_microsecond"),
    ("interval", "0.00:00:00.1234567", "sub_microsecond"),
    ("interval hour to minute", "01:02:03", "fields_dropped"),
    ("real", 0.1, "real_rounded"),
    ("real[]", "[0.123456789]", "real_rounded"),
    ("point", "(0.12345678901234567890,1)", "real_rounded"),
    ("jsonb", '{"a":1,"a":2}', "duplicate_json_key"),
    ("jsonb[]", '[{"a":1,"a":2}]', "duplicate_json_key"),
    ("date[]", '["2024-01-01 12:00:00"]', "time_dropped"),
    ("timestamptz", "2024-03-31 02:30:00", "time_gap"),
    ("timestamptz", "2024-10-27 02:30:00", "time_fold"),
    ("timestamp", "2024-10-27T00:30:00Z", "time_fold"),
    ("timestamptz[]", '["2024-03-31 02:30:00"]', "time_gap"),
    ("tstzrange", "[2024-10-27 02:30:00,)", "time_fold"),
    ("timetz", "09:30", "offset_assumed"),
    ("uuid", bytes(range(16)), "uuid_bytes"),
]


def test_losses_are_counted_in_every_type(types, files):
    path = source(files / "losses.db", [f"c{i}" for i in range(len(LOSSES))], [(1, *(value for _, value, _ in LOSSES)), (2, *[None] * len(LOSSES))])
    types.execute(f"CREATE TABLE t (id bigserial PRIMARY KEY, {', '.join(f'c{i} {kind}' for i, (kind, _, _) in enumerate(LOSSES))})")
    zone = '{"timezone": "Europe/Berlin"}'
    expected = {f"c{i}": (code, 1) for i, (_, _, code) in enumerate(LOSSES)}
    rows = types.execute("SELECT column_name, row_count, sample FROM aliaport_inspect(%s, options => %s) WHERE column_name LIKE 'c%%' AND row_count = 1",
                         (path, zone)).fetchall()
    assert {row[0] for row in rows} == set(expected) and all(row[2] for row in rows), rows
    status, detail = types.execute("SELECT status, detail FROM aliaport_import(%s, options => %s)", (path, zone)).fetchone()
    found = {w["column"]: (w["code"], w["count"]) for w in detail["warnings"] if w.get("count") and w.get("column", "").startswith("c")}
    assert (status, found) == ("warning", expected)
    assert detail["lossy"] == len(LOSSES)


def test_the_bytes_of_a_uuid_are_in_the_order_that_the_option_says(types, files):
    guid = bytes.fromhex("a0968addc161d143a5647dab42cdbfb9")
    path = source(files / "uuid.db", ["u"], [(1, guid)])
    for options, expected, status in [
        ({}, "a0968add-c161-d143-a564-7dab42cdbfb9", "warning"),
        ({"uuid": "rfc"}, "a0968add-c161-d143-a564-7dab42cdbfb9", "ok"),
        ({"uuid": "guid"}, "dd8a96a0-61c1-43d1-a564-7dab42cdbfb9", "ok"),
    ]:
        with types.transaction(force_rollback=True):
            types.execute("CREATE TABLE t (id bigserial PRIMARY KEY, u uuid)")
            asked = psycopg.types.json.Jsonb({"tables": {"t": {"columns": {"u": options}}}} if options else {})
            assert types.execute("SELECT status, content_match FROM aliaport_import(%s, options => %s)", (path, asked)).fetchone() == (status, True)
            assert types.execute("SELECT u::text FROM t").fetchone() == (expected,)
            assert types.execute("SELECT bool_and(ok) FROM aliaport_validate(%s, options => %s)", (path, asked)).fetchone() == (True,)


@pytest.mark.parametrize("kind, key, word", [
    ("text", "uuid", "guid"),
    ("uuid[]", "uuid", "rfc"),
    ("interval", "number", "julian"),
    ("tstzrange", "number", "unix_s"),
])
def test_an_option_that_cannot_have_an_effect_is_refused(types, files, kind, key, word):
    path = source(files / "effect.db", ["v"], [(1, None)])
    types.execute(f"CREATE TABLE t (id bigserial PRIMARY KEY, v {kind})")
    types.commit()
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="has no effect"):
        types.execute("SELECT aliaport_import(%s, options => %s)", (path, psycopg.types.json.Jsonb({"tables": {"t": {"columns": {"v": {key: word}}}}})))


def test_numbers_in_arrays_are_counted_in_the_unit_of_the_option(types, files):
    path = source(files / "unit.db", ["v", "t"], [(1, "[1500]", 34200000)])
    types.execute("CREATE TABLE t (id bigserial PRIMARY KEY, v timestamptz[], t time)")
    options = {"tables": {"t": {"columns": {"v": {"number": "unix_ms"}, "t": {"number": "unix_ms"}}}}}
    types.execute("SELECT aliaport_import(%s, options => %s)", (path, psycopg.types.json.Jsonb(options)))
    assert types.execute("SELECT v = ARRAY['1970-01-01 00:00:01.5+00'::timestamptz], t::text FROM t").fetchone() == (True, "09:30:00")


def test_not_a_number_is_the_largest_to_validate_as_to_postgresql(types, files):
    path = source(files / "nan.db", ["f REAL", "n NUMERIC"], [(1, "NaN", "NaN"), (2, 9e999, 2.5), (3, 1.5, 1.5)])
    types.execute("CREATE TABLE t (id bigserial PRIMARY KEY, f double precision, n numeric)")
    types.execute("SELECT aliaport_import(%s)", (path,))
    rows = types.execute("SELECT source_value, ok FROM aliaport_validate(%s) WHERE check_name = 'min_max' AND detail <> 'column id'", (path,)).fetchall()
    assert rows == [("1.5 .. NaN", True), ("1.5 .. NaN", True)]


# What the oracle feeds every type with: each as text, the numbers as numbers, too.
TEXTS = ["", " ", "0", "1", "-1", "1.5", "12,5", "1.005", "123456789.123456789", "1e400", "NaN", "now", "today", "2024-02-30", "2024-01-31", "01/02/2024",
         "2024-01-31 12:34:56.7891239", "2024-01-31T12:34:56+03:00", "12:34:56.7891239", "12:34+05", "1.02:03:04.1234567", "-1 02:03:04", "P1DT2H",
         "true", "abc", "abcdefghij   ", "{1,2}", "[1, 2.5]", '["a","b"]', "{2024-01-31,today}", "[1,5)", "[2024-01-31,now)", "{[1,5)}", "(1,2)",
         "10.0.0.1", "10.0.0.0/8", "08:00:2b:01:02:03", "101", '{"a":1.50,"a":2}', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "4294967296", "-5", "010"]
NUMBERS = [0, 1, -1, 101, 2**31, 2**63 - 1, 1.5, 0.1, 1e300, 1700000000]


def number(text):
    try:
        return Decimal(str(text).strip())
    except InvalidOperation:
        return None


def test_what_differs_in_value_is_counted_whatever_the_type(types, files):
    """An oracle over all types of pg_type: a stored value that PostgreSQL prints as another number, or that needed the clock, is a failure
    unless it was counted. The rule is independent of the converters: decimals by Python, everything else by PostgreSQL's own reading of the
    same text under two clocks and two zones."""
    kinds = [row[0] for row in types.execute("""
        SELECT format_type(t.oid, NULL) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype IN ('b', 'r', 'm', 'd', 'c') AND n.nspname IN ('pg_catalog', 'public') AND t.typtype <> 'c'
          AND t.typname NOT IN ('pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary',
                                'gtsvector', '_gtsvector', 'aclitem', '_aclitem', '_cstring', 'pg_ddl_command', 'internal', 'refcursor')
          AND t.typname !~ '^_?reg' AND t.typname !~ '^_(pg_|gts)' AND t.typelem NOT IN (SELECT oid FROM pg_type WHERE typtype = 'c')""")]
    modified = ["numeric(6,2)", "numeric(6,2)[]", "varchar(3)", "varchar(3)[]", "char(3)", "timestamp(0)", "timestamptz(0)[]", "time(0)", "timetz(0)",
                "interval(0)", "interval day", "interval(3)[]", "bit(3)", "varbit(3)", "opening", "opening[]"]
    values = [*TEXTS, *NUMBERS]
    path = source(files / "oracle.db", ["v"], list(enumerate(values)))
    failures = []
    for kind in [*kinds, *modified]:
        with types.transaction(force_rollback=True):
            types.execute(f"CREATE TABLE t (id bigserial PRIMARY KEY, v {kind})")
            detail = types.execute("SELECT detail FROM aliaport_import(%s, on_error => 'null')", (path,)).fetchone()[0]
            stored = types.execute("SELECT id, v::text FROM t WHERE v IS NOT NULL").fetchall()
            differing = []
            for key, text in stored:
                given, printed = number(values[key]), number(text.replace("$", "").replace(",", "") if kind == "money" else text)
                if given is not None and printed is not None and given.is_finite() and given != printed:
                    # Doubles print their shortest decimal, which is another number than that of all digits.
                    if isinstance(values[key], float) or kind.startswith(("double", "real")):
                        if float(given) == float(printed):
                            continue
                    if kind.startswith("bit") and text.strip("01") == "":
                        continue
                    differing.append((kind, values[key], text))
                if str(values[key]).strip("[]{}() ,").split(",")[-1].strip(" )") in ("now", "today") and "text" not in kind and "bytea" not in kind \
                        and not any(word in text for word in ("now", "today")):
                    failures.append((kind, values[key], text))
            if len(differing) > detail.get("lossy", 0):
                failures += differing
    assert not failures, failures
