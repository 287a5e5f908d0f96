"""Whether a value of PostgreSQL means what a value of SQLite means. Rules of this file's own, kept apart from those of any import:

- A text with a date or time and no offset is UTC, as SQLite's date functions take it. An INTEGER in such a column is Unix time in
  seconds, milliseconds or microseconds by its size; a REAL is a Julian day below 5373484.5, else seconds ('auto' in SQLite).
- A number is the same if what is read is the same number: 1 and 1.0 are, 12.345 and 12.35 are not.
- A text is the same if its characters are; a blob, if its bytes are. Text whose bytes are no characters has no equal.
- JSON is compared as a document, its numbers by value. A key that is there twice has no equal in jsonb, which keeps the last.
"""

import datetime
import decimal
import fractions
import json
import re
import uuid

# PostgreSQL takes each of these and what is left of it when its end is cut, where that is of one meaning: "tr", not "o".
WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
TIMESTAMP = re.compile(
    r"(-?)(\d{4,6})-(\d\d?)-(\d\d?)(?:[ T]+(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?\s*(Z|z|[+-]\d\d(?::?\d\d)?(?::\d\d)?)?( BC)?")
TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?")
INTEGERS = {"bigint", "integer", "smallint"}


def same(source, declared, pg_type, got, encoding):
    """source: (storage class, value), a text as bytes in `encoding`; got: PostgreSQL's text as bytes, or None."""
    kind, value = source
    if kind == "null" or got is None:
        return kind == "null" and got is None
    if pg_type == "bytea":
        raw = value if kind in ("text", "blob") else str(value).encode()
        return got == b"\\x" + bytes(raw).hex().encode()
    if kind == "blob":
        return pg_type == "uuid" and len(value) == 16 and uuid.UUID(bytes=bytes(value)) == uuid.UUID(got.decode())
    try:
        text = value.decode(encoding) if kind == "text" else value
        got = got.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return RULES.get(pg_type, same_text)(kind, text, got, declared)


def same_text(kind, value, got, _declared):
    if kind == "text":
        return value == got
    return number(value) == number(got)


def same_number(kind, value, got, _declared):
    was, is_ = number(value), number(got)
    return was is not None and was == is_


def same_float(kind, value, got, _declared):
    """As double precision: a text is read as SQLite's REAL would be."""
    try:
        return float(value) == float(got) or (float(value) != float(value) and float(got) != float(got))
    except (OverflowError, ValueError):
        return False


def number(value):
    """A number that can be compared: a float is the shortest decimal that reads back as it, or, in a column of reals, itself."""
    try:
        return fractions.Fraction(repr(value) if isinstance(value, float) else str(value).strip())
    except (ValueError, ZeroDivisionError):
        text = str(value).strip().lower().replace("infinity", "inf")
        return text if text in ("inf", "-inf", "nan") else None


def same_boolean(kind, value, got, _declared):
    if kind == "text":
        meant = {truth for word, truth in WORDS.items() if value.strip() and word.startswith(value.strip().lower())}
    else:
        meant = {value == 1} if value in (0, 1) else set()
    return meant == {got == "true"}


def same_instant(kind, value, got, _declared):
    was = instant(value) if kind == "text" else numeric_instant(kind, value)
    return was is not None and was == instant(got)


def same_date(kind, value, got, _declared):
    was = instant(value) if kind == "text" else numeric_instant(kind, value)
    # A time of day is lost in a date.
    return was is not None and was == instant(got)


def same_time(kind, value, got, _declared):
    was, is_ = (time_of_day(v) if isinstance(v, str) else None for v in (value, got))
    return was is not None and was == is_


def time_of_day(text):
    found = TIME.fullmatch(text.strip())
    return found and (int(found[1]), int(found[2]), int(found[3] or 0), int((found[4] or "0").ljust(6, "0")[:6]))


def instant(text):
    """Microseconds since 1970 in UTC, or None. Years are astronomical: -1 is 2 BC. 24:00 and a leap second belong to the next minute."""
    found = TIMESTAMP.fullmatch(text.strip())
    if not found:
        return float(text.strip()) if text.strip().lower() in ("infinity", "-infinity") else None
    sign, year, month, day, hour, minute, second, fraction, offset, era = found.groups()
    year = 1 - int(year) if era else int(sign + year)
    hour, minute, second = (int(p or 0) for p in (hour, minute, second))
    month, day = int(month), int(day)
    if not (1 <= month <= 12 and 1 <= day <= days(year, month) and hour <= 24 and minute < 60 and second <= 60):
        return None
    microseconds = ((julian(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    # Half a microsecond goes to the even neighbour or up: either is right to the microsecond.
    microseconds = microseconds * 1_000_000 + round(int(fraction or 0) * 10 ** (6 - len(fraction or "")))
    if offset and offset not in "Zz":
        digits = offset[1:].replace(":", "").ljust(6, "0")
        shift = (int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])) * 1_000_000
        microseconds -= shift if offset[0] == "+" else -shift
    return microseconds


def days(year, month):
    return julian(year + month // 12, month % 12 + 1, 1) - julian(year, month, 1)


def julian(year, month, day):
    """Days from 1970-01-01 in the Gregorian calendar, which repeats after 400 years."""
    cycles = year // 400
    return (datetime.date(year - cycles * 400 + 400, month, day) - datetime.date(1970, 1, 1)).days + (cycles - 1) * 146_097


def numeric_instant(kind, value):
    if kind == "integer":
        return next((value * scale for limit, scale in ((10**11, 1_000_000), (10**14, 1000), (10**17, 1)) if abs(value) < limit), None)
    # datetime() of SQLite computes Julian days in milliseconds.
    if abs(value) == float("inf"):
        return None
    if 0 <= value < 5373484.5:
        return round((decimal.Decimal(value) - decimal.Decimal("2440587.5")) * 86_400_000) * 1000
    return round(decimal.Decimal(value) * 1_000_000)


def same_json(kind, value, got, _declared):
    try:
        was, is_ = (json.loads(str(v), parse_float=decimal.Decimal, parse_int=decimal.Decimal, object_pairs_hook=document) for v in (value, got))
    except (ValueError, decimal.InvalidOperation):
        return False
    return was == is_


def document(pairs):
    keys = dict(pairs)
    # Sorted, since jsonb has an order of its own.
    return ("object", sorted(keys.items(), key=lambda item: item[0]), None if len(keys) == len(pairs) else [k for k, _ in pairs])


def same_uuid(kind, value, got, _declared):
    try:
        return uuid.UUID(value) == uuid.UUID(got)
    except (AttributeError, ValueError):
        return False


RULES = dict.fromkeys(INTEGERS | {"numeric"}, same_number) | {
    "real": same_float, "double precision": same_float, "boolean": same_boolean, "timestamp with time zone": same_instant,
    "timestamp without time zone": same_instant, "date": same_date, "time without time zone": same_time, "json": same_json, "jsonb": same_json,
    "uuid": same_uuid}
