-- Imports that are under way, for other sessions. The rights on schema and view are the DBA's to give; what the function shows of
-- other roles' sessions, it shows to members of those roles and of pg_read_all_stats.
CREATE FUNCTION aliaport.look_at_run(pid integer, handle integer) RETURNS TABLE (
    run_id      bigint,
    phase       text,
    table_name  text,
    rows_done   bigint,
    rows_total  bigint,
    bytes_done  bigint,
    bytes_total bigint,
    started_at  double precision,
    fraction    double precision
) LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'look_at_run_wrapper';
COMMENT ON FUNCTION aliaport.look_at_run(integer, integer) IS 'for view aliaport.progress';

CREATE VIEW aliaport.progress AS
SELECT l.pid,
       r.run_id,
       r.phase,
       r.table_name,
       coalesce(i.tuples_done, r.rows_done) AS rows_done,
       coalesce(nullif(i.tuples_total, 0), r.rows_total) AS rows_total,
       r.bytes_done,
       r.bytes_total,
       pg_catalog.to_timestamp(r.started_at) AS started_at,
       CASE WHEN r.fraction > 0.01 THEN
           pg_catalog.to_timestamp(r.started_at + (EXTRACT(epoch FROM pg_catalog.clock_timestamp())::double precision - r.started_at) / r.fraction)
       END AS eta
FROM pg_catalog.pg_locks AS l
CROSS JOIN LATERAL aliaport.look_at_run(l.pid, l.objid::pg_catalog.int8::pg_catalog.bit(32)::pg_catalog.int4) AS r
LEFT JOIN pg_catalog.pg_stat_progress_create_index AS i ON i.pid = l.pid AND r.phase = 'index'
WHERE l.locktype = 'advisory' AND l.classid = 1634494832 AND l.objsubid = 2 AND l.granted
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database());
COMMENT ON VIEW aliaport.progress IS 'imports that are under way in this database';
