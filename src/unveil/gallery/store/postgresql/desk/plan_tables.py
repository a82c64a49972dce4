"""Floor plans of galleries in PostgreSQL."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from unveil.errors import DataError
from unveil.gallery.plan_records import MAX_IMAGE_BYTES, FloorPlan, PlanScale, Point
from unveil.gallery.store.postgresql.galleries import find_gallery
from unveil.gallery.store.postgresql.items import partitions

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections


class PlanChangedError(DataError):
    """Somebody else changed a plan since it was read; nothing was overwritten."""


class PlanTables:
    """The floor plans of a store, at most one a gallery; every method is one transaction.

    Args:
        connections: to the store.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def get(self, gallery: str) -> FloorPlan | None:
        """Return the plan of a gallery, without its image; ``None`` where it has none."""
        with self._connections.transaction() as cursor:
            found = _row(cursor, find_gallery(cursor, gallery)[0])
        return found

    def image(self, gallery: str) -> bytes | None:
        """Return the image of a plan (JPEG)."""
        with self._connections.transaction() as cursor:
            number = find_gallery(cursor, gallery)[0]
            found = cursor.execute("SELECT picture FROM floor_plans WHERE gallery = %s", (number,)).fetchone()
        return None if found is None else bytes(found[0])

    def put(self, gallery: str, image: bytes, *, width: int, height: int, who: str) -> FloorPlan:
        """Keep an image as the plan of a gallery; where another was, its cameras and its scale go with it.

        Raises:
            DataError: it has too many bytes.
        """
        if not 0 < len(image) <= MAX_IMAGE_BYTES:
            raise DataError(f"the image of a plan has 1 to {MAX_IMAGE_BYTES:,} bytes, got {len(image):,}")
        with self._connections.transaction() as cursor:
            number = find_gallery(cursor, gallery)[0]
            cursor.execute(
                "INSERT INTO floor_plans (gallery, picture, width, height, who, changed) "
                "VALUES (%s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (gallery) DO UPDATE SET picture = excluded.picture, width = excluded.width, "
                "height = excluded.height, cameras = '{}', scale = NULL, version = floor_plans.version + 1, "
                "who = excluded.who, changed = excluded.changed",
                (number, image, width, height, who, time.time()),
            )
            found = _row(cursor, number)
        assert found is not None
        return found

    def write(
        self, gallery: str, *, cameras: Mapping[str, Point], scale: PlanScale | None, version: int, who: str
    ) -> FloorPlan:
        """Say where cameras stand and how long a metre is.

        Args:
            gallery: name of it.
            cameras: label -> x and y in pixels, of all cameras on the plan.
            scale: of the plan; ``None`` for none.
            version: that was read.
            who: says so.

        Raises:
            PlanChangedError: somebody else changed the plan since.
            DataError: there is no plan, a camera is none of the gallery's, or something lies outside the plan.
        """
        with self._connections.transaction() as cursor:
            number = find_gallery(cursor, gallery)[0]
            cursor.execute("SELECT 1 FROM floor_plans WHERE gallery = %s FOR UPDATE", (number,))
            before = _row(cursor, number)
            if before is None:
                raise DataError(f"gallery {gallery!r} has no plan: send an image first")
            if before.version != version:
                raise PlanChangedError(f"{before.who} changed the plan meanwhile: nothing was overwritten; look again")
            known = cursor.execute("SELECT cameras FROM galleries WHERE id = %s", (number,)).fetchone()
            unknown = sorted(set(cameras) - set(known[0] if known else ()) - set(before.cameras))
            if unknown:
                raise DataError(f"no camera {unknown[0]!r} in gallery {gallery!r}")
            after = FloorPlan(before.width, before.height, dict(cameras), scale, version + 1, who, time.time())
            cursor.execute(
                "UPDATE floor_plans SET cameras = %s, scale = %s, version = %s, who = %s, changed = %s "
                "WHERE gallery = %s",
                (
                    json.dumps(after.cameras), None if scale is None else json.dumps(asdict(scale)), after.version, who,
                    after.changed, number,
                ),
            )  # fmt: skip
        return after

    def remove(self, gallery: str) -> bool:
        """Remove the plan of a gallery, and its bytes; return whether there was one."""
        with self._connections.transaction() as cursor:
            cursor.execute("DELETE FROM floor_plans WHERE gallery = %s", (find_gallery(cursor, gallery)[0],))
            gone = cursor.rowcount > 0
        if gone:
            with self._connections.outside() as cursor:
                cursor.execute("VACUUM (FULL) floor_plans")
                partitions.forget_log(cursor)
        return gone


def _row(cursor: psycopg.Cursor, gallery: int) -> FloorPlan | None:
    found = cursor.execute(
        "SELECT width, height, cameras, scale, version, who, changed FROM floor_plans WHERE gallery = %s", (gallery,)
    ).fetchone()
    if found is None:
        return None
    width, height, cameras, scale, version, who, changed = found
    points = {name: (float(x), float(y)) for name, (x, y) in cameras.items()}
    kept = None if scale is None else PlanScale(tuple(scale["start"]), tuple(scale["end"]), scale["metres"])
    return FloorPlan(width, height, points, kept, version, who, changed)
