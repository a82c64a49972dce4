"""Any segmentation network as a human parser, described by a card (SCHP exports, BodyPix, our own)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.atomic_io import sha256
from unveil.data.fitting import Placement, placement
from unveil.errors import DataError
from unveil.label_sets import Scheme, get_scheme
from unveil.parsing.card import ParserCard, read_card
from unveil.runtime.card import card_path
from unveil.runtime.graph import model_files
from unveil.runtime.preprocessing import crop_size, to_input
from unveil.runtime.session import open_session

Image = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Size = tuple[int, int]
CHUNK = 16  # crops of one inference, for models that take any number


@dataclass(frozen=True)
class Parsed:
    """What a parser says of N crops, all at one size.

    Args:
        labels: ``(N, H, W)`` uint8, labels of ``scheme``.
        visibility: ``(N, P)`` float32 in [0, 1]: how much of each part shows; P = 0 when the model does not tell.
        parts: names of the P parts.
        scheme: label set.
        classes: ``(N, H, W)`` int16, the model's own class numbers, -1 for nobody.
        tables: name of each further label set that the model makes -> label of each class.
    """

    labels: Labels
    visibility: NDArray[np.float32]
    parts: tuple[str, ...]
    scheme: Scheme
    classes: NDArray[np.int16]
    tables: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def schemes(self) -> tuple[str, ...]:
        """Names of the label sets that can be had."""
        return tuple({self.scheme.name: None, **self.tables})

    def in_scheme(self, name: str) -> Labels:
        """Return the labels ``(N, H, W)`` uint8 of one of `schemes`."""
        return self.labels if name == self.scheme.name else _labels(self.classes, np.array(self.tables[name], np.uint8))

    def select(self, rows: Sequence[int]) -> Parsed:
        """Return what is said of some of the crops."""
        picked = list(rows)
        return replace(
            self, labels=self.labels[picked], visibility=self.visibility[picked], classes=self.classes[picked]
        )


class OnnxParser:
    """Parses crops with an ONNX or OpenVINO model.

    Args:
        card: file of the card; the model lies beside it.
        threads: threads of one inference; all cores by default.
        scheme: label set of the maps, for models that make several; the card's by default.

    Raises:
        MissingExtraError: what runs the model is not installed.
        CheckpointError: card or model cannot be used.
        DataError: the model does not make that label set.
    """

    def __init__(self, card: Path, threads: int = 0, *, scheme: str | None = None) -> None:
        self.card: ParserCard = read_card(card)
        self.scheme: Scheme = get_scheme(scheme or self.card.scheme)
        table = self.card.table_of(scheme)
        self._table = None if table is None else np.array(table, np.uint8)
        model = card_path(card).parent / self.card.model
        self.fingerprint = f"{model.name}@{_digest(model)[:12]}"
        self._session = open_session(model, threads)
        self._input = self._session.input(self.card.input)
        self._outputs = [self._session.output(self.card.output).name]
        if self.card.foreground:
            self._outputs.append(self._session.output(self.card.foreground.output).name)
        if self.card.visibility:
            self._outputs.append(self._session.output(self.card.visibility.output).name)
        if self.card.person_check:
            self._session.output(self.card.person_check.output)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts whose visible share the model tells."""
        return self.card.visibility.parts if self.card.visibility else ()

    def __call__(self, images: Sequence[Image]) -> list[Labels]:
        """Return the labels ``(H, W)`` uint8 of each ``(H, W, 3)`` uint8 RGB crop, at the crop's own size."""
        return self.maps_and_shares(images)[0]

    def maps_and_shares(self, images: Sequence[Image]) -> tuple[list[Labels], NDArray[np.float32]]:
        """Return labels as above, and how much of each part shows ``(N, parts)``."""
        classes, shares = self.look(images)
        return [self._named(found) for found in classes], shares

    def parse(self, images: Sequence[Image] | Image) -> Parsed:
        """Parse crops of any sizes at the model's own size.

        Args:
            images: crops ``(h, w, 3)`` uint8 RGB, or one array ``(N, h, w, 3)``.

        Returns:
            Labels ``(N, height, width)``, and how much of each part shows.
        """
        size = (self.card.height, self.card.width)
        classes, shares = self.look(images, size)
        stacked = np.stack(classes).astype(np.int16) if classes else np.zeros((0, *size), np.int16)
        return Parsed(self._named(stacked), shares, self.parts, self.scheme, stacked, self.card.tables)

    def people(self, images: Sequence[Image]) -> NDArray[np.bool_] | None:
        """Return whether a person is on each crop ``(N,)``; ``None`` where the card has no check of it.

        Raises:
            DataError: a crop is no ``(H, W, 3)`` uint8 array, or the model does not fit its card.
        """
        check = self.card.person_check
        if check is None:
            return None
        found = [np.zeros((0, 1), np.float32)]
        for chunk, batch in self._batches(images):
            (scores,) = self._session.run({self._input.name: batch}, [check.output])
            if scores.ndim != 2 or scores.shape[1] != 1:
                raise DataError(f"{self.card.model} answers {check.output} of shape {scores.shape}, expected (N, 1)")
            found.append(scores[: len(chunk)])
        return np.concatenate(found)[:, 0] >= check.threshold

    def _batches(self, images: Sequence[Image] | Image) -> Iterator[tuple[Sequence[Image], NDArray[Any]]]:
        """Yield crops by `CHUNK`, and each chunk as the model takes it."""
        for k, image in enumerate(images):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise DataError(f"crop {k}: expected (H, W, 3) uint8 RGB, found {image.shape} {image.dtype}")
        fixed = self._input.shape[0] or 0
        step = fixed or CHUNK
        for start in range(0, len(images), step):
            chunk = list(images[start : start + step])
            batch = to_input(chunk, self.card, dtype=self._input.dtype)
            # A model of a fixed batch gets its last batch filled up.
            yield chunk, np.concatenate([batch, *[batch[-1:]] * (fixed - len(batch))]) if len(batch) < fixed else batch

    def look(
        self, images: Sequence[Image] | Image, size: Size | None = None
    ) -> tuple[list[NDArray[np.integer]], NDArray[np.float32]]:
        """Return what the model itself answers: class numbers ``(H, W)`` of each crop, and shares ``(N, P)``.

        Args:
            images: crops ``(h, w, 3)`` uint8 RGB.
            size: height and width of what comes back; each crop's own by default.

        Raises:
            DataError: a crop is no such array, or the model does not fit its card.
        """
        fit = crop_size(self.card)
        maps: list[NDArray[np.integer]] = []
        shares = [np.zeros((0, len(self.parts)), np.float32)]
        for chunk, batch in self._batches(images):
            found = self._session.run({self._input.name: batch}, self._outputs)
            if self.card.visibility:
                shares.append(self._shares(found.pop())[: len(chunk)])
            for row, image in enumerate(chunk):
                height, width = size or image.shape[:2]
                where = placement(image.shape[0], image.shape[1], size=fit)
                maps.append(self._classes([output[row] for output in found], where, size=(height, width)))
        return maps, np.concatenate(shares)

    def _shares(self, output: Any) -> NDArray[np.float32]:
        if output.ndim != 2 or output.shape[1] != len(self.parts):
            raise DataError(
                f"{self.card.model} answers shares of shape {output.shape}, but its card names {len(self.parts)} parts"
            )
        return np.asarray(output, np.float32).clip(0, 1)

    def _classes(self, outputs: list[Any], where: Placement, *, size: Size) -> NDArray[np.integer]:
        """Return class numbers; -1 where the foreground says that there is nobody."""
        scores = self._upright(outputs[0], where, size=size)
        classes = scores.argmax(axis=2) if scores.shape[2] > 1 else np.rint(scores[..., 0]).astype(np.int16)
        count = len(self._table) if self._table is not None else len(self.scheme.labels)
        if classes.max(initial=0) >= count:
            raise DataError(
                f"{self.card.model} answers class {classes.max()}, but its card knows {count} classes: correct scheme "
                "or table"
            )
        if self.card.foreground:
            inside = self._upright(outputs[1], where, size=size)[..., 0] > self.card.foreground.threshold
            classes = np.where(inside, classes, -1)
        return classes

    def _named(self, classes: NDArray[np.integer]) -> Labels:
        return _labels(classes, self._table)

    def _upright(self, output: Any, where: Placement, *, size: Size) -> NDArray[np.float32]:
        """Return an output as ``(H, W, classes)`` at the crop's size, borders cut off; labels by the nearest pixel."""
        whole = output.ndim == 2 or np.issubdtype(output.dtype, np.integer)
        scores = output[..., None] if output.ndim == 2 else output
        if output.ndim == 3 and self.card.layout == "nchw":
            scores = scores.transpose(1, 2, 0)
        scores = np.ascontiguousarray(scores, np.float32)
        network = (self.card.height, self.card.width)
        how = cv2.INTER_NEAREST if whole else cv2.INTER_LINEAR
        if (where.height, where.width) != network:  # the borders are cut at the input's size, where they are known
            scores = np.ascontiguousarray(_resize(scores, network, how=how)[where.place])
        return _resize(scores, size, how=how)


def _digest(model: Path) -> str:
    """Return the SHA-256 of the files of a model; of one alone its own, which maps that are there already name."""
    digests = [sha256(part) for part in model_files(model)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _labels(classes: NDArray[np.integer], table: NDArray[np.uint8] | None) -> Labels:
    return np.where(classes < 0, 0, classes if table is None else table[classes]).astype(np.uint8)


def _resize(scores: NDArray[np.float32], size: Size, *, how: int) -> NDArray[np.float32]:
    resized = np.asarray(cv2.resize(scores, size[::-1], interpolation=how), np.float32)
    return resized if resized.ndim == 3 else resized[..., None]
