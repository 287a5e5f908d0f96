-- aliaport_report: one page about one run.
\pset format unaligned
\pset tuples_only on
SET timezone = 'Europe/Istanbul';
SET datestyle = 'German';

-- Nothing to report on yet
TRUNCATE aliaport.run CASCADE;
SELECT * FROM regress.refusal($$SELECT aliaport_report()$$) \gx

-- Sources' folder, times and rates differ from run to run.
CREATE FUNCTION regress.masked(report text) RETURNS text STABLE LANGUAGE sql RETURN
    regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(replace(report, current_setting('aliaport_test.fixtures'), '/data'),
        '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(\+00| UTC)', 'TIME\2', 'g'),
        '[\d.,]+ (µs|ms|s|min \d\d s)\M', 'N s', 'g'),
        'N s \| [█▏▎▍▌▋▊▉]* \| ', 'N s | BAR | ', 'g'),
        'Rows a second \| [\d,]+', 'Rows a second | RATE', 'g'),
        'run(_id =|,)? \d+', 'run\1 N', 'g'),
        '[\d.]+ kB', 'SIZE', 'g'),
        'PostgreSQL \d[^`]*', 'PostgreSQL VERSION', 'g');

CREATE SCHEMA report;
CREATE TABLE report.grandchild (id bigint PRIMARY KEY, child_id bigint);
SELECT count(*) FROM aliaport_import(regress.source('policies.db'), 'report', on_error => 'reject', orphans => 'keep');
SELECT regress.masked(aliaport_report());

-- The way back is there as statements that run; what existed before is emptied, not dropped.
SELECT aliaport_report(format => 'json')::jsonb -> 'going_back' -> 'steps' -> 1 ->> 'sql' AS sql \gset
:sql
SELECT relname FROM pg_class WHERE relnamespace = 'report'::regnamespace AND relkind = 'r';
SELECT count(*) FROM report.grandchild;

-- What is gone since is no foreign key and is not dropped again.
SELECT jsonb_array_length(r -> 'foreign_keys'), (SELECT count(*) FROM jsonb_array_elements(r -> 'tables') t WHERE t -> 'exists' = 'true')
FROM aliaport_report(format => 'json') j, LATERAL (SELECT j::jsonb AS r) r;

-- json has the run and its tables, times in UTC
SELECT (SELECT string_agg(k, ', ') FROM json_object_keys(j::json) k),
       j::json -> 'run' ->> 'started_at' = to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM aliaport.run, aliaport_report(run_id, 'json') j;

-- A dry run leaves nothing and says so.
SELECT count(*) FROM aliaport_import(regress.source('policies.db'), 'report', dry_run => true);
SELECT regress.masked(aliaport_report());

-- A name with everything in it goes back too.
CREATE SCHEMA "s|`<b>";
INSERT INTO aliaport.run (started_at, finished_at, path, target_schema, mode, dry_run, options, status, rows_imported, invoked_by)
    VALUES ('2025-03-01 06:00:00.5+00', '2025-03-01 08:05:00.5+00', E'/data/a|b`\n# c', 's|`<b>', 'create', false, '{}', 'ok', 1234567, 'ali');
CREATE TABLE "s|`<b>".U&"a\000A\202E""\\`" (id bigint);
INSERT INTO aliaport.run_table SELECT max(run_id), 1, U&'"a\000A\202E""\\`"', 1234567, 1234567, 0, 1234567, 0, true, NULL, '2:05:00', 'ok', '{"created": true}' FROM aliaport.run;
SELECT regexp_replace(aliaport_report(), 'run \d+', 'run N');
SELECT aliaport_report(format => 'json')::jsonb -> 'going_back' -> 'steps' -> 1 ->> 'sql' AS sql \gset
:sql
SELECT count(*) FROM pg_class WHERE relnamespace = '"s|`<b>"'::regnamespace;

-- Refusals
SELECT * FROM regress.refusal($$SELECT aliaport_report(0)$$) \gx
SELECT * FROM regress.refusal($$SELECT aliaport_report(format => 'pdf')$$) \gx
CREATE ROLE regress_reader;
SET ROLE regress_reader;
SELECT aliaport_report();
RESET ROLE;
GRANT USAGE ON SCHEMA aliaport TO regress_reader;
GRANT SELECT ON aliaport.run, aliaport.run_table TO regress_reader;
SET ROLE regress_reader;
SELECT aliaport_report();
RESET ROLE;
GRANT SELECT ON aliaport.rejected_row TO regress_reader;
SET ROLE regress_reader;
SELECT length(aliaport_report(format => 'html')) > 1000;
RESET ROLE;

SET client_min_messages = warning;
DROP OWNED BY regress_reader;
DROP ROLE regress_reader;
DROP SCHEMA report, "s|`<b>" CASCADE;
DROP FUNCTION regress.masked(text);
TRUNCATE aliaport.run CASCADE;
