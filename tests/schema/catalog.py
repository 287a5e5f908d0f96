"""What a PostgreSQL schema has, by pg_catalog, in the form of oracle.py."""

ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
COLUMN_NAMES = "ARRAY(SELECT attname::text FROM unnest({keys}) WITH ORDINALITY k (n, o) JOIN pg_attribute ON attrelid = {of} AND attnum = n ORDER BY o)"


class Schema:
    """Reads one schema through a psycopg connection."""

    def __init__(self, connection, schema="public"):
        self.connection = connection
        self.schema = schema

    def rows(self, sql, *arguments):
        return self.connection.execute(sql, arguments).fetchall()

    def tables(self):
        found = self.rows("SELECT relname, oid FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace = %s::regnamespace", self.schema)
        return {name: self.table(oid) for name, oid in found}

    def table(self, oid):
        columns = self.rows("""
            SELECT attname, format_type(atttypid, atttypmod), attnotnull, attidentity <> '', attgenerated, pg_get_expr(adbin, adrelid)
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum""", oid)
        constraints = self.rows(f"""
            SELECT contype, conname, {COLUMN_NAMES.format(keys='conkey', of='conrelid')}, condeferrable AND condeferred, convalidated,
                   pg_get_expr(conbin, conrelid), confupdtype, confdeltype,
                   (SELECT relname FROM pg_class WHERE oid = confrelid), {COLUMN_NAMES.format(keys='confkey', of='confrelid')}
            FROM pg_constraint WHERE conrelid = %s AND contype <> 'n'""", oid)
        assert all(c[4] for c in constraints)
        of = lambda kind: [c for c in constraints if c[0] == kind]
        assert len(of("p")) + len(of("u")) + len(of("c")) + len(of("f")) == len(constraints)
        return {
            "columns": [tuple(c[:4]) for c in columns],
            "defaults": {c[0]: self.rows(f"SELECT {c[5]}")[0][0] for c in columns if c[5] is not None},
            "primary key": of("p")[0][2] if of("p") else [],
            "uniques": sorted(c[2] for c in of("u")),
            "indexes": self.indexes(oid),
            "checks": sorted(c[5] for c in of("c")),
            "foreign keys": sorted((c[2], c[8], c[9], ACTIONS[c[6]], ACTIONS[c[7]]) for c in of("f")),
            "deferred": sum(c[3] for c in constraints),
            "names": {c[1] for c in constraints},
        }

    def indexes(self, oid):
        """Indexes that belong to no constraint."""
        return {name: (unique, terms, descending, predicate) for name, unique, terms, descending, predicate in self.rows("""
            SELECT relname, indisunique, ARRAY(SELECT pg_get_indexdef(indexrelid, n, true) FROM generate_series(1, indnkeyatts) n),
                   ARRAY(SELECT o & 1 = 1 FROM unnest(indoption) o), pg_get_expr(indpred, indrelid)
            FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
            WHERE indrelid = %s AND indisvalid AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))""", oid)}

    def printed(self, table, expression):
        """How PostgreSQL prints a condition on a table."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(f'CREATE TABLE pg_temp.probe (LIKE "{self.schema}"."{table}", CHECK ({expression}))')
            return self.rows("SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conrelid = 'pg_temp.probe'::regclass AND contype = 'c'")[0][0]

    def printed_terms(self, table, terms):
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(f'CREATE TABLE pg_temp.probe (LIKE "{self.schema}"."{table}")')
            listed = ", ".join(f"({t})" for t in terms)
            self.connection.execute(f"CREATE INDEX probe_index ON pg_temp.probe ({listed})")
            return self.rows("SELECT ARRAY(SELECT pg_get_indexdef('pg_temp.probe_index'::regclass, n, true) FROM generate_series(1, %s) n)", len(terms))[0][0]
