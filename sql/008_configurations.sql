-- A configuration keeps the order of its keys, so that an epoch put together from the tables has
-- the bytes it had on its topic. Rows from before keep the order that jsonb gave them.

ALTER TABLE accounts ALTER COLUMN configuration TYPE json;
