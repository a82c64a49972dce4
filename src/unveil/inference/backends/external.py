"""A ReID model of another project, run as its card says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unveil.errors import CheckpointError
from unveil.export.metadata import SpaceInfo
from unveil.inference.engine import Engine
from unveil.models.reid_card import ReidCard, fingerprint, read_reid_card
from unveil.models.summary import ModelSummary
from unveil.runtime.card import card_path
from unveil.runtime.preprocessing import to_tensor
from unveil.runtime.session import Port, Session, open_fastest

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


def external_engine(path: Path, threads: int | None = None, *, runtime: str = "auto") -> Engine:
    """Return an engine that runs a ReID model of another project on the CPU.

    Args:
        path: its card, or the ``.onnx`` or ``.xml`` file beside its card.
        threads: threads of one inference; all cores by default.
        runtime: "onnx", "openvino", or "auto": OpenVINO where it is installed.

    Raises:
        MissingExtraError: what runs the file is not installed.
        CheckpointError: card or model cannot be used, or the model's output is no vector.
    """
    card, model = read_reid_card(path)
    session = open_fastest(model, threads or 0, runtime=runtime, any_batch=True)
    runner = ExternalRunner(session, card)
    metadata = ExternalMetadata(card, runner.space, fingerprint(card, model))
    # The card's name is the one that it was installed under; the file keeps that of its publisher.
    return Engine(session.runtime, metadata, runner, name=card_path(path).stem)


class ExternalRunner:
    """Runs a model as its card says; its vectors are ``(n, E, D)`` float32.

    Raises:
        CheckpointError: input or output of the model do not fit its card.
    """

    def __init__(self, session: Session, card: ReidCard) -> None:
        self.session, self.card = session, card
        self.port = session.input(card.input)
        check_input(session, self.port, card)
        self.outputs = [session.output(card.output).name]
        if card.visibility is not None:
            self.outputs.append(session.output(card.visibility).name)
        self.fixed = self.port.shape[0]
        vectors, _ = self(np.full((1, card.height, card.width, 3), 127, np.uint8))
        names = card.names
        size: dict[str, Any] = {"height": card.height, "width": card.width, "interpolation": card.interpolation}
        size |= {} if card.fit == "stretch" else {"fit": card.fit, "pad": card.pad}
        self.space = SpaceInfo(names, vectors.shape[2], card.metric, (1.0,) * len(names), size)

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors ``(n, E, D)`` and visibility ``(n, E)`` of crops ``(n, H, W, 3)`` uint8 RGB."""
        vectors, visibility = self._look(crops)
        if self.card.mirror:
            mirrored, other = self._look(crops[:, :, ::-1])
            vectors, visibility = vectors + mirrored, (visibility + other) / 2
        return _unit(vectors) if self.card.normalise else vectors, visibility

    def _look(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = self.fixed or len(crops)
        parts = []
        for start in range(0, len(crops), step):
            some = crops[start : start + step]
            tensor = to_tensor(some, self.card, self.port.dtype)
            if len(tensor) < step:  # a fixed number of crops: the last batch is filled up
                tensor = np.concatenate([tensor, *[tensor[-1:]] * (step - len(tensor))])
            found = self.session.run({self.port.name: tensor}, self.outputs)
            parts.append([self._checked(found[0], step)[: len(some)], *[f[: len(some)] for f in found[1:]]])
        vectors = np.concatenate([part[0] for part in parts])
        if self.card.visibility is None:
            return vectors, np.ones(vectors.shape[:2], np.float32)
        shown = np.concatenate([part[1] for part in parts])
        if shown.shape != vectors.shape[:2]:
            raise CheckpointError(
                f"{self.session.path}: expected visibility (n, {len(self.card.names)}) in output "
                f"{self.card.visibility!r}, found (n, {', '.join(map(str, shown.shape[1:]))})"
            )
        return vectors, np.clip(np.asarray(shown, np.float32), 0, 1)

    def _checked(self, found: Any, count: int) -> np.ndarray:
        """Return an output as ``(n, E, D)`` float32, or say that it is no vector."""
        parts = len(self.card.names)
        array = np.asarray(found)
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
        return np.ascontiguousarray(flat.reshape(len(flat), parts, -1), np.float32)


def check_input(session: Session, port: Port, card: ReidCard) -> None:
    """Raise CheckpointError unless the input takes crops as the card describes them."""
    sides = (3, card.height, card.width) if card.layout == "nchw" else (card.height, card.width, 3)
    fits = len(port.shape) == 4 and all(n in (None, side) for n, side in zip(port.shape[1:], sides, strict=True))
    if not fits or len(session.inputs) > 1:
        found = "; ".join(map(str, session.inputs))
        raise CheckpointError(
            f"{session.path}: the card says crops (n, {', '.join(map(str, sides))}), the model takes {found}; correct "
            "height, width or layout of the card"
        )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)
