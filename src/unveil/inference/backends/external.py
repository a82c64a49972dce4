"""A ReID model of another project, run as its card says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unveil.errors import CheckpointError
from unveil.export.metadata import SpaceInfo
from unveil.inference.engine import Engine
from unveil.inference.steps import StepChoice, SteppedRunner
from unveil.models.foreign.camera_centres import CameraCentres, unit
from unveil.models.foreign.reid_card import ReidCard, fingerprint, read_centres, read_reid_card
from unveil.models.summary import ModelSummary
from unveil.runtime.card import card_path
from unveil.runtime.graph import Port
from unveil.runtime.preprocessing import to_tensor
from unveil.runtime.session import Session, open_fastest, open_session

MAX_DIMENSION = 65_536
METHOD = "external"


@dataclass(frozen=True)
class ExternalMetadata:
    """A ReID model of another project.

    Args:
        card: as it was read.
        space: of its vectors.
        fingerprint: hash of its files and its card (16 hex digits).
    """

    card: ReidCard
    space: SpaceInfo
    fingerprint: str

    def summary(self, name: str, /) -> ModelSummary:
        """Return what people are told of the model of that name."""
        return ModelSummary(
            name, self.fingerprint, METHOD, trained_on=self.card.trained_on or "not stated", licence=self.card.licence
        )


def external_engine(path: Path, threads: int | None = None, *, runtime: str = "auto", few: bool = False) -> Engine:
    """Return an engine that runs a ReID model of another project on the CPU.

    Args:
        path: its card, or the ``.onnx`` or ``.xml`` file beside its card.
        threads: threads of one inference; all cores by default.
        runtime: "onnx", "openvino", or "auto": OpenVINO where it is installed.
        few: with "auto", take ONNX Runtime where it is installed and can: it is ready sooner.

    Raises:
        MissingExtraError: what runs the file is not installed.
        CheckpointError: card or model cannot be used, or the model's output is no vector.
    """
    card, model = read_reid_card(path)
    session = (open_session if few else open_fastest)(model, threads or 0, runtime=runtime, any_batch=True)
    centres = read_centres(card, model)
    runner = ExternalRunner(session, card, centres=centres)
    metadata = ExternalMetadata(card, runner.space, fingerprint(card, model))
    runner.stepped.choice = StepChoice(metadata.fingerprint, session.runtime, threads=session.threads)
    # The card's name is the one that it was installed under; the file keeps that of its publisher.
    return Engine(
        session.runtime, metadata, run=runner, name=card_path(path).stem, batch=runner.stepped.batch,
        cameras=centres.cameras if centres else (), of_camera=runner.of_camera,
    )  # fmt: skip


class ExternalRunner:
    """Runs a model as its card says; its vectors are ``(n, E, D)`` float32.

    Raises:
        CheckpointError: input or output of the model do not fit its card.
    """

    def __init__(self, session: Session, card: ReidCard, *, centres: CameraCentres | None = None) -> None:
        self.session, self.card = session, card
        self.centres: CameraCentres | None = None  # not for the crop that only tells the shape
        self.camera: str | None = None
        self.port = session.input(card.input)
        check_input(session, self.port, card=card)
        self.outputs = [session.output(card.output).name]
        if card.visibility is not None:
            self.outputs.append(session.output(card.visibility).name)
        self.stepped = SteppedRunner(
            session, self.port.name, prepare=lambda crops: to_tensor(crops, card, dtype=self.port.dtype),
            outputs=self.outputs, fixed=self.port.shape[0], checked=self._checked,
        )  # fmt: skip
        vectors, _ = self(np.full((1, card.height, card.width, 3), 127, np.uint8))
        names = card.names
        size: dict[str, Any] = {"height": card.height, "width": card.width, "interpolation": card.interpolation}
        size |= {} if card.fit == "stretch" else {"fit": card.fit, "pad": card.pad}
        self.space = SpaceInfo(names, vectors.shape[2], card.metric, (1.0,) * len(names), size)
        if centres is not None and centres.means.shape[1:] != vectors.shape[1:]:
            raise CheckpointError(
                f"{session.path}: its mean vectors of cameras are {centres.means.shape[1:]}, its vectors "
                f"{vectors.shape[1:]}"
            )
        self.centres = centres

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors ``(n, E, D)`` and visibility ``(n, E)`` of crops ``(n, H, W, 3)`` uint8 RGB."""
        vectors, visibility = self._look(crops)
        if self.card.mirror:
            mirrored, other = self._look(crops[:, :, ::-1])
            vectors, visibility = vectors + mirrored, (visibility + other) / 2
        if self.centres is None:
            return unit(vectors) if self.card.normalise else vectors, visibility
        directions = self.card.compares_directions
        vectors = self.centres.apply(unit(vectors) if directions else vectors, self.camera)
        return unit(vectors) if directions else vectors, visibility

    @contextmanager
    def of_camera(self, camera: str | None) -> Iterator[None]:
        """Take the mean of a camera from the vectors within a block, where the model is adapted to it."""
        self.camera = camera
        try:
            yield
        finally:
            self.camera = None

    def _look(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors, *rest = self.stepped(crops)
        if self.card.visibility is None:
            return vectors, np.ones(vectors.shape[:2], np.float32)
        shown = rest[0]
        if shown.shape != vectors.shape[:2]:
            raise CheckpointError(
                f"{self.session.path}: expected visibility (n, {len(self.card.names)}) in output "
                f"{self.card.visibility!r}, found (n, {', '.join(map(str, shown.shape[1:]))})"
            )
        return vectors, np.clip(np.asarray(shown, np.float32), 0, 1)

    def _checked(self, found: list[np.ndarray], count: int) -> list[np.ndarray]:
        """Return the first output as ``(n, E, D)`` float32, or say that it is no vector, and the others."""
        parts = len(self.card.names)
        array = np.asarray(found[0])
        lengths = [n for n in array.shape[1:] if n > 1]  # pooled, but not flattened: (n, D, 1, 1)
        flat = array.reshape(len(array), -1) if array.ndim and lengths[:-1] in ([], [parts]) else array
        if (
            flat.ndim != 2 or len(flat) != count or flat.shape[1] % parts or not flat.shape[1] // parts >= 2
            or flat.shape[1] > MAX_DIMENSION or not np.issubdtype(flat.dtype, np.number)
        ):  # fmt: skip
            each = f"a vector a crop ({count}, D)" if parts == 1 else f"{parts} vectors a crop ({count}, {parts}, D)"
            raise CheckpointError(
                f"{self.session.path}: expected {each}, output {self.outputs[0]!r} gives {array.shape} {array.dtype}: "
                "no ReID model, or another output has to be named in its card; it has "
                f"{'; '.join(map(str, self.session.outputs))}"
            )
        vectors = np.ascontiguousarray(flat.reshape(len(flat), parts, -1), np.float32)
        return [vectors, *map(np.atleast_1d, found[1:])]


def check_input(session: Session, port: Port, *, card: ReidCard) -> None:
    """Raise CheckpointError unless the input takes crops as the card describes them."""
    sides = (3, card.height, card.width) if card.layout == "nchw" else (card.height, card.width, 3)
    fits = len(port.shape) == 4 and all(n in (None, side) for n, side in zip(port.shape[1:], sides, strict=True))
    if not fits or len(session.inputs) > 1:
        found = "; ".join(map(str, session.inputs))
        raise CheckpointError(
            f"{session.path}: the card says crops (n, {', '.join(map(str, sides))}), the model takes {found}; correct "
            "height, width or layout of the card"
        )
