"""Every object that a SQLite file declares is in PostgreSQL after an import with the defaults, and nothing else is."""

import datetime
import decimal
import numbers

import pytest

from catalog import Schema
from oracle import Source

UTC = datetime.timezone.utc


def same_default(declared, made):
    """Whether a default gives in PostgreSQL what it gives in SQLite."""
    if isinstance(made, datetime.datetime):
        moment = datetime.datetime.fromisoformat(declared).replace(tzinfo=UTC)
        return abs(moment - made) < datetime.timedelta(hours=1)
    if isinstance(made, numbers.Number) or isinstance(made, decimal.Decimal):
        return declared == made
    return type(declared) is type(made) and declared == made


def expected_index(schema, table, index):
    is_unique, terms, descending, predicate = index
    return is_unique, schema.printed_terms(table, terms), descending, predicate and schema.printed(table, predicate)


@pytest.mark.parametrize("name", ["chinook", "northwind"])
def test_every_object_is_there_and_no_other(cluster, samples, fresh, name):
    connection = cluster.connect(fresh("objects"))
    rows = connection.execute("SELECT source_rows, target_rows, content_match, status, detail FROM aliaport_import(%s)", [str(samples[name])]).fetchall()
    source, schema = Source(samples[name]), Schema(connection)
    tables = schema.tables()
    assert len(rows) == len(source.tables) == len(tables) > 10
    assert all(s == t > 0 and match for s, t, match, _, _ in rows)
    # Every object has a form in PostgreSQL, so nothing may be said to be left out.
    warnings = [w for row in rows for w in row[4].get("warnings", [])]
    assert [w for w in warnings if w["code"] != "nocase"] == []

    assert tables.keys() == source.tables.keys()
    for table, expected in source.tables.items():
        made = tables[table]
        for kind in ("columns", "primary key", "uniques", "foreign keys", "deferred"):
            assert made[kind] == expected[kind], (table, kind)
        assert made["defaults"].keys() == expected["defaults"].keys(), table
        for column, value in expected["defaults"].items():
            assert same_default(value, made["defaults"][column]), (table, column, value, made["defaults"][column])
        assert made["checks"] == sorted(schema.printed(table, check) for check in expected["checks"]), table
        assert expected["names"] <= made["names"] | made["indexes"].keys(), table
        indexes = {n: expected_index(schema, table, index) for n, index in expected["indexes"].items()}
        # PostgreSQL's name for what has none in SQLite.
        unnamed = made["indexes"].keys() - indexes.keys()
        assert len(unnamed) == ("" in indexes), table
        assert {("" if n in unnamed else n): index for n, index in made["indexes"].items()} == indexes, table
