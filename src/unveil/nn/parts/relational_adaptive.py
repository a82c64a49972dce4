"""Relations between the feature vectors of one crop: OCNet's relational adaptive module, and the relation network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairRelations(nn.Module):
    """Mean over the other vectors of one layer shared by all ordered pairs.

    Args:
        dim: length of a vector.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pair = nn.Linear(2 * dim, dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return ``(B, n, dim)`` of vectors ``(B, n, dim)``, n >= 2."""
        n = vectors.shape[1]
        if n < 2:
            raise ValueError(f"vectors: expected at least 2 to relate, got {n}")
        first = vectors.unsqueeze(2).expand(-1, n, n, -1)
        relations = self.pair(torch.cat([first, first.transpose(1, 2)], dim=3)).relu()  # r_ij of [f_i; f_j]
        place = torch.arange(n, device=vectors.device)
        others = place[:, None] != place  # a negated identity matrix has no counterpart in ONNX
        return (relations * others[..., None]).sum(dim=2) / (n - 1)


class RelationalAdaptive(nn.Module):
    """Weights in (0, 1) for every entry of every vector, from its relations to the others.

    Two fully connected layers shared by all vectors, as the paper says; how they are joined is a free choice. Weights
    start near 0.88, so that at first little is suppressed.

    Args:
        dim: length of a vector.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.relations = PairRelations(dim)
        self.weight = nn.Linear(dim, dim)
        nn.init.constant_(self.weight.bias, 2.0)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the weighted vectors ``(B, n, dim)``."""
        return vectors * self.weight(self.relations(vectors)).sigmoid()


class RelationNetwork(nn.Module):
    """The variant that OCNet compares with: the relation vectors themselves are the features.

    Args:
        dim: length of a vector.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.relations = PairRelations(dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the relation vectors ``(B, n, dim)``."""
        return self.out(self.relations(vectors)).relu()
