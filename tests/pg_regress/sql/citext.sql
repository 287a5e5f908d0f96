-- needs extension citext
-- citext is found under any search_path
CREATE SCHEMA extensions;
CREATE EXTENSION citext SCHEMA extensions;
CREATE SCHEMA folded;
SELECT table_name, status FROM aliaport_import(regress.source('rules.db'), 'folded', options => '{"include": ["folded"], "nocase": "citext"}');
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'folded.folded'::regclass AND attname = 'name';

SET client_min_messages = warning;
DROP SCHEMA folded CASCADE;
DROP EXTENSION citext;
DROP SCHEMA extensions;
TRUNCATE aliaport.run CASCADE;
