"""A ZIP archive of which every byte follows from its files: nothing in it can be altered without being found.

The files are stored as they are, by name, with one fixed date (APPNOTE.TXT of PKWARE, 4.3). ZIP64 is not used, so that
an archive has less than 4 GiB and 65,535 files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from unveil.atomic_io import atomic_path
from unveil.errors import UnveilError

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
VERSION, UNIX = 20, 3
DATE = 33  # 1 January 1980, the first day that the format knows
MODE = 0o100644 << 16
MAX_BYTES, MAX_FILES = 2**32 - 2, 65_534
CHUNK = 1 << 20


class Member(NamedTuple):
    """A file of an archive: its name (ASCII), size in bytes, and CRC-32."""

    name: str
    size: int
    crc: int


def write_archive(out: Path, files: Mapping[str, Path]) -> None:
    """Write files to an archive that its owner alone can read, by name; the same files give the same bytes.

    Args:
        out: of the archive; replaced when all is written.
        files: name in the archive -> file.

    Raises:
        UnveilError: they are too many or too large, or the archive cannot be written.
    """
    if len(files) > MAX_FILES or sum(path.stat().st_size + 200 for path in files.values()) > MAX_BYTES:
        raise UnveilError(
            f"a case package has less than 4 GiB and {MAX_FILES:,} files: leave the clips out, or export in parts"
        )
    with atomic_path(out, private=True) as temporary, temporary.open("wb") as file:
        members = []
        for name in sorted(files):
            member = _measured(name, files[name])
            file.write(local_header(member))
            for chunk in _chunks(files[name]):
                file.write(chunk)
            members.append(member)
        file.write(directory(members))


def local_header(member: Member) -> bytes:
    """Return what stands before the bytes of a file."""
    name = member.name.encode("ascii")
    fields = (VERSION, 0, 0, 0, DATE, member.crc, member.size, member.size, len(name), 0)
    return LOCAL + struct.pack("<5H3L2H", *fields) + name


def directory(members: Sequence[Member]) -> bytes:
    """Return what stands behind all files: the list of them, and the end of the archive."""
    listed, at = b"", 0
    for member in members:
        name = member.name.encode("ascii")
        fields = (UNIX << 8 | VERSION, VERSION, 0, 0, 0, DATE, member.crc, member.size, member.size, len(name), 0)
        listed += CENTRAL + struct.pack("<6H3L5H2L", *fields, 0, 0, 0, MODE, at) + name
        at += len(local_header(member)) + member.size
    return listed + END + struct.pack("<4H2LH", 0, 0, len(members), len(members), len(listed), at, 0)


def altered_structure(file: BinaryIO, members: Sequence[Member]) -> str | None:
    """Return where an archive differs from what `write_archive` writes around files, in words; ``None`` where nowhere.

    Args:
        file: the archive.
        members: its files in order, as they should be.
    """
    at = 0
    for member in members:
        file.seek(at)
        expected = local_header(member)
        if file.read(len(expected)) != expected:
            return f"the archive was altered: the header of {member.name}, at byte {at}, is another"
        at += len(expected) + member.size
    file.seek(at)
    expected = directory(members)
    if file.read(len(expected) + 1) != expected:
        return f"the archive was altered: its list of files, from byte {at} on, is another"
    return None


def _measured(name: str, path: Path) -> Member:
    crc = size = 0
    for chunk in _chunks(path):
        crc, size = zlib.crc32(chunk, crc), size + len(chunk)
    return Member(name, size, crc)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
