"""Is a case package as it was written? Every file against its hash, every entry of the log, every byte in between."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from unveil.errors import DataError
from unveil.gallery import audit
from unveil.gallery.cases.archive import CHUNK, Member, altered_structure
from unveil.gallery.cases.package import MANIFEST, SEAL, Manifest, read_audit

MAX_MANIFEST = 64 << 20  # bytes
AUDIT = "audit.jsonl"


def verify_package(path: Path) -> tuple[Manifest | None, list[str]]:
    """Return what a package says of itself, and a sentence for everything that was changed in it since.

    The manifest is ``None`` where it cannot be read. Who can write a whole new package can give it new hashes: against
    that, the audit log of its store has the SHA-256 of every package that it wrote.

    Raises:
        DataError: there is no such file, or it is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _verified(path, archive)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as e:
        raise DataError(f"{path} is no case package, or its list of files is damaged: {e}") from None


def _verified(path: Path, archive: zipfile.ZipFile) -> tuple[Manifest | None, list[str]]:
    infos = archive.infolist()
    wrong = [f"{name} is in the archive {n} times" for name, n in Counter(i.filename for i in infos).items() if n > 1]
    wrong += [f"{info.filename} is compressed: it was not written so" for info in infos if info.compress_type]
    if wrong or sum(info.file_size for info in infos) > path.stat().st_size:
        return None, wrong or ["the archive says that its files are larger than it is"]
    names = {info.filename for info in infos}
    missing = [name for name in (MANIFEST, SEAL) if name not in names]
    if missing:
        return None, [f"{name} is missing" for name in missing]
    if archive.getinfo(MANIFEST).file_size > MAX_MANIFEST:
        return None, [f"{MANIFEST} is larger than any manifest"]
    sealed, stated = _content(archive, MANIFEST), _content(archive, SEAL)
    if sealed is None or stated != f"{hashlib.sha256(sealed).hexdigest()}  {MANIFEST}\n".encode():
        return None, [f"{MANIFEST} or {SEAL} was altered: the one is not the hash of the other"]
    try:
        manifest = Manifest.model_validate_json(sealed)
    except ValidationError as e:
        return None, [f"{MANIFEST} is no manifest of a case: {e.errors()[0]['msg']}"]
    members = [Member(name, len(data), zlib.crc32(data)) for name, data in ((MANIFEST, sealed), (SEAL, stated))]
    wrong = [f"{name} was added" for name in sorted(names - {MANIFEST, SEAL, *manifest.files})]
    for name, told in manifest.files.items():
        if name not in names:
            wrong.append(f"{name} is missing")
            continue
        digest, size, crc = _measured(archive, name)
        if (digest, size) != (told.sha256, told.bytes):
            wrong.append(f"{name} was altered: its SHA-256 is not the one in the manifest")
        members.append(Member(name, size, crc))
    if not wrong:
        wrong = _wrong_entries(archive) if AUDIT in names else [f"{AUDIT} is missing"]
    if not wrong:
        with path.open("rb") as file:
            altered = altered_structure(file, sorted(members))
        wrong = [altered] if altered else []
    return manifest, wrong


def _measured(archive: zipfile.ZipFile, name: str) -> tuple[str, int, int]:
    """Return SHA-256, size and CRC-32 of a file; an empty hash where it cannot be read."""
    digest, size, crc = hashlib.sha256(), 0, 0
    try:
        with archive.open(name) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError):
        return "", 0, 0
    return digest.hexdigest(), size, crc


def _content(archive: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        return archive.read(name)
    except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError):
        return None


def _wrong_entries(archive: zipfile.ZipFile) -> list[str]:
    """Return what is wrong with the audit extract: entries whose hash is not of their text, or out of order."""
    try:
        links = read_audit((_content(archive, AUDIT) or b"").decode())
    except ValueError as e:
        return [f"{AUDIT} is no extract of an audit log: {e}"]
    wrong = [f"{AUDIT}: {sentence}" for link in links for sentence in audit.altered(link)]
    for before, link in pairwise(links):
        if link.number <= before.number:
            wrong.append(f"{AUDIT}: entry {link.number} comes after entry {before.number}")
        elif link.number == before.number + 1 and link.previous != before.hash:
            wrong.append(f"{AUDIT}: entry {link.number} does not follow entry {before.number}")
    return wrong
