"""What a detector of people learns from: which cells answer for whom, how well they fit, and how sure they may be.

Cells are given to people by how well their own answer fits already (TOOD, Feng et al., ICCV 2021, arXiv 2108.07755,
equation 6); scores learn that fit (quality focal loss, Li et al., NeurIPS 2020, arXiv 2006.04388); boxes learn by the
generalised intersection over union (Rezatofighi et al., CVPR 2019, arXiv 1902.09630).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unveil.nn.person_detector import PRIOR, STRIDES, grid

REACH = 1.5  # strides between a cell and the middle of a person for which it may answer
ALPHA, BETA = 0.5, 4.0  # how score and overlap count when cells are chosen
CELLS = 9  # at most, for each person
BOX_WEIGHT = 2.0
WARM = 0.15  # overlap of the prior box, for cells that do not fit yet


class Cells(NamedTuple):
    """The cells of an input: centres ``(N, 2)`` in pixels and strides ``(N,)``."""

    centres: Tensor
    strides: Tensor

    @staticmethod
    def of(height: int, width: int) -> Cells:
        """Return the cells of an input of a size in pixels, in the order of the network's answer."""
        centres, strides = [], []
        for stride in STRIDES:
            found = grid(height // stride, width // stride, device=torch.device("cpu")) * stride
            centres.append(found)
            strides.append(torch.full((len(found),), float(stride)))
        return Cells(torch.cat(centres), torch.cat(strides))


def detection_losses(
    boxes: Tensor, scores: Tensor, *, people: list[Tensor], ignored: list[Tensor], cells: Cells
) -> dict[str, Tensor]:
    """Return the losses "box" and "score" of a batch, each a sum over cells by the sum of their qualities.

    >>> cells = Cells.of(64, 64)
    >>> boxes = torch.cat([cells.centres, cells.strides[:, None] * torch.tensor(PRIOR)], 1)[None]
    >>> scores = torch.full((1, len(cells.centres)), -4.0)
    >>> person = [torch.tensor([[20.0, 10, 40, 60]])]
    >>> terms = detection_losses(boxes, scores, people=person, ignored=[torch.zeros(0, 4)], cells=cells)
    >>> {name: round(term.item(), 1) for name, term in terms.items()}
    {'box': 1.3, 'score': 1.3}

    Args:
        boxes, scores: ``(B, N, 4)`` and ``(B, N)`` as `PersonDetector` gives them.
        people: for each image ``(n, 4)`` left, top, right, bottom in pixels.
        ignored: the same for people of whom too little is seen: nothing is learned within their boxes.
        cells: of the input.

    Raises:
        ValueError: boxes, scores and cells do not belong together.
    """
    if boxes.shape[:2] != scores.shape or boxes.shape[1] != len(cells.centres):
        raise ValueError(f"expected {len(cells.centres)} cells, found {tuple(boxes.shape)} and {tuple(scores.shape)}")
    corners = to_corners(boxes)
    wanted = torch.zeros_like(scores)
    counted = torch.ones_like(scores)
    box_terms, weights = [scores.new_zeros(0)], [scores.new_zeros(0)]
    for k, (true, other) in enumerate(zip(people, ignored, strict=True)):
        for box in other:
            inside = ((cells.centres >= box[:2]) & (cells.centres <= box[2:])).all(1)
            counted[k, inside] = 0
        if not len(true):
            continue
        whose, quality = assigned(corners[k].detach(), scores[k].detach().sigmoid(), people=true, cells=cells)
        chosen = torch.nonzero(whose >= 0).flatten()
        wanted[k, chosen] = quality[chosen]
        counted[k, chosen] = 1
        box_terms.append(1 - generalised_overlap(corners[k, chosen], true[whose[chosen]]))
        weights.append(quality[chosen])
    weight = torch.cat(weights)
    total = weight.sum().clamp(min=1)
    probability = scores.sigmoid()
    focal = (probability.detach() - wanted).abs().pow(2) * F.binary_cross_entropy_with_logits(
        scores, wanted, reduction="none"
    )
    return {
        "box": BOX_WEIGHT * (torch.cat(box_terms) * weight).sum() / total,
        "score": 4 * (focal * counted).sum() / total,
    }


def assigned(corners: Tensor, scores: Tensor, *, people: Tensor, cells: Cells) -> tuple[Tensor, Tensor]:
    """Return for each cell the number of its person, or -1, and the quality that its score should have.

    Args:
        corners: ``(N, 4)`` answered boxes.
        scores: ``(N,)`` in [0, 1].
        people: ``(n, 4)`` true boxes, n at least 1.
        cells: of the input.

    Returns:
        ``(N,)`` numbers and ``(N,)`` qualities in [0, 1]; the best cell of a person has its overlap.
    """
    middle = (people[:, :2] + people[:, 2:]) / 2
    away = (cells.centres[None] - middle[:, None]).abs().amax(2) / cells.strides
    allowed = away < REACH
    prior = torch.cat(
        [-cells.strides[:, None] * torch.tensor(PRIOR) / 2, cells.strides[:, None] * torch.tensor(PRIOR) / 2], 1
    )
    sizes = people - middle.repeat(1, 2)
    overlap = pairwise_overlap(people, corners)
    fits = overlap.clamp(min=0) + WARM * pairwise_overlap(sizes, prior)
    metric = scores[None].clamp(min=1e-4).pow(ALPHA) * fits.pow(BETA) * allowed
    best = metric.topk(min(CELLS, metric.shape[1]), dim=1)
    kept = torch.zeros_like(metric).scatter_(1, best.indices, best.values)
    # A cell that several people want goes to the one that it fits best.
    value, whose = kept.max(0)
    whose = torch.where(value > 0, whose, -1)
    own = torch.zeros_like(kept).scatter_(0, whose.clamp(min=0)[None], value[None])
    share = own / own.amax(1, keepdim=True).clamp(min=1e-12)
    top = (overlap * (own > 0)).amax(1, keepdim=True).clamp(min=0.1)
    return whose, (share * top).amax(0)


def to_corners(boxes: Tensor) -> Tensor:
    """Return left, top, right, bottom of boxes ``(..., 4)`` centre x, centre y, width, height."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def pairwise_overlap(one: Tensor, other: Tensor) -> Tensor:
    """Return the intersection over union ``(n, m)`` of corner boxes ``(n, 4)`` and ``(m, 4)``."""
    shared = torch.minimum(one[:, None, 2:], other[None, :, 2:]) - torch.maximum(one[:, None, :2], other[None, :, :2])
    inner = shared.clamp(min=0).prod(2)
    return inner / (_area(one)[:, None] + _area(other)[None] - inner).clamp(min=1e-6)


def generalised_overlap(one: Tensor, other: Tensor) -> Tensor:
    """Return the generalised intersection over union ``(n,)`` of corner boxes, in (-1, 1].

    >>> generalised_overlap(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])).item()
    0.3333333432674408
    """
    inner = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0).prod(1)
    outer = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(1)
    union = _area(one) + _area(other) - inner
    return inner / union.clamp(min=1e-6) - (outer - union) / outer.clamp(min=1e-6)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)
