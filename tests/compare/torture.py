#!/usr/bin/env python3
"""Makes the torture databases: small SQLite files, one a subject, so that what breaks one import hides nothing of the others.

    torture.py FOLDER [--rows N]

Every table has a primary key, by which the oracle finds a row again. SQLite keeps no list of CHECKs and deferred foreign keys that a
program could read, so CHECKS and DEFERRED have them. The first database holds nothing odd: a tool that is careless about the odd
only does well there.
Standard library only.
"""

import argparse
import pathlib
import sqlite3

# Database, table: the columns of each of its CHECK constraints.
CHECKS = {
    ("ordinary", "item"): [("quantity",)],
    ("keys", "stock"): [("state",), ("low", "high")],
    ("types", "ranked"): [("rank",)],
    ("broken_check", "stock"): [("quantity",)],
}
# Database, table, columns of the foreign keys that are checked at COMMIT; SQLite does not list that either.
DEFERRED = {("keys", "left_of", ("other",)), ("keys", "right_of", ("other",))}
# The names of long_names agree in their first 63 bytes.
LONG = "a_name_of_more_than_sixty_three_bytes_as_generators_of_schemas_make_them_"


def ordinary(db):
    db.executescript("""
        CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) NOT NULL, email TEXT UNIQUE, note TEXT);
        CREATE TABLE item (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
            title TEXT NOT NULL DEFAULT 'none', quantity INTEGER NOT NULL DEFAULT 1 CHECK (quantity > 0), price DECIMAL(10, 2),
            is_open BOOLEAN NOT NULL DEFAULT 1, created_at DATETIME DEFAULT CURRENT_TIMESTAMP, due DATE, picture BLOB);
        CREATE INDEX item_customer ON item (customer_id);
        CREATE UNIQUE INDEX item_title ON item (title, customer_id);
    """)
    db.executemany("INSERT INTO customer VALUES (?, ?, ?, ?)",
                   [(i, f"Müşteri {i}", f"m{i}@example.org", None if i % 3 else "söz\tverildi\nbekleniyor") for i in range(1, 41)])
    db.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [
        (i, 1 + i % 40, f"kalem {i}", 1 + i % 9, i * 125 / 100, i % 2, f"2024-0{1 + i % 9}-15 10:{i % 60:02}:00", f"2024-1{i % 3}-01",
         bytes(range(i % 50)) if i % 4 else None) for i in range(1, 201)])


def datetimes(db):
    """Texts as SQLite's own date functions take them. Without an offset they are UTC: CURRENT_TIMESTAMP writes them so."""
    db.executescript("CREATE TABLE moment (id INTEGER PRIMARY KEY, at DATETIME, stamp TIMESTAMP, day DATE, clock TIME)")
    texts = ["2024-03-31 02:30:00", "2024-03-31T02:30:00", "2024-03-31 02:30:00.123456", "2024-03-31T02:30:00Z",
             "2024-03-31 02:30:00+02:00", "2024-03-31T02:30:00.5-05:30", "2024-03-31 02:30", "2024-10-27 00:30:00", "0001-01-01 00:00:00",
             "9999-12-31 23:59:59.999999", "1970-01-01 00:00:00", "1582-10-10 12:00:00", None]
    db.executemany("INSERT INTO moment VALUES (?, ?, ?, ?, ?)", [
        (i, t, t, t and t[:10], t and t[11:16] + ":07") for i, t in enumerate(texts, 1)])
    db.executescript("CREATE TABLE odd_moment (id INTEGER PRIMARY KEY, at DATETIME, day DATE)")
    db.executemany("INSERT INTO odd_moment VALUES (?, ?, ?)", [
        (1, "2024-03-31 02:30:00", "2024-03-31"), (2, "", "2024-03-31"), (3, "2024-03-31 02:30:00", ""), (4, "31.03.2024 02:30", "2024-03-31"),
        (5, "2024-02-30 10:00:00", "2024-03-31"), (6, "2024-03-31 02:30:00", "2024-03-31 18:45:00"), (7, "yesterday", "tomorrow"),
        (8, "2024-03-31 02:30:00", "2024-03-31")])


def epochs(db):
    db.executescript("CREATE TABLE seconds (id INTEGER PRIMARY KEY, at DATETIME); CREATE TABLE milliseconds (id INTEGER PRIMARY KEY, at DATETIME);"
                     "CREATE TABLE mixed (id INTEGER PRIMARY KEY, at TIMESTAMP);")
    db.executemany("INSERT INTO seconds VALUES (?, ?)", [(i, 1711852200 + i * 86_400) for i in range(1, 11)])
    db.executemany("INSERT INTO milliseconds VALUES (?, ?)", [(i, 1711852200123 + i * 86_400_000) for i in range(1, 11)])
    # The last is a Julian day.
    db.executemany("INSERT INTO mixed VALUES (?, ?)", [
        (1, "2024-03-31 02:30:00"), (2, 1711852200), (3, 1711852200123), (4, 1711852200123456), (5, 0), (6, -86_400), (7, 1711852200.5),
        (8, 2460400.5)])


def numbers(db):
    db.executescript("CREATE TABLE wide (id INTEGER PRIMARY KEY, n INTEGER, r REAL, d DOUBLE PRECISION, m DECIMAL(12, 2), x NUMERIC)")
    db.executemany("INSERT INTO wide VALUES (?, ?, ?, ?, ?, ?)", [
        (1, 2**63 - 1, 1234567.891234567, 0.1 + 0.2, 99.99, 1), (2, -2**63, 1e300, 5e-324, -0.01, 12345678901234567),
        (3, 0, -0.0, 1.7976931348623157e308, 1234567890.12, 0.1), (4, 5_000_000_000, 16777217.0, 3.0, 0, 1e25), (5, None, None, None, None, None)])
    db.executescript("CREATE TABLE rounded (id INTEGER PRIMARY KEY, m DECIMAL(10, 2))")
    db.executemany("INSERT INTO rounded VALUES (?, ?)", [(1, 12.34), (2, 12.345), (3, 0.005), (4, 1.1)])
    db.executescript("CREATE TABLE overflowing (id INTEGER PRIMARY KEY, m DECIMAL(6, 2))")
    db.executemany("INSERT INTO overflowing VALUES (?, ?)", [(1, 12.34), (2, 1234567.0), (3, 1.1)])
    db.executescript("CREATE TABLE small (id INTEGER PRIMARY KEY, s SMALLINT)")
    db.executemany("INSERT INTO small VALUES (?, ?)", [(1, 1), (2, 40_000), (3, -32_768)])
    db.executescript("CREATE TABLE loose (id INTEGER PRIMARY KEY, n INTEGER, r REAL)")
    db.executemany("INSERT INTO loose VALUES (?, ?, ?)", [
        (1, 1, 1.5), (2, "abc", 2.5), (3, 3.7, 3.5), (4, 4, "x"), (5, "", 5.5), (6, float("inf"), 6.5), (7, 7, float("-inf")), (8, 8, "nan"),
        (9, 9, 9.5)])


def texts(db):
    db.executescript("CREATE TABLE line (id INTEGER PRIMARY KEY, body TEXT, code VARCHAR(8))")
    db.executemany("INSERT INTO line VALUES (?, ?, ?)", [
        (1, "plain", "a"), (2, "é ğ İ ı 😀 \u202e \ufeff", "ş" * 8),
        (3, "back\\slash \\N \\x41 \\t", "\\N"), (4, "tab\t cr\r lf\n crlf\r\n", "\\."),
        (5, "", ""), (6, "  around  ", " a "), (7, "'\"`;--", "NULL"), (8, None, None), (9, "e\u0301 and é", "{}"), (10, "x" * 200_000, "x")])
    db.executescript("CREATE TABLE too_long (id INTEGER PRIMARY KEY, code VARCHAR(8))")
    db.executemany("INSERT INTO too_long VALUES (?, ?)", [(1, "12345678"), (2, "123456789"), (3, "😀" * 8), (4, "x" * 300)])
    db.executescript("CREATE TABLE nul (id INTEGER PRIMARY KEY, body TEXT)")
    db.executemany("INSERT INTO nul VALUES (?, ?)", [(1, "before"), (2, "nul\0inside"), (3, "\0"), (4, "after")])
    db.executescript("CREATE TABLE broken (id INTEGER PRIMARY KEY, body TEXT)")
    bad = {20: b"\xff\x96a", 30: b"cut \xc3", 31: b"\xed\xa0\x80"}
    for i in range(1, 41):
        db.execute("INSERT INTO broken VALUES (?, CAST(? AS TEXT))", (i, bad.get(i, b"line %d" % i)))
    db.executescript("CREATE TABLE note (id INTEGER PRIMARY KEY, data JSON)")
    db.executemany("INSERT INTO note VALUES (?, ?)", [
        (1, '{"a": [1, 2.50, null], "b": "ğ"}'), (2, '{"a": 1, "a": 2}'), (3, "12345678901234567890.123456789"), (4, "{broken"),
        (5, ""), (6, '"\\u0000"'),
        (7, '"\\ud83d\\ude00"'), (8, "[]")])


def utf16(db):
    db.executescript("PRAGMA encoding = 'UTF-16le'; CREATE TABLE line (id INTEGER PRIMARY KEY, body TEXT NOT NULL DEFAULT 'yok')")
    db.executemany("INSERT INTO line VALUES (?, ?)", [(1, "plain"), (2, "İğdır ı 😀"), (3, ""), (4, "son")])
    db.executescript("CREATE TABLE broken (id INTEGER PRIMARY KEY, body TEXT)")
    # Half of a surrogate pair in the middle and at the end, and a byte too many. A literal: what is bound to a parameter counts as UTF-8.
    for key, raw in enumerate([b"a\0b\0", b"a\0\0\xd8b\0", b"a\0\0\xd8", b"a\0b", b"z\0"], 1):
        db.execute(f"INSERT INTO broken VALUES ({key}, CAST(x'{raw.hex()}' AS TEXT))")


def booleans(db):
    db.executescript("CREATE TABLE flag (id INTEGER PRIMARY KEY, is_on BOOLEAN NOT NULL DEFAULT 0, tiny TINYINT(1) DEFAULT 1)")
    db.executemany("INSERT INTO flag VALUES (?, ?, ?)", [(1, 0, 0), (2, 1, 1), (3, 1, None), (4, 0, 1)])
    db.executescript("CREATE TABLE word (id INTEGER PRIMARY KEY, is_on BOOLEAN)")
    db.executemany("INSERT INTO word VALUES (?, ?)", list(enumerate(["true", "false", "yes", "no", "t", "F", "on", "off"], 1)))
    db.executescript("CREATE TABLE odd_flag (id INTEGER PRIMARY KEY, is_on BOOLEAN)")
    db.executemany("INSERT INTO odd_flag VALUES (?, ?)", [(1, 1), (2, 2), (3, "maybe"), (4, ""), (5, -1), (6, 0.5), (7, 0)])
    db.executescript("CREATE TABLE count (id INTEGER PRIMARY KEY, tiny TINYINT(1), small TINYINT)")
    db.executemany("INSERT INTO count VALUES (?, ?, ?)", [(1, 0, 0), (2, 1, 1), (3, 7, 200)])


def blobs(db):
    db.executescript("CREATE TABLE file (id INTEGER PRIMARY KEY, data BLOB)")
    db.executemany("INSERT INTO file VALUES (?, ?)", [
        (1, bytes(range(256))), (2, b""), (3, None), (4, b"\\x41 \\000 \\\\"), (5, bytes(range(256)) * 8192), (6, b"\0" * 10)])
    db.executescript("CREATE TABLE text_in_blob (id INTEGER PRIMARY KEY, data BLOB)")
    db.executemany("INSERT INTO text_in_blob VALUES (?, ?)", [(1, b"\x01"), (2, "hello, text"), (3, "aGVsbG8="), (4, "\\x41"), (5, 7), (6, b"\x02")])
    db.executescript("CREATE TABLE blob_in_text (id INTEGER PRIMARY KEY, body TEXT)")
    db.executemany("INSERT INTO blob_in_text VALUES (?, ?)", [(1, "text"), (2, b"bytes"), (3, b"\xff\0"), (4, "text")])
    db.executescript("CREATE TABLE token (id INTEGER PRIMARY KEY, key UUID)")
    db.executemany("INSERT INTO token VALUES (?, ?)", [
        (1, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"), (2, bytes.fromhex("6ba7b8109dad11d180b400c04fd430c8")), (3, "6BA7B8109DAD11D180B400C04FD430C8"),
        (4, "no uuid")])


def keys(db):
    db.executescript("""
        CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, nick TEXT UNIQUE);
        CREATE TABLE post (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users,
            reply_to INTEGER REFERENCES post (id) ON DELETE SET NULL);
        CREATE TABLE place (country TEXT NOT NULL, city TEXT NOT NULL, people INTEGER, PRIMARY KEY (country, city)) WITHOUT ROWID;
        CREATE TABLE street (id INTEGER PRIMARY KEY, country TEXT, city TEXT, name TEXT NOT NULL,
            FOREIGN KEY (country, city) REFERENCES place (country, city) ON UPDATE CASCADE ON DELETE CASCADE, UNIQUE (country, city, name));
        CREATE TABLE left_of (id INTEGER PRIMARY KEY, other INTEGER REFERENCES right_of (id) DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE right_of (id INTEGER PRIMARY KEY, other INTEGER REFERENCES left_of (id) DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE stock (id INTEGER PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
            low INTEGER, high INTEGER, CHECK (low <= high));
        CREATE TABLE empty_auto (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT NOT NULL);
        INSERT INTO users VALUES (1, 'a@example.org', 'a'), (2, 'b@example.org', NULL), (3, 'c@example.org', NULL);
        UPDATE sqlite_sequence SET seq = 777 WHERE name = 'users';
        INSERT INTO post VALUES (1, 1, NULL), (2, 2, 1), (5000000000, 1, 2);
        INSERT INTO place VALUES ('TR', 'İzmir', 3), ('TR', 'Muğla', 1);
        INSERT INTO street VALUES (1, 'TR', 'İzmir', 'Kordon'), (2, NULL, NULL, 'Nowhere'), (3, 'TR', NULL, 'Somewhere');
        INSERT INTO left_of VALUES (1, 1); INSERT INTO right_of VALUES (1, 1);
        INSERT INTO stock VALUES (1, 'open', 1, 2), (2, 'closed', NULL, 2);
    """)


def orphans(db):
    db.executescript("""
        CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES parent (id));
        CREATE TABLE grandchild (id INTEGER PRIMARY KEY, child_id INTEGER REFERENCES child (id));
        INSERT INTO parent VALUES (1, 'a'), (2, 'b');
        INSERT INTO child VALUES (1, 1), (2, 99), (3, 2);
        INSERT INTO grandchild VALUES (1, 1), (2, 2), (3, 3), (4, NULL);
    """)


def missing_values(db):
    """SQLite takes NULL in a primary key that is no rowid alias, and a constraint can come after the rows it forbids."""
    db.executescript("""
        CREATE TABLE required (id INTEGER PRIMARY KEY, v TEXT);
        INSERT INTO required VALUES (1, 'a'), (2, NULL), (3, 'c');
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'v TEXT', 'v TEXT NOT NULL') WHERE name = 'required';
        PRAGMA writable_schema = RESET;
    """)


def broken_check(db):
    """As above: the CHECK came after the rows."""
    db.executescript("""
        CREATE TABLE stock (id INTEGER PRIMARY KEY, quantity INTEGER);
        INSERT INTO stock VALUES (1, 5), (2, -1), (3, 7);
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'quantity INTEGER', 'quantity INTEGER CHECK (quantity >= 0)') WHERE name = 'stock';
        PRAGMA writable_schema = RESET;
    """)


def indexes(db):
    db.executescript("""
        CREATE TABLE account (id INTEGER PRIMARY KEY, email TEXT NOT NULL, is_active BOOLEAN NOT NULL, created DATETIME);
        CREATE UNIQUE INDEX account_active ON account (email) WHERE is_active = 1;
        CREATE INDEX account_recent ON account (created) WHERE created IS NOT NULL;
        CREATE INDEX account_created ON account (created DESC, email);
        INSERT INTO account VALUES (1, 'a@example.org', 1, '2024-01-01 00:00:00'), (2, 'a@example.org', 0, NULL),
            (3, 'a@example.org', 0, '2024-01-02 00:00:00'), (4, 'b@example.org', 1, NULL);
    """)


def expression_index(db):
    db.executescript("""
        CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
        CREATE INDEX person_lower ON person (lower(name));
        CREATE TABLE pet (id INTEGER PRIMARY KEY, person_id INTEGER NOT NULL REFERENCES person (id), name TEXT);
        CREATE INDEX pet_person ON pet (person_id);
        INSERT INTO person VALUES (1, 'Ada'), (2, 'Grace');
        INSERT INTO pet VALUES (1, 1, 'x'), (2, 2, NULL);
    """)


def nocase(db):
    db.executescript("""
        CREATE TABLE login (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE);
        CREATE UNIQUE INDEX login_name ON login (name);
        INSERT INTO login VALUES (1, 'Ada'), (2, 'grace');
    """)


def generated(db):
    db.executescript("""
        CREATE TABLE line (id INTEGER PRIMARY KEY, quantity INTEGER NOT NULL, price REAL NOT NULL,
            total REAL GENERATED ALWAYS AS (quantity * price) STORED, label TEXT GENERATED ALWAYS AS ('no. ' || id) VIRTUAL);
        INSERT INTO line (id, quantity, price) VALUES (1, 2, 1.5), (2, 3, 0.1), (3, 0, 7.25);
    """)


def defaults(db):
    db.executescript("""
        CREATE TABLE plain (id INTEGER PRIMARY KEY, word TEXT DEFAULT 'it''s', number INTEGER DEFAULT -3, part REAL DEFAULT 0.25,
            flag BOOLEAN DEFAULT 0, void TEXT DEFAULT NULL, null_word TEXT DEFAULT 'null', at DATETIME DEFAULT CURRENT_TIMESTAMP,
            day DATE DEFAULT CURRENT_DATE, data BLOB DEFAULT x'00ff', big INTEGER DEFAULT 0x10, sum INTEGER DEFAULT (1 + 2));
        CREATE TABLE called (id INTEGER PRIMARY KEY, at DATETIME DEFAULT (datetime('now')),
            ms DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')), word TEXT DEFAULT (lower('ABC')));
        INSERT INTO plain (id, at, day) VALUES (1, '2024-01-01 00:00:00', '2024-01-01');
        INSERT INTO called (id, at, ms) VALUES (1, '2024-01-01 00:00:00', '2024-01-01 00:00:00.125');
    """)


def types(db):
    db.executescript("""
        CREATE TABLE strange (id INTEGER PRIMARY KEY, a LONGVARCHAR, b "UNSIGNED BIG INT", c "NATIVE CHARACTER"(70), d MEDIUMTEXT,
            e STRING, f CURRENCY, g FLOATING POINT);
        CREATE TABLE untyped (id INTEGER PRIMARY KEY, number, word, mixed);
        CREATE TABLE ranked (id INTEGER PRIMARY KEY, rank INT CHECK (rank IN (1, 2, 3)), body TEXT(32));
        INSERT INTO strange VALUES (1, 'a', 18, 'c', 'd', 'e', 12.5, 1.5), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        INSERT INTO untyped VALUES (1, 1, 'x', 1), (2, 2, 'y', 'two'), (3, NULL, '', 3.5);
        INSERT INTO ranked VALUES (1, 1, 'x'), (2, 3, NULL);
    """)


def strict(db):
    db.executescript("""
        CREATE TABLE setting (id INTEGER PRIMARY KEY, value ANY, level INT NOT NULL) STRICT;
        INSERT INTO setting VALUES (1, 'text', 1), (2, 17, 2), (3, 1.5, 3);
        CREATE TABLE plain (id INTEGER PRIMARY KEY, v TEXT);
        INSERT INTO plain VALUES (1, 'a');
    """)


def names(db):
    db.executescript("""
        CREATE TABLE "Cari" ("Id" INTEGER PRIMARY KEY AUTOINCREMENT, "Unvan" TEXT NOT NULL, "Il" TEXT UNIQUE);
        CREATE TABLE "Hareket" ("Id" INTEGER PRIMARY KEY, "CariId" INTEGER NOT NULL REFERENCES "Cari" ("Id"), "Tutar" DECIMAL(10, 2));
        CREATE INDEX "IX_Hareket" ON "Hareket" ("CariId");
        INSERT INTO "Cari" VALUES (1, 'Şirket', 'İzmir'), (2, 'Ortak', NULL);
        INSERT INTO "Hareket" VALUES (1, 1, 12.5), (2, 2, 7);
    """)


def reserved_names(db):
    db.executescript("""
        CREATE TABLE "order" (id INTEGER PRIMARY KEY, "user" TEXT NOT NULL, "limit" INTEGER, "references" TEXT, "select" TEXT UNIQUE);
        CREATE TABLE "with space" (id INTEGER PRIMARY KEY, "a b" TEXT, "a.b" TEXT, "%s" TEXT, "it's" TEXT, "sayı" INTEGER, "1st" INTEGER);
        INSERT INTO "order" VALUES (1, 'u', 1, 'r', 's'), (2, 'v', NULL, NULL, NULL);
        INSERT INTO "with space" VALUES (1, 'a', 'b', 'c', 'd', 5, 6);
    """)


def quoted_names(db):
    db.execute('CREATE TABLE "say ""hi" (id INTEGER PRIMARY KEY, "back\\slash" TEXT, "dollar$1" TEXT, "ctid" TEXT, "xmin" INTEGER)')
    db.execute('INSERT INTO "say ""hi" VALUES (1, ?, ?, ?, ?)', ("a", "b", "c", 4))


def long_names(db):
    db.executescript(f"""
        CREATE TABLE {LONG}one (id INTEGER PRIMARY KEY, {LONG}x TEXT, {LONG}y TEXT);
        CREATE TABLE {LONG}two (id INTEGER PRIMARY KEY, v TEXT);
        INSERT INTO {LONG}one VALUES (1, 'x', 'y'), (2, 'xx', 'yy');
        INSERT INTO {LONG}two VALUES (11, 'v'), (12, 'w');
    """)


def full_text(db):
    db.executescript("""
        CREATE TABLE article (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
        CREATE VIRTUAL TABLE article_search USING fts5 (body);
        CREATE VIEW long_article AS SELECT id FROM article WHERE length(body) > 3;
        CREATE TRIGGER article_added AFTER INSERT ON article BEGIN INSERT INTO article_search (rowid, body) VALUES (new.id, new.body); END;
        INSERT INTO article VALUES (1, 'one'), (2, 'two three');
    """)


def many(db, rows):
    """Many rows, and one bad value in the middle of them."""
    db.executescript("""CREATE TABLE reading (id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, value REAL, unit VARCHAR(10), at DATETIME NOT NULL);
        CREATE INDEX reading_sensor ON reading (sensor);
        BEGIN""")
    db.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?)", (
        (i, i % 100 if i != rows * 6 // 10 else "unknown", i * 1.1, "°C" if i % 7 else None,
         f"2024-{1 + i % 12:02}-{1 + i % 28:02} {i % 24:02}:{i % 60:02}:{i % 60:02}")
        for i in range(1, rows + 1)))
    db.execute("COMMIT")


def generators(rows):
    """Name and maker of each database, in the order of the table that compare.py prints."""
    makers = [ordinary, keys, indexes, expression_index, nocase, generated, defaults, orphans, missing_values, broken_check, datetimes,
              epochs, numbers, booleans, texts, utf16, blobs, types, strict, names, reserved_names, quoted_names, long_names, full_text]
    return {maker.__name__: maker for maker in makers} | {"many": lambda db: many(db, rows)}


def make(folder, rows=200_000, only=None):
    """Makes the databases (those named in `only`) in the folder; name and path of each."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, fill in generators(rows).items():
        if only and name not in only:
            continue
        path = folder / f"{name}.db"
        path.unlink(missing_ok=True)
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA synchronous = OFF")
        fill(db)
        db.close()
        made[name] = path
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=200_000, help="of the database with many rows")
    args = parser.parse_args()
    for path in make(args.folder, args.rows).values():
        print(path)
