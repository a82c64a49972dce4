-- Cases: searches that can be repeated, sightings with notes, members. They are of the store, not of one gallery.
CREATE SEQUENCE case_numbers;

CREATE TABLE cases (
    id bigint PRIMARY KEY DEFAULT nextval('case_numbers'),
    name text NOT NULL UNIQUE,
    notes text NOT NULL DEFAULT '',
    creator text NOT NULL,
    created double precision NOT NULL,
    changed double precision NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    written_by text NOT NULL
);
ALTER TABLE cases ALTER name SET STATISTICS 0, ALTER notes SET STATISTICS 0;

CREATE TABLE case_members (
    case_id bigint NOT NULL REFERENCES cases ON DELETE CASCADE,
    who text NOT NULL,
    PRIMARY KEY (case_id, who)
);

CREATE TABLE case_queries (
    id bigint PRIMARY KEY DEFAULT nextval('case_numbers'),
    case_id bigint NOT NULL REFERENCES cases ON DELETE CASCADE,
    gallery int NOT NULL REFERENCES galleries ON DELETE CASCADE,
    name text NOT NULL,
    settings jsonb NOT NULL,
    others text[] NOT NULL,
    hash text NOT NULL,
    who text NOT NULL,
    moment double precision NOT NULL
);
ALTER TABLE case_queries ALTER name SET STATISTICS 0, ALTER settings SET STATISTICS 0;

-- What was sent to search with; rows of galleries are named in case_rows and have their pictures there.
CREATE TABLE case_pictures (
    query bigint NOT NULL REFERENCES case_queries ON DELETE CASCADE,
    number int NOT NULL,
    negative boolean NOT NULL,
    picture bytea STORAGE EXTERNAL NOT NULL,
    PRIMARY KEY (query, number)
);
ALTER TABLE case_pictures ALTER picture SET STATISTICS 0;

-- Rows of galleries, by number: bookmarks, and what searches were made with or told.
CREATE TABLE case_rows (
    case_id bigint NOT NULL REFERENCES cases ON DELETE CASCADE,
    query bigint REFERENCES case_queries ON DELETE CASCADE,
    gallery int NOT NULL REFERENCES galleries ON DELETE CASCADE,
    item bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('bookmark', 'positive', 'negative', 'confirmed', 'rejected')),
    note text NOT NULL DEFAULT '',
    who text NOT NULL,
    moment double precision NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    CHECK ((query IS NULL) = (kind = 'bookmark'))
);
CREATE UNIQUE INDEX ON case_rows (case_id, gallery, item) WHERE query IS NULL;
CREATE UNIQUE INDEX ON case_rows (query, gallery, item) WHERE query IS NOT NULL;
CREATE INDEX ON case_rows (gallery, item);
ALTER TABLE case_rows ALTER note SET STATISTICS 0;

CREATE TABLE case_removals (
    case_id bigint NOT NULL REFERENCES cases ON DELETE CASCADE,
    moment double precision NOT NULL,
    gallery text NOT NULL,
    bookmarks int NOT NULL,
    rows_of_queries int NOT NULL,
    queries int NOT NULL
);
CREATE INDEX ON case_removals (case_id);
