"""What alerts lose when rows are removed, in the transaction that removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unveil.gallery.records import FIRST_DATE

if TYPE_CHECKING:
    import psycopg

TABLES = ("alerts",)
AROUND = 1.0  # seconds by which an alert may lie beside the sighting: it is raised a little later than what it shows


def forget_rows(cursor: psycopg.Cursor, gallery: int) -> None:
    """Remove the alerts that show somebody of the temporary table ``gone``, whose rows are still there.

    An alert has no row. It goes when it comes from the same video or stream as a removed sighting and lies within it,
    in time or, of a video, in frames; and when it looked for somebody by a kept search that names a removed row.
    """
    if not cursor.execute("SELECT 1 FROM alerts WHERE gallery = %s LIMIT 1", (gallery,)).fetchone():
        return
    cursor.execute(
        "WITH seen AS (SELECT i.source, min(i.moment) AS start, max(coalesce(i.until, i.moment)) AS finish, "
        "min(i.frame) AS first, max(i.frame) AS last FROM items i JOIN gone g ON g.id = i.id AND g.bucket = i.bucket "
        "WHERE i.gallery = %(gallery)s GROUP BY i.source, coalesce(i.tracklet, i.key)), "
        "asked AS (SELECT q.hash FROM case_queries q JOIN case_rows r ON r.query = q.id JOIN gone g ON g.id = r.item "
        "WHERE r.gallery = %(gallery)s AND r.kind IN ('positive', 'confirmed')) "
        "DELETE FROM alerts a WHERE a.gallery = %(gallery)s AND (a.alert->>'query' IN (SELECT hash FROM asked) "
        "OR EXISTS (SELECT FROM seen s WHERE s.source = a.alert->>'source' AND ("
        "(a.alert->>'time')::float8 BETWEEN s.start - %(around)s AND s.finish + %(around)s "
        "OR ((a.alert->>'time')::float8 < %(date)s AND (a.alert->>'frame')::bigint BETWEEN s.first AND s.last))))",
        {"gallery": gallery, "around": AROUND, "date": FIRST_DATE},
    )
