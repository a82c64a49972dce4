"""Horizontal stripes of a map: their bounds, and the same as masks."""

from __future__ import annotations

import torch
from torch import Tensor


def stripe_bounds(height: int, count: int) -> list[tuple[int, int]]:
    """Return top and bottom (exclusive) of ``count`` stripes of equal height, up to rounding.

    Stripe i begins at ``round(i * height / count)``. On a map with fewer rows than stripes, neighbours share a row, so
    that no stripe is empty.
    """
    edges = [(2 * i * height + count) // (2 * count) for i in range(count + 1)]
    tops = [min(top, height - 1) for top in edges[:-1]]
    return [(top, max(bottom, top + 1)) for top, bottom in zip(tops, edges[1:], strict=True)]


def stripe_masks(like: Tensor, count: int) -> Tensor:
    """Return masks ``(B, count, h, w)`` of 0 and 1 for a map ``(B, C, h, w)``."""
    rows = torch.arange(like.shape[2], device=like.device)
    inside = torch.stack([(rows >= top) & (rows < bottom) for top, bottom in stripe_bounds(like.shape[2], count)])
    return inside[None, :, :, None].expand(like.shape[0], -1, -1, like.shape[3]).to(like.dtype)
