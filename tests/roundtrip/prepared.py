"""More models, of what a schema that SQLAlchemy or Alembic made in PostgreSQL has and one that an import makes has not."""

import datetime
import decimal
import enum
import uuid

from sqlalchemy import (JSON, BigInteger, CheckConstraint, DateTime, DefaultClause, Enum, ForeignKey, Identity, Index, Integer, Interval, Numeric,
                        Sequence, SmallInteger, String, UniqueConstraint, Uuid, event, func, text)
from sqlalchemy.dialects.postgresql import CIDR, CITEXT, INET, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Prepared(DeclarativeBase):
    pass


class Hull(enum.Enum):
    WOOD = "ahşap"
    STEEL = "çelik"


class Boat(Prepared):
    """It and its captain need each other: one of the foreign keys is added by ALTER TABLE."""

    __tablename__ = "boat"
    __table_args__ = (
        UniqueConstraint("name", "hull", name="uq_boat"), CheckConstraint("length > 0", name="ck_boat_length"),
        Index("ix_boat_steel", "length", postgresql_where=text("hull = 'STEEL'"), sqlite_where=text("hull = 'STEEL'")),
    )
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(String(40).with_variant(CITEXT, "postgresql"))
    hull: Mapped[Hull] = mapped_column(Enum(Hull, name="hull"))
    length: Mapped[decimal.Decimal] = mapped_column(Numeric(6, 2))
    code: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    papers: Mapped[dict | None] = mapped_column(JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"))
    seen_at: Mapped[datetime.datetime] = mapped_column(DateTime, server_default=func.now())
    captain_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", use_alter=True, name="fk_boat_captain", ondelete="SET NULL"))
    captain: Mapped["Person | None"] = relationship(foreign_keys=captain_id, post_update=True)
    tickets: Mapped[list["Ticket"]] = relationship(back_populates="boat", order_by="Ticket.number")


class Person(Prepared):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), index=True)
    address: Mapped[str | None] = mapped_column(String(45).with_variant(INET, "postgresql"))
    network: Mapped[str | None] = mapped_column(String(45).with_variant(CIDR, "postgresql"))
    boat_id: Mapped[int] = mapped_column(ForeignKey("boat.id", deferrable=True, initially="DEFERRED"))
    boat: Mapped[Boat] = relationship(foreign_keys=boat_id)
    chief_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    chief: Mapped["Person | None"] = relationship(remote_side=[id], post_update=True)


ticket_numbers = Sequence("ticket_numbers", metadata=Prepared.metadata)


class Ticket(Prepared):
    """Its key is fed by a sequence that stands alone and belongs to no column."""

    __tablename__ = "ticket"
    number: Mapped[int] = mapped_column(SmallInteger().with_variant(Integer, "sqlite"), primary_key=True)
    boat_id: Mapped[int] = mapped_column(ForeignKey("boat.id", ondelete="CASCADE"))
    valid_for: Mapped[datetime.timedelta | None] = mapped_column(Interval)
    boat: Mapped[Boat] = relationship(back_populates="tickets")


@event.listens_for(Ticket.__table__, "before_create")
def feed_tickets(table, connection, **_):
    """A DEFAULT nextval() in PostgreSQL only: SQLite has no such function."""
    feeds = connection.dialect.name == "postgresql"
    table.c.number.server_default = DefaultClause(ticket_numbers.next_value()) if feeds else None
