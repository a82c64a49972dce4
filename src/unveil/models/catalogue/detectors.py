"""Which detector is used: the one that was named, by path or by name, or the best one that is installed."""

from __future__ import annotations

from pathlib import Path

from unveil.models.catalogue.installed import DETECTOR, installed, installed_path
from unveil.models.catalogue.known import KNOWN

HINT = "`unveil models get yolox-s` fetches a better one (36 MB, Apache-2.0)"


def named_detector(detector: Path | str) -> Path:
    """Return the card of an installed detector that is called by its name; any other path as it is."""
    path = Path(detector)
    found = installed_path(str(detector)) if len(path.parts) == 1 and not path.exists() else None
    return found or path


def best_detector() -> Path | None:
    """Return the card of the best installed detector; ``None`` where none is.

    Known ones go by their rank in the catalogue; one that the catalogue does not know was installed for a reason and
    goes first.
    """
    found = [model for model in installed() if model.kind == DETECTOR]
    if not found:
        return None
    return max(found, key=lambda m: (m.name not in KNOWN, KNOWN[m.name].rank if m.name in KNOWN else 0, m.name)).card
