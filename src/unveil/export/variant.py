"""Which graph is written of a model: its input, its batch, its opset and the precision that it computes in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from unveil.errors import RecipeError

Layout = Literal["nhwc-uint8", "nchw-float"]
Precision = Literal["float32", "float16", "bfloat16", "int8"]
MAX_BATCH = 4096  # crops at a time
MIN_OPSET, MAX_OPSET = 18, 23
# Largest difference from PyTorch that is let through, relative to the length of a vector.
TOLERANCES: dict[Precision, float] = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 0.1, "int8": 0.25}


@dataclass(frozen=True)
class Variant:
    """A kind of graph.

    Args:
        batch: crops at a time, fixed in the graph; ``None`` lets any number in.
        opset: version of ONNX's operators; the exporter's own by default.
        layout: "nhwc-uint8": ``(n, H, W, 3)`` uint8; "nchw-float": ``(n, 3, H, W)`` float32 in 0..255; both RGB.
        precision: "float32"; "float16": weights and arithmetic in half precision; "bfloat16": arithmetic in that where
            the processor has it, for OpenVINO alone; "int8": convolutions and matrix products in 8-bit integers whose
            ranges were taken from crops.

    Raises:
        RecipeError: a value is out of range.
    """

    batch: int | None = None
    opset: int | None = None
    layout: Layout = "nhwc-uint8"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.batch is not None and not 1 <= self.batch <= MAX_BATCH:
            raise RecipeError(f"a fixed batch has 1 to {MAX_BATCH} crops, found {self.batch}")
        if self.opset is not None and not MIN_OPSET <= self.opset <= MAX_OPSET:
            raise RecipeError(f"opset: expected {MIN_OPSET} to {MAX_OPSET}, found {self.opset}")
        for name, kinds in (("layout", Layout), ("precision", Precision)):
            if getattr(self, name) not in get_args(kinds):
                raise RecipeError(f"{name}: expected {', '.join(get_args(kinds))}, found {getattr(self, name)!r}")

    @property
    def tolerance(self) -> float:
        """Largest difference from PyTorch that is let through; see `TOLERANCES`."""
        return TOLERANCES[self.precision]

    def fingerprint(self, model: str, calibration: str = "") -> str:
        """Return the fingerprint of the graph: that of the model, and another one where it is rounded.

        Args:
            model: fingerprint of the model.
            calibration: hash of the crops that 8-bit ranges were taken from.
        """
        if self.precision == "float32":
            return model
        return hashlib.sha256(f"{model} {self.precision} {calibration}".encode()).hexdigest()[:16]


def as_input(crops: np.ndarray, layout: Layout) -> np.ndarray:
    """Return crops ``(n, H, W, 3)`` uint8 as a graph of that layout takes them."""
    if layout == "nhwc-uint8":
        return np.ascontiguousarray(crops)
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
