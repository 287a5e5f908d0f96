#!/usr/bin/env python3
"""Makes a SQLite database to measure imports with: one table of a shape, deterministic. Standard library only.

    make_bench_db.py OUT.db SHAPE ROWS

Shapes: wide (20 columns of every kind, no key), narrow (5 columns of numbers), indexed (wide with a key and three indexes),
blobs (20 kB each).
"""

import datetime
import json
import os
import random
import sqlite3
import sys

WIDE = """CREATE TABLE wide (
    id INTEGER NOT NULL{key}, customer_id INTEGER NOT NULL, product_id INTEGER NOT NULL, store_id INTEGER,
    order_no VARCHAR(50) NOT NULL, customer VARCHAR(50) NOT NULL, city VARCHAR(50), note TEXT, status VARCHAR(20) NOT NULL,
    is_paid BOOLEAN NOT NULL, is_shipped BOOLEAN NOT NULL, is_gift BOOLEAN, created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL, paid_at DATETIME, shipped_at DATETIME, due_date DATE, total NUMERIC(15, 2) NOT NULL,
    tax NUMERIC(15, 2), meta JSON)"""
INDEXES = """
    CREATE UNIQUE INDEX wide_order_no ON wide (order_no);
    CREATE INDEX wide_customer ON wide (customer_id);
    CREATE INDEX wide_created ON wide (created_at);
"""
TABLES = {
    "wide": WIDE.format(key=""),
    "indexed": WIDE.format(key=" PRIMARY KEY"),
    "narrow": "CREATE TABLE narrow (a INTEGER NOT NULL, b INTEGER NOT NULL, c INTEGER, d INTEGER, e REAL)",
    "blobs": "CREATE TABLE blobs (id INTEGER NOT NULL, name VARCHAR(50) NOT NULL, data BLOB NOT NULL)",
}
NAMES = ["Ayşe Yılmaz", "Mehmet Kaya", "Gülşen Şahin", "İbrahim Çelik", "Çağrı Öztürk", "Özge Kılıç", "Şükrü Doğan", "Işıl Koç"]
CITIES = ["İstanbul", "Ankara", "İzmir", "Muğla", "Şanlıurfa", "Çanakkale", "Eskişehir", "Kırşehir", "Ağrı", "Niğde"]
WORDS = "sipariş müşteri kapıda ödeme yarın öğleden sonra teslim edilecek lütfen zili çalmayınız arka sokakta çiçek".split()
STATES = ["new", "paid", "shipped", "delivered", "cancelled", "returned"]
START = datetime.datetime(2019, 1, 1)


def moment(seconds, microseconds):
    return f"{(START + datetime.timedelta(seconds=seconds)).isoformat(' ')}.{microseconds % 1_000_000:06d}"


def wide(r, rows):
    for i in range(1, rows + 1):
        b = r.getrandbits(64)
        s, us = i * 97 + (b & 63), b >> 40
        created = moment(s, us)
        paid, shipped = b >> 6 & 3 != 0, b >> 8 & 1
        note = " ".join(WORDS[(b + 5 * k) % len(WORDS)] for k in range(3 + (b >> 12) % 12)) if b >> 10 & 3 else None
        cents = 100 + (b >> 17) % 2_000_000 + (10**12 if i % 1000 == 0 else 0)
        yield (i, 1 + (b >> 16) % 50_000, 1 + (b >> 24) % 5_000, None if i % 20 == 0 else 1 + (b >> 8) % 200,
               f"SIP-{2019 + i % 7}-{(i * 7919) % 100_000_007:09d}", NAMES[b & 7], None if i % 33 == 0 else CITIES[i % 10], note,
               STATES[i % 6], int(paid), int(shipped), None if i % 50 == 0 else b >> 41 & 1, created, moment(s + (b >> 52), us * 7),
               moment(s + 600, us) if paid else None, moment(s + 86_400, us) if shipped else None, None if i % 10 == 0 else created[:10],
               cents / 100.0, None if b >> 30 & 15 == 0 else cents * 18 // 100 / 100.0,
               None if b >> 34 & 7 == 0 else json.dumps({"kaynak": ("web", "mobil", "mağaza")[i % 3], "kupon": None if i % 4 else f"YAZ{i % 97}",
                                                         "adet": 1 + i % 9, "etiketler": [CITIES[i % 10], WORDS[i % len(WORDS)]],
                                                         "puan": i % 50 / 10}, ensure_ascii=False))


def narrow(r, rows):
    for i in range(rows):
        b = r.getrandbits(64)
        yield i, b & 0xFFFF, b >> 16 & 0x7FFFFFFF if b >> 60 else None, b >> 40 & 0xFF, (b >> 11) / 2**53 * 1000


def blobs(r, rows):
    for i in range(rows):
        yield i, f"dosya-{i}.bin", r.randbytes(20_480)


def make(path, shape, rows):
    if os.path.exists(path):
        os.remove(path)
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
    db.execute(TABLES[shape])
    table, made = {"narrow": ("narrow", narrow), "blobs": ("blobs", blobs)}.get(shape, ("wide", wide))
    marks = ", ".join("?" * len(db.execute(f"SELECT * FROM {table}").description))
    db.execute("BEGIN")
    db.executemany(f"INSERT INTO {table} VALUES ({marks})", made(random.Random(20240), rows))
    db.execute("COMMIT")
    if shape == "indexed":
        db.executescript(INDEXES)
    db.close()
    return table


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[2] not in TABLES:
        sys.exit(__doc__)
    make(sys.argv[1], sys.argv[2], int(sys.argv[3]))
