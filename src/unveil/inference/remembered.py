"""What was measured of a model on this machine, remembered in the cache beside its graph."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from unveil.atomic_io import cache_dir, write_text


def folder_of(fingerprint: str) -> Path:
    """Return the folder of the cache that belongs to a model; its fingerprint comes from a file of anybody's."""
    plain = re.fullmatch("[0-9a-f]{1,64}", fingerprint)
    return cache_dir() / "engines" / (fingerprint if plain else hashlib.sha256(fingerprint.encode()).hexdigest()[:16])


def read(path: Path) -> dict[str, Any]:
    """Return what a file remembers; nothing where there is none, or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep(path: Path, known: dict[str, Any]) -> None:
    """Write what a file is to remember."""
    write_text(path, json.dumps(known, indent=1))
