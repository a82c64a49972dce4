"""A hash at the end of an ONNX file, of all that comes before it: damage is seen before the file is run.

ONNX Runtime runs a file whose weights were changed. An ONNX file is a protobuf message, whose fields may come in any
order: the hash and the number of bytes are an entry of its metadata, added as the last of its bytes. `onnx` need not be
installed. A program that adds to the file or takes from it leaves another number of bytes, or no entry at the end: such
a file is its own and is run as it is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from unveil.errors import CheckpointError

KEY = b"unveil_seal"
SIZE_DIGITS = 16
DIGITS = 64 + SIZE_DIGITS
METADATA, TEXT = 14, 2  # number of ModelProto.metadata_props, and the kind of fields that tell their length
_VALUE = bytes([2 << 3 | TEXT, DIGITS])
_ENTRY = bytes([1 << 3 | TEXT, len(KEY)]) + KEY + _VALUE
_HEAD = bytes([METADATA << 3 | TEXT, len(_ENTRY) + DIGITS]) + _ENTRY
LENGTH = len(_HEAD) + DIGITS
BLOCK = 1 << 20  # bytes


def seal(path: Path) -> None:
    """Add the hash of a file, which has none yet, at its end."""
    size = path.stat().st_size
    told = _told(size) + _hash(path, size)
    with path.open("ab") as f:
        f.write(_HEAD + told.encode())


def check_seal(path: Path) -> None:
    """Hold a file against the hash at its end, where it has one.

    Raises:
        CheckpointError: something before the hash was changed, and is as long as before.
    """
    size = path.stat().st_size - LENGTH
    if size < 0:
        return
    with path.open("rb") as f:
        f.seek(size)
        found = f.read()
    head = _HEAD + _told(size).encode()
    if found.startswith(head) and found[len(head) :] != _hash(path, size).encode():
        raise CheckpointError(f"{path}: damaged, its SHA-256 differs: export the model again, or get the file again")


def _told(size: int) -> str:
    return f"{size:0{SIZE_DIGITS}d}"


def _hash(path: Path, size: int) -> str:
    code = hashlib.sha256()
    with path.open("rb") as f:
        while size and (block := f.read(min(BLOCK, size))):
            code.update(block)
            size -= len(block)
    return code.hexdigest()
