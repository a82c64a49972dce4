"""The tables of one gallery: partitions by time as rows come, and the rewriting that removes bytes from the disk."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from unveil.errors import UnveilError
from unveil.gallery.store.postgresql import hnsw
from unveil.gallery.store.postgresql.desk import alert_rows, case_rows, group_rows
from unveil.gallery.store.postgresql.items.rows import MAX_PERIODS, OTHER

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

BY_TIME = ("items", "pictures", "coarse", "vectors", "standby")
PERSONAL = {
    "keys": ("key",),
    "items": ("key", "source", "person", "tracklet", "box", "tags", "attributes"),
    "pictures": ("thumbnail",),
    "coarse": ("coarse",),
    "vectors": ("vectors", "visibility"),
    "standby": ("vectors", "visibility", "coarse"),
}
# Of a partition that is noted already, a new note: who rewrites it for the old one deletes only what was read. Its
# number is the transaction's (xmin), as another column would part the tables from all backups there are.
NOTED_ANEW = "ON CONFLICT (gallery, bucket) DO UPDATE SET bucket = excluded.bucket"
FIRST_TO_CLEAR = 180_000  # version of PostgreSQL whose statistics their owner can clear
# A row of vectors stays in its page while it fits there; elsewhere every one of them would be fetched apart.
KEEP_IN_PAGE = "WITH (toast_tuple_target = 8160)"


def make_gallery(cursor: psycopg.Cursor, gallery: int) -> None:
    """Make the tables of a new gallery; other galleries can be read and written meanwhile."""
    _attach(cursor, "keys", name=f"keys_{gallery}", value=gallery)
    for table in BY_TIME:
        _attach(cursor, table, name=f"{table}_{gallery}", value=gallery, more="PARTITION BY LIST (bucket)")


def drop_gallery(cursor: psycopg.Cursor, gallery: int) -> None:
    """Remove the tables of a gallery; the files vanish when the transaction ends."""
    for table in ("keys", *BY_TIME):
        cursor.execute(f"DROP TABLE {table}_{gallery}")


def make_periods(cursor: psycopg.Cursor, gallery: int, *, wanted: Iterable[int]) -> dict[int, int]:
    """Make the partitions that are missing; return for each wanted period the one to use."""
    cursor.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", (f"items_{gallery}",)
    )
    there = {_period(name) for (name,) in cursor.fetchall()}
    used = {}
    for period in sorted(set(wanted)):
        used[period] = period if period in there or len(there) < MAX_PERIODS else OTHER
        if used[period] not in there:
            there.add(used[period])
            make_period(cursor, gallery, period=used[period])
    return used


def make_period(cursor: psycopg.Cursor, gallery: int, *, period: int) -> None:
    """Make the partitions of one period."""
    for table in BY_TIME:
        storage = KEEP_IN_PAGE if table in ("coarse", "vectors", "standby") else ""
        _attach(cursor, f"{table}_{gallery}", name=f"{table}_{gallery}_{_suffix(period)}", value=period, more=storage)
    hnsw.silence(cursor, f"coarse_{gallery}_{_suffix(period)}")


def purge(connections: Connections, gallery: int) -> None:
    """Rewrite the partitions that rows were removed from, so that nothing of the rows is left in the server's files.

    Every table is written anew without the removed rows, and the write-ahead log that still has them is closed and
    given up (docs/gallery_store.md says what an own server promises, and what no program can for another's).
    A process that is killed meanwhile leaves the list of what is to do; the next call does it.

    Raises:
        UnveilError: another process still reads the state before the removal, so its bytes must stay for now.
    """
    with connections.transaction() as cursor:
        cursor.execute("SELECT bucket, xmin::text FROM wipes WHERE gallery = %s ORDER BY bucket", (gallery,))
        notes = cursor.fetchall()
    buckets = [bucket for bucket, _ in notes]
    if not buckets:
        return
    with connections.outside() as cursor:
        _wait_for_readers(connections, cursor)
        for bucket in buckets:
            for table in BY_TIME:
                cursor.execute(f"VACUUM (FULL) {table}_{gallery}_{_suffix(bucket)}")
        cursor.execute(f"VACUUM (FULL) keys_{gallery}")
        # An old version of a gallery's row has the names of cameras that are gone.
        for table in ("judgements", *case_rows.TABLES, *group_rows.TABLES, *alert_rows.TABLES, "galleries"):
            cursor.execute(f"VACUUM (FULL) {table}")
        _forget_cameras(cursor, gallery, buckets=buckets)
        forget_log(cursor)
        cursor.executemany(
            "DELETE FROM wipes WHERE gallery = %s AND bucket = %s AND xmin::text = %s",
            [(gallery, bucket, number) for bucket, number in notes],
        )


def _forget_cameras(cursor: psycopg.Cursor, gallery: int, *, buckets: list[int]) -> None:
    """Make the statistics of cameras anew: they are samples of the names, and an emptied table keeps them.

    The planner needs them: a filter by camera lets through much or little.
    """
    leaves = [f"items_{gallery}_{_suffix(bucket)}" for bucket in buckets]
    forget_statistics(cursor, (f"items_{gallery}", "camera", True), *((leaf, "camera", False) for leaf in leaves))
    for leaf in leaves:
        cursor.execute(f"ANALYZE {leaf} (camera)")


def forget_statistics(cursor: psycopg.Cursor, *more: tuple[str, str, bool]) -> None:
    """Remove the statistics that hold names of cameras of all galleries together, and their bytes.

    On a server whose tables we own but which we may not administer, the bytes of old samples stay in its catalogue
    until its own cleaning comes round.

    Args:
        more: statistics to remove too: table, column, whether they are those of its partitions together.
    """
    version = cursor.connection.info.server_version
    administered = cursor.execute("SELECT current_setting('is_superuser') = 'on'").fetchone() == (True,)
    for table, column, inherited in (("items", "camera", True), ("galleries", "cameras", False), *more):
        if version >= FIRST_TO_CLEAR:
            cursor.execute("SELECT pg_clear_attribute_stats('unveil', %s, %s, %s)", (table, column, inherited))
        elif administered:
            cursor.execute(
                "DELETE FROM pg_statistic s USING pg_attribute a WHERE s.starelid = %s::regclass AND s.stainherit = %s "
                "AND a.attrelid = s.starelid AND a.attnum = s.staattnum AND a.attname = %s",
                (table, inherited, column),
            )
    if administered:
        cursor.execute("VACUUM (FULL) pg_catalog.pg_statistic")


def _wait_for_readers(connections: Connections, cursor: psycopg.Cursor) -> None:
    """Wait until nobody sees the removed rows any more: rewriting keeps what somebody sees."""
    now = cursor.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
    deadline = time.monotonic() + connections.seconds
    while True:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND age(backend_xmin) > age(%s::xid)",
            now,
        )
        readers = [str(pid) for (pid,) in cursor.fetchall()]
        if not readers:
            return
        if time.monotonic() > deadline:
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


def _attach(cursor: psycopg.Cursor, parent: str, *, name: str, value: int, more: str = "") -> None:
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
