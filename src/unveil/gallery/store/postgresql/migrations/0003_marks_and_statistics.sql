-- Names what another engine keeps for a gallery: one that is dropped and made again is another one, and several
-- databases may share an engine.
ALTER TABLE galleries ADD COLUMN mark uuid NOT NULL DEFAULT gen_random_uuid();

-- Statistics are samples of the values, kept in a table that no removal of rows reaches; see partitions.py.
ALTER TABLE keys ALTER key SET STATISTICS 0;
ALTER TABLE items ALTER key SET STATISTICS 0, ALTER source SET STATISTICS 0, ALTER person SET STATISTICS 0,
    ALTER tracklet SET STATISTICS 0, ALTER box SET STATISTICS 0, ALTER tags SET STATISTICS 0;
ALTER TABLE pictures ALTER thumbnail SET STATISTICS 0;
ALTER TABLE coarse ALTER coarse SET STATISTICS 0;
ALTER TABLE vectors ALTER vectors SET STATISTICS 0, ALTER visibility SET STATISTICS 0;
