-- Rows live in four tables that are partitioned alike, by gallery and then by a period of time, so that a filter by
-- time reads few of them and removing rows rewrites few of them. Partitions are made when the first row comes.

CREATE SEQUENCE row_ids;
-- Not counted per gallery: a gallery that is dropped and made again must not show an old number.
CREATE SEQUENCE revisions;

CREATE TABLE galleries (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    space jsonb NOT NULL,
    crops bigint NOT NULL DEFAULT 0,
    tracklets bigint NOT NULL DEFAULT 0,
    cameras text[] NOT NULL DEFAULT '{}',
    earliest double precision,
    latest double precision,
    revision bigint NOT NULL DEFAULT nextval('revisions'),
    keep double precision,
    calibration jsonb,
    created double precision NOT NULL
);

-- One key once in a gallery, whatever its period: a unique index over periods cannot be had otherwise.
CREATE TABLE keys (
    gallery int NOT NULL,
    key text COLLATE "C" NOT NULL,
    bucket int NOT NULL,
    id bigint NOT NULL DEFAULT nextval('row_ids'),
    PRIMARY KEY (gallery, key)
) PARTITION BY LIST (gallery);

CREATE TABLE items (
    id bigint NOT NULL,
    gallery int NOT NULL,
    bucket int NOT NULL,
    key text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    camera text,
    moment double precision,
    until double precision,
    person text,
    tracklet text COLLATE "C",
    frame bigint,
    box int[],
    tags text[] NOT NULL,
    visible double precision,
    quality double precision,
    crops int NOT NULL,
    added double precision NOT NULL,
    PRIMARY KEY (id, gallery, bucket)
) PARTITION BY LIST (gallery);
CREATE INDEX ON items (tracklet) WHERE tracklet IS NOT NULL;

CREATE TABLE pictures (
    id bigint NOT NULL,
    gallery int NOT NULL,
    bucket int NOT NULL,
    thumbnail bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (id, gallery, bucket)
) PARTITION BY LIST (gallery);

CREATE TABLE coarse (
    id bigint NOT NULL,
    gallery int NOT NULL,
    bucket int NOT NULL,
    coarse halfvec NOT NULL,
    PRIMARY KEY (id, gallery, bucket)
) PARTITION BY LIST (gallery);

CREATE TABLE vectors (
    id bigint NOT NULL,
    gallery int NOT NULL,
    bucket int NOT NULL,
    vectors halfvec NOT NULL,
    visibility vector NOT NULL,
    PRIMARY KEY (id, gallery, bucket)
) PARTITION BY LIST (gallery);

-- Partitions whose removed rows may still have bytes in the files; emptied when these are rewritten.
CREATE TABLE wipes (
    gallery int NOT NULL,
    bucket int NOT NULL,
    PRIMARY KEY (gallery, bucket)
);

CREATE TABLE judgements (
    gallery int NOT NULL REFERENCES galleries ON DELETE CASCADE,
    query text NOT NULL,
    item bigint NOT NULL,
    same boolean NOT NULL,
    who text NOT NULL,
    moment double precision NOT NULL,
    PRIMARY KEY (gallery, query, item)
);

CREATE TABLE jobs (
    gallery int NOT NULL REFERENCES galleries ON DELETE CASCADE,
    job text NOT NULL,
    state jsonb,
    PRIMARY KEY (gallery, job)
);
