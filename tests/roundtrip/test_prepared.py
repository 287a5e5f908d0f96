"""The same, into tables that SQLAlchemy made in PostgreSQL before, as Alembic does: native types, keys and constraints as they are there."""

import datetime
import decimal
import random
import uuid
import warnings

import pytest
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.orm import Session

from models import Base, Cari, Item, Kind, Photo, Role, User, WorkOrder
from objects import TURKISH, assert_equal, everything, write
from prepared import Boat, Hull, Person, Prepared, Ticket


def fleet():
    r = random.Random(11)
    boats = [
        Boat(name=f"{TURKISH[i % len(TURKISH)]} {i}", hull=(Hull.WOOD, Hull.STEEL)[i % 2], length=decimal.Decimal(r.randrange(1, 999999)).scaleb(-2),
             code=uuid.UUID(int=r.getrandbits(128)), papers=(None, {}, {"bayrak": "TR", "ton": [1, 2.5, None]})[i % 3],
             seen_at=datetime.datetime(2025, 1, 1, 23, 59, 59, i), tickets=[Ticket() for _ in range(i % 3)])
        for i in range(20)
    ]
    crew = [Person(name=TURKISH[i % len(TURKISH)], address=(None, "10.0.0.1", "2001:db8::1")[i % 3], network=(None, "10.1.0.0/16")[i % 2],
                   boat=boats[i % 20]) for i in range(50)]
    for i, one in enumerate(crew):
        one.chief = crew[(i * 7 + 3) % 50] if i % 4 else None
        one.boat.captain = one
    return [*boats, *crew]


def make_tables(engine, version):
    with warnings.catch_warnings():
        # SQLite has no ALTER TABLE ADD CONSTRAINT: the cycle is declared inside CREATE TABLE there.
        warnings.simplefilter("ignore")
        for base in (Base, Prepared):
            base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": version})


@pytest.fixture(scope="module")
def moved(cluster):
    """(SQLite's engine, PostgreSQL's engine, rows of the import), and PostgreSQL's schema is what it was."""
    if not cluster.has_extension("citext"):
        pytest.skip("NOT RUN: this PostgreSQL does not have citext (citext.control is not installed)")
    path = cluster.files / "prepared.db"
    sqlite = create_engine(f"sqlite:///{path}")
    make_tables(sqlite, "aaaa")
    with Session(sqlite) as session:
        write(session)
        session.add_all(fleet())
        session.commit()
    sqlite.dispose()
    cluster.recreate_database("prepared")
    cluster.psql("CREATE EXTENSION aliaport_import; CREATE EXTENSION citext; ALTER DATABASE prepared SET timezone = 'America/New_York'", "prepared")
    postgresql = create_engine(f"postgresql+psycopg://postgres@/prepared?host={cluster.directory}", native_inet_types=False)
    make_tables(postgresql, "bbbb")

    def schema():
        lines = cluster.run("pg_dump", "-s", "-d", "prepared").splitlines()
        return [line for line in lines if not line.startswith(("\\restrict ", "\\unrestrict "))]

    before = schema()
    with postgresql.begin() as connection:
        rows = connection.execute(text("SELECT * FROM aliaport_import(:path)"), {"path": str(path)}).mappings().all()
    assert schema() == before
    yield sqlite, postgresql, rows
    postgresql.dispose()
    sqlite.dispose()


def test_every_object_comes_back_equal(moved):
    sqlite, postgresql, rows = moved
    assert {row["table_name"].strip('"') for row in rows} == {t for base in (Base, Prepared) for t in base.metadata.tables}
    assert all(row["content_match"] and row["source_rows"] == row["target_rows"] and not row["rejected_rows"] for row in rows)
    with Session(sqlite) as before, Session(postgresql) as after:
        for base in (Base, Prepared):
            # No value is adjusted: DateTime without a time zone is as naive after as it was before.
            assert_equal(everything(before, base, read=lambda v: v), everything(after, base, read=lambda v: v))


def test_the_migrations_of_the_target_stay(moved):
    sqlite, postgresql, rows = moved
    with postgresql.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["bbbb"]
    assert "bookkeeping" in {w["code"] for row in rows for w in row["detail"].get("warnings", [])}


def test_a_new_row_in_every_table_gets_a_free_key(moved):
    sqlite, postgresql, rows = moved
    ids = {User: "id", Role: "id", Cari: "Id", WorkOrder: "id", Photo: "id", Boat: "id", Person: "id", Ticket: "number"}
    with Session(sqlite) as before:
        expected = {model: max(before.scalars(select(getattr(model, key)))) + 1 for model, key in ids.items()}
        # AUTOINCREMENT had given one more.
        expected[WorkOrder] += 1
    with Session(postgresql) as after:
        role = Role(name="yeni rol")
        user = User(email="yeni@aliaport.example", roles=[role])
        firm = Cari(Unvan="Yeni Ünvan", Ust=after.get(Cari, 1))
        order = WorkOrder(cari=firm, kind=Kind.BARINMA, priority="LOW", subject="yeni")
        item = Item(order=order, line_no=1, quantity=1.5, total=2)
        photo = Photo(item=item, name="yeni")
        boat = Boat(name="Yeni", hull=Hull.WOOD, length=1.5, code=uuid.UUID(int=5))
        after.add_all([user, photo, boat])
        after.flush()
        boat.captain = Person(name="Yeni", boat=boat)
        ticket = Ticket(boat=boat, valid_for=datetime.timedelta(days=1, hours=2))
        after.add(ticket)
        after.commit()
        new = [role, user, firm, order, photo, boat, boat.captain, ticket]
        assert {type(one): inspect(one).identity[0] for one in new} == expected
        assert {type(one) for one in new} | {Item} == {m.class_ for base in (Base, Prepared) for m in base.registry.mappers}
        assert boat.seen_at.tzinfo is None and ticket.valid_for == datetime.timedelta(days=1, hours=2)
        after.rollback()
