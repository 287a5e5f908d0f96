"""Models with each kind of field that Django has."""

import uuid

from django.conf import settings
from django.db import models


class Harbour(models.Model):
    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=80, unique=True)
    code = models.SlugField(max_length=20)
    chief = models.OneToOneField(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)


class Tag(models.Model):
    id = models.SmallAutoField(primary_key=True)
    word = models.CharField(max_length=30)


class Boat(models.Model):
    class Kind(models.TextChoices):
        SAIL = "yelken"
        MOTOR = "motor"

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(length__gt=0), name="boat_length"),
                       models.UniqueConstraint(fields=["name", "kind"], name="boat_name_kind"),
                       models.UniqueConstraint(fields=["address"], condition=models.Q(is_afloat=True), name="boat_address_afloat")]
        indexes = [models.Index(fields=["-built", "kind"], name="boat_built")]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=40)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    length = models.DecimalField(max_digits=6, decimal_places=2)
    draught = models.FloatField(null=True)
    is_afloat = models.BooleanField(default=True)
    is_insured = models.BooleanField(null=True)
    built = models.DateField(null=True)
    papers = models.JSONField(null=True)
    photo = models.BinaryField(null=True)
    address = models.GenericIPAddressField(null=True)
    website = models.URLField(blank=True)
    email = models.EmailField(blank=True)
    contract = models.FileField(upload_to="contracts", blank=True)
    harbour = models.ForeignKey(Harbour, null=True, on_delete=models.PROTECT)
    tags = models.ManyToManyField(Tag)


class Trip(models.Model):
    boat = models.ForeignKey(Boat, on_delete=models.CASCADE)
    before = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)
    left_at = models.DateTimeField(auto_now_add=True)
    back_at = models.DateTimeField(null=True)
    lasted = models.DurationField(null=True)
    daily_at = models.TimeField(null=True)
    passengers = models.PositiveSmallIntegerField(default=0)
    crew = models.SmallIntegerField(null=True)
    miles = models.PositiveIntegerField(null=True)
    height = models.IntegerField(null=True)
    fare = models.BigIntegerField(null=True)
    stamp = models.PositiveBigIntegerField(null=True)
    notes = models.TextField(blank=True)
