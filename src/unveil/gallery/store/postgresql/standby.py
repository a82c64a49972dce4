"""The vectors of a second model: filled while those of the first answer, then switched in one transaction, and back."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unveil.errors import DataError
from unveil.gallery.records import DerivedModel, EmbeddingSpace, Kind, Standby, first_stage_vectors
from unveil.gallery.store.postgresql.galleries import find_gallery, reading_gallery, shape
from unveil.gallery.store.postgresql.items import binary, partitions, reading, writing
from unveil.records import Embedding

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

SECONDS_TO_SWITCH = 3600.0  # every vector is written; writers wait meanwhile, readers do not
_MISSING = (
    "FROM items i LEFT JOIN standby s ON s.gallery = i.gallery AND s.bucket = i.bucket AND s.id = i.id "
    "WHERE i.gallery = %(gallery)s AND s.id IS NULL"
)
# All parts of one statement see the rows as they were before it.
_SWAP = (
    "WITH v AS (UPDATE vectors v SET vectors = s.vectors, visibility = s.visibility FROM standby s "
    "WHERE v.gallery = %(gallery)s AND s.gallery = %(gallery)s AND s.bucket = v.bucket AND s.id = v.id), "
    "c AS (UPDATE coarse c SET coarse = s.coarse FROM standby s "
    "WHERE c.gallery = %(gallery)s AND s.gallery = %(gallery)s AND s.bucket = c.bucket AND s.id = c.id) "
    "UPDATE standby s SET vectors = v.vectors, visibility = v.visibility, coarse = c.coarse FROM vectors v "
    "JOIN coarse c ON c.gallery = v.gallery AND c.bucket = v.bucket AND c.id = v.id "
    "WHERE s.gallery = %(gallery)s AND v.gallery = %(gallery)s AND v.bucket = s.bucket AND v.id = s.id"
)


class StandbyVectors:
    """The part of a store that holds the vectors of a second model; see `unveil.gallery.store.protocol.Store`."""

    _connections: Connections

    def begin_standby(self, name: str, space: EmbeddingSpace, *, model: str, own: str = "") -> None:
        """Say which model a gallery's second vectors are of; those of another one that never answered are removed.

        Args:
            name: the gallery.
            space: of the second model.
            model: path or name of its weights.
            own: path or name of the weights of the gallery's own model, so that the switch can be undone.

        Raises:
            DataError: the model gives vectors of another shape, is the gallery's own, or the vectors of an earlier
                model are kept.
        """
        with self._connections.transaction(SECONDS_TO_SWITCH) as cursor:
            gallery, info = find_gallery(cursor, name, lock=True)
            if space.fingerprint == info.space.fingerprint:
                raise DataError(f"gallery {name!r} is embedded by model {space.fingerprint} already")
            if shape(space)[1:] != shape(info.space)[1:]:
                raise DataError(
                    f"model {space.fingerprint} gives other vectors than those of gallery {name!r}: expected "
                    f"{info.space.names} of {info.space.dimension} numbers, got {space.names} of {space.dimension}"
                )
            if info.standby is not None and info.standby.space.fingerprint == space.fingerprint:
                return
            if info.standby is not None and info.standby.kept:
                raise DataError(
                    f"gallery {name!r} keeps the vectors of model {info.standby.space.fingerprint}, so that the switch "
                    f"can be undone: remove them first with `unveil gallery adapt {name} --remove-old`"
                )
            cursor.execute("DELETE FROM standby WHERE gallery = %s", (gallery,))
            _tell(cursor, gallery, standby=Standby(space, model))
            if own:
                _set_space(cursor, gallery, space=dataclasses.replace(info.space, source=own))

    def missing_standby(self, name: str, kind: Kind, *, limit: int = 64, after: int = 0) -> np.ndarray:
        """Return ids of rows of a kind, greater than ``after``, that have no vector of the second model, ascending."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            cursor.execute(
                f"SELECT i.id {_MISSING} AND i.kind = %(kind)s AND i.id > %(after)s ORDER BY i.id LIMIT %(limit)s",
                {"gallery": gallery, "kind": kind, "after": after, "limit": limit},
            )
            return np.array([number for (number,) in cursor.fetchall()], np.int64)

    def standby_of_tracklet(self, name: str, tracklet: int) -> tuple[np.ndarray, Embedding]:
        """Return the quality, ``(N,)``, and the second model's vectors of the crops of a tracklet's row."""
        with reading_gallery(self._connections, name) as (cursor, gallery, info):
            cursor.execute(
                "SELECT c.id, c.quality FROM items t JOIN items c ON c.gallery = t.gallery AND c.tracklet = t.key "
                "WHERE t.gallery = %s AND t.id = %s AND c.kind = 'crop' ORDER BY c.id",
                (gallery, tracklet),
            )
            quality: dict[int, float | None] = dict(cursor.fetchall())
            ids, embedding = reading.embeddings(cursor, gallery, space=info.space, asked=list(quality), table="standby")
        return np.array([quality[int(number)] or 0.0 for number in ids]), embedding

    def fill_standby(self, name: str, ids: Sequence[int], *, embedding: Embedding, fingerprint: str) -> int:
        """Keep vectors of the second model; rows that are gone, or have one, are left out; return how many are new.

        Args:
            name: the gallery.
            ids: rows.
            embedding: ``(N, E, D)`` numpy embedding, in their order.
            fingerprint: of the model that embedded them.

        Raises:
            DataError: another model is the second one now, or the vectors have another shape.
        """
        embedding = embedding.numpy()
        writing.check_vectors(embedding)
        with self._connections.transaction() as cursor:
            gallery, info = find_gallery(cursor, name, lock=True)
            if info.standby is None or info.standby.space.fingerprint != fingerprint:
                raise DataError(f"gallery {name!r} has another second model than {fingerprint}: repeat the command")
            info.standby.space.check(embedding, fingerprint)
            cursor.execute(f"SELECT i.id, i.bucket {_MISSING} AND i.id = ANY(%(ids)s)", {
                "gallery": gallery, "ids": list(map(int, ids)),
            })  # fmt: skip
            buckets = dict(cursor.fetchall())
            kept = [place for place, number in enumerate(ids) if int(number) in buckets]
            if kept:
                numbers = [int(ids[place]) for place in kept]
                _copy(
                    cursor,
                    gallery,
                    ids=numbers,
                    buckets=[buckets[n] for n in numbers],
                    embedding=embedding.select(kept),
                )
        return len(kept)

    def switch_model(self, name: str) -> bool:
        """Let the second model's vectors answer and keep those that did, in one transaction.

        Returns:
            False where rows still have no vector of the second model; nothing is changed then.

        Raises:
            DataError: there is no second model.
        """
        with self._connections.transaction(SECONDS_TO_SWITCH) as cursor:
            gallery, info = find_gallery(cursor, name, lock=True)
            if info.standby is None:
                raise DataError(f"gallery {name!r} has no vectors of a second model")
            if cursor.execute(f"SELECT EXISTS (SELECT {_MISSING})", {"gallery": gallery}).fetchone() != (False,):
                return False
            cursor.execute(_SWAP, {"gallery": gallery})
            _tell(cursor, gallery, standby=Standby(info.space, info.space.source or info.space.model, kept=True))
            _set_space(cursor, gallery, space=dataclasses.replace(info.standby.space, source=info.standby.model))
            cursor.execute(
                "UPDATE galleries SET generation = nextval('revisions'), revision = nextval('revisions') WHERE id = %s",
                (gallery,),
            )
        return True

    def drop_standby(self, name: str) -> Standby | None:
        """Remove the second model's vectors, and their bytes; return what it was."""
        with self._connections.transaction(SECONDS_TO_SWITCH) as cursor:
            gallery, info = find_gallery(cursor, name, lock=True)
            cursor.execute("DELETE FROM standby WHERE gallery = %s", (gallery,))
            # What a switch overwrote is in the tables of the first model too.
            cursor.execute(
                "INSERT INTO wipes SELECT DISTINCT gallery, bucket FROM keys WHERE gallery = %s "
                f"{partitions.NOTED_ANEW}",
                (gallery,),
            )
            _tell(cursor, gallery, standby=None)
        partitions.purge(self._connections, gallery)
        return info.standby

    def note_derived(self, name: str, model: DerivedModel, *, learnt: Sequence[int]) -> None:
        """Keep that a model was adapted to crops of a gallery; those that are removed are counted against it.

        Args:
            name: the gallery.
            model: what is known of it; what was removed is counted here.
            learnt: ids of the crops that it learnt from; fewer than ``model.crops`` where some are known to be gone.
        """
        with self._connections.transaction() as cursor:
            gallery, _ = find_gallery(cursor, name, lock=True)
            cursor.execute(
                "INSERT INTO derived_models SELECT %(gallery)s, %(fingerprint)s, %(model)s, %(last)s, %(crops)s, "
                "greatest(0, %(crops)s - count(*)), %(now)s FROM items "
                "WHERE gallery = %(gallery)s AND id = ANY(%(ids)s) "
                "ON CONFLICT (gallery, fingerprint) DO UPDATE SET model = excluded.model",
                {
                    "gallery": gallery, "fingerprint": model.fingerprint, "model": model.model, "last": model.last,
                    "crops": model.crops, "now": time.time(), "ids": list(map(int, learnt)),
                },
            )  # fmt: skip

    def derived(self, name: str) -> list[DerivedModel]:
        """Return the models that were adapted to rows of a gallery, the oldest first."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            cursor.execute(
                "SELECT fingerprint, model, last, crops, removed, moment FROM derived_models WHERE gallery = %s "
                "ORDER BY moment, fingerprint",
                (gallery,),
            )
            return [DerivedModel(*row) for row in cursor.fetchall()]


def _set_space(cursor: psycopg.Cursor, gallery: int, *, space: EmbeddingSpace) -> None:
    cursor.execute("UPDATE galleries SET space = %s WHERE id = %s", (json.dumps(dataclasses.asdict(space)), gallery))


def _tell(cursor: psycopg.Cursor, gallery: int, *, standby: Standby | None) -> None:
    text = None if standby is None else json.dumps(dataclasses.asdict(standby))
    cursor.execute("UPDATE galleries SET standby = %s WHERE id = %s", (text, gallery))


def _copy(cursor: psycopg.Cursor, gallery: int, *, ids: list[int], buckets: list[int], embedding: Embedding) -> None:
    flat, first = embedding.vectors.reshape(len(embedding), -1), first_stage_vectors(embedding)
    columns: list[binary.Column] = [
        *writing.HEAD, (binary.HALF, flat.shape[1]), (binary.SINGLE, embedding.visibility.shape[1]),
        (binary.HALF, first.shape[1]),
    ]  # fmt: skip
    values: list[Any] = [np.array(ids), gallery, np.array(buckets), flat, embedding.visibility, first]
    with cursor.copy("COPY standby (id, gallery, bucket, vectors, visibility, coarse) FROM STDIN (FORMAT BINARY)") as c:
        c.write(binary.pack(columns, values, rows=len(ids)))
