"""The application's next step: what docs/frameworks.md says of Alembic, SQLAlchemy and Django, with the real ones."""

import asyncio
import datetime
import decimal
import importlib.util
import json
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import uuid

import pytest
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, configure_mappers

import page

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "frameworks.md"


def python(*arguments, **environment):
    """Runs Python as an application's team does; what it printed."""
    done = subprocess.run([sys.executable, *map(str, arguments)], env=os.environ | {k: str(v) for k, v in environment.items()},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}"
    return done.stdout


def databases(cluster, *names):
    for name in names:
        cluster.recreate_database(name)
        cluster.psql("CREATE EXTENSION aliaport_import", name)


def blocks_under(heading, language):
    return [block.text for block in page.blocks(PAGE) if block.heading == heading and block.language == language]


# --- SQLAlchemy and Alembic


@pytest.fixture(scope="module")
def models():
    path = HERE / "frameworks" / "alembic_site" / "models.py"
    spec = importlib.util.spec_from_file_location("models", path)
    sys.modules["models"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    configure_mappers()
    yield module
    del sys.modules["models"]


def fleet(models):
    r = random.Random(5)
    harbours = [models.Harbour(name=f"İskele {i}", is_open=i % 2 == 0,
                               berths=[models.Berth(number=n, depth=(None, r.random() * 9)[n % 2]) for n in range(i)]) for i in range(5)]
    boats = [
        models.Boat(id=uuid.UUID(int=r.getrandbits(128)), name=f"Şule {i}", kind=list(models.Kind)[i % 2], state=("afloat", "ashore")[i % 2],
                    length=decimal.Decimal(r.randrange(1, 999_999)).scaleb(-2), latitude=r.uniform(-90, 90),
                    built=(None, datetime.date(1999, 12, 31))[i % 2], papers=(None, {}, [1, 2.5, None, "ğ"], {"b": 1, "a": {"x": []}})[i % 4],
                    photo=(None, b"", r.randbytes(50))[i % 3], harbour=(None, *harbours)[i % 6],
                    trips=[models.Trip(left_at=datetime.datetime(2025, 3, 30, 2, 30, 0, r.randrange(10**6)),
                                       lasted=(None, datetime.timedelta(days=k, seconds=1, microseconds=5))[k % 2],
                                       daily_at=(None, datetime.time(23, 59, 59, 999_999))[k % 2], passengers=k, fare=2**40 + k,
                                       notes=(None, "İğneada\nikinci satır")[k % 2]) for k in range(i % 4)])
        for i in range(24)]
    for boat in boats:
        for earlier, trip in zip(boat.trips, boat.trips[1:]):
            trip.before = earlier
    return [*harbours, *boats]


def everything(session, models):
    """Every object: its values, whose types count, and the keys of the objects it is related to."""
    found = {}
    for mapper in models.Base.registry.mappers:
        for one in session.scalars(select(mapper.class_).order_by(*mapper.primary_key)):
            values = {a.key: (type(getattr(one, a.key)).__name__, getattr(one, a.key)) for a in mapper.column_attrs}
            for relation in mapper.relationships:
                related = getattr(one, relation.key)
                values[relation.key] = [inspect(o).identity for o in (related if isinstance(related, list) else [related]) if o]
            found[mapper.class_.__name__, *inspect(one).identity] = values
    return found


def go_on(session, models):
    """What the application does next: new rows with free keys, filters by each type's own operators, updates and cascades."""
    taken = set(session.scalars(select(models.Trip.id)))
    first = session.scalars(select(models.Boat).where(models.Boat.trips.any())).first()
    new = models.Boat(id=uuid.UUID(int=7), name="Yeni", kind=models.Kind.SAIL, state="afloat", length=decimal.Decimal("1.50"), papers={"n": 1},
                      harbour=models.Harbour(name="Yeni", berths=[models.Berth(number=1)]))
    new.trips = [models.Trip(lasted=datetime.timedelta(hours=26)), models.Trip(daily_at=datetime.time(1, 2))]
    session.add(new)
    session.flush()
    session.refresh(new.trips[0])
    assert new.trips[0].left_at.tzinfo is None and not {trip.id for trip in new.trips} & taken
    # A naive moment minus another, a key of another type, a word of an enum, an interval: what breaks first where the types are not the models'.
    assert abs(new.trips[0].left_at - datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)) < datetime.timedelta(days=1)
    where = lambda *conditions: session.scalars(select(models.Boat).where(*conditions)).all()  # noqa: E731
    assert where(models.Boat.id == first.id, models.Boat.kind == first.kind, models.Boat.length == first.length) == [first]
    assert where(models.Boat.trips.any(models.Trip.lasted > datetime.timedelta(hours=25)), models.Boat.name == "Yeni") == [new]
    assert where(models.Boat.papers["n"].as_integer() == 1) == [new]
    first.kind, first.built, first.photo = models.Kind.MOTOR, datetime.date(2024, 2, 29), b"\x00"
    session.commit()
    session.add(models.Trip(boat_id=uuid.UUID(int=404)))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    session.delete(session.get(models.Boat, uuid.UUID(int=7)))
    session.delete(session.scalars(select(models.Harbour).where(models.Harbour.name == "Yeni")).one())
    session.commit()
    assert set(session.scalars(select(models.Trip.id))) == taken
    assert session.scalars(select(models.Berth.harbour_id).distinct()).all()


@pytest.fixture(scope="module")
def written(cluster, models, tmp_path_factory):
    """(the application's folder with its migrations, the SQLite file, all of its objects)"""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(HERE / "frameworks" / "alembic_site", site, dirs_exist_ok=True)
    (site / "versions").mkdir()
    (site / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\nprepend_sys_path = %(here)s\n")
    path = cluster.files / "fleet.db"
    alembic(site, f"sqlite:///{path}", "revision", "--autogenerate", "-m", "first")
    alembic(site, f"sqlite:///{path}", "upgrade", "head")
    engine = create_engine(f"sqlite:///{path}")
    with Session(engine) as session:
        session.add_all(fleet(models))
        session.commit()
        objects = everything(session, models)
    engine.dispose()
    return site, path, objects


def alembic(site, url, *arguments):
    return python("-m", "alembic", "-c", site / "alembic.ini", *arguments, DATABASE_URL=url)


def url(cluster, driver, database):
    return f"postgresql+{driver}://postgres@/{database}?host={cluster.directory}"


def the_application_works(cluster, database, models, objects):
    """The same objects by both drivers, and then its daily work by both."""
    engine = create_engine(url(cluster, "psycopg", database))
    with Session(engine) as session:
        assert everything(session, models) == objects
        go_on(session, models)
    engine.dispose()

    async def by_asyncpg():
        engine = create_async_engine(url(cluster, "asyncpg", database))
        async with AsyncSession(engine) as session:
            assert len(await session.run_sync(everything, models)) == len(objects)
            await session.run_sync(go_on, models)
        await engine.dispose()

    asyncio.run(by_asyncpg())


def test_tables_by_alembic(cluster, models, written):
    site, path, objects = written
    databases(cluster, "by_alembic")
    target = url(cluster, "psycopg", "by_alembic")
    alembic(site, target, "upgrade", "head")
    rows = cluster.psql(f"SELECT bool_and(content_match), sum(rejected_rows) FROM aliaport_import('{path}')", "by_alembic")
    assert rows == "t|0"
    assert "No new upgrade operations detected" in alembic(site, target, "check")
    the_application_works(cluster, "by_alembic", models, objects)


def test_tables_by_the_import_with_the_types_of_the_models(cluster, models, written):
    site, path, objects = written
    databases(cluster, "by_import")
    target = url(cluster, "psycopg", "by_import")
    # The page's program prints what psql is to run.
    program, = blocks_under("Tables by the import", "python")
    (site / "statements.py").write_text(program)
    statements = python(site / "statements.py", PYTHONPATH=site)
    imported = statements.replace("/data/aliaport.db", str(path))
    cluster.psql(imported, "by_import")
    assert "No new upgrade operations detected" in alembic(site, target, "check")
    the_application_works(cluster, "by_import", models, objects)


# --- Django


def test_django(cluster, tmp_path):
    shutil.copytree(HERE / "frameworks" / "django_site", tmp_path, dirs_exist_ok=True)
    (tmp_path / "harbour" / "migrations").mkdir()
    (tmp_path / "harbour" / "migrations" / "__init__.py").touch()
    path = cluster.files / "django.db"
    databases(cluster, "django")

    def manage(database, *arguments):
        return python(tmp_path / "manage.py", *arguments, DATABASE=database)

    def dump(database):
        """All objects by key; a jsonb sorts its keys, so JSON is compared as a value."""
        return {(o["model"], str(o["pk"])): o["fields"] for o in json.loads(manage(database, "dumpdata"))}

    manage(path, "makemigrations", "-v0", "harbour")
    manage(path, "migrate", "-v0")
    manage(path, "daily", "fill")
    old, new = str(path), f"{cluster.directory} django"
    manage(new, "migrate", "-v0")
    # The statement is the page's.
    statement, = blocks_under("Django", "sql")
    cluster.psql(statement.replace("/data/aliaport.db", old), "django")
    assert cluster.psql("SELECT status, rows_rejected FROM aliaport.run", "django") in ("ok|0", "warning|0")
    assert cluster.psql("SELECT bool_and(content_match) FROM aliaport.run_table", "django") == "t"
    assert dump(new) == dump(old)
    manage(new, "migrate", "--check")
    manage(new, "makemigrations", "--check", "--dry-run")
    manage(new, "daily", "go_on")


# --- the others, by what they store


def storage_formats():
    """The lines of the page's tables: framework, field, type in SQLite, literal, type in PostgreSQL, text there, options."""
    heading, found = "", []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        heading = line.lstrip("# ") if line.startswith("#") else heading
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if len(cells) == 6 and line.startswith("| `"):
            found.append((heading, *cells))
    return found


def test_storage_formats(cluster):
    databases(cluster, "formats")
    formats = storage_formats()
    assert {line[0] for line in formats} == {"Rails", "Prisma", "Entity Framework Core", "Go"} and len(formats) > 40
    for framework in {line[0] for line in formats}:
        lines = [line for line in formats if line[0] == framework]
        path = cluster.files / f"{framework.lower().replace(' ', '_')}.db"
        names = [f"c{i}" for i in range(len(lines))]
        db = sqlite3.connect(path)
        db.execute(f"CREATE TABLE t ({', '.join(f'{n} {line[2]}' for n, line in zip(names, lines))})")
        db.execute(f"INSERT INTO t VALUES ({', '.join(line[3] for line in lines)})")
        db.commit()
        db.close()
        options = {"tables": {"t": {"columns": {n: json.loads(line[6]) for n, line in zip(names, lines) if line[6]}}}}
        with cluster.connect("formats", autocommit=False) as connection:
            connection.execute(f"SET timezone = 'UTC'; CREATE TABLE t ({', '.join(f'{n} {line[4]}' for n, line in zip(names, lines))})")
            rows = connection.execute("SELECT status, content_match FROM aliaport_import(%s, options => %s)", [str(path), json.dumps(options)]).fetchall()
            assert rows[0][1], rows
            texts = connection.execute(f"SELECT {', '.join(f'{n}::text' for n in names)} FROM t").fetchone()
            connection.rollback()
        booleans = {"true": "t", "false": "f", None: "NULL"}
        arrived = {(framework, line[1]): booleans.get(text, text) for line, text in zip(lines, texts)}
        assert arrived == {(framework, line[1]): line[5] for line in lines}
