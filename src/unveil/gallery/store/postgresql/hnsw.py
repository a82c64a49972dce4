"""An index for the engine's own first-stage search, for galleries that no longer fit into memory.

Paper: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
World graphs", 2018; built by pgvector, partition by partition, while others read and write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unveil.errors import DataError
from unveil.gallery.records import GalleryInfo
from unveil.progress import track

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

LINKS, BUILT = 24, 200  # m, ef_construction
# hnsw.ef_search: more in a larger partition. Measured on vectors with the spectrum of a world's crops: of the true 100,
# 0.995 are among the 500 asked for with 200 searched in partitions of 35,000 rows; docs/decisions/0031 has more.
SEARCHED, MAX_SEARCHED = 200, 1000
ROWS_A_NEIGHBOUR = 175
WORTH_IT = 300_000  # rows; below it reading all of them takes no longer
MAX_NUMBERS = 4_000  # of an indexed halfvec


def build(connections: Connections, gallery: int, *, info: GalleryInfo, least: int) -> bool:
    """Build what is missing of a gallery's index; return whether it has one now.

    Args:
        connections: to the database.
        gallery: number of the gallery.
        info: what is known of it.
        least: smaller galleries get none.

    Raises:
        DataError: the first-stage vectors are too long for an index.
    """
    width = len(info.space.names) * info.space.dimension
    if info.crops + info.tracklets < least:
        return False
    if width > MAX_NUMBERS:
        raise DataError(f"an index takes vectors of at most {MAX_NUMBERS} numbers, this model gives {width}")
    parent = f"coarse_{gallery}"
    definition = (
        f"USING hnsw ((coarse::halfvec({width})) halfvec_cosine_ops) WITH (m = {LINKS}, ef_construction = {BUILT})"
    )
    with connections.outside() as cursor:
        cursor.execute(f"CREATE INDEX IF NOT EXISTS {parent}_near ON ONLY {parent} {definition}")
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", (parent,))
        for (leaf,) in track(cursor.fetchall(), f"indexing {info.name}, period by period"):
            if _index_of(cursor, leaf) is None:
                name = f"{leaf}_near"
                # One that a killed process left is of no use.
                cursor.execute(f"DROP INDEX IF EXISTS {name}")
                cursor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {leaf} {definition}")
                cursor.execute(f"ALTER INDEX {parent}_near ATTACH PARTITION {name}")
            silence(cursor, leaf)
            # So that the planner knows how many rows a filter lets through, and which way is shorter.
            cursor.execute(f"ANALYZE {leaf}, {leaf.replace('coarse', 'items', 1)}")
    return True


def searched(cursor: psycopg.Cursor, gallery: int) -> int:
    """Return how many neighbours to look at in each partition of a gallery."""
    cursor.execute(
        "SELECT max(c.reltuples) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = %s::regclass",
        (f"coarse_{gallery}",),
    )
    found = cursor.fetchone()
    rows = found[0] if found and found[0] else 0
    return int(min(MAX_SEARCHED, max(SEARCHED, rows / ROWS_A_NEIGHBOUR)))


def silence(cursor: psycopg.Cursor, leaf: str) -> None:
    """Keep samples of the indexed vectors out of the statistics, as `partitions` does for the columns."""
    index = _index_of(cursor, leaf)
    if index is not None:
        cursor.execute(f"ALTER INDEX {index} ALTER COLUMN 1 SET STATISTICS 0")


def _index_of(cursor: psycopg.Cursor, leaf: str) -> str | None:
    """Return the index of a partition that is part of its gallery's."""
    cursor.execute(
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = %s::regclass AND i.indexprs IS NOT NULL AND i.indisvalid AND c.relispartition",
        (leaf,),
    )
    found = cursor.fetchone()
    return found[0] if found else None
