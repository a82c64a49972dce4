"""An exported file that is open: its card is inside, it takes pixels and gives vectors and visibility."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unveil.errors import CheckpointError
from unveil.export.metadata import KEY, read_metadata
from unveil.export.variant import Layout, as_input
from unveil.inference.engine import Engine
from unveil.inference.steps import StepChoice, SteppedRunner
from unveil.runtime.graph import Runtime
from unveil.runtime.session import Session, open_session


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
    runner = SteppedRunner(
        session, port.name, prepare=lambda crops: as_input(crops, layout), outputs=("vectors", "visibility"),
        fixed=port.shape[0],
    )  # fmt: skip
    runner.choice = StepChoice(metadata.fingerprint, session.runtime, threads=session.threads)

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors, visibility = runner(crops)
        return vectors, visibility

    return Engine(session.runtime, metadata, run=run, name=session.path.stem, batch=runner.batch)
