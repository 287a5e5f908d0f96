"""What `aliaport.rejected_row` keeps of a row is what Python reads of it."""

import json
import random
import sqlite3


def as_json(value, is_text):
    """`value` as sqlite3 gives it, texts as bytes; as the documentation of the history says it."""
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Inf" if value > 0 else "-Inf"
    if not isinstance(value, bytes):
        return value
    if is_text and b"\0" not in value:
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return {"hex": value.hex()}


def test_rows_set_aside_are_the_rows_of_the_source(connection, cluster):
    chance = random.Random(7)
    letters = "aé\"\\/ş😀\n\t\x01 {}[]"
    makers = [
        lambda: None,
        lambda: chance.choice([0, 1, -1, 2**63 - 1, -(2**63), chance.getrandbits(40)]),
        lambda: chance.choice([0.0, -0.5, 0.1, 1e300, -1e-300, 5e-324, float("inf"), float("-inf"), chance.random()]),
        lambda: "".join(chance.choices(letters, k=chance.randrange(40))),
        lambda: "x" * chance.randrange(5000),
        lambda: chance.randbytes(chance.randrange(200)),
    ]
    path = cluster.files / "set_aside.db"
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.text_factory = bytes
    # More than 32 columns, whose names jsonb sorts by length.
    names = ["n", *(f"{'ş' * (i % 3)}c\"{i}" for i in range(40))]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    db.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(quoted)})".replace('"n"', '"n" INTEGER', 1))
    for i in range(300):
        db.execute(f"INSERT INTO t VALUES ({', '.join('?' * 42)})", [i, "bad", *(chance.choice(makers)() for _ in names[1:])])
    # Texts that are none.
    db.execute(f"UPDATE t SET {quoted[5]} = CAST(x'61ff' AS TEXT), {quoted[6]} = CAST(x'610062' AS TEXT) WHERE id % 3 = 0")
    db.commit()
    names = ["id", *names]
    expected = []
    for row in db.execute(f"SELECT id, {', '.join(quoted)}, {', '.join(f'typeof({q}) = ' + chr(39) + 'text' + chr(39) for q in quoted)} FROM t"):
        is_text = [0, *row[42:]]
        expected.append({name: as_json(value, of) for name, value, of in zip(names, row[:42], is_text, strict=True)})
    db.close()
    options = {"tables": {"t": {"columns": {name: {"type": "bytea"} for name in names[2:]}}}}
    assert connection.execute("SELECT rejected_rows FROM aliaport_import(%s, on_error => 'reject', options => %s)",
                              [str(path), json.dumps(options)]).fetchone() == (300,)
    kept = [row[0] for row in connection.execute(
        "SELECT row_data FROM aliaport.rejected_row WHERE run_id = (SELECT max(run_id) FROM aliaport.run)"
        " ORDER BY (source_key ->> 'id')::int")]
    for row, of in zip(kept, expected, strict=True):
        # jsonb writes 1e300 out, as a whole number.
        assert {k: float(v) if isinstance(of.get(k), float) and isinstance(v, int) else v for k, v in row.items()} == of
    # By the same operators as any jsonb.
    assert connection.execute("SELECT count(*) FROM aliaport.rejected_row WHERE run_id = (SELECT max(run_id) FROM aliaport.run)"
                              " AND row_data = row_data::text::jsonb AND row_data @> '{\"n\": \"bad\"}'").fetchone() == (300,)
