"""The detector that comes with the package: small, trained on rendered frames alone."""

from __future__ import annotations

from pathlib import Path

PACK = Path(__file__).parent / "pack"
DEFAULT_CARD = PACK / "detector.json"
DETECTOR_FILE = PACK / "detector.onnx"
