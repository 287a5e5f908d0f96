-- needs extension citext
-- citext is found under any search_path
CREATE SCHEMA folded;
-- Where the type is missing, that is said before anything is made, with the statement that brings it.
SELECT code, message, detail, hint FROM regress.refusal($$SELECT aliaport_import(regress.source('rules.db'), 'folded', options => '{"include": ["folded"], "nocase": "citext"}')$$) \gx
SELECT code, message, hint FROM regress.refusal($$SELECT aliaport_import(regress.source('rules.db'), 'folded', options => '{"include": ["folded"], "tables": {"folded": {"columns": {"name": {"type": "citext[]"}}}}}')$$) \gx
SELECT severity, code, table_name, column_name, suggestion FROM aliaport_inspect(regress.source('rules.db'), 'folded', '{"include": ["folded"], "nocase": "citext"}') WHERE severity = 'error' \gx
CREATE SCHEMA extensions;
CREATE EXTENSION citext SCHEMA extensions;
SELECT table_name, status FROM aliaport_import(regress.source('rules.db'), 'folded', options => '{"include": ["folded"], "nocase": "citext"}');
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'folded.folded'::regclass AND attname = 'name';

SET client_min_messages = warning;
DROP SCHEMA folded CASCADE;
DROP EXTENSION citext;
DROP SCHEMA extensions;
TRUNCATE aliaport.run CASCADE;
