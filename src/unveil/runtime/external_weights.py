"""Whether an ONNX file keeps weights in other files, read from the file itself: `onnx` need not be installed.

An ONNX file is a protobuf message; weights are skipped, so that a file of any size is looked through at once.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

# Of each message of onnx.proto: the fields below which tensors are, and the message that each holds.
MESSAGES: Mapping[str, Mapping[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto", 22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}  # fmt: skip
DATA_LOCATION, EXTERNAL = 14, 1  # of a TensorProto


def has_external_weights(path: Path) -> bool:
    """Return whether a file names other files for some of its weights; not so one that is no ONNX file."""
    try:
        with path.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _is_external(data, "ModelProto", start=0, end=len(data))
    except (OSError, ValueError, IndexError, RecursionError):  # what runs it says what is wrong with it
        return False


def _is_external(data: mmap.mmap, message: str, *, start: int, end: int) -> bool:
    inner = MESSAGES.get(message, {})
    for number, first, last in _fields(data, start=start, end=end):
        if message == "TensorProto" and number == DATA_LOCATION and _varint(data, first)[0] == EXTERNAL:
            return True
        if number in inner and _is_external(data, inner[number], start=first, end=last):
            return True
    return False


def _fields(data: mmap.mmap, *, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and end of the value of each field of a message."""
    at = start
    while at < end:
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            last = _varint(data, at)[1]
        elif kind == 2:
            length, at = _varint(data, at)
            last = at + length
        elif kind in (1, 5):
            last = at + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"no field of kind {kind}")
        if last > end:
            raise ValueError("a field longer than its message")
        yield key >> 3, at, last
        at = last


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Return a number of variable length, seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
