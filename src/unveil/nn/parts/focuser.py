"""From backbone map and part maps to part vectors: the fine-grained focuser of PAB-ReID, and the path without it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from unveil.nn.gated_conv import GatedConv
from unveil.nn.parts.part_pooling import PartPoolingName, pool_parts

GateSharing = Literal["parts", "all", "none"]


class Focuser(nn.Module):
    """Gated convolutions that keep of every part what belongs to the person (eq. 7-9).

    The paper prints eq. 8 with K_i where only K_1 exists and eq. 9 on the one-channel map F_i; the sentence around it
    filters the features, so the gate works on P_i. Widths and sharing are free choices.

    Args:
        channels: channels of the backbone's map.
        parts: number X of parts, the foreground apart.
        dim: length of a vector.
        pool: how a gated map becomes a vector.
        share_gate: "parts" share one gate and the foreground has its own; "all" share one; "none" share any.
    """

    def __init__(
        self,
        channels: int,
        parts: int,
        *,
        dim: int = 512,
        pool: PartPoolingName = "gwap",
        share_gate: GateSharing = "parts",
    ) -> None:
        super().__init__()
        self.pool: PartPoolingName = pool
        self.project = nn.Sequential(nn.Conv2d(channels, dim, 1, bias=False), nn.BatchNorm2d(dim), nn.ReLU())
        # Which gate each of foreground and parts goes through, in order.
        self.gate_of = {"parts": [0] + [1] * parts, "all": [0] * (1 + parts), "none": list(range(1 + parts))}[
            share_gate
        ]
        self.gates = nn.ModuleList(GatedConv(dim) for _ in range(max(self.gate_of) + 1))

    def forward(self, x: Tensor, masks: Tensor) -> Tensor:
        """Return the vectors.

        Args:
            x: ``(B, C, h, w)``.
            masks: ``(B, 1 + X, h, w)``, the foreground first.

        Returns:
            ``(B, 1 + X, dim)``.
        """
        shared = self.project(x)  # eq. 7: K_1
        gated = []
        for gate, module in enumerate(self.gates):
            own = masks[:, [e for e, g in enumerate(self.gate_of) if g == gate]]
            focused = shared.unsqueeze(1) * own.to(shared.dtype).unsqueeze(2)  # eq. 8: P_i = K_1 * F_i
            gated.append(module(focused.flatten(0, 1)).unflatten(0, own.shape[:2]))  # eq. 9: Q_i
        return pool_parts(torch.cat(gated, dim=1), masks, kind=self.pool)


class Projection(nn.Module):
    """Linear layer (N(0, 0.01) at first, as in BPBReID), batch norm and ReLU from a pooled vector to an embedding.

    Args:
        channels: length of the input.
        dim: length of the output.
    """

    def __init__(self, channels: int, dim: int = 512) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, dim)
        self.norm = nn.BatchNorm1d(dim)
        nn.init.normal_(self.linear.weight, 0.0, 0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return ``(..., dim)`` of vectors ``(..., channels)``; the batch norm sees all of them as one batch."""
        return self.norm(self.linear(vectors.flatten(0, -2))).relu().unflatten(0, vectors.shape[:-1])


class PartPath(nn.Module):
    """Part vectors without a focuser: pooling of the backbone's map, then one projection that the parts share.

    Args:
        channels: channels of the backbone's map.
        dim: length of a vector.
        pool: how the map becomes a vector.
    """

    def __init__(self, channels: int, dim: int = 512, *, pool: PartPoolingName = "gwap") -> None:
        super().__init__()
        self.pool: PartPoolingName = pool
        self.foreground = Projection(channels, dim)
        self.parts = Projection(channels, dim)

    def forward(self, x: Tensor, masks: Tensor) -> Tensor:
        """Return ``(B, 1 + X, dim)``; see `Focuser.forward`."""
        features = x.unsqueeze(1) if self.pool == "gwap" else x.unsqueeze(1) * masks.to(x.dtype).unsqueeze(2)
        pooled = pool_parts(features, masks, kind=self.pool)
        return torch.cat([self.foreground(pooled[:, :1]), self.parts(pooled[:, 1:])], dim=1)
