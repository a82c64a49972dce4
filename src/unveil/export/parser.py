"""Writes a trained parser as it is shipped: model and card."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from unveil.atomic_io import write_bytes, write_text
from unveil.export.packed import packed_onnx
from unveil.nn.parsing_network import LabelNet, ParsingNet

MODEL, CARD = "parser.onnx", "parser.json"


def export_parser(
    network: ParsingNet,
    folder: Path,
    *,
    plain: int,
    size: tuple[int, int],
    tables: Mapping[str, Sequence[int]],
    shares: Sequence[str],
    scheme: str = "lip20",
    words: Mapping[str, str] | None = None,
) -> Path:
    """Write model and card; return the card's path.

    Args:
        network: trained.
        folder: where both files go.
        plain: number of first classes that have no body part; see `LabelNet`.
        size: input height and width.
        tables: label of each class number, for each label set.
        shares: names of the visible shares.
        scheme: label set by default.
        words: what people are told of it: "about", "figures", "intended_use", "limits".

    Raises:
        MissingExtraError: the package ``onnx`` is not installed.
    """
    whole = LabelNet(copy.deepcopy(network).to(memory_format=torch.contiguous_format), plain)  # type: ignore[call-overload]
    content = packed_onnx(whole, size, outputs=("labels", "shares"), any_batch=True)
    card = {
        "model": MODEL, "scheme": scheme, "height": size[0], "width": size[1], "scale": 1 / 127.5,
        "mean": [1, 1, 1], "std": [1, 1, 1], "output": "labels",
        "tables": {name: list(table) for name, table in tables.items()},
        "visibility": {"output": "shares", "parts": list(shares)}, "licence": "Apache-2.0", **(words or {}),
    }  # fmt: skip
    write_bytes(folder / MODEL, content)
    write_text(folder / CARD, json.dumps(card) + "\n")
    return folder / CARD
