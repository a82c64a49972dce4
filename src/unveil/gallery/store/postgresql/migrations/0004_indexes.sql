-- What people filter by most; partitions that are there get them too.
CREATE INDEX ON items (camera);
CREATE INDEX ON items (person) WHERE person IS NOT NULL;
