"""SQLAlchemy 2 models of the kind Aliaport has: what this product's users read and write with, before and after the move."""

import datetime
import decimal
import enum
import pickle

from sqlalchemy import (JSON, BigInteger, Boolean, CheckConstraint, Column, Date, DateTime, Double, Enum, Float, ForeignKey,
                        ForeignKeyConstraint, Index, Integer, LargeBinary, Numeric, PickleType, SmallInteger, String, Table, Text,
                        Time, Unicode, UniqueConstraint, func)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Kind(enum.Enum):
    HIZMET = "hizmet"
    MOTORBOT = "motorbot"
    BARINMA = "barınma"


user_roles = Table(
    "user_roles", Base.metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
)


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(100), unique=True)
    full_name: Mapped[str | None] = mapped_column(Unicode(200))
    is_active: Mapped[bool] = mapped_column(Boolean(create_constraint=True, name="ck_users_is_active"), default=True)
    last_login: Mapped[datetime.datetime | None] = mapped_column(DateTime)
    created_at: Mapped[datetime.datetime] = mapped_column(DateTime, server_default=func.now())
    roles: Mapped[list["Role"]] = relationship(secondary=user_roles, back_populates="users", order_by="Role.id")


class Role(Base):
    __tablename__ = "roles"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    users: Mapped[list[User]] = relationship(secondary=user_roles, back_populates="roles", order_by="User.id")


class Cari(Base):
    __tablename__ = "Cari"
    __table_args__ = (CheckConstraint('"VadeGun" >= 0', name="ck_cari_vade"), Index("ix_Cari_Unvan", "Unvan"))
    Id: Mapped[int] = mapped_column(primary_key=True)
    Unvan: Mapped[str] = mapped_column(String(200))
    VadeGun: Mapped[int | None] = mapped_column(SmallInteger)
    Limit: Mapped[decimal.Decimal | None] = mapped_column(Numeric(15, 2))
    Birim: Mapped[decimal.Decimal | None] = mapped_column(Numeric(18, 4))
    Oran: Mapped[float | None] = mapped_column(Float)
    Enlem: Mapped[float | None] = mapped_column(Double)
    Sayac: Mapped[int | None] = mapped_column(BigInteger)
    UstId: Mapped[int | None] = mapped_column(ForeignKey("Cari.Id", ondelete="SET NULL"))
    Ust: Mapped["Cari | None"] = relationship(remote_side=[Id], back_populates="Alt")
    Alt: Mapped[list["Cari"]] = relationship(back_populates="Ust", order_by="Cari.Id")
    orders: Mapped[list["WorkOrder"]] = relationship(back_populates="cari", order_by="WorkOrder.id")


class WorkOrder(Base):
    __tablename__ = "work_order"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    cari_id: Mapped[int] = mapped_column(ForeignKey("Cari.Id"), index=True)
    kind: Mapped[Kind] = mapped_column(Enum(Kind))
    priority: Mapped[str] = mapped_column(Enum("LOW", "HIGH", name="priority", create_constraint=True))
    subject: Mapped[str] = mapped_column(Text)
    planned_date: Mapped[datetime.date | None] = mapped_column(Date)
    planned_time: Mapped[datetime.time | None] = mapped_column(Time)
    started_at: Mapped[datetime.datetime | None] = mapped_column(DateTime)
    extra: Mapped[dict | list | None] = mapped_column(JSON)
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[object | None] = mapped_column(PickleType(protocol=pickle.DEFAULT_PROTOCOL))
    cari: Mapped[Cari] = relationship(back_populates="orders")
    items: Mapped[list["Item"]] = relationship(back_populates="order", order_by="Item.line_no")


class Item(Base):
    __tablename__ = "work_order_item"
    work_order_id: Mapped[int] = mapped_column(ForeignKey("work_order.id", ondelete="CASCADE"), primary_key=True)
    line_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    quantity: Mapped[float] = mapped_column(Float)
    total: Mapped[decimal.Decimal] = mapped_column(Numeric(15, 2))
    is_invoiced: Mapped[bool | None]
    order: Mapped[WorkOrder] = relationship(back_populates="items")
    photos: Mapped[list["Photo"]] = relationship(back_populates="item", order_by="Photo.id")


class Photo(Base):
    """Its foreign key has two columns, in another order than the parent's key."""

    __tablename__ = "work_order_photo"
    __table_args__ = (
        ForeignKeyConstraint(["line_no", "order_id"], ["work_order_item.line_no", "work_order_item.work_order_id"]),
        UniqueConstraint("order_id", "line_no", "name", name="uq_photo_name"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(Integer)
    line_no: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(80))
    item: Mapped[Item] = relationship(back_populates="photos")
