-- Alerts of watches, for the page; they go with the gallery, when the gallery's time to keep rows is over, and when an
-- admin removes them.
CREATE SEQUENCE alert_numbers;
CREATE TABLE alerts (
    id bigint PRIMARY KEY DEFAULT nextval('alert_numbers'),
    gallery int NOT NULL REFERENCES galleries ON DELETE CASCADE,
    raised double precision NOT NULL,
    alert jsonb NOT NULL,
    picture bytea STORAGE EXTERNAL NOT NULL
);
CREATE INDEX ON alerts (gallery, id);
ALTER TABLE alerts ALTER alert SET STATISTICS 0, ALTER picture SET STATISTICS 0;
