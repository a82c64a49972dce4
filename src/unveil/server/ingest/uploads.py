"""Videos and images that are sent in pieces to a folder of the operator's: bounded, resumable, whole or not there."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fastapi import HTTPException

from unveil.data.media_types import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from unveil.server.access.tokens import Caller

MAX_OPEN = 4  # of one caller
IDLE_SECONDS = 3600.0
SPARE = 1 << 30  # bytes of the disk that stay free
MAX_NAME = 200  # bytes: file systems take 255, and a number may come behind
_LETTERS = re.compile(r"[^\w.() -]+")


@dataclass
class _Upload:
    owner: str
    gallery: str
    name: str
    size: int
    path: Path
    used: float
    received: int = 0


class Uploads:
    """Files on their way to a folder; safe to share between threads.

    Args:
        folder: where they go, one folder a gallery; ``None`` where the operator named none.
        most: bytes of one file.
        clock: seconds, never going back.
    """

    def __init__(self, folder: Path | None, *, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Upload] = {}
        self.tidy()

    def begin(self, caller: Caller, gallery: str, *, name: str, size: int) -> str:
        """Begin a file; return the name to send its pieces to.

        Raises:
            HTTPException: 404 where there is no folder; 413 for a file that is too large; 422 for what is neither video
                nor image; 429 for too many at once; 507 where the disk has no room.
        """
        if self._folder is None:
            raise HTTPException(404, "this server takes no videos: `unveil serve --uploads FOLDER` says where they go")
        clean = _LETTERS.sub("_", Path(name.replace("\\", "/")).name).strip(". ")
        clean = clean.encode()[-MAX_NAME:].decode(errors="ignore").lstrip(". ")  # its end says what it is
        if Path(clean).suffix.lower() not in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
            raise HTTPException(422, f"expected a video or an image by the ending of its name, got {name[:100]!r}")
        if not 0 < size <= self._most:
            raise HTTPException(413, f"a file of at most {self._most:,} bytes is taken, this one has {size:,}")
        with self._lock:
            self._drop(lambda upload: self._clock() - upload.used > IDLE_SECONDS)
            if sum(upload.owner == caller.name for upload in self._open.values()) >= MAX_OPEN:
                raise HTTPException(429, f"{MAX_OPEN} files are on their way already: let one of them end")
            coming = sum(upload.size - upload.received for upload in self._open.values())
            place = self._folder / gallery
            token = secrets.token_urlsafe(16)
            part = place / f".{token}.part"
            try:
                place.mkdir(parents=True, exist_ok=True)
                free = shutil.disk_usage(place).free
                part.touch(exist_ok=False)
            except OSError as e:
                raise HTTPException(507, f"the folder of uploads cannot be written: {e.strerror or e}") from None
            if free - coming - size < SPARE:
                part.unlink(missing_ok=True)
                raise HTTPException(507, "the disk of uploads has no room for this file")
            self._open[token] = _Upload(caller.name, gallery, clean, size, part, self._clock())
        return token

    def take(self, caller: Caller, gallery: str, *, token: str, offset: int, data: bytes) -> tuple[int, Path | None]:
        """Append a piece; return how many bytes are there, and the path of the file when it is whole.

        Raises:
            HTTPException: 409, the piece does not begin where the file ends; 410, no such file is on its way.
        """
        with self._lock:
            upload = self._of(caller, gallery, token=token)
            if offset != upload.received or offset + len(data) > upload.size:
                raise HTTPException(409, f"expected the piece at byte {upload.received} of {upload.size}, got {offset}")
            received, final = offset + len(data), None
            try:
                with upload.path.open("r+b") as file:  # one that somebody removed is not begun anew with zeros
                    file.truncate(offset)  # what a failed piece left
                    file.seek(offset)
                    file.write(data)
                if received == upload.size:
                    final = _free(upload.path.parent / upload.name)
                    upload.path.rename(final)
            except OSError as e:
                raise HTTPException(507, f"the piece cannot be written: {e.strerror or e}; send it again") from None
            upload.received, upload.used = received, self._clock()
            if final is not None:
                del self._open[token]
            return received, final

    def forget(self, caller: Caller, gallery: str, *, token: str) -> None:
        """Give a file up that is on its way; 410 where there is none."""
        with self._lock:
            upload = self._of(caller, gallery, token=token)
            self._drop(lambda other: other is upload)

    def tidy(self) -> None:
        """Remove what nobody has sent a piece of for a while, also to a server that was killed."""
        with self._lock:
            self._drop(lambda upload: self._clock() - upload.used > IDLE_SECONDS)
            if self._folder is None:
                return
            coming = {upload.path for upload in self._open.values()}
            for part in set(self._folder.glob("*/.*.part")) - coming:
                # Of a file that is on its way to another server of the same folder the last piece is younger.
                with suppress(OSError):
                    if time.time() - part.stat().st_mtime > IDLE_SECONDS:
                        part.unlink()

    def close(self) -> None:
        """Remove all that is not whole."""
        with self._lock:
            self._drop(lambda upload: True)

    def _of(self, caller: Caller, gallery: str, *, token: str) -> _Upload:
        upload = self._open.get(token)
        if upload is None or (upload.owner, upload.gallery) != (caller.name, gallery):
            raise HTTPException(410, "this file is not on its way any more: send it again")
        return upload

    def _drop(self, which: Callable[[_Upload], bool]) -> None:
        for token in [token for token, upload in self._open.items() if which(upload)]:
            self._open.pop(token).path.unlink(missing_ok=True)


def _free(path: Path) -> Path:
    """Return a path at which nothing is: the path itself, or with a number."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return found
