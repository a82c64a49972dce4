"""Fetching a published file once: resumable, checked, atomic, and one process at a time.

Environment: ``UNVEIL_OFFLINE=1`` forbids it; ``UNVEIL_MIRROR`` names a server to ask in place of the publishers';
proxies and certificates by the usual variables (``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE``).
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

from unveil.atomic_io import locked
from unveil.errors import DownloadError, OfflineError
from unveil.models.catalogue.digest import Digest
from unveil.models.catalogue.transfer import GIB, CutError, Partial, Progress, UnreachableError, transfer

log = logging.getLogger(__name__)
OFFLINE = "UNVEIL_OFFLINE"
MIRROR = "UNVEIL_MIRROR"
NO = {"", "0", "false", "no", "off"}


def fetch(
    address: str,
    target: Path,
    *,
    digest: Digest,
    size: int | None = None,
    licence: str = "unstated",
    progress: Progress | None = None,
    timeout: float = 30.0,
    attempts: int = 4,
    pause: float = 1.0,
    max_size: int = 4 * GIB,
) -> Path:
    """Return ``target``, fetched from ``address`` unless it is there and has that digest.

    A transfer that is cut resumes where it ended, within this call and in a later one, as long as the file at its
    source is still the same. ``target`` only ever holds the whole, checked file.

    Args:
        address: where the publisher offers it: https, or plain http where the address itself says so; a redirect
            from https to http is refused.
        target: where it goes; folders are made.
        digest: what the file's digest must be, whole or its first digits.
        size: bytes that the file must have, where known.
        licence: licence that the publisher names; stands in the log and in messages.
        progress: called with the bytes so far and the bytes in all (None where the server does not say).
        timeout: seconds without a byte after which the connection counts as cut.
        attempts: requests before giving up.
        pause: seconds before the second request; doubled before each further one.
        max_size: bytes above which nothing is fetched.

    Raises:
        OfflineError: `OFFLINE` is set, or no connection comes about; the message says what to put where.
        DownloadError: the server refuses, the file is not the expected one, or it cannot be written.
    """
    with locked(target):
        if target.is_file() and digest.fits(target):
            return target
        source = mirrored(address)
        if is_offline():
            raise OfflineError(f"{OFFLINE} is set: {by_hand(address, target, size=size, licence=licence)}")
        log.info("fetching %s%s from %s (licence: %s)", target.name, _megabytes(size), source, licence)
        partial = Partial(target.with_name(f".{target.name}.part"))
        tries = _Tries(attempts, pause)
        while True:
            try:
                resumed = transfer(
                    source, partial, size=size, max_size=max_size, timeout=timeout, progress=progress
                )  # fmt: skip
            except UnreachableError as e:
                if tries.over():
                    raise OfflineError(
                        f"no connection to {urlsplit(source).hostname} ({e}): "
                        f"{by_hand(address, target, size=size, licence=licence)}"
                    ) from None
                continue
            except CutError as e:
                if tries.over():
                    raise DownloadError(
                        f"{source}: {e}; {attempts} attempts; the same command resumes what was fetched so far"
                    ) from None
                continue
            if digest.fits(partial.path):
                partial.path.replace(target)
                partial.remove()
                return target
            found = digest.of(partial.path)[: len(digest.digits)]
            partial.remove()
            # A beginning that a crash damaged is no fault of the source: once more, from the first byte.
            if not resumed:
                raise DownloadError(
                    f"{source}: expected a file with {digest}, found {found}; it is damaged or another file, "
                    "and nothing of it is kept"
                )


def by_hand(address: str, target: Path, *, size: int | None = None, licence: str = "unstated") -> str:
    """Return the end of a sentence that says which file to get where, and where to put it."""
    return f"get {address}{_megabytes(size)} (licence: {licence}) and put it at {target}"


def is_offline() -> bool:
    """Return whether the environment forbids fetching."""
    return os.environ.get(OFFLINE, "").strip().lower() not in NO


def mirrored(address: str) -> str:
    """Return the address below the mirror, ``$UNVEIL_MIRROR/HOST/PATH``; as it is where no mirror is set.

    Raises:
        DownloadError: the address or the mirror is not http(s)://host/...
    """
    _check(address, "address")
    mirror = os.environ.get(MIRROR, "").strip().rstrip("/")
    if not mirror:
        return address
    _check(mirror, MIRROR)
    return f"{mirror}/{address.partition('://')[2]}"


def _check(address: str, what: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise DownloadError(f"{what}: expected http(s)://host/path without a password, found {address!r}")


def _megabytes(size: int | None) -> str:
    return "" if size is None else f" ({size / 1e6:.1f} MB)"


class _Tries:
    def __init__(self, attempts: int, pause: float) -> None:
        self.left, self.pause = attempts, pause

    def over(self) -> bool:
        """Count a failed try; wait before the next one unless none is left."""
        self.left -= 1
        if self.left <= 0:
            return True
        time.sleep(self.pause)
        self.pause *= 2
        return False
