"""The objects that are moved, and how they are read back."""

import datetime
import decimal
import random

from sqlalchemy import inspect, select

from models import Cari, Item, Kind, Photo, Role, User, WorkOrder

UTC = datetime.timezone.utc
TURKISH = ["Işıl Şahin", "İĞÜŞÖÇ ığüşöç", "Çağrı Öztürk\nikinci satır\tsekme", "", " ", "O'Neil \"tırnak\" \\ters", "NULL", "\\N", "🚤 ⚓", "ﬁ K̆"]


def objects():
    """One of everything that the models can hold, and more."""
    r = random.Random(7)
    roles = [Role(name=n) for n in ("YÖNETİCİ", "OPERASYON", "GÖRÜNTÜLEME")]
    users = [
        User(email=f"u{i}@aliaport.example", full_name=None if i == 3 else TURKISH[i % len(TURKISH)], is_active=i % 3 != 0,
             last_login=None if i % 4 == 0 else datetime.datetime(2025, 1, 1 + i % 28, i % 24, 59, 59, (0, 1, 999_999, 120_000)[i % 4]),
             created_at=datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999) + datetime.timedelta(days=4000 * (i % 5)),
             roles=r.sample(roles, i % 4))
        for i in range(12)
    ]
    firms = [
        Cari(Unvan=TURKISH[i % len(TURKISH)] + f" {i}", VadeGun=(None, 0, 30, 32767)[i % 4],
             Limit=(None, decimal.Decimal("0.00"), decimal.Decimal("-1.10"), decimal.Decimal("9999999999.99"), decimal.Decimal("1.01"),
                    decimal.Decimal("100"))[i % 6],
             Birim=decimal.Decimal(r.randrange(10**12)).scaleb(-4), Oran=(None, 0.1, -0.25, 1e300, 5e-324, 3.0)[i % 6],
             Enlem=r.uniform(-90, 90), Sayac=(2**63 - 1, -2**63, 0, None)[i % 4])
        for i in range(24)
    ]
    for i, firm in enumerate(firms):
        firm.Ust = firms[i // 3] if i and i % 5 else None
    orders = [
        WorkOrder(cari=r.choice(firms), kind=r.choice(list(Kind)), priority=("LOW", "HIGH")[i % 2], subject=r.choice(TURKISH),
                  planned_date=(None, datetime.date(2024, 2, 29), datetime.date(1, 1, 1), datetime.date(9999, 12, 31))[i % 4],
                  planned_time=(None, datetime.time(0, 0), datetime.time(23, 59, 59, 999_999), datetime.time(8, 30))[i % 4],
                  started_at=None if i % 3 == 0 else datetime.datetime(2025, 3, 30, 2, 30, 0, r.randrange(10**6)),
                  extra=(None, {}, [], {"ş": [1, 2.5, -1e-7, True, None, "İ"], "a": {"b": []}}, [{"n": 2**53}], {"metin": "\\ \" \n ü"})[i % 6],
                  signature=(None, b"", b"\x00\xff\\x00", r.randbytes(3000))[i % 4], state=(None, {"iş": (1, 2)}, [b"\x00"])[i % 3],
                  items=[Item(line_no=n, quantity=r.random() * 100, total=decimal.Decimal(r.randrange(10**9)).scaleb(-2),
                              is_invoiced=(True, False, None)[n % 3],
                              photos=[Photo(name=f"{k} {TURKISH[k]}") for k in range(n % 3)]) for n in range(i % 5)])
        for i in range(120)
    ]
    return [*roles, *users, *firms, *orders]


def plain(value):
    """A naive datetime means UTC; what PostgreSQL gives back says so."""
    if isinstance(value, datetime.datetime) and value.tzinfo:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def everything(session, base, read=plain):
    """All objects of all models: their columns, and the keys of the objects they are related to."""
    found = {}
    for mapper in base.registry.mappers:
        keys = mapper.primary_key
        for one in session.scalars(select(mapper.class_).order_by(*keys)):
            identity = (mapper.class_.__name__, inspect(one).identity)
            values = {a.key: read(getattr(one, a.key)) for a in mapper.column_attrs}
            for relation in mapper.relationships:
                related = getattr(one, relation.key)
                related = related if isinstance(related, list) else [related] if related else []
                values[relation.key] = [inspect(o).identity for o in related]
            found[identity] = values
    return found


def write(session):
    """Stores the objects as an application would have left them."""
    session.add_all(objects())
    session.commit()
    # A parent that comes after its child, and a ring.
    first, last = session.scalars(select(Cari).where(Cari.Id.in_([1, 24])).order_by(Cari.Id))
    first.Ust = last
    session.commit()
    # AUTOINCREMENT must not give this key again.
    last = session.scalars(select(WorkOrder).order_by(WorkOrder.id.desc())).first()
    for one in [*(photo for item in last.items for photo in item.photos), *last.items, last]:
        session.delete(one)
    session.commit()


def assert_equal(written, read):
    """The same objects with the same values of the same types."""
    assert read.keys() == written.keys()
    for key, values in sorted(written.items()):
        back = read[key]
        # 1 == True and Decimal(1) == 1 == 1.0, so the types are compared too.
        different = {k: (v, back[k]) for k, v in values.items() if v != back[k] or type(v) is not type(back[k])}
        assert not different, (key, different)
