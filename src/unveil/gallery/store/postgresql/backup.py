"""A whole store in one file, as it was at one moment, while others write; and an empty store filled from it.

The file is a ZIP archive of the tables in PostgreSQL's binary form, with a manifest that has the SHA-256 of each. It
holds data only: nothing in it is run when it is restored, unlike a dump of the database. It has the vectors and
images of people, so it is to be kept as the store is.
"""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from unveil import __version__
from unveil.atomic_io import atomic_path
from unveil.errors import DataError
from unveil.gallery.records import LAST_DATE
from unveil.gallery.store.postgresql.items import partitions
from unveil.gallery.store.postgresql.migrate import migrations

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

MANIFEST = "manifest.json"
MAX_MANIFEST = 64 << 20  # bytes
CHUNK = 1 << 20
SECONDS = 86_400.0
# In this order: rows of the later ones point at the first.
TABLES = (
    *("galleries", "keys", "items", "pictures", "coarse", "vectors", "standby", "derived_models", "judgements"),
    *("jobs", "audit", "cases", "case_members", "case_queries", "case_pictures", "case_rows", "case_removals"),
    *("alerts", "groupings", "grouped_rows", "people_apart", "floor_plans"),
)
LEFT_OUT = {"galleries": ("mark",)}  # names what another engine holds for a gallery; a copy has its own
SEQUENCES = ("row_ids", "revisions", "case_numbers", "alert_numbers", "group_numbers")

Word = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,63}$")]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    columns: tuple[Word, ...]
    rows: int = Field(ge=0)
    sha256: Hash


class Manifest(BaseModel):
    """What a backup says of itself.

    Args:
        format: of the file.
        unveil: version that wrote it.
        tables_version: version of the tables.
        created: seconds since the epoch.
        periods: number of each gallery -> its partitions.
        sequences: last numbers given.
        head: number and hash of the last audit entry.
        tables: what is in the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    unveil: str
    tables_version: int
    created: float = Field(ge=0, lt=LAST_DATE)
    periods: dict[int, tuple[int, ...]]
    sequences: dict[Word, Annotated[int, Field(ge=0, le=2**62)]]
    head: tuple[int, Hash]
    tables: dict[Word, _Table]


def write_backup(connections: Connections, path: Path) -> Manifest:
    """Write everything that is in the store at this moment to a file that its owner alone can read.

    Raises:
        UnveilError: the store does not answer, or the file cannot be written; then it is not there, or as it was.
    """
    with (
        atomic_path(path, private=True) as temporary,
        connections.transaction(SECONDS) as cursor,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        tables = {name: _write_table(cursor, archive, name=name) for name in TABLES}
        cursor.execute("SELECT gallery, array_agg(DISTINCT bucket ORDER BY bucket) FROM keys GROUP BY gallery")
        periods = dict(cursor.fetchall())
        head = cursor.execute("SELECT number, hash FROM audit_head").fetchone()
        assert head is not None
        manifest = Manifest(
            unveil=__version__, tables_version=migrations()[-1][0], created=time.time(), periods=periods,
            sequences={name: _last(cursor, name) for name in SEQUENCES}, head=head, tables=tables,
        )  # fmt: skip
        archive.writestr(MANIFEST, manifest.model_dump_json(indent=1))
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Return what a backup says of itself.

    Raises:
        DataError: it is none, is damaged, or was written by a version with other tables.
    """
    newest = migrations()[-1][0]
    try:
        with zipfile.ZipFile(path) as archive:
            names, kinds = archive.namelist(), [member.compress_type for member in archive.infolist()]
            if MANIFEST not in names or archive.getinfo(MANIFEST).file_size > MAX_MANIFEST:
                raise DataError(f"{path} is no backup of galleries: it has no {MANIFEST}")
            manifest = Manifest.model_validate_json(archive.read(MANIFEST))
    except (OSError, zipfile.BadZipFile, EOFError) as e:
        raise DataError(f"{path} is no backup of galleries, or is damaged: {e}") from None
    except ValidationError as e:
        raise DataError(f"{path} is no backup of galleries: {e.errors()[0]['msg']}") from None
    if sorted(names) != sorted((MANIFEST, *map(_member, TABLES))) or set(manifest.tables) != set(TABLES):
        raise DataError(f"{path} is damaged: expected {len(TABLES)} tables and the manifest, found {len(names)} files")
    if any(kind != zipfile.ZIP_STORED for kind in kinds):  # a small file could hold endless data
        raise DataError(f"{path} is no backup of galleries: its tables are compressed")
    if manifest.tables_version != newest:
        raise DataError(
            f"{path} was written by unveil {manifest.unveil} with tables of version {manifest.tables_version}, these "
            f"have {newest}: restore it with that version, then update"
        )
    return manifest


def check_hashes(path: Path) -> Manifest:
    """Read a whole backup and compare every hash.

    Raises:
        DataError: it is none, or is damaged.
    """
    manifest = read_manifest(path)
    with zipfile.ZipFile(path) as archive:
        for name in TABLES:
            for _ in _checked(archive, name, manifest=manifest, path=path):
                pass
    return manifest


def restore_backup(connections: Connections, path: Path) -> Manifest:
    """Fill an empty store from a backup, in one transaction.

    Raises:
        DataError: the file is no backup, is damaged, or the store is not empty.
        UnveilError: the store does not answer, or refuses what is in the file.
    """
    manifest = read_manifest(path)
    with connections.transaction(SECONDS) as cursor, zipfile.ZipFile(path) as archive:
        cursor.execute("LOCK TABLE galleries, audit_head")
        there = cursor.execute("SELECT (SELECT count(*) FROM galleries), (SELECT number FROM audit_head)").fetchone()
        if there != (0, 0):
            raise DataError(
                f"the store at {connections.where} is not empty ({there and there[0]} galleries): a backup is restored "
                "into an empty one; name another with --folder"
            )
        for name in TABLES:
            _read_table(cursor, archive, name=name, manifest=manifest, path=path)
            if name == "galleries":
                cursor.execute("SELECT id FROM galleries")
                for (gallery,) in cursor.fetchall():
                    partitions.make_gallery(cursor, gallery)
                    for period in manifest.periods.get(gallery, ()):
                        partitions.make_period(cursor, gallery, period=period)
        cursor.execute("UPDATE audit_head SET number = %s, hash = %s", manifest.head)
        for name, last in manifest.sequences.items():
            if name not in SEQUENCES:
                raise DataError(f"{path} is damaged: it has a sequence {name!r}")
            cursor.execute("SELECT setval(%s::regclass, %s)", (name, max(1, last)))
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('galleries', 'id'), "
            "(SELECT coalesce(max(id), 0) + 1 FROM galleries), false)"
        )
    return manifest


def _write_table(cursor: psycopg.Cursor, archive: zipfile.ZipFile, *, name: str) -> _Table:
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum",
        (name,),
    )
    columns = tuple(column for (column,) in cursor.fetchall() if column not in LEFT_OUT.get(name, ()))
    digest = hashlib.sha256()
    with (
        archive.open(_member(name), "w", force_zip64=True) as member,
        cursor.copy(f"COPY (SELECT {', '.join(columns)} FROM {name}) TO STDOUT (FORMAT BINARY)") as copy,
    ):
        for chunk in copy:
            member.write(chunk)
            digest.update(chunk)
    return _Table(columns=columns, rows=cursor.rowcount, sha256=digest.hexdigest())


def _read_table(cursor: psycopg.Cursor, archive: zipfile.ZipFile, *, name: str, manifest: Manifest, path: Path) -> None:
    table = manifest.tables[name]
    with cursor.copy(f"COPY {name} ({', '.join(table.columns)}) FROM STDIN (FORMAT BINARY)") as copy:
        for chunk in _checked(archive, name, manifest=manifest, path=path):
            copy.write(chunk)
    if cursor.rowcount != table.rows:
        raise DataError(f"{path} is damaged: {name} has {cursor.rowcount} rows, expected {table.rows}")


def _checked(archive: zipfile.ZipFile, name: str, *, manifest: Manifest, path: Path) -> Iterator[bytes]:
    digest = hashlib.sha256()
    try:
        with archive.open(_member(name)) as member:
            while chunk := member.read(CHUNK):
                digest.update(chunk)
                yield chunk
    except (OSError, zipfile.BadZipFile, EOFError) as e:
        raise DataError(f"{path} is damaged: {name}: {e}") from None
    if digest.hexdigest() != manifest.tables[name].sha256:
        raise DataError(f"{path} is damaged: {name} has another hash than when it was written")


def _last(cursor: psycopg.Cursor, sequence: str) -> int:
    found = cursor.execute(f"SELECT last_value FROM {sequence}").fetchone()
    assert found is not None
    return int(found[0])


def _member(name: str) -> str:
    return f"tables/{name}.copy"
