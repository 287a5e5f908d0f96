-- The target's tables exist: columns by name, values in the target's types, constraints as they were.
CREATE SCHEMA app;
SET search_path = app, public;
CREATE TYPE status AS ENUM ('DRAFT', 'CLOSED');
CREATE TABLE cari ("Id" serial PRIMARY KEY, unvan varchar(50) NOT NULL, "AktifMi" boolean, "Bakiye" numeric(15, 2), "CreatedAt" timestamp, import_note text DEFAULT 'imported');
CREATE TABLE work_order (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cari_id integer REFERENCES cari ("Id"), status status NOT NULL, extra jsonb, code uuid UNIQUE);
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('def');
CREATE TABLE before AS SELECT conname, pg_get_constraintdef(oid) AS definition, convalidated FROM pg_constraint WHERE connamespace = 'app'::regnamespace;

SELECT load_order, table_name, imported_rows, target_rows, content_match, sequence_next, status
FROM aliaport_import(regress.source('target.db'), 'app');
SELECT * FROM regress.path ORDER BY 1;
TABLE cari;
TABLE work_order;
TABLE alembic_version;
SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE connamespace = 'app'::regnamespace EXCEPT TABLE before;
INSERT INTO work_order (cari_id, status) VALUES (7, 'DRAFT') RETURNING id;
INSERT INTO cari (unvan) VALUES ('yeni') RETURNING "Id";

-- create refuses tables with rows, append a key that is there, replace puts the source's rows in their place
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app')$$) \gx
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app', 'append')$$) \gx
SELECT table_name, imported_rows, target_rows, content_match, sequence_next
FROM aliaport_import(regress.source('target.db'), 'app', 'replace');
SELECT * FROM regress.path ORDER BY 1;
SELECT count(*) FROM cari;

-- append to what is there
DELETE FROM work_order WHERE id = 2;
UPDATE work_order SET id = DEFAULT;
SELECT table_name, imported_rows, target_rows, content_match
FROM aliaport_import(regress.source('target.db'), 'app', 'append', options => '{"include": ["work_order"], "tables": {"work_order": {"where": "id = 2"}}}');
SELECT * FROM regress.path ORDER BY 1;
SELECT id, status FROM work_order ORDER BY id;

-- What does not fit is said before a row is read.
UPDATE cari SET import_note = 'old';
CREATE TABLE unfit AS TABLE cari;
ALTER TABLE unfit DROP COLUMN "Bakiye", ALTER import_note SET NOT NULL;
\set unfit '{"include": ["Cari"], "tables": {"Cari": {"target": "app.unfit"}}}'
SELECT set_config('regress.options', :'unfit', false) IS NOT NULL AS set;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app', 'replace', options => current_setting('regress.options')::jsonb)$$) \gx
ALTER TABLE unfit ADD COLUMN "Bakiye" numeric(15, 2);
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app', 'replace', options => current_setting('regress.options')::jsonb)$$) \gx

-- An orphan among tables that exist
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('orphans.db'), 'app')$$) \gx

-- A check, a generated column, a domain and a row that breaks the check
TRUNCATE cari, work_order;
CREATE DOMAIN title AS varchar(50) CHECK (value <> '');
ALTER TABLE cari ALTER unvan TYPE title, ADD COLUMN shout text GENERATED ALWAYS AS (upper(unvan)) STORED, ADD CHECK ("Bakiye" >= 0);
SELECT table_name, imported_rows, content_match FROM aliaport_import(regress.source('target.db'), 'app');
SELECT * FROM regress.path ORDER BY 1;
SELECT "Id", unvan, shout FROM cari ORDER BY 1;
ALTER TABLE cari ADD CHECK ("Bakiye" > 1) NOT VALID;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app', 'replace')$$) \gx
ALTER TABLE cari DROP COLUMN shout, DROP CONSTRAINT "cari_Bakiye_check1", ALTER unvan TYPE varchar(50);

-- A trigger that changes values does not fire; when it is asked for, content_match tells.
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW."Bakiye" := NEW."Bakiye" + 1; RETURN NEW; END$$;
CREATE TRIGGER meddle BEFORE INSERT ON cari FOR EACH ROW WHEN (NEW."Id" = 7) EXECUTE FUNCTION meddle();
SELECT table_name, content_match, status FROM aliaport_import(regress.source('target.db'), 'app', 'replace');
SELECT * FROM regress.path ORDER BY 1;
SELECT table_name, content_match, status
FROM aliaport_import(regress.source('target.db'), 'app', 'replace', dry_run => true, options => '{"triggers": "on"}');
SELECT * FROM regress.path ORDER BY 1;
SELECT regexp_replace(message, '\d+', 'N') AS message, code, hint FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app', 'replace', options => '{"triggers": "on"}')$$) \gx
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'cari'::regclass AND NOT tgisinternal;

-- Row security and rights are obeyed, not bypassed.
CREATE ROLE regress_importer;
GRANT pg_read_server_files TO regress_importer;
GRANT USAGE ON SCHEMA app, regress, public TO regress_importer;
GRANT EXECUTE ON FUNCTION aliaport_import TO regress_importer;
DROP TRIGGER meddle ON cari;
TRUNCATE cari, work_order;
SET ROLE regress_importer;
SELECT code, message FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app')$$);
RESET ROLE;
GRANT SELECT, INSERT ON cari, work_order, alembic_version TO regress_importer;
GRANT USAGE ON TYPE status TO regress_importer;
SET ROLE regress_importer;
SELECT * FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app')$$);
RESET ROLE;
GRANT UPDATE, SELECT ON ALL SEQUENCES IN SCHEMA app TO regress_importer;
ALTER TABLE cari ENABLE ROW LEVEL SECURITY;
CREATE POLICY low_ids ON cari TO regress_importer USING (true) WITH CHECK ("Id" < 5);
SET ROLE regress_importer;
SELECT code, message FROM regress.refusal($$SELECT aliaport_import(regress.source('target.db'), 'app')$$);
RESET ROLE;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
DROP OWNED BY regress_importer;
DROP ROLE regress_importer;
TRUNCATE aliaport.run CASCADE;
