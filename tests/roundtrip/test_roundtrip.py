"""Objects written to SQLite by SQLAlchemy come back equal from PostgreSQL by the same models, after one import."""

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from models import Base, Cari, Role, User
from objects import assert_equal, everything, write


@pytest.fixture(scope="module")
def moved(cluster):
    """(engine of SQLite, engine of PostgreSQL), after the import."""
    path = cluster.files / "aliaport.db"
    sqlite = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(sqlite)
    with Session(sqlite) as session:
        write(session)
    sqlite.dispose()
    cluster.recreate_database("roundtrip")
    cluster.psql("CREATE EXTENSION aliaport_import", "roundtrip")
    # The server's and the session's time zone must not matter.
    report = cluster.psql(f"SET timezone = 'America/New_York'; SELECT bool_and(content_match), sum(rejected_rows) FROM aliaport_import('{path}')",
                          "roundtrip")
    assert report == "t|0"
    postgresql = create_engine(f"postgresql+psycopg://postgres@/roundtrip?host={cluster.directory}",
                               connect_args={"options": "-c timezone=Asia/Tokyo"})
    yield sqlite, postgresql
    postgresql.dispose()
    sqlite.dispose()


def test_every_object_comes_back_equal(moved):
    sqlite, postgresql = moved
    with Session(sqlite) as before, Session(postgresql) as after:
        written, read = everything(before, Base), everything(after, Base)
    assert len(written) > 400
    assert {k[0] for k in written} == {"User", "Role", "Cari", "WorkOrder", "Item", "Photo"}
    assert_equal(written, read)


def test_the_application_goes_on_writing(moved):
    sqlite, postgresql = moved
    with Session(sqlite) as before:
        highest = {model: before.scalars(select(model.id if hasattr(model, "id") else model.Id).order_by(
            (model.id if hasattr(model, "id") else model.Id).desc())).first() for model in (User, Role, Cari)}
    with Session(postgresql) as after:
        role = Role(name="yeni rol")
        user = User(email="yeni@aliaport.example", roles=[role])
        firm = Cari(Unvan="Yeni Ünvan", Ust=after.get(Cari, 1))
        after.add_all([user, firm])
        after.commit()
        assert (user.id, role.id, firm.Id) == (highest[User] + 1, highest[Role] + 1, highest[Cari] + 1)
        assert user.is_active is True and user.created_at is not None
        assert [r.name for r in user.roles] == ["yeni rol"]
        # The deleted last order's key stays unused.
        assert after.connection().exec_driver_sql(
            "SELECT nextval(pg_get_serial_sequence('work_order', 'id')) > (SELECT max(id) + 1 FROM work_order)").scalar() is True
        for one in (user, firm, role):
            after.delete(one)
        after.commit()
