"""Writes a trained detector of people as it is shipped: one ONNX file with 16-bit weights, and its card."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from unveil.atomic_io import write_bytes, write_text
from unveil.export.packed import packed_onnx
from unveil.nn.person_detector import PersonDetector

MODEL, CARD = "detector.onnx", "detector.json"
OVERLAP = 0.45  # of two boxes with more, the better stays
SCORE = 0.4  # boxes below it are left out: most are nobody's


class _Rows(nn.Module):
    """The network's answer as the decoder "yolov8" reads it: ``(B, N, 5)`` box and score."""

    def __init__(self, network: PersonDetector, sure: float) -> None:
        super().__init__()
        self.network = network
        self.shift = math.log(sure / (1 - sure))

    def forward(self, images: Tensor) -> Tensor:
        boxes, scores = self.network(images)
        return torch.cat([boxes, (scores - self.shift).sigmoid()[..., None]], -1)


def export_detector(
    network: PersonDetector,
    folder: Path,
    *,
    size: tuple[int, int],
    sure: float = 0.5,
    words: Mapping[str, str] | None = None,
) -> Path:
    """Write model and card; return the card's path.

    Args:
        network: trained.
        folder: where both files go.
        size: input height and width, multiples of 32.
        sure: score of the network that becomes 0.5, from which a box may begin a track.
        words: what people are told of it: "about", "figures", "intended_use", "limits".

    Raises:
        MissingExtraError: the package ``onnx`` is not installed.
    """
    whole = _Rows(copy.deepcopy(network).to(memory_format=torch.contiguous_format), sure)  # type: ignore[call-overload]
    content = packed_onnx(whole, size, outputs=("rows",), any_batch=False)
    card = {
        "model": MODEL, "decoder": "yolov8", "height": size[0], "width": size[1], "scale": 1 / 127.5,
        "mean": [1, 1, 1], "std": [1, 1, 1], "score": SCORE, "overlap": OVERLAP, "licence": "Apache-2.0",
        **(words or {}),
    }  # fmt: skip
    write_bytes(folder / MODEL, content)
    write_text(folder / CARD, json.dumps(card) + "\n")
    return folder / CARD
