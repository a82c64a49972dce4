"""Where fetched weights are kept."""

from __future__ import annotations

import os
from pathlib import Path

from unveil.atomic_io import cache_dir

VARIABLE = "UNVEIL_WEIGHTS"


def weights_folder() -> Path:
    """Return ``$UNVEIL_WEIGHTS``, else ``weights`` in the folder of caches."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else cache_dir() / "weights"
