-- Rows of a gallery as probable people. What was said by hand survives a new grouping: rows with one label (said) are
-- one person, labels that are apart are two.
CREATE SEQUENCE group_numbers;

CREATE TABLE groupings (
    gallery int PRIMARY KEY REFERENCES galleries ON DELETE CASCADE,
    made double precision NOT NULL,
    fingerprint text NOT NULL,
    mode text NOT NULL,
    threshold double precision NOT NULL,
    calibrated boolean NOT NULL,
    source text NOT NULL,
    removed bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0
);

CREATE TABLE grouped_rows (
    gallery int NOT NULL REFERENCES galleries ON DELETE CASCADE,
    item bigint NOT NULL,
    person bigint NOT NULL,
    distance double precision,
    said bigint,
    PRIMARY KEY (gallery, item)
);
CREATE INDEX ON grouped_rows (gallery, person);

CREATE TABLE people_apart (
    gallery int NOT NULL REFERENCES galleries ON DELETE CASCADE,
    a bigint NOT NULL,
    b bigint NOT NULL,
    PRIMARY KEY (gallery, a, b),
    CHECK (a < b)
);
