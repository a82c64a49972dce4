"""An exported file that is open: its card is inside, it takes pixels and gives vectors and visibility."""

from __future__ import annotations

import numpy as np

from unveil.export.metadata import KEY, read_metadata
from unveil.inference.engine import Engine
from unveil.runtime.session import Session


def exported_engine(session: Session) -> Engine:
    """Return an engine that runs an exported file.

    Raises:
        CheckpointError: the file is no export of this tool.
    """
    metadata = read_metadata(session.metadata.get(KEY), str(session.path))

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors, visibility = session.run({"images": crops}, ["vectors", "visibility"])
        return vectors, visibility

    return Engine(session.runtime, metadata, run, name=session.path.stem)
