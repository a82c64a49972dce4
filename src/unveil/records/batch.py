"""Batch: crops on one device."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

UNLABELLED = 255


@dataclass
class Batch:
    """Crops on one device.

    Args:
        images: ``(B, 3, H, W)``, uint8 RGB, or normalised float after augmentation.
        persons: ``(B,)`` int64 identity codes; -1 where unknown.
        cameras: ``(B,)`` int64 camera codes, or ``None``.
        clothes: ``(B,)`` int64 outfit codes, or ``None``.
        parsing: ``(B, H, W)`` uint8 labels, `UNLABELLED` (255) all over a crop that has no map; ``None``: none has one.
        erased: ``(B, 3, H, W)`` uint8, the same crops with their clothes made black before they were resized, or
            ``None``.
    """

    images: Tensor
    persons: Tensor
    cameras: Tensor | None = None
    clothes: Tensor | None = None
    parsing: Tensor | None = None
    erased: Tensor | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(f"images: expected (B, 3, H, W), got {tuple(self.images.shape)}")
        for name, tensor in self._labels():
            # shape[0] and not len(): exporters take a length for a constant.
            if tensor.shape != (self.images.shape[0],):
                raise ValueError(f"{name}: expected ({self.images.shape[0]},), got {tuple(tensor.shape)}")
        expected = (self.images.shape[0], *self.images.shape[2:])
        if self.parsing is not None and tuple(self.parsing.shape) != expected:
            raise ValueError(f"parsing: expected {expected}, got {tuple(self.parsing.shape)}")
        if self.erased is not None and self.erased.shape != self.images.shape:
            raise ValueError(f"erased: expected {tuple(self.images.shape)}, got {tuple(self.erased.shape)}")

    def _labels(self) -> list[tuple[str, Tensor]]:
        pairs = (("persons", self.persons), ("cameras", self.cameras), ("clothes", self.clothes))
        return [(name, tensor) for name, tensor in pairs if tensor is not None]

    def __len__(self) -> int:
        return len(self.images)

    def replace(self, **changes: Any) -> Batch:
        """Return a copy with some fields replaced."""
        return dataclasses.replace(self, **changes)

    def map(self, function: Any) -> Batch:
        """Return a Batch with ``function`` applied to every tensor, for example ``lambda t: t.to(device)``."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return self.replace(**{name: function(tensor) for name, tensor in fields.items() if tensor is not None})
