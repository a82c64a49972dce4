"""One HTTP request that appends to a partial file: resuming by range, and only what is still the same file."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from unveil import __version__
from unveil.errors import DownloadError

BLOCK = 1 << 16
GIB = 1 << 30
# What a later try, or another moment, may cure; anything else the server said is final.
PASSING = {408, 425, 429, 500, 502, 503, 504}

Progress = Callable[[int, int | None], None]


class CutError(Exception):
    """The transfer ended early; what came is kept and the next request resumes there."""


class UnreachableError(Exception):
    """No connection to the server or the proxy came about."""


@dataclass(frozen=True)
class Partial:
    """A file that is being fetched, and the note beside it that says of what it is the beginning."""

    path: Path

    @property
    def note(self) -> Path:
        """Where address and validator (ETag or date) of the partial file are kept."""
        return self.path.with_name(f"{self.path.name}.json")

    def validator(self, address: str) -> str | None:
        """Return what must still be true of the file at ``address`` for resuming; None where there is no beginning."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            known = note["validator"] if note["address"] == address and self.path.stat().st_size else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return known if isinstance(known, str) else None

    def restart(self, address: str, validator: str | None) -> None:
        """Forget what came and note what comes now."""
        self.remove()
        if validator is not None:
            self.note.write_text(json.dumps({"address": address, "validator": validator}), encoding="utf-8")

    def remove(self) -> None:
        """Remove the file and its note."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects as the standard library does, but never from https to plain http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("https", req.type):
            raise DownloadError(
                f"{req.full_url} redirects to {newurl}, which is not encrypted; nothing is fetched from there"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def transfer(
    address: str, partial: Partial, *, size: int | None, max_size: int, timeout: float, progress: Progress | None
) -> bool:
    """Fetch a file, or the rest of it, and return whether an earlier beginning was used.

    Args:
        address: http or https; proxies as in the usual environment variables.
        partial: where it is written; after `CutError` the next call resumes.
        size: bytes that the file must have, where known.
        max_size: bytes above which nothing is fetched.
        timeout: seconds without a byte after which the connection counts as cut.
        progress: called with the bytes so far and the bytes in all.

    Raises:
        CutError: it ended early, or the server asks to come again later.
        UnreachableError: there is no connection.
        DownloadError: the server refuses or sends something else; an unencrypted redirect; no space.
    """
    validator = partial.validator(address)
    start = partial.path.stat().st_size if validator else 0
    headers = {"User-Agent": f"unveil/{__version__}", "Accept-Encoding": "identity"}
    if validator:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        with opener.open(urllib.request.Request(address, headers=headers), timeout=timeout) as reply:
            resumed = _resumes(reply, start)
            start = start if resumed else 0
            total = _total(reply, start)
            _check_size(address, total, size=size, max_size=max_size)
            expected = size if total is None else total
            _check_space(partial.path, 0 if expected is None else expected - start)
            if not resumed:
                partial.restart(address, _validator(reply))
            _append(reply, partial, start=start, expected=expected, max_size=max_size, progress=progress)
            return resumed
    except urllib.error.HTTPError as e:
        e.close()
        if e.code == 416:
            if e.headers.get("Content-Range") == f"bytes */{start}":
                return True  # everything had come before the last call ended
            partial.remove()
            raise CutError("the file changed at its source") from None
        if e.code in PASSING:
            raise CutError(f"the server answered {e.code} {e.reason}") from None
        raise DownloadError(f"{address}: the server answered {e.code} {e.reason}") from None
    except urllib.error.URLError as e:
        if isinstance(e.reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{address}: the certificate is not trusted ({e.reason.verify_message}); behind a proxy that opens "
                "encrypted traffic, name its certificate in SSL_CERT_FILE"
            ) from None
        raise UnreachableError(str(e.reason)) from None
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            partial.remove()
            raise DownloadError(f"no space for {partial.path}: {e.strerror}; nothing is kept") from None
        if e.filename is not None:
            raise DownloadError(f"cannot write {partial.path}: {e.strerror or e}") from None
        raise CutError(str(e) or type(e).__name__) from None
    except http.client.HTTPException as e:
        raise CutError(str(e) or type(e).__name__) from None


def _append(
    reply: http.client.HTTPResponse,
    partial: Partial,
    *,
    start: int,
    expected: int | None,
    max_size: int,
    progress: Progress | None,
) -> None:
    done, limit = start, max_size if expected is None else expected
    with partial.path.open("ab") as file:
        try:
            while block := reply.read1(BLOCK):
                done += len(block)
                if done > limit:
                    partial.remove()
                    raise DownloadError(f"{reply.url} sends more than the {limit} bytes that were expected")
                file.write(block)
                if progress is not None:
                    progress(done, expected)
        finally:
            file.flush()
            if file.seekable():
                os.fsync(file.fileno())
    if expected is not None and done < expected:
        raise CutError(f"the connection ended after {done} of {expected} bytes")


def _resumes(reply: http.client.HTTPResponse, start: int) -> bool:
    found = re.match(r"bytes (\d+)-", reply.headers.get("Content-Range", ""))
    return reply.status == 206 and found is not None and int(found[1]) == start


def _validator(reply: http.client.HTTPResponse) -> str | None:
    """Return what If-Range can name: a strong ETag, else the date of the last change."""
    tag = reply.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else reply.headers.get("Last-Modified")


def _total(reply: http.client.HTTPResponse, start: int) -> int | None:
    length = reply.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _check_size(address: str, total: int | None, *, size: int | None, max_size: int) -> None:
    if size is not None and total is not None and total != size:
        raise DownloadError(f"{address}: expected a file of {size} bytes, the server offers {total}")
    if total is not None and total > max_size:
        raise DownloadError(f"{address}: {total} bytes are more than the {max_size} that are allowed")


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DownloadError(
            f"no space for {path}: {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free; make room, or name "
            "another folder in UNVEIL_CACHE"
        )
