-- A plan for each gallery: a picture, where its cameras stand on it, and two points with the metres between them.
CREATE TABLE floor_plans (
    gallery int PRIMARY KEY REFERENCES galleries ON DELETE CASCADE,
    picture bytea STORAGE EXTERNAL NOT NULL,
    width int NOT NULL,
    height int NOT NULL,
    cameras jsonb NOT NULL DEFAULT '{}',
    scale jsonb,
    version bigint NOT NULL DEFAULT 1,
    who text NOT NULL,
    changed double precision NOT NULL
);
ALTER TABLE floor_plans ALTER picture SET STATISTICS 0, ALTER cameras SET STATISTICS 0;
