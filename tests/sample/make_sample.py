#!/usr/bin/env python3
"""Makes a sample aliaport.db: the harbour's application as its SQLAlchemy models and scripts would have left it.

    make_sample.py OUT.db [--rows N] [--defects | --dirty]

N is the number of rows of the largest table, work_order_item; the others follow from it. The same arguments give the same
database. The data is clean; --defects adds a few orphans and bad values of each kind, --dirty also tables that nobody has looked
after, so that everything that aliaport_inspect can find in a source is there. Standard library only.

What is in it on purpose: both naming styles, Turkish text, booleans as 0/1, naive datetimes with and without microseconds,
decimals stored as floats, JSON text, enums as text, composite keys, a self-reference, a foreign-key cycle, AUTOINCREMENT
with a gap and a high-water mark above the greatest key, empty tables, WITHOUT ROWID, STRICT, COLLATE NOCASE, partial,
expression and DESC indexes, named and deferrable constraints, a generated column, a view and a trigger.
"""

import argparse
import datetime
import functools
import json
import os
import random
import sqlite3

SCHEMA = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));

CREATE TABLE users (
    id INTEGER NOT NULL,
    email VARCHAR(100) NOT NULL COLLATE NOCASE,
    hashed_password VARCHAR(255) NOT NULL,
    full_name VARCHAR(200),
    is_active BOOLEAN NOT NULL DEFAULT 1,
    is_superuser BOOLEAN NOT NULL DEFAULT 0,
    created_at DATETIME NOT NULL,
    last_login DATETIME,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_users_email ON users (email);

CREATE TABLE roles (
    id INTEGER NOT NULL, name VARCHAR(50) NOT NULL, description VARCHAR(255), is_active BOOLEAN NOT NULL,
    PRIMARY KEY (id), CONSTRAINT uq_roles_name UNIQUE (name)
);

CREATE TABLE permissions (
    id INTEGER NOT NULL, name VARCHAR(100) NOT NULL, resource VARCHAR(50) NOT NULL, action VARCHAR(20) NOT NULL,
    PRIMARY KEY (id), UNIQUE (resource, action)
);

CREATE TABLE user_roles (
    user_id INTEGER NOT NULL, role_id INTEGER NOT NULL, assigned_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (user_id, role_id),
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    FOREIGN KEY (role_id) REFERENCES roles (id) ON DELETE CASCADE
);

CREATE TABLE role_permissions (
    role_id INTEGER NOT NULL, permission_id INTEGER NOT NULL,
    PRIMARY KEY (role_id, permission_id),
    FOREIGN KEY (role_id) REFERENCES roles (id) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (permission_id) REFERENCES permissions (id) ON DELETE CASCADE
);

CREATE TABLE password_reset_tokens (
    id INTEGER NOT NULL, user_id INTEGER NOT NULL, token VARCHAR(255) NOT NULL, expires_at DATETIME NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE "Cari" (
    "Id" INTEGER NOT NULL,
    "CariKod" VARCHAR(50) NOT NULL,
    "Unvan" VARCHAR(200) NOT NULL,
    "CariTip" VARCHAR(20) NOT NULL CHECK ("CariTip" IN ('BIREYSEL', 'KURUMSAL')),
    "VergiNo" VARCHAR(20),
    "Il" VARCHAR(50),
    "Adres" VARCHAR(500),
    "VadeGun" INTEGER DEFAULT 30 CONSTRAINT ck_cari_vade CHECK ("VadeGun" BETWEEN 0 AND 365),
    "ParaBirimi" VARCHAR(10) DEFAULT 'TRY',
    "RiskLimiti" NUMERIC(15, 2),
    "AktifMi" BOOLEAN NOT NULL,
    "CreatedAt" DATETIME NOT NULL,
    "UpdatedAt" DATETIME,
    "CreatedBy" INTEGER REFERENCES users (id) ON DELETE SET NULL,
    PRIMARY KEY ("Id")
);
CREATE UNIQUE INDEX "ix_Cari_CariKod" ON "Cari" ("CariKod");
CREATE INDEX "ix_Cari_Unvan_lower" ON "Cari" (lower("Unvan"));

CREATE TABLE "HizmetKategori" (
    "Id" INTEGER NOT NULL,
    "UstId" INTEGER,
    "Ad" VARCHAR(100) NOT NULL,
    "SiraNo" INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY ("Id"),
    CONSTRAINT "fk_HizmetKategori_Ust" FOREIGN KEY ("UstId") REFERENCES "HizmetKategori" ("Id") ON DELETE SET NULL
);

CREATE TABLE "Hizmet" (
    "Id" INTEGER NOT NULL,
    "Kod" VARCHAR(50) NOT NULL COLLATE NOCASE,
    "Ad" VARCHAR(200) NOT NULL,
    "KategoriId" INTEGER,
    "Fiyat" NUMERIC(18, 4) CHECK ("Fiyat" >= 0),
    "ParaBirimi" VARCHAR(10) NOT NULL DEFAULT 'TRY',
    "KdvOrani" NUMERIC(5, 2),
    "CalculationType" VARCHAR(19),
    "FormulaParams" JSON,
    "MesaiBaslangic" TIME,
    "RequiresPersonCount" BOOLEAN NOT NULL,
    "AktifMi" BOOLEAN NOT NULL,
    PRIMARY KEY ("Id"),
    UNIQUE ("Kod"),
    FOREIGN KEY ("KategoriId") REFERENCES "HizmetKategori" ("Id")
);

CREATE TABLE "PriceList" (
    "Id" INTEGER NOT NULL, "Kod" VARCHAR(50) NOT NULL, "Ad" VARCHAR(200) NOT NULL, "Versiyon" INTEGER NOT NULL,
    "GecerlilikBaslangic" DATE, "GecerlilikBitis" DATE, "AktifMi" BOOLEAN NOT NULL,
    PRIMARY KEY ("Id"), CONSTRAINT "uq_PriceList_Kod_Versiyon" UNIQUE ("Kod", "Versiyon")
);

CREATE TABLE "PriceListItem" (
    "PriceListId" INTEGER NOT NULL, "SiraNo" SMALLINT NOT NULL, "HizmetId" INTEGER NOT NULL,
    "BirimFiyat" NUMERIC(18, 4) NOT NULL, "KdvOrani" NUMERIC(5, 2), "Aciklama" TEXT,
    PRIMARY KEY ("PriceListId", "SiraNo"),
    FOREIGN KEY ("PriceListId") REFERENCES "PriceList" ("Id") ON DELETE CASCADE,
    FOREIGN KEY ("HizmetId") REFERENCES "Hizmet" ("Id") ON DELETE RESTRICT
);

CREATE TABLE "Parametre" (
    "Id" INTEGER NOT NULL, "Kategori" VARCHAR(50) NOT NULL, "Kod" VARCHAR(100) NOT NULL COLLATE NOCASE,
    "Ad" VARCHAR(200) NOT NULL, "Deger" VARCHAR(500), "Aciklama" VARCHAR(1000), "AktifMi" BOOLEAN NOT NULL,
    "CreatedAt" DATETIME NOT NULL,
    PRIMARY KEY ("Id")
);
CREATE UNIQUE INDEX "ix_Parametre_Kategori_Kod" ON "Parametre" ("Kategori", "Kod");

CREATE TABLE "ExchangeRate" (
    "Id" INTEGER PRIMARY KEY AUTOINCREMENT, "CurrencyFrom" VARCHAR(10) NOT NULL, "CurrencyTo" VARCHAR(10) NOT NULL,
    "Rate" FLOAT NOT NULL, "SellRate" FLOAT, "RateDate" DATE NOT NULL, "Source" VARCHAR(50),
    CONSTRAINT ck_rate_positive CHECK ("Rate" > 0)
);
CREATE UNIQUE INDEX ix_exchangerate_unique ON "ExchangeRate" ("RateDate" DESC, "CurrencyFrom", "CurrencyTo");

CREATE TABLE "Motorbot" (
    "Id" INTEGER NOT NULL, "Kod" VARCHAR(50) NOT NULL, "Ad" VARCHAR(200) NOT NULL, "KapasiteTon" NUMERIC(10, 2),
    "MaxHizKnot" NUMERIC(6, 2), "OwnerCariId" INTEGER, "Durum" VARCHAR(20) NOT NULL, "AlisTarihi" DATE,
    PRIMARY KEY ("Id"), FOREIGN KEY ("OwnerCariId") REFERENCES "Cari" ("Id")
);

CREATE TABLE "MbTrip" (
    "Id" INTEGER NOT NULL, "MotorbotId" INTEGER NOT NULL, "SeferTarihi" DATE NOT NULL, "CikisZamani" DATETIME,
    "DonusZamani" DATETIME, "KalkisIskele" VARCHAR(100), "VarisIskele" VARCHAR(100), "CariId" INTEGER,
    "Durum" VARCHAR(20) NOT NULL,
    PRIMARY KEY ("Id"),
    FOREIGN KEY ("MotorbotId") REFERENCES "Motorbot" ("Id") ON DELETE CASCADE,
    FOREIGN KEY ("CariId") REFERENCES "Cari" ("Id") ON DELETE SET NULL
);
CREATE INDEX "ix_MbTrip_Motorbot_Tarih" ON "MbTrip" ("MotorbotId", "SeferTarihi" DESC);

CREATE TABLE barinma_contract (
    "Id" INTEGER NOT NULL, "ContractNumber" VARCHAR(50) NOT NULL, "MotorbotId" INTEGER NOT NULL, "CariId" INTEGER NOT NULL,
    "StartDate" DATE NOT NULL, "EndDate" DATE, "UnitPrice" NUMERIC(15, 2) NOT NULL, "Currency" VARCHAR(3) NOT NULL,
    "VatRate" NUMERIC(5, 2) NOT NULL, "BillingPeriod" VARCHAR(20) NOT NULL, "IsActive" BOOLEAN NOT NULL, "Notes" TEXT,
    PRIMARY KEY ("Id"), UNIQUE ("ContractNumber"),
    FOREIGN KEY ("MotorbotId") REFERENCES "Motorbot" ("Id"), FOREIGN KEY ("CariId") REFERENCES "Cari" ("Id"),
    CHECK ("EndDate" IS NULL OR "EndDate" >= "StartDate")
);

CREATE TABLE work_order (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    wo_number VARCHAR(50) NOT NULL,
    cari_id INTEGER NOT NULL,
    requester_user_id INTEGER,
    cover_document_id INTEGER,
    type VARCHAR(8) NOT NULL CHECK (type IN ('HIZMET', 'MOTORBOT', 'BARINMA', 'DIGER')),
    subject VARCHAR(120) NOT NULL,
    description TEXT,
    priority VARCHAR(6) NOT NULL DEFAULT 'MEDIUM',
    status VARCHAR(16) NOT NULL,
    planned_start DATETIME,
    planned_end DATETIME,
    gate_required BOOLEAN,
    has_signature INTEGER NOT NULL DEFAULT 0 CHECK (has_signature IN (0, 1)),
    is_active BOOLEAN NOT NULL DEFAULT 1,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME,
    CONSTRAINT uq_work_order_number UNIQUE (wo_number),
    CONSTRAINT ck_work_order_priority CHECK (priority IN ('LOW', 'MEDIUM', 'HIGH', 'URGENT')),
    CONSTRAINT ck_work_order_dates CHECK (planned_end >= planned_start),
    FOREIGN KEY (cari_id) REFERENCES "Cari" ("Id"),
    FOREIGN KEY (requester_user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT fk_work_order_cover FOREIGN KEY (cover_document_id) REFERENCES archive_document (id)
        ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_work_order_cari ON work_order (cari_id);
CREATE INDEX ix_work_order_active_status ON work_order (status) WHERE is_active = 1;

CREATE TABLE archive_document (
    id INTEGER NOT NULL,
    category VARCHAR(10) NOT NULL,
    work_order_id INTEGER,
    previous_version_id INTEGER,
    file_name VARCHAR(255) NOT NULL,
    file_size BIGINT NOT NULL,
    file_hash VARCHAR(64) NOT NULL,
    thumbnail BLOB,
    tags JSON,
    uploaded_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (work_order_id) REFERENCES work_order (id) ON DELETE CASCADE,
    FOREIGN KEY (previous_version_id) REFERENCES archive_document (id)
);
CREATE INDEX ix_archive_document_work_order ON archive_document (work_order_id);

CREATE TABLE work_order_item (
    id INTEGER NOT NULL,
    work_order_id INTEGER NOT NULL,
    line_no INTEGER NOT NULL,
    item_type VARCHAR(8) NOT NULL,
    service_code VARCHAR(50),
    service_name VARCHAR(100),
    start_time DATETIME,
    end_time DATETIME,
    quantity FLOAT NOT NULL,
    unit VARCHAR(20) NOT NULL,
    unit_price NUMERIC(18, 4) NOT NULL,
    currency VARCHAR(3) NOT NULL DEFAULT 'TRY',
    grand_total NUMERIC(15, 2) NOT NULL,
    notes TEXT,
    is_invoiced BOOLEAN DEFAULT 0,
    created_at DATETIME NOT NULL,
    sort_key INTEGER GENERATED ALWAYS AS (work_order_id * 100 + line_no) STORED,
    PRIMARY KEY (id),
    CONSTRAINT ck_item_quantity CHECK (quantity >= 0),
    FOREIGN KEY (work_order_id) REFERENCES work_order (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX ix_work_order_item_line ON work_order_item (work_order_id, line_no);
CREATE INDEX ix_work_order_item_created ON work_order_item (created_at);

CREATE TABLE work_order_person (
    id INTEGER NOT NULL, work_order_id INTEGER NOT NULL, work_order_item_id INTEGER, full_name VARCHAR(200) NOT NULL,
    tc_kimlik_no VARCHAR(11), nationality VARCHAR(3), gate_entry_time DATETIME, approved_by_security BOOLEAN NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (work_order_id) REFERENCES work_order (id), FOREIGN KEY (work_order_item_id) REFERENCES work_order_item (id)
);
CREATE INDEX ix_work_order_person_order ON work_order_person (work_order_id);

CREATE TABLE gatelog (
    id INTEGER PRIMARY KEY AUTOINCREMENT, work_order_id INTEGER NOT NULL, work_order_person_id INTEGER,
    entry_type VARCHAR(10) NOT NULL, security_personnel VARCHAR(100) NOT NULL, is_approved BOOLEAN, checklist_data TEXT,
    vehicle_plate VARCHAR(20), entry_time DATETIME, exit_time DATETIME, base_charge_hours INTEGER NOT NULL DEFAULT 4,
    extra_charge_calculated NUMERIC(15, 2),
    base_minutes INTEGER GENERATED ALWAYS AS (base_charge_hours * 60) STORED,
    FOREIGN KEY (work_order_id) REFERENCES work_order (id),
    FOREIGN KEY (work_order_person_id) REFERENCES work_order_person (id) ON DELETE SET NULL
);

CREATE TABLE audit_event (
    id INTEGER NOT NULL, user_id INTEGER, method VARCHAR(10) NOT NULL, path VARCHAR(300) NOT NULL,
    status_code INTEGER NOT NULL, duration_ms INTEGER, ip VARCHAR(64), extra JSON,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_audit_event_created ON audit_event (created_at DESC);

CREATE TABLE "Iskele_Olcum" (
    istasyon TEXT NOT NULL, olcum_no INTEGER NOT NULL, ruzgar_knot REAL, aciklama TEXT, ham BLOB,
    PRIMARY KEY (istasyon, olcum_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE notification (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER, title VARCHAR(255) NOT NULL, is_read BOOLEAN NOT NULL,
    created_at DATETIME NOT NULL, FOREIGN KEY (user_id) REFERENCES users (id)
);

CREATE TABLE apscheduler_jobs (id VARCHAR(191) NOT NULL, next_run_time FLOAT, job_state BLOB NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_apscheduler_jobs_next_run_time ON apscheduler_jobs (next_run_time);

CREATE VIEW v_open_work_order AS
    SELECT w.id, w.wo_number, c."Unvan" FROM work_order w JOIN "Cari" c ON c."Id" = w.cari_id WHERE w.status <> 'CLOSED';
"""

# After the data, so that it does not fire.
TRIGGER = """
CREATE TRIGGER trg_work_order_touch AFTER UPDATE ON work_order BEGIN
    UPDATE work_order SET updated_at = CURRENT_TIMESTAMP WHERE id = new.id;
END;
"""

FIRST_NAMES = ["Ayşe", "Mehmet", "Gülşen", "İbrahim", "Çağrı", "Özge", "Şükrü", "Zeynep", "Hüseyin", "Işıl", "Uğur", "Büşra"]
LAST_NAMES = ["Yılmaz", "Kaya", "Şahin", "Çelik", "Öztürk", "Güneş", "Kılıç", "Doğan", "Aslan", "Koç", "Iğdır"]
CITIES = ["İstanbul", "Ankara", "İzmir", "Muğla", "Şanlıurfa", "Çanakkale", "Eskişehir", "Kırşehir", "Ağrı", "Niğde"]
PIERS = ["Bodrum İskele", "Datça", "Marmaris", "Fethiye", "Göcek", "Ören Koyu", "Turgutreis"]
WORDS = ("iskele ıslak güverte bakım onarım yükleme boşaltma öğleden sonra teslim edilecek lütfen kapı girişi çağrı "
         "müşteri yakıt ikmali şamandıra söküm çekek İğneada tonoz değişim ücret").split()
TYPES = ["HIZMET", "MOTORBOT", "BARINMA", "DIGER"]
STATUSES = ["DRAFT", "SUBMITTED", "APPROVED", "IN_PROGRESS", "COMPLETED", "INVOICED", "CLOSED"]
PRIORITIES = ["LOW", "MEDIUM", "HIGH", "URGENT"]
START = datetime.date(2023, 1, 1)
START_SECOND = 6 * 3600
CLOCK = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86400)]


# A million rows in under a minute: these two were half of the time.
@functools.cache
def day_after_start(days):
    return (START + datetime.timedelta(days=days)).isoformat()


@functools.cache
def sentence_from(at, words):
    return " ".join(WORDS[(at + 7 * i) % len(WORDS)] for i in range(words))


class Sample:
    """Rows of every table. All randomness comes from one seeded generator, read in one order."""

    def __init__(self, rows):
        self.random = random.Random(20251123)
        self.items = rows
        self.orders = max(10, rows // 5)
        self.people = max(12, rows // 4)
        self.gates = max(6, rows // 10)
        self.documents = max(8, rows // 20)
        self.trips = max(5, rows // 20)
        self.audits = max(12, rows // 4)
        self.customers = max(9, rows // 50)
        self.users, self.services, self.boats = 7, 60, 12

    def moment(self, seconds, with_microseconds=True):
        """A naive datetime as SQLAlchemy writes it, or as CURRENT_TIMESTAMP does."""
        day, second = divmod(START_SECOND + seconds, 86400)
        if with_microseconds:
            return f"{day_after_start(day)} {CLOCK[second]}.{1 + self.random.getrandbits(19):06d}"
        return f"{day_after_start(day)} {CLOCK[second]}"

    def sentence(self, words):
        return sentence_from(self.random.getrandbits(16) % len(WORDS), words)

    def person(self):
        r = self.random.getrandbits(16)
        return f"{FIRST_NAMES[r % len(FIRST_NAMES)]} {LAST_NAMES[(r >> 8) % len(LAST_NAMES)]}"

    def order_id(self, i):
        """The i-th key of work_order: every hundredth was deleted once."""
        return i + 1 + (i + 1) // 100

    def tables(self):
        """(table, columns, rows) in an order in which foreign keys, where they are on, hold at the end."""
        r, day = self.random, day_after_start
        yield "alembic_version", "version_num", [("f3a9c1d27b40",)]
        yield "users", "id email hashed_password full_name is_active is_superuser created_at last_login", (
            (i, f"{'Kullanici' if i % 2 else 'kullanici'}{i}@aliaport.example", f"$2b$12${r.getrandbits(128):032x}",
             self.person(), int(i != 5), int(i == 1), self.moment(i * 60, i % 2 == 0), None if i == 5 else self.moment(i * 9000))
            for i in range(1, self.users + 1))
        roles = ["ADMIN", "OPERASYON", "MUHASEBE", "GÜVENLİK", "GÖRÜNTÜLEME"]
        yield "roles", "id name description is_active", (
            (i, name, None if i == 3 else f"{name.capitalize()} rolü", 1) for i, name in enumerate(roles, 1))
        rights = [(res, act) for res in ("cari", "work_order", "gatelog", "parametre") for act in ("read", "write", "delete")]
        yield "permissions", "id name resource action", ((i, f"{a}:{b}", a, b) for i, (a, b) in enumerate(rights, 1))
        yield "user_roles", "user_id role_id assigned_at", (
            (u, 1 + (u + k) % len(roles), self.moment(u * 100, False)) for u in range(1, self.users + 1) for k in range(2))
        yield "role_permissions", "role_id permission_id", (
            (role, p) for role in range(1, len(roles) + 1) for p in range(1, len(rights) + 1) if role == 1 or p % role == 0)
        yield "Cari", "Id CariKod Unvan CariTip VergiNo Il Adres VadeGun ParaBirimi RiskLimiti AktifMi CreatedAt UpdatedAt CreatedBy", (
            (i, f"CARI-{i:06d}", f"{self.person()} Denizcilik {'Ltd. Şti.' if i % 3 else 'A.Ş.'}", "KURUMSAL" if i % 3 else "BIREYSEL",
             f"{r.randrange(10**9, 10**10)}", CITIES[i % len(CITIES)], f"{self.sentence(4)} No:{i}\n{CITIES[i % len(CITIES)]}",
             (0, 15, 30, 45, 365)[i % 5], ("TRY", "EUR", "USD")[i % 3], r.randrange(0, 10**9) / 100.0, int(i % 11 != 0),
             self.moment(i * 300), None if i % 2 else self.moment(i * 900, False), None if i % 4 == 0 else 1 + i % self.users)
            for i in range(1, self.customers + 1))
        # Children before their parents, and a tree three deep.
        yield "HizmetKategori", "Id UstId Ad SiraNo", [
            (1, 4, "Römorkaj", 2), (2, 4, "Palamar", 1), (3, 1, "Gece römorkajı", 0), (4, None, "Liman hizmetleri", 0),
            (5, None, "Çekek ve bakım", 1)]
        yield "Hizmet", ("Id Kod Ad KategoriId Fiyat ParaBirimi KdvOrani CalculationType FormulaParams MesaiBaslangic "
                         "RequiresPersonCount AktifMi"), (
            (i, f"{'HZM' if i % 2 else 'hzm'}-{i:03d}", f"{self.sentence(2).capitalize()} hizmeti", None if i % 7 == 0 else 1 + i % 5,
             r.randrange(0, 10**8) / 10000.0, ("TRY", "EUR", "USD")[i % 3], (1.0, 10.0, 20.0)[i % 3],
             ("FIXED", "PER_UNIT", "X_SECONDARY", None)[i % 4],
             None if i % 3 == 0 else json.dumps({"min": i, "kademe": [0.5, 1.25, i / 8], "ad": "Işık"}, ensure_ascii=i % 2 == 0),
             (None, "08:30:00.000000", "17:45:30.250000")[i % 3], i % 2, 1)
            for i in range(1, self.services + 1))
        yield "PriceList", "Id Kod Ad Versiyon GecerlilikBaslangic GecerlilikBitis AktifMi", (
            (i, f"TARIFE-{2022 + i}", f"{2022 + i} yılı tarifesi", 1 + i % 2, day(365 * (i - 1)), None if i == 4 else day(365 * i - 1),
             int(i == 4)) for i in range(1, 5))
        yield "PriceListItem", "PriceListId SiraNo HizmetId BirimFiyat KdvOrani Aciklama", (
            (p, s, s, r.randrange(1, 10**9) / 10000.0, (None, 10.0, 20)[s % 3], None if s % 4 else self.sentence(6))
            for p in range(1, 5) for s in range(1, 41))
        yield "Parametre", "Id Kategori Kod Ad Deger Aciklama AktifMi CreatedAt", (
            (i, ("SISTEM", "KDV", "BIRIM", "DOVIZ")[i % 4], f"{'KOD' if i % 2 else 'kod'}_{i}", self.sentence(2).title(),
             ("%20", "", "kg", None, "İIıi")[i % 5], self.sentence(9), int(i % 6 != 0), self.moment(i, i % 3 != 0))
            for i in range(1, 89))
        yield "ExchangeRate", "Id CurrencyFrom CurrencyTo Rate SellRate RateDate Source", (
            (3 * d + c + 1, money, "TRY", round(r.uniform(18, 45), 4), None if d % 9 == 0 else r.uniform(18, 45), day(d), "TCMB")
            for d in range(120) for c, money in enumerate(("USD", "EUR", "GBP")))
        yield "Motorbot", "Id Kod Ad KapasiteTon MaxHizKnot OwnerCariId Durum AlisTarihi", (
            (i, f"MB-{i:02d}", f"{FIRST_NAMES[i % 12]} Kaptan", i * 12.5, 8 + i / 4, None if i % 5 == 0 else 1 + i % 9,
             ("AKTIF", "BAKIMDA")[i % 4 == 0], None if i % 6 == 0 else day(-400 * i)) for i in range(1, self.boats + 1))
        yield "MbTrip", "Id MotorbotId SeferTarihi CikisZamani DonusZamani KalkisIskele VarisIskele CariId Durum", (
            (i, 1 + i % self.boats, day(i % 900), self.moment(i * 3600), None if i % 8 == 0 else self.moment(i * 3600 + 5400, False),
             PIERS[i % 7], PIERS[(i * 3) % 7], None if i % 10 == 0 else 1 + i % self.customers, ("PLANLANDI", "TAMAMLANDI")[i % 2])
            for i in range(1, self.trips + 1))
        yield "barinma_contract", ("Id ContractNumber MotorbotId CariId StartDate EndDate UnitPrice Currency VatRate BillingPeriod "
                                   "IsActive Notes"), (
            (i, f"BRN-{2023 + i % 3}-{i:04d}", i, 1 + i % 9, day(30 * i), None if i % 3 == 0 else day(30 * i + 365),
             r.randrange(100_00, 90_000_00) / 100.0, "EUR", 20.0, ("AYLIK", "YILLIK")[i % 2], i % 2, None if i % 2 else self.sentence(12))
            for i in range(1, self.boats + 1))
        yield "work_order", ("id wo_number cari_id requester_user_id cover_document_id type subject description priority status "
                             "planned_start planned_end gate_required has_signature is_active created_at updated_at"), (
            (self.order_id(i), f"WO-2025-{i + 1:07d}", 1 + i % self.customers, None if i % 9 == 0 else 1 + i % self.users,
             1 + i % self.documents if i % 4 == 0 else None, TYPES[i % 4], self.sentence(3).capitalize(),
             None if i % 3 else self.sentence(20), PRIORITIES[(i // 3) % 4], STATUSES[i % 7], self.moment(i * 1800, i % 2 == 0),
             None if i % 13 == 0 else self.moment(i * 1800 + 86400), (None, 0, 1)[i % 3], i % 2, int(i % 17 != 0),
             self.moment(i * 1700, i % 5 != 0), None if i % 2 else self.moment(i * 1900))
            for i in range(self.orders))
        yield "archive_document", ("id category work_order_id previous_version_id file_name file_size file_hash thumbnail tags "
                                   "uploaded_at"), (
            (i, ("WORK_ORDER", "CARI", "GENERAL")[i % 3], self.order_id(i % self.orders) if i % 3 == 0 else None,
             i - 1 if i % 5 == 0 else None, f"irsaliye-{i} ({CITIES[i % 10]}).pdf", r.randrange(1, 2**33), f"{r.getrandbits(256):064x}",
             None if i % 4 else r.randbytes(r.randrange(0, 600)), json.dumps(["güvenlik", {"sayfa": i, "oran": i / 4}]) if i % 2 else None,
             self.moment(i * 500)) for i in range(1, self.documents + 1))
        yield "work_order_item", ("id work_order_id line_no item_type service_code service_name start_time end_time quantity unit "
                                  "unit_price currency grand_total notes is_invoiced created_at"), map(self.item, range(self.items))
        yield "work_order_person", "id work_order_id work_order_item_id full_name tc_kimlik_no nationality gate_entry_time approved_by_security", (
            (i, self.order_id(i % self.orders), None if i % 3 else 1 + i % self.items, self.person(), f"{r.randrange(10**10, 10**11)}",
             ("TR", "GRC", None)[i % 3], self.moment(i * 700) if i % 4 else None, i % 2) for i in range(1, self.people + 1))
        yield "gatelog", ("id work_order_id work_order_person_id entry_type security_personnel is_approved checklist_data vehicle_plate "
                          "entry_time exit_time base_charge_hours extra_charge_calculated"), (
            (i, self.order_id(i % self.orders), None if i % 5 == 0 else 1 + i % self.people, ("GIRIS", "CIKIS")[i % 2], self.person(),
             (1, 0, None)[i % 3], "" if i % 7 == 0 else self.sentence(5), f"48 ALİ {i % 1000:03d}", self.moment(i * 900),
             None if i % 3 == 0 else self.moment(i * 900 + 600, False), 4, None if i % 4 else r.randrange(0, 10**7) / 100.0)
            for i in range(1, self.gates + 1))
        yield "audit_event", "id user_id method path status_code duration_ms ip extra created_at", (
            (i, None if i % 6 == 0 else 1 + i % self.users, ("GET", "POST", "PUT")[i % 3], f"/api/work-order/{i}?sıra={i % 9}",
             (200, 201, 404, 500)[i % 4], r.randrange(1, 4000), f"10.0.{i % 256}.{(i * 7) % 256}",
             None if i % 5 == 0 else json.dumps({"user_id": i % 7, "değişen": {"durum": [STATUSES[i % 7], None], "tutar": i * 1.1}},
                                                ensure_ascii=i % 2 == 0), self.moment(i * 211, i % 4 != 0))
            for i in range(1, self.audits + 1))
        yield "Iskele_Olcum", "istasyon olcum_no ruzgar_knot aciklama ham", (
            (pier, n, None if n % 10 == 0 else r.uniform(0, 60), "lodos" if n % 3 else None, r.randbytes(8) if n % 2 else None)
            for pier in sorted(PIERS) for n in range(1, 31))
        yield "apscheduler_jobs", "id next_run_time job_state", (
            (job, 1_672_552_800.0 + 86400.25 * i if i else None, b"\x80\x05\x95" + r.randbytes(64))
            for i, job in enumerate(("kur_guncelle", "sgk_kontrol", "sözleşme_faturala")))

    def item(self, i):
        r = self.random
        bits = r.getrandbits(40)
        price, quantity = (bits & 0xFFFFFF) / 10000.0, (bits >> 24 & 0xFF) / 4
        started = i * 360
        return (i + 1, self.order_id(i % self.orders), 1 + i // self.orders, ("WORKLOG", "RESOURCE", "SERVICE")[i % 3],
                f"HZM-{1 + i % 60:03d}", WORDS[i % len(WORDS)], self.moment(started), None if bits & 7 == 0 else self.moment(started + 3600),
                quantity, ("SAAT", "ADET", "TON", "m³")[i % 4], price, ("TRY", "EUR", "USD")[i % 3], round(price * quantity * 100) / 100.0,
                None if i % 3 else self.sentence(8), (0, 1, None)[i % 3], self.moment(started + 60, i % 4 != 0))


# (what, table, changes of one row): each keeps the row but for the named columns.
DEFECTS = [
    ("item of an order that is gone", "work_order_item", "work_order_id = 99999991, line_no = 1", "id = 3"),
    ("another one", "work_order_item", "work_order_id = 99999992, line_no = 1", "id = 4"),
    ("role of a user that is gone", "user_roles", "user_id = 404", "user_id = 1 AND role_id = 2"),
    ("a word in a boolean", "\"Cari\"", "\"AktifMi\" = 'maybe'", "\"Id\" = 2"),
    ("two in a boolean", "work_order", "gate_required = 2", "id = 5"),
    ("a day that does not exist", "\"MbTrip\"", "\"SeferTarihi\" = '2025-02-30'", "\"Id\" = 2"),
    ("an empty datetime", "audit_event", "created_at = ''", "id = 7"),
    ("text in a decimal", "barinma_contract", "\"UnitPrice\" = '12,50'", "\"Id\" = 3"),
    ("longer than its VARCHAR", "\"Parametre\"", "\"Kategori\" = 'İskele parametrelerinin en uzun kategorisi, elli karakteri aşar'", "\"Id\" = 9"),
    ("broken JSON", "\"Hizmet\"", "\"FormulaParams\" = '{\"min\": '", "\"Id\" = 4"),
    ("a NUL in a text", "\"Cari\"", "\"Adres\" = 'Kordon' || char(0) || 'boyu'", "\"Id\" = 6"),
    ("not UTF-8", "gatelog", "checklist_data = CAST(x'4976657269fe' AS TEXT)", "id = 2"),
]


# What --dirty adds: tables of the time before the application had migrations, filled by scripts.
LEGACY = f"""
CREATE TABLE eski_musteri (
    kod VARCHAR(10) PRIMARY KEY, ctid TEXT, kimlik UUID, yas SMALLINT, kayit DATE, unvan TEXT, notlar TEXT, vergi NUMERIC(10, 2), ulke TEXT
);
INSERT INTO eski_musteri VALUES
    ('A1', 'x', 'zz', 34, '2020-01-01', 'Işık', 'temiz', 10.5, 'TR'), ('A2', NULL, '00000000-0000-0000-0000-000000000001', 100000, '2020-13-01', 'Gül', NULL, 1, 'TR'),
    (NULL, NULL, NULL, 41, 20200101, 'Ece', x'00ff', '9,5', 'DE'), ('A4', NULL, NULL, 5, '2020-01-02', 'Uğur', NULL, 2, 'TR');
CREATE TABLE eski_siparis (
    id INTEGER PRIMARY KEY AUTOINCREMENT, musteri VARCHAR(10) REFERENCES eski_musteri (kod), ulke TEXT REFERENCES eski_musteri (ulke),
    depo INTEGER REFERENCES eski_depo (id), an DATETIME UNIQUE, adet INTEGER CHECK (adet > 0),
    {'bu_sutunun_adi_' * 5}uzun TEXT
);
INSERT INTO eski_siparis VALUES
    (1, 'A1', 'TR', 1, '2025-01-01 10:00:00', 1, 'a'), (2, 'A9', 'TR', 2, '2025-01-01T10:00:00', 2, 'b'),
    (9223372036854775807, 'A2', NULL, NULL, '2025-01-02 10:00:00', 3, 'c');
CREATE TABLE eski_siparis_satir (id INTEGER PRIMARY KEY, siparis INTEGER NOT NULL REFERENCES eski_siparis (id), tutar REAL);
INSERT INTO eski_siparis_satir VALUES (1, 2, 1.5), (2, 2, 2.5), (3, 1, 3.5);
CREATE TABLE eski_olcum ({", ".join(f"d{i} REAL" for i in range(1200))});
INSERT INTO eski_olcum VALUES ({", ".join(["1.5"] * 1200)});
CREATE TABLE eski_anket (id INTEGER PRIMARY KEY, {", ".join(f"soru_{i} INTEGER" for i in range(1600))});
INSERT INTO eski_anket (id, soru_0) VALUES (1, 5);
CREATE VIRTUAL TABLE eski_arama USING fts5 (metin);
PRAGMA ignore_check_constraints = ON;
UPDATE eski_siparis SET adet = 0 WHERE id = 2;
PRAGMA ignore_check_constraints = OFF;
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--rows", type=int, default=2000, help="rows of the largest table (at least 50; default 2000)")
    parser.add_argument("--defects", action="store_true", help="add orphans and bad values")
    parser.add_argument("--dirty", action="store_true", help="add them, and tables with everything else that can be found in a source")
    args = parser.parse_args()
    args.defects |= args.dirty
    if args.rows < 50:
        parser.error("--rows must be at least 50")

    if os.path.exists(args.out):
        os.remove(args.out)
    db = sqlite3.connect(args.out, isolation_level=None)
    # Nothing to lose: a crash leaves a file that is made again.
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
    db.executescript(SCHEMA)
    db.execute("BEGIN")
    for table, columns, rows in Sample(args.rows).tables():
        names = columns.split()
        marks = ", ".join("?" * len(names))
        listed = ", ".join(f'"{name}"' for name in names)
        db.executemany(f'INSERT INTO "{table}" ({listed}) VALUES ({marks})', rows)
    # Orders and gate passages above these keys were made and deleted: AUTOINCREMENT never gives their keys again.
    db.execute("UPDATE sqlite_sequence SET seq = seq + 50 WHERE name IN ('work_order', 'gatelog')")
    if args.defects:
        for what, table, change, where in DEFECTS:
            if db.execute(f"UPDATE {table} SET {change} WHERE {where}").rowcount != 1:
                raise SystemExit(f"no row for the defect: {what}")
    db.execute("COMMIT")
    db.executescript(TRIGGER)
    orphans = db.execute("PRAGMA foreign_key_check").fetchall()
    if bool(orphans) != args.defects:
        raise SystemExit(f"orphans: {orphans[:5]}")
    if args.dirty:
        db.executescript(LEGACY)
    db.close()


if __name__ == "__main__":
    main()
