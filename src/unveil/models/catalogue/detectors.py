"""Which detector is used: the one that was named, by path or by name, or the best one that is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from unveil.models.catalogue.installed import DETECTOR, installed, installed_path
from unveil.models.catalogue.known import KNOWN
from unveil.video.detectors.default import DEFAULT_CARD

HOG, OWN = "hog", "unveil:detector"  # names of OpenCV's detector, which needs no model, and of the package's own
HINT = "`unveil models get yolox-s` fetches a better one (36 MB, Apache-2.0)"
RUNTIMES = ("onnxruntime", "openvino")


def named_detector(detector: Path | str) -> Path | None:
    """Return the card of a detector that is called by its name; any other path as it is, ``None`` for OpenCV's HOG."""
    if str(detector) == HOG:
        return None
    if str(detector) == OWN:
        return DEFAULT_CARD
    path = Path(detector)
    found = installed_path(str(detector)) if len(path.parts) == 1 and not path.exists() else None
    return found or path


def best_detector() -> Path | None:
    """Return the card of the best detector: an installed one, else the package's own.

    Known ones go by their rank in the catalogue; one that the catalogue does not know was installed for a reason and
    goes first. ``None`` stands for OpenCV's HOG, where nothing that runs a model is installed.
    """
    found = [model for model in installed() if model.kind == DETECTOR]
    if not found:
        return DEFAULT_CARD if any(importlib.util.find_spec(name) for name in RUNTIMES) else None
    return max(found, key=lambda m: (m.name not in KNOWN, KNOWN[m.name].rank if m.name in KNOWN else 0, m.name)).card


def best_name() -> str:
    """Return the name by which the best detector is called."""
    card = best_detector()
    return HOG if card is None else OWN if card == DEFAULT_CARD else card.stem


def chosen_detector(detector: Path | str | None) -> tuple[Path | None, str]:
    """Return the card of the detector that was named, or of the best one, and a line about a choice of our own.

    ``None`` stands for OpenCV's HOG; the line is empty where the detector was named.
    """
    if detector is not None:
        return named_detector(detector), ""
    card = best_detector()
    if card is None:
        return None, (
            "OpenCV's HOG finds upright and wholly visible people only; the extra 'onnx' brings what runs the "
            f"package's own detector, and {HINT}"
        )
    if card == DEFAULT_CARD:
        return card, f"detector: the package's own, trained on rendered people; {HINT}"
    return card, f"detector: {card.stem}, the best installed one"
