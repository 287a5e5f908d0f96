"""What the application has done before the move, and what it goes on doing after it."""

import datetime
import decimal
import random
import uuid

from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError, connection, models, transaction
from django.test import Client

from harbour.models import Boat, Harbour, Tag, Trip

UTC = datetime.timezone.utc


def fill():
    """Users with their rights and a session, and objects with values in every field."""
    r = random.Random(3)
    chief = User.objects.create_superuser("chief", "chief@aliaport.example", "secret", first_name="Işıl", last_name="Şahin")
    group = Group.objects.create(name="İskele")
    group.permissions.set(Permission.objects.all()[:5])
    clerk = User.objects.create_user("clerk", password="secret")
    clerk.groups.add(group)
    browser = Client()
    assert browser.login(username="chief", password="secret")
    answer = browser.post("/admin/harbour/tag/add/", {"word": "from the admin"})
    assert answer.status_code == 302, answer.content
    tags = [Tag.objects.create(word=f"etiket {i}") for i in range(6)]
    harbours = [Harbour.objects.create(name=f"Iğdır {i}", code=f"igdir-{i}", chief=(chief, clerk, None)[min(i, 2)]) for i in range(4)]
    for i in range(20):
        boat = Boat.objects.create(
            id=uuid.UUID(int=r.getrandbits(128)), name=f"Şule {i}", kind=Boat.Kind.values[i % 2],
            length=decimal.Decimal(r.randrange(1, 999_999)).scaleb(-2), draught=(None, r.random() * 9, 3.0)[i % 3], is_afloat=i % 2 == 0,
            is_insured=(None, True, False)[i % 3], built=(None, datetime.date(1, 1, 1), datetime.date(2024, 2, 29))[i % 3],
            papers=(None, {}, [1, 2.5, None, "ğ"], {"b": 1, "a": {"x": []}}, "text", 7, False)[i % 7], photo=(None, b"", r.randbytes(50))[i % 3],
            address=(None, f"10.0.0.{i}", f"2001:db8::{i}")[i % 3], website="https://aliaport.example/" * (i % 2),
            email="şule@aliaport.example" * (i % 2), contract="contracts/a.pdf" * (i % 2), harbour=(None, *harbours)[i % 5])
        boat.tags.set(r.sample(tags, i % 4))
        before = None
        for k in range(i % 4):
            before = Trip.objects.create(
                boat=boat, before=before, back_at=(None, datetime.datetime(2025, 3, 30, 2, 30, 0, k, UTC), datetime.datetime(2025, 1, 1, tzinfo=UTC))[k],
                lasted=(None, datetime.timedelta(days=-3, microseconds=5), datetime.timedelta(days=400, hours=1))[k],
                daily_at=(None, datetime.time(23, 59, 59, 999_999), datetime.time(0, 0))[k], passengers=k, crew=(None, -32768, 32767)[k],
                miles=(None, 0, 2**31 - 1)[k], height=(None, -2**31, 5)[k], fare=(None, -2**63, 2**63 - 1)[k],
                stamp=(None, 0, 2**63 - 1)[k], notes="İğneada\nikinci satır" * k)
    # The key of a row that is gone is not given again.
    Trip.objects.order_by("-id")[0].delete()


def go_on():
    """The admin, filters on every field, new rows, updates, cascades, and what has to be refused."""
    browser = Client()
    assert browser.login(username="chief", password="secret")
    for model in (User, Group, Boat, Harbour, Tag, Trip):
        meta, one = model._meta, model.objects.order_by("-pk")[0]
        for page in ("", "add/", f"{one.pk}/change/", f"{one.pk}/history/", f"{one.pk}/delete/"):
            answer = browser.get(f"/admin/{meta.app_label}/{meta.model_name}/{page}")
            assert answer.status_code == 200, (model, page, answer)
    answer = browser.post("/admin/harbour/harbour/add/", {"name": "Yeni", "code": "yeni", "chief": ""})
    assert answer.status_code == 302, answer.content
    answer = browser.post("/admin/auth/user/add/", {"username": "new", "usable_password": "true", "password1": "Tr0ub4dor&3", "password2": "Tr0ub4dor&3"})
    assert answer.status_code == 302, answer.content
    assert Client().login(username="new", password="Tr0ub4dor&3") and User.objects.get(username="clerk").groups.get().permissions.count() == 5
    filters = 0
    for model in (User, Boat, Harbour, Tag, Trip):
        for field in model._meta.concrete_fields:
            for one in model.objects.exclude(**{f"{field.name}__isnull": True}).order_by("pk")[:4]:
                value = getattr(one, field.attname)
                assert one in model.objects.filter(**{field.attname: value}), (model, field, value)
                filters += 1
                if isinstance(field, (models.DateField, models.TimeField, models.DurationField, models.DecimalField, models.FloatField)):
                    assert one in model.objects.filter(**{f"{field.name}__gte": value, f"{field.name}__lte": value}), (model, field, value)
    assert filters > 100
    assert Boat.objects.filter(papers__a__x=[]).exists() and Boat.objects.filter(papers__has_key="b").exists()
    assert Trip.objects.filter(lasted__gt=datetime.timedelta(days=399)).aggregate(models.Sum("lasted"))["lasted__sum"].days >= 400
    assert Trip.objects.filter(back_at__year=2025, back_at__date__gte=datetime.date(2025, 1, 1)).exists()
    assert Trip.objects.annotate(sails=models.F("left_at") + models.F("lasted")).exclude(lasted=None)[0].sails
    taken = set(Trip.objects.values_list("pk", flat=True))
    boat = Boat.objects.create(name="Yeni", kind="motor", length="1.50", address="::1", papers={"n": [1]}, harbour=Harbour.objects.get(name="Yeni"))
    trips = [Trip.objects.create(boat=boat, lasted=datetime.timedelta(hours=26)) for _ in range(3)]
    # AUTOINCREMENT had given the key of the row that was deleted, too.
    assert min(t.pk for t in trips) > max(taken) + 1
    boat.tags.add(Tag.objects.create(word="yeni"), Tag.objects.first())
    boat.refresh_from_db()
    boat.photo, boat.built = b"\x00", datetime.date(2025, 1, 1)
    boat.save()
    assert Boat.objects.filter(pk=boat.pk, photo=b"\x00", trip__lasted=datetime.timedelta(hours=26)).distinct().get() == boat
    assert boat.delete()[0] == 1 + 3 + 2 and set(Trip.objects.values_list("pk", flat=True)) == taken
    for refused in (lambda: Trip.objects.create(boat_id=uuid.UUID(int=404)), lambda: Boat.objects.filter(pk=Boat.objects.first().pk).update(length=-1),
                    lambda: Harbour.objects.create(name="Yeni", code="again")):
        try:
            with transaction.atomic():
                refused()
                # Django's foreign keys are checked at COMMIT.
                connection.check_constraints()
        except IntegrityError:
            continue
        raise AssertionError("it was not refused")
