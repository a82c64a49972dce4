"""Galleries in PostgreSQL with pgvector: the engine behind the interface of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unveil.errors import DataError
from unveil.gallery import audit
from unveil.gallery.records import Block, CropPlace, EmbeddingSpace, Filter, GalleryInfo, Item
from unveil.gallery.store.postgresql import checking, hnsw, logbook
from unveil.gallery.store.postgresql.backup import Manifest, restore_backup, write_backup
from unveil.gallery.store.postgresql.connections import SECONDS_TO_ANSWER, Connections
from unveil.gallery.store.postgresql.desk import case_rows, group_rows
from unveil.gallery.store.postgresql.desk.alert_tables import AlertTables
from unveil.gallery.store.postgresql.desk.case_tables import CaseTables
from unveil.gallery.store.postgresql.desk.cases import Cases
from unveil.gallery.store.postgresql.desk.feedback_tables import FeedbackTables
from unveil.gallery.store.postgresql.desk.group_tables import GroupTables
from unveil.gallery.store.postgresql.desk.plan_tables import PlanTables
from unveil.gallery.store.postgresql.galleries import (
    INFO,
    checked_retention,
    find_gallery,
    insert_gallery,
    reading_gallery,
    shape,
    to_info,
)
from unveil.gallery.store.postgresql.items import first_stage, partitions, reading, rows, writing
from unveil.gallery.store.postgresql.items.attribute_rows import AttributeRows
from unveil.gallery.store.postgresql.migrate import migrate
from unveil.gallery.store.postgresql.standby import StandbyVectors
from unveil.records import Embedding

if TYPE_CHECKING:
    import psycopg


class PostgresStore(StandbyVectors, AttributeRows):
    """See `unveil.gallery.store.protocol.Store`.

    Args:
        address: gives the connection string; see `Connections`.
        seconds: how long a step may take.
        migrated: whether the tables are known to be of the newest version.
    """

    finds_all = True

    def __init__(
        self, address: Callable[[], str], seconds: float = SECONDS_TO_ANSWER, *, migrated: bool = False
    ) -> None:
        self._connections = Connections(address, seconds)
        self.cases: Cases = CaseTables(self._connections)
        self.alerts = AlertTables(self._connections)
        self.feedback = FeedbackTables(self._connections)
        self.groups = GroupTables(self._connections)
        self.plans = PlanTables(self._connections)
        if not migrated:
            migrate(self._connections)

    def close(self) -> None:
        """Let go of all connections."""
        self._connections.close()

    # Galleries

    def galleries(self) -> list[GalleryInfo]:
        """Return all galleries, by name."""
        with self._connections.reading(f"SELECT {INFO} FROM galleries ORDER BY name") as cursor:
            return [to_info(row)[1] for row in cursor.fetchall()]

    def create(self, name: str, space: EmbeddingSpace, *, retention_seconds: float | None = None) -> GalleryInfo:
        """Make an empty gallery; one of the same name and space is returned as it is."""
        with self._connections.transaction() as cursor:
            if (made := insert_gallery(cursor, name, space=space, retention_seconds=retention_seconds)) is not None:
                partitions.make_gallery(cursor, made)
            _, info = find_gallery(cursor, name)
        if shape(info.space) != shape(space):
            raise DataError(
                f"gallery {name!r} holds embeddings of model {info.space.fingerprint}, not of {space.fingerprint}: "
                "take another name, or drop it first"
            )
        return info

    def info(self, name: str) -> GalleryInfo:
        """Return what is known of a gallery."""
        with reading_gallery(self._connections, name) as (_, _, info):
            return info

    def drop(self, name: str) -> int:
        """Remove a gallery with everything in it but its audit log; return how many rows it had."""
        with self._connections.transaction() as cursor:
            gallery, info = find_gallery(cursor, name, lock=True)
            cursor.execute("DELETE FROM wipes WHERE gallery = %s", (gallery,))
            case_rows.forget_gallery(cursor, gallery)
            cursor.execute("DELETE FROM galleries WHERE id = %s", (gallery,))
            partitions.drop_gallery(cursor, gallery)
        with self._connections.outside() as cursor:
            others = ("judgements", "jobs", "derived_models", "alerts", "floor_plans", "galleries")
            for table in (*case_rows.TABLES, *group_rows.TABLES, *others):
                cursor.execute(f"VACUUM (FULL) {table}")
            partitions.forget_statistics(cursor)
            partitions.forget_log(cursor)
        return info.crops + info.tracklets

    def set_retention(self, name: str, retention_seconds: float | None) -> None:
        """Set after how many seconds rows expire."""
        with self._connections.transaction() as cursor:
            gallery, _ = find_gallery(cursor, name, lock=True)
            values = (checked_retention(retention_seconds), gallery)
            cursor.execute("UPDATE galleries SET keep = %s WHERE id = %s", values)

    def set_calibration(self, name: str, calibration: Mapping[str, Any] | None) -> None:
        """Keep a calibration."""
        text = None if calibration is None else json.dumps(calibration)
        with self._connections.transaction() as cursor:
            gallery, _ = find_gallery(cursor, name, lock=True)
            cursor.execute("UPDATE galleries SET calibration = %s WHERE id = %s", (text, gallery))

    # Rows

    def known(self, name: str, keys: Sequence[str]) -> set[str]:
        """Return which of these keys the gallery has."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            cursor.execute("SELECT key FROM keys WHERE gallery = %s AND key = ANY(%s)", (gallery, list(keys)))
            return {key for (key,) in cursor.fetchall()}

    def add(
        self,
        name: str,
        items: Sequence[Item],
        *,
        embedding: Embedding,
        job: str | None = None,
        done: Any = None,
        fingerprint: str | None = None,
    ) -> int:
        """Add rows with their vectors, and the state of the job that made them, in one transaction."""
        embedding = embedding.numpy()
        if len(items) != len(embedding):
            raise DataError(f"expected one vector for each of {len(items)} rows, got {len(embedding)}")
        for item in items:
            rows.check(item)
        writing.check_vectors(embedding)
        with self._connections.transaction() as cursor:
            gallery, info = find_gallery(cursor, name, lock=True)
            info.space.check(embedding, fingerprint or info.space.fingerprint)
            new = writing.insert(cursor, gallery, items=items, embedding=embedding) if items else []
            if new:
                places, ids = zip(*new, strict=True)
                fresh, vectors = [items[i] for i in places], embedding.select(list(places))
                self._added(cursor, gallery, items=fresh, ids=ids, embedding=vectors)
            if job is not None:
                cursor.execute(
                    "INSERT INTO jobs VALUES (%s, %s, %s) "
                    "ON CONFLICT (gallery, job) DO UPDATE SET state = excluded.state",
                    (gallery, job, json.dumps(done)),
                )
        return len(new)

    def job_state(self, name: str, job: str) -> Any:
        """Return the last state of a job; ``None`` when it was never begun."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            found = cursor.execute("SELECT state FROM jobs WHERE gallery = %s AND job = %s", (gallery, job)).fetchone()
            return found[0] if found else None

    def items(self, name: str, ids: Sequence[int]) -> list[Item]:
        """Return rows in the order asked for; a row that is gone is left out."""
        wanted = rows.numbers(ids)
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            there = reading.find(cursor, gallery, where=Filter(ids=tuple(wanted)), limit=len(wanted), after=0)
            found = {item.id: item for item in there}
        return [found[n] for n in wanted if n in found]

    def find(self, name: str, where: Filter, *, limit: int = 1000, after: int = 0) -> list[Item]:
        """Return rows by ascending id, those with an id greater than ``after``."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            return reading.find(cursor, gallery, where=where, limit=limit, after=after)

    def crops_of(self, name: str, tracklet: str) -> list[Item]:
        """Return the stored crops of a tracklet, which is given by its key, by ascending id."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            return reading.crops_of(cursor, gallery, tracklet=tracklet)

    def crop_places(self, name: str, *, limit: int = 100_000, after: int = 0) -> list[CropPlace]:
        """Return where crops of videos were cut out, by ascending id, those with an id greater than ``after``."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            return reading.crop_places(cursor, gallery, limit=limit, after=after)

    def embeddings(self, name: str, ids: Sequence[int]) -> tuple[np.ndarray, Embedding]:
        """Return the ids that are there, ``(N,)`` in the order asked for, and their vectors as float32."""
        with reading_gallery(self._connections, name) as (cursor, gallery, info):
            return reading.embeddings(cursor, gallery, space=info.space, asked=ids)

    def ids(self, name: str, where: Filter) -> np.ndarray:
        """Return the ids of the rows that a filter lets through, ascending ``(N,)`` int64."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            return reading.ids(cursor, gallery, where=where)

    def blocks(self, name: str, ids: np.ndarray, *, size: int = 20_000) -> Iterator[Block]:
        """Return the first-stage vectors of rows, block after block, ascending."""
        return first_stage.blocks(self._connections, name, ids=ids, size=size)

    def nearest(self, name: str, query: np.ndarray, *, where: Filter, top: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids and cosine distances of the rows nearest to a first-stage vector ``(C,)``."""
        with self._connections.transaction() as cursor:
            gallery, info = find_gallery(cursor, name)
            reading.check_query(query, len(info.space.names) * info.space.dimension)
            return reading.nearest(cursor, gallery, query=query, where=where, top=top)

    def index(self, name: str, least: int = hnsw.WORTH_IT) -> bool:
        """Build the index of the engine's own search, if a gallery has that many rows; return whether it has one."""
        with reading_gallery(self._connections, name) as (_, gallery, info):
            pass
        return hnsw.build(self._connections, gallery, info=info, least=least)

    # Removal

    def delete(self, name: str, where: Filter) -> int:
        """Remove rows, the crops of removed tracklets, and the feedback on them; return how many rows went."""
        with self._connections.transaction(None) as cursor:
            gallery, _ = find_gallery(cursor, name, lock=True)
            gone = writing.remove(cursor, gallery, where=where)
        self._removed(name, gone)
        partitions.purge(self._connections, gallery)
        return len(gone)

    def count_old(self, name: str, now: float) -> int:
        """Return how many rows `expire` would find that are older than the gallery keeps them."""
        with reading_gallery(self._connections, name) as (cursor, gallery, info):
            kept = info.retention_seconds
            return 0 if kept is None else writing.count_old(cursor, gallery, before=now - kept)

    def expire(self, name: str, now: float) -> int:
        """Remove rows older than the gallery keeps them."""
        gone: list[int] = []
        with self._connections.transaction() as cursor:
            gallery, info = find_gallery(cursor, name, lock=True)
            if info.retention_seconds is not None:
                gone = writing.remove_old(cursor, gallery, before=now - info.retention_seconds)
        self._removed(name, gone)
        partitions.purge(self._connections, gallery)
        if info.retention_seconds is not None:
            self.alerts.remove(name, before=now - info.retention_seconds)
        return len(gone)

    # The audit log

    def log(self, entry: Mapping[str, Any]) -> str:
        """Append to the hash-chained audit log; return the hash of the entry."""
        return logbook.append(self._connections, entry)

    def entries(self, name: str | None = None) -> Iterator[dict[str, Any]]:
        """Return the entries of the audit log in order, of one gallery or whole."""
        for link in self.links():
            entry = link.entry()
            if name is None or entry.get("gallery") == name:
                yield {**entry, "hash": link.hash}

    def entries_after(self, after: int, limit: int, *, gallery: str | None = None) -> list[dict[str, Any]]:
        """Return at most ``limit`` entries with a number greater than ``after``, in order."""
        links = logbook.page(self._connections, after, limit=limit, gallery=gallery)
        return [{**link.entry(), "hash": link.hash} for link in links]

    def links(self) -> Iterator[audit.Link]:
        """Return the audit log as it is stored, for `unveil.gallery.audit.wrong`."""
        return logbook.links(self._connections)

    def head(self) -> tuple[int, str]:
        """Return number and hash of the last audit entry, kept apart from the log."""
        return logbook.head(self._connections)

    def backup(self, path: Path) -> Manifest:
        """Write the whole store to a file, as it is at this moment."""
        return write_backup(self._connections, path)

    def restore(self, path: Path) -> Manifest:
        """Fill the store, which must be empty, from a backup."""
        return restore_backup(self._connections, path)

    def verify(self, name: str) -> list[str]:
        """Return everything that is wrong with a gallery; empty when sound."""
        with reading_gallery(self._connections, name) as (_, gallery, info):
            pass
        return checking.verify(self._connections, gallery, info=info)

    def _added(
        self, cursor: psycopg.Cursor, gallery: int, *, items: Sequence[Item], ids: Sequence[int], embedding: Embedding
    ) -> None:
        """Tell another engine of rows before they are acknowledged; this one needs none."""

    def _removed(self, name: str, ids: Sequence[int]) -> None:
        """Tell another engine of rows after they are removed; this one needs none."""
