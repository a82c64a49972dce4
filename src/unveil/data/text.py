"""Lists and tables beside images, whatever program of whatever system wrote them: UTF-8 or UTF-16, "\\\\" or "/"."""

from __future__ import annotations

import codecs
from pathlib import Path

from unveil.errors import DataError

MAX_BYTES = 1 << 30
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PAGES = ("<!doctype html", "<html")


def read_text(path: Path, expected: str) -> str:
    """Read a text in UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

    Args:
        path: the file.
        expected: what it should be, for errors: "the list of image names".

    Raises:
        DataError: missing, too large, neither encoding, or a web page that was saved under that name.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: expected {expected}, found {size:,} bytes; the limit is {MAX_BYTES:,}")
        data = path.read_bytes()
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: expected {expected}: {getattr(e, 'strerror', None) or e}") from None
    try:
        text = data.decode(_encoding(data))
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected {expected}, found neither UTF-8 nor UTF-16; save it as UTF-8") from None
    if "\0" in text:
        raise DataError(f"{path}: expected {expected}, found bytes that are no text")
    if text.lstrip()[:20].lower().startswith(_PAGES):
        raise DataError(f"{path}: expected {expected}, found a web page: was it saved in place of the file?")
    return text


def read_lines(path: Path, expected: str) -> list[str]:
    """Return the lines of a text without blanks around them; empty ones are left out. See `read_text`."""
    return [line.strip() for line in read_text(path, expected).splitlines() if line.strip()]


def with_slashes(path: str) -> str:
    """Return a path of a list as this system reads it, written on whichever."""
    return path.replace("\\", "/")


def is_file(path: Path) -> bool:
    """Return whether there is a file of that name; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or a NUL in it
        return False


def _encoding(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    if data[1:2] == b"\0" and data[:1] != b"\0":
        return "utf-16-le"
    if data[:1] == b"\0" and data[1:2] not in (b"", b"\0"):
        return "utf-16-be"
    return "utf-8"
