-- What a row's person wears and carries, by the parser's maps; null where nobody looked. Statistics would be samples of it.
ALTER TABLE items ADD COLUMN attributes jsonb;
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        WITH RECURSIVE parts AS (
            SELECT 'items'::regclass::oid AS id
            UNION ALL
            SELECT i.inhrelid FROM pg_inherits i JOIN parts p ON i.inhparent = p.id
        )
        SELECT id::regclass::text AS name FROM parts
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER attributes SET STATISTICS 0', part.name);
    END LOOP;
END
$$;
