-- Vectors of a second model: made while those of the first answer, and kept after the switch so that it can be undone.
CREATE TABLE standby (
    id bigint NOT NULL,
    gallery int NOT NULL,
    bucket int NOT NULL,
    vectors halfvec NOT NULL,
    visibility vector NOT NULL,
    coarse halfvec NOT NULL,
    PRIMARY KEY (id, gallery, bucket)
) PARTITION BY LIST (gallery);
ALTER TABLE standby ALTER vectors SET STATISTICS 0, ALTER visibility SET STATISTICS 0, ALTER coarse SET STATISTICS 0;

DO $$
DECLARE
    number int;
    leaf record;
    silent text := 'ALTER vectors SET STATISTICS 0, ALTER visibility SET STATISTICS 0, ALTER coarse SET STATISTICS 0';
BEGIN
    FOR number IN SELECT id FROM galleries LOOP
        EXECUTE format('CREATE TABLE standby_%s (LIKE standby INCLUDING DEFAULTS INCLUDING STORAGE) '
                       'PARTITION BY LIST (bucket)', number);
        EXECUTE format('ALTER TABLE standby ATTACH PARTITION standby_%s FOR VALUES IN (%s)', number, number);
        EXECUTE format('ALTER TABLE standby_%s %s', number, silent);
        FOR leaf IN
            SELECT replace(c.relname, 'items', 'standby') AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = format('items_%s', number)::regclass
        LOOP
            EXECUTE format('CREATE TABLE %s (LIKE standby_%s INCLUDING DEFAULTS INCLUDING STORAGE) '
                           'WITH (toast_tuple_target = 8160)', leaf.name, number);
            EXECUTE format('ALTER TABLE standby_%s ATTACH PARTITION %s %s', number, leaf.name, leaf.bound);
            EXECUTE format('ALTER TABLE %s %s', leaf.name, silent);
        END LOOP;
    END LOOP;
END
$$;

-- The number of its vectors changes with every switch, so that copies in memory know that they are another model's.
ALTER TABLE galleries ADD COLUMN generation bigint NOT NULL DEFAULT 0, ADD COLUMN standby jsonb;
ALTER TABLE galleries ALTER standby SET STATISTICS 0;

-- Models that learnt from rows of a gallery up to a number, and how many of these rows were removed since.
CREATE TABLE derived_models (
    gallery int NOT NULL REFERENCES galleries ON DELETE CASCADE,
    fingerprint text NOT NULL,
    model text NOT NULL,
    last bigint NOT NULL,
    crops int NOT NULL,
    removed bigint NOT NULL DEFAULT 0,
    moment double precision NOT NULL,
    PRIMARY KEY (gallery, fingerprint)
);
ALTER TABLE derived_models ALTER model SET STATISTICS 0;

-- Distances of feedback are those of the model that answered; so far there was one.
ALTER TABLE judgements ADD COLUMN model text;
UPDATE judgements j SET model = g.space->>'fingerprint' FROM galleries g WHERE g.id = j.gallery;
