-- How far the row was from the query, without and with changed clothes: the query itself is not kept, and feedback is
-- worth most as pairs of query and row. Unknown for what was said before.
ALTER TABLE judgements ADD COLUMN distance_same double precision, ADD COLUMN distance_changed double precision;
