"""An exported file that is open: its card is inside, it takes pixels and gives vectors and visibility."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unveil.errors import CheckpointError
from unveil.export.metadata import KEY, read_metadata
from unveil.export.variant import Layout, as_input
from unveil.inference.engine import Engine
from unveil.runtime.session import Runtime, Session, open_session


def open_exported(path: Path, threads: int | None, *, runtime: Runtime) -> Engine:
    """Return an engine that runs an exported file with one runtime; ``threads`` as in `open_session`.

    Raises:
        MissingExtraError: the runtime is not installed.
        CheckpointError: the file is missing or no export of this tool.
    """
    if not path.exists():
        raise CheckpointError(f"no model at {path}: expected a file that `unveil export` wrote")
    return exported_engine(open_session(path, threads or 0, runtime=runtime))


def exported_engine(session: Session) -> Engine:
    """Return an engine that runs an exported file.

    Raises:
        CheckpointError: the file is no export of this tool.
    """
    metadata = read_metadata(session.metadata.get(KEY), str(session.path))

    port = session.input("images")
    layout: Layout = "nchw-float" if port.dtype == np.float32 else "nhwc-uint8"
    fixed = port.shape[0]

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = fixed or max(len(crops), 1)
        parts = []
        for start in range(0, max(len(crops), 1), step):
            some = crops[start : start + step]
            full = np.concatenate([some, *[some[-1:]] * (step - len(some))]) if fixed else some
            found = session.run({"images": as_input(full, layout)}, ["vectors", "visibility"])
            parts.append([part[: len(some)] for part in found])
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    return Engine(session.runtime, metadata, run, name=session.path.stem)
