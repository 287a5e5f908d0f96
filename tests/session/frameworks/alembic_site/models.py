"""Models with each of SQLAlchemy's types that SQLite can hold, and keys, checks and indexes as applications have them."""

import datetime
import decimal
import enum
import uuid

from sqlalchemy import (JSON, BigInteger, Boolean, CheckConstraint, Date, DateTime, Double, Enum, Float, ForeignKey, Index, Integer, Interval,
                        LargeBinary, Numeric, SmallInteger, String, Text, Time, Unicode, UniqueConstraint, Uuid, func)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Kind(enum.Enum):
    SAIL = "yelken"
    MOTOR = "motor"


class Harbour(Base):
    __tablename__ = "harbour"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    is_open: Mapped[bool] = mapped_column(Boolean, default=True)
    berths: Mapped[list["Berth"]] = relationship(back_populates="harbour", cascade="all, delete-orphan", order_by="Berth.number")


class Berth(Base):
    """A key of two columns, one of which refers."""

    __tablename__ = "berth"
    harbour_id: Mapped[int] = mapped_column(ForeignKey("harbour.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    depth: Mapped[float | None] = mapped_column(Float)
    harbour: Mapped[Harbour] = relationship(back_populates="berths")


class Boat(Base):
    __tablename__ = "boat"
    __table_args__ = (
        UniqueConstraint("name", "kind", name="uq_boat_name_kind"), CheckConstraint("length > 0", name="ck_boat_length"),
        Index("ix_boat_built", "built"),
    )
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(Unicode(40))
    kind: Mapped[Kind] = mapped_column(Enum(Kind, name="boat_kind"))
    state: Mapped[str] = mapped_column(Enum("afloat", "ashore", name="boat_state", native_enum=False))
    length: Mapped[decimal.Decimal] = mapped_column(Numeric(6, 2))
    latitude: Mapped[float | None] = mapped_column(Double)
    built: Mapped[datetime.date | None] = mapped_column(Date)
    papers: Mapped[dict | list | None] = mapped_column(JSON)
    photo: Mapped[bytes | None] = mapped_column(LargeBinary)
    harbour_id: Mapped[int | None] = mapped_column(ForeignKey("harbour.id", ondelete="SET NULL"), index=True)
    harbour: Mapped[Harbour | None] = relationship()
    trips: Mapped[list["Trip"]] = relationship(back_populates="boat", cascade="all, delete-orphan", order_by="Trip.id")


class Trip(Base):
    __tablename__ = "trip"
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    boat_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("boat.id", ondelete="CASCADE"))
    before_id: Mapped[int | None] = mapped_column(ForeignKey("trip.id"))
    left_at: Mapped[datetime.datetime] = mapped_column(DateTime, server_default=func.now())
    lasted: Mapped[datetime.timedelta | None] = mapped_column(Interval)
    daily_at: Mapped[datetime.time | None] = mapped_column(Time)
    passengers: Mapped[int | None] = mapped_column(Integer)
    fare: Mapped[int | None] = mapped_column(BigInteger)
    notes: Mapped[str | None] = mapped_column(Text)
    boat: Mapped[Boat] = relationship(back_populates="trips")
    before: Mapped["Trip | None"] = relationship(remote_side=[id])
