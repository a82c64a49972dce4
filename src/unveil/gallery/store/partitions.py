"""The tables of one gallery: partitions by time as rows come, and the rewriting that removes bytes from the disk."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from unveil.errors import UnveilError
from unveil.gallery.store import hnsw
from unveil.gallery.store.rows import MOST_PERIODS, OTHER

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.connections import Connections

BY_TIME = ("items", "pictures", "coarse", "vectors")
PERSONAL = {
    "keys": ("key",),
    "items": ("key", "source", "person", "tracklet", "box", "tags"),
    "pictures": ("thumbnail",),
    "coarse": ("coarse",),
    "vectors": ("vectors", "visibility"),
}
# A row of vectors stays in its page while it fits there; elsewhere every one of them would be fetched apart.
KEEP_IN_PAGE = "WITH (toast_tuple_target = 8160)"


def make_gallery(cursor: psycopg.Cursor, gallery: int) -> None:
    """Make the tables of a new gallery; other galleries can be read and written meanwhile."""
    _attach(cursor, "keys", f"keys_{gallery}", gallery)
    for table in BY_TIME:
        _attach(cursor, table, f"{table}_{gallery}", gallery, "PARTITION BY LIST (bucket)")


def drop_gallery(cursor: psycopg.Cursor, gallery: int) -> None:
    """Remove the tables of a gallery; the files vanish when the transaction ends."""
    for table in ("keys", *BY_TIME):
        cursor.execute(f"DROP TABLE {table}_{gallery}")


def make_periods(cursor: psycopg.Cursor, gallery: int, wanted: Iterable[int]) -> dict[int, int]:
    """Make the partitions that are missing; return for each wanted period the one to use."""
    cursor.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", (f"items_{gallery}",)
    )
    there = {_period(name) for (name,) in cursor.fetchall()}
    used = {}
    for period in sorted(set(wanted)):
        used[period] = period if period in there or len(there) < MOST_PERIODS else OTHER
        if used[period] not in there:
            there.add(used[period])
            for table in BY_TIME:
                storage = KEEP_IN_PAGE if table in ("coarse", "vectors") else ""
                leaf = f"{table}_{gallery}_{_suffix(used[period])}"
                _attach(cursor, f"{table}_{gallery}", leaf, used[period], storage)
            hnsw.silence(cursor, f"coarse_{gallery}_{_suffix(used[period])}")
    return used


def wipe(connections: Connections, gallery: int) -> None:
    """Rewrite the partitions that rows were removed from, so that nothing of the rows is left in the server's files.

    Every table is written anew without the removed rows, and the write-ahead log that still has them is closed and
    given up (docs/gallery_store.md says what an own server promises, and what no program can for another's).
    A process that is killed meanwhile leaves the list of what is to do; the next call does it.

    Raises:
        UnveilError: another process still reads the state before the removal, so its bytes must stay for now.
    """
    with connections.transaction() as cursor:
        cursor.execute("SELECT bucket FROM wipes WHERE gallery = %s ORDER BY bucket", (gallery,))
        buckets = [bucket for (bucket,) in cursor.fetchall()]
    if not buckets:
        return
    with connections.outside() as cursor:
        _wait_for_readers(connections, cursor)
        for bucket in buckets:
            for table in BY_TIME:
                cursor.execute(f"VACUUM (FULL) {table}_{gallery}_{_suffix(bucket)}")
        cursor.execute(f"VACUUM (FULL) keys_{gallery}")
        cursor.execute("VACUUM (FULL) judgements")
        forget_log(cursor)
        cursor.execute("DELETE FROM wipes WHERE gallery = %s AND bucket = ANY(%s)", (gallery, buckets))


def _wait_for_readers(connections: Connections, cursor: psycopg.Cursor) -> None:
    """Wait until nobody sees the removed rows any more: rewriting keeps what somebody sees."""
    now = cursor.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
    until = time.monotonic() + connections.seconds
    while True:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND age(backend_xmin) > age(%s::xid)",
            now,
        )
        readers = [str(pid) for (pid,) in cursor.fetchall()]
        if not readers:
            return
        if time.monotonic() > until:
            raise UnveilError(
                f"the rows are removed from the gallery, but another process (server process {', '.join(readers)}) "
                "still reads the state before, so their bytes are still on the disk: expire or delete again when it "
                "has ended"
            )
        time.sleep(0.05)


def forget_log(cursor: psycopg.Cursor) -> None:
    """Let the server give up the write-ahead log so far; where it may not, the log goes with time."""
    allowed = cursor.execute("SELECT pg_has_role('pg_checkpoint', 'USAGE')").fetchone()
    if not allowed or not allowed[0]:
        return
    if cursor.execute("SELECT has_function_privilege('pg_switch_wal()', 'EXECUTE')").fetchone() == (True,):
        cursor.execute("SELECT pg_switch_wal()")
    cursor.execute("CHECKPOINT")
    cursor.execute("CHECKPOINT")


def _attach(cursor: psycopg.Cursor, parent: str, name: str, value: int, more: str = "") -> None:
    # Attaching blocks nobody who reads or writes the parent; CREATE TABLE ... PARTITION OF would.
    cursor.execute(f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING STORAGE) {more}")
    cursor.execute(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES IN ({value})")
    # Statistics are samples of the values, kept in a table that no removal of rows reaches.
    silent = [f"ALTER {column} SET STATISTICS 0" for column in PERSONAL[parent.partition("_")[0]]]
    cursor.execute(f"ALTER TABLE {name} {', '.join(silent)}")


def _suffix(period: int) -> str:
    return "other" if period == OTHER else f"p{period}" if period >= 0 else f"m{-period}"


def _period(leaf: str) -> int:
    suffix = leaf.rpartition("_")[2].strip('"')
    return OTHER if suffix == "other" else int(suffix[1:]) * (1 if suffix[0] == "p" else -1)
