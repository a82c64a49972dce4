"""Weights that ship with the package: ``unveil:NAME`` wherever a file of weights is asked for.

All of them were trained on the synthetic world only; the card inside each file says how.
"""

from __future__ import annotations

from pathlib import Path

from unveil.errors import CheckpointError, nearest

PREFIX = "unveil:"
DEFAULT_MODEL = "unveil:dual"
FOLDER = Path(__file__).with_name("weights")


def shipped_names() -> list[str]:
    """Return the names of the weights in this package, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def weights_path(path: Path | str) -> Path:
    """Return the file that ``unveil:NAME`` stands for; any other path as it is.

    Raises:
        CheckpointError: no weights of that name are in this package.
    """
    text = str(path)
    if not text.startswith(PREFIX):
        return Path(path)
    name, known = text.removeprefix(PREFIX), shipped_names()
    if name not in known:
        raise CheckpointError(f"no weights {text!r} in this package{nearest(name, known)}; it has: {', '.join(known)}")
    return FOLDER / f"{name}.safetensors"
