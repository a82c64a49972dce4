"""Opening the store of galleries by its address."""

from __future__ import annotations

import os
from pathlib import Path

from unveil.errors import DataError
from unveil.gallery.store.milvus.store import MilvusStore
from unveil.gallery.store.postgresql import own_server
from unveil.gallery.store.postgresql.store import PostgresStore
from unveil.gallery.store.protocol import Store
from unveil.gallery.store.read_only import PREFIX, ReadOnlyStore


def open_store(address: str | None = None, folder: Path | None = None) -> Store:
    """Open the store of galleries.

    Args:
        address: ``read-only:PATH`` opens a copy of a backup or of a folder of galleries, which must not change;
            ``postgresql://...``; with ``+milvus=http://...`` appended first-stage search runs on Milvus. ``None``:
            ``$UNVEIL_STORE``, else an own PostgreSQL under ``folder``.
        folder: where the own server keeps its data; ``unveil/galleries`` in the user's data folder by default.

    Raises:
        MissingExtraError: the client of that engine is not installed.
        UnveilError: the server cannot be reached or started, or was written by a newer version.
    """
    asked = address or os.environ.get("UNVEIL_STORE") or ""
    if asked.startswith(PREFIX):
        return ReadOnlyStore(Path(asked.removeprefix(PREFIX)))
    named, milvus, url = asked.partition("+milvus=")
    if named and not named.startswith(("postgresql://", "postgres://")):
        raise DataError(
            f"the address of a store begins with postgresql:// or read-only:, got {named.partition('://')[0]!r}"
        )
    if milvus and not url.startswith(("http://", "https://")):
        raise DataError("the address of Milvus begins with http:// or https://")
    galleries = own_server.default_folder() if folder is None else folder

    def dsn() -> str:
        return named or own_server.start(galleries)

    return MilvusStore(dsn, url) if milvus else PostgresStore(dsn)
