"""A store that must not change, opened: a backup, or the folder of an own server, on a medium that nobody can write.

PostgreSQL writes into its folder when it only reads. So what is opened is a copy in a temporary folder, which goes when
the process ends, however it ends. Nothing can be changed in it; what is done with it is written into a journal, with
continuing the chain of the audit log.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unveil.errors import DataError, UnveilError
from unveil.gallery import audit
from unveil.gallery.store.postgresql import own_server
from unveil.gallery.store.postgresql.backup import read_manifest, restore_backup
from unveil.gallery.store.postgresql.connections import Connections
from unveil.gallery.store.postgresql.migrate import migrate
from unveil.gallery.store.postgresql.store import PostgresStore

PREFIX = "read-only:"
JOURNAL = "unveil-journal.jsonl"
READ_ONLY = "&options=-c%20default_transaction_read_only%3Don"


class ReadOnlyStore(PostgresStore):
    """See the module.

    Args:
        path: a backup, or the folder of galleries.
        journal: file that entries of the audit log are appended to; ``$UNVEIL_JOURNAL``, or a file in the working
            folder, by default.

    Raises:
        DataError: there is neither, or it is damaged.
        UnveilError: there is not enough space for the copy, or the server does not start.
    """

    def __init__(self, path: Path, journal: Path | None = None) -> None:
        self._journal = journal or Path(os.environ.get("UNVEIL_JOURNAL") or JOURNAL)
        self._writing = threading.Lock()
        self._scratch = _scratch(path)
        try:
            address = _copied(path, self._scratch)
            super().__init__(lambda: address + READ_ONLY, migrated=True)
            self._last = self.head()
        except BaseException:
            self._remove()
            raise

    def close(self) -> None:
        """Let go of all connections, and remove the copy."""
        super().close()
        self._remove()

    def log(self, entry: Mapping[str, Any]) -> str:
        """Append to the journal, as the next link of the chain; return the hash of the entry."""
        fields = audit.checked(entry)
        with self._writing:
            link = audit.sealed(fields, self._last[0] + 1, time=time.time(), previous=self._last[1])
            line = {"number": link.number, "text": link.text, "previous": link.previous, "hash": link.hash}
            try:
                with self._journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as e:
                raise UnveilError(f"cannot write the journal {self._journal}: {e.strerror or e}") from e
            self._last = (link.number, link.hash)
        return link.hash

    def _remove(self) -> None:
        own_server.stop(self._scratch)
        shutil.rmtree(self._scratch, ignore_errors=True)


def _scratch(path: Path) -> Path:
    """Return a new folder that nobody else can enter, on a disk with room for the copy."""
    if path.is_file():
        size = 2 * path.stat().st_size
    elif (path / "postgres" / "PG_VERSION").is_file():
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    else:
        raise DataError(f"{path} is neither a backup nor a folder of galleries")
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < size + (256 << 20):
        raise UnveilError(
            f"opening {path} needs {size + (256 << 20):,} bytes for a copy, {tempfile.gettempdir()} has {free:,}: name "
            "a larger one with TMPDIR"
        )
    return Path(tempfile.mkdtemp(prefix="unveil-"))


def _copied(path: Path, scratch: Path) -> str:
    """Make the copy; return the address of its server."""
    if path.is_file():
        read_manifest(path)
    else:
        # Of a server that was killed, or of an image of its disk, the file is left; the copy is another folder.
        ignored = shutil.ignore_patterns("postmaster.pid", "postmaster.opts", ".s.PGSQL.*")
        data = shutil.copytree(path / "postgres", scratch / "postgres", ignore=ignored, symlinks=True)
        _make_writable(data)
    address = own_server.start(scratch, temporary=True)
    connections = Connections(lambda: address)
    try:
        migrate(connections)
        if path.is_file():
            restore_backup(connections, path)
    finally:
        connections.close()
    return address


def _make_writable(data: Path) -> None:
    """Give a copy the rights that PostgreSQL asks for: files of a medium that nobody can write have none to write."""
    for folder, _, names in os.walk(data):
        Path(folder).chmod(0o700)
        for name in names:
            file = Path(folder) / name
            if not file.is_symlink():
                file.chmod(0o600)
