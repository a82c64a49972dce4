"""A linear map of finished vectors: their mean is taken away, and what differs within a person counts less."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.records import Embedding


class Whitening(nn.Module):
    """Within-class covariance normalisation of vectors (Hatch et al., Interspeech 2006): ``(v - centre) @ matrix``.

    Directions in which crops of one person differ shrink, so that distances tell people apart. Nothing is learnt by
    gradients; `unveil.adaptation.stages.whitening` measures both from crops.

    Args:
        centre: ``(E, D)`` mean vectors.
        matrix: ``(E, D, D)``, one for each vector of a crop.
    """

    centre: Tensor
    matrix: Tensor

    def __init__(self, centre: Tensor, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("matrix", matrix)

    def forward(self, embedding: Embedding) -> Embedding:
        """Return the embedding with vectors ``(B, E, D)`` float32 mapped; of length 1 where directions are compared."""
        directions = embedding.metric == "cosine"
        vectors = embedding.vectors.float()
        vectors = (F.normalize(vectors, dim=-1) if directions else vectors) - self.centre
        vectors = torch.einsum("bed,edf->bef", vectors, self.matrix)
        return dataclasses.replace(embedding, vectors=F.normalize(vectors, dim=-1) if directions else vectors)
