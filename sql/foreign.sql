-- What ANALYZE found in the columns of foreign tables. Written by the extension; OIDs are this database's, so pg_dump leaves it out.
CREATE TABLE aliaport.foreign_column (
    relation    oid NOT NULL,
    attnum      smallint NOT NULL,
    analyzed_at timestamptz NOT NULL,
    stamp       text NOT NULL,
    row_count   bigint NOT NULL,
    nulls       bigint NOT NULL,
    integers    bigint NOT NULL,
    reals       bigint NOT NULL,
    texts       bigint NOT NULL,
    blobs       bigint NOT NULL,
    bad         bigint NOT NULL,
    proof       text,
    PRIMARY KEY (relation, attnum)
);
COMMENT ON TABLE aliaport.foreign_column IS 'what ANALYZE found in the columns of foreign tables; read it through aliaport.foreign_census';
COMMENT ON COLUMN aliaport.foreign_column.stamp IS 'the state of the SQLite file; of another state nothing is concluded from the row';
COMMENT ON COLUMN aliaport.foreign_column.proof IS 'the form that all values have, NULLs aside, where they have one in which SQLite compares them as PostgreSQL does';

CREATE VIEW aliaport.foreign_census AS
SELECT n.nspname AS schema_name, c.relname AS table_name, a.attname AS column_name, f.analyzed_at, f.row_count,
       f.nulls, f.integers, f.reals, f.texts, f.blobs, f.bad, f.proof, f.stamp
FROM aliaport.foreign_column AS f
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) f.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) f.relation AND a.attnum OPERATOR(pg_catalog.=) f.attnum
WHERE NOT a.attisdropped;
COMMENT ON VIEW aliaport.foreign_census IS 'what ANALYZE found in the columns of foreign tables: storage classes, values that the column cannot hold, and the form that all values have';
