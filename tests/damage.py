"""Inputs damaged at random, as a disk, an editor or a stranger would, and how many of them were tried."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np

ROUNDS = int(os.environ.get("UNVEIL_FUZZ", "40"))  # inputs of each kind
TRIED: Counter[str] = Counter()  # said at the end of a run of the tests

BITS = (
    b"",
    b"\xff\xfe",
    b"\0",
    b"<html>",
    b'"',
    b",,,",
    b"\n\n",
    b"a" * 5000,
    b"-1",
    b"../..",
    b"\xe9",
    b"session1/001_01 1",
)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes cut, overwritten or added to at random places."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(out) + 1))
        what = rng.integers(4)
        if what == 0:
            del out[at:]
        elif what == 1:
            out[at:at] = BITS[int(rng.integers(len(BITS)))]
        elif what == 2:
            out[at : at + 8] = rng.integers(0, 256, 8, np.uint8).tobytes()
        else:
            out[at : at + int(rng.integers(1, 30))] = b""
    return bytes(out)
