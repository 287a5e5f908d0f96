-- Objects that the other files use. They are in their own schema, so that dropping an import's target leaves them.
SET client_min_messages = warning;
CREATE EXTENSION aliaport_import;
RESET client_min_messages;

CREATE SCHEMA regress;

-- The path of a source, which differs from run to run.
CREATE FUNCTION regress.source(name text) RETURNS text STABLE LANGUAGE sql
    RETURN current_setting('aliaport_test.fixtures') || '/' || name;

-- How the rows of the last run got into each table.
CREATE VIEW regress.path AS
SELECT table_name, detail ->> 'path' AS path FROM aliaport.run_table WHERE run_id = (SELECT max(run_id) FROM aliaport.run);

-- What a statement that must fail says: SQLSTATE, message, detail and hint, with the sources' folder cut out.
CREATE FUNCTION regress.refusal(statement text)
    RETURNS TABLE (code text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
DECLARE
    folder constant text := current_setting('aliaport_test.fixtures') || '/';
BEGIN
    EXECUTE statement;
    RAISE EXCEPTION 'the statement did not fail: %', statement;
EXCEPTION
    WHEN others THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        message := replace(message, folder, '');
        detail := replace(detail, folder, '');
        hint := replace(hint, folder, '');
        RETURN NEXT;
END
$$;
