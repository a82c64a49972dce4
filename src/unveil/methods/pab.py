"""PAB-ReID: part attention learnt from parsing maps, part vectors without what is occluded (Chen and Ge, 2024).

The paper reads as a change of BPBReID (Somers et al., WACV 2023), which fills in what it does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.errors import DataError, RecipeError
from unveil.label_sets import PAB6
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_attention import labels_on_map, part_attention_loss
from unveil.losses.part_triplet import part_triplet
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Requirements, Share, Step
from unveil.nn.attention.pixel_attention import PixelAttention, PixelProjection
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.neck import bn_neck, linear_classifier
from unveil.nn.parts.focuser import Focuser, GateSharing, PartPath, Projection
from unveil.nn.parts.part_pooling import PartPoolingName
from unveil.nn.parts.stripes import stripe_masks
from unveil.records import Batch, Embedding

PARTS = PAB6.labels[1:]
HOLISTIC = ("global", "foreground", "concat")


@dataclass(frozen=True)
class PABSettings:
    """Settings of PAB-ReID. "Free" marks what the paper leaves open.

    Args:
        part_attention: learn part maps; without it six fixed horizontal stripes, all visible, stand in (free).
        focuser: the fine-grained feature focuser; without it parts are pooled from the backbone's map and projected.
        pixel_predictor: the pixel-level predictor; without it batch norm and a 1x1 convolution (free).
        part_loss: on part vectors: "id" (a classifier a part), "tri" (mined per part), "id_tri" (both), or the paper's
            "part_tri" (mined on the distance averaged over parts).
        mu: a part is visible at test where its map exceeds this somewhere; 0 takes every part for visible.
        part_neck: compare parts at test behind the neck of ``w_id_concat``, instead of the vectors that the triplet
            sees (ours). Before it has pulled them apart, those of any two people are almost the same.
        gamma: weight of the part attention loss.
        foreground: the foreground map: the "max" over parts, or their "sum" clipped at 1.
        pool: how part maps become vectors (free).
        share_gate: which of foreground and parts share a gated convolution (free).
        relu_before_softmax: clip the predictor's logits at 0, as printed.
        hidden: width of the predictor (free).
        dim: length of every vector (free).
        tri_visibility: compare in the part triplet only parts that both crops show.
        margin: of the triplets.
        smoothing: eps of the identity losses and theta of the part attention loss.
        w_id_global: weight of the identity loss on the globally pooled vector.
        w_id_foreground: the same on the foreground vector.
        w_id_concat: the same on all part vectors behind each other.
        w_tri_global: weight of a batch-hard triplet on the globally pooled vector.
        w_tri_foreground: the same on the foreground vector.
        w_tri_concat: the same on all part vectors behind each other.
        w_parts: weight of ``part_loss``.
    """

    part_attention: bool = True
    focuser: bool = True
    pixel_predictor: bool = True
    part_loss: Literal["id", "tri", "id_tri", "part_tri"] = "part_tri"
    mu: float = 0.5
    part_neck: bool = False
    gamma: float = 0.35
    foreground: Literal["max", "sum"] = "max"
    pool: PartPoolingName = "gwap"
    share_gate: GateSharing = "parts"
    relu_before_softmax: bool = True
    hidden: int = 512
    dim: int = 512
    tri_visibility: bool = False
    margin: float = 0.3
    smoothing: Share = 0.1
    w_id_global: float = 1.0
    w_id_foreground: float = 1.0
    w_id_concat: float = 1.0
    w_tri_global: float = 0.0
    w_tri_foreground: float = 0.0
    w_tri_concat: float = 0.0
    w_parts: float = 1.0

    def __post_init__(self) -> None:
        if self.part_neck and not self.w_id_concat:
            raise RecipeError("method pab: part_neck needs a neck that is trained: set w_id_concat above 0")


class PAB(Method):
    """Foreground vector and six part vectors with visibility; parsing maps are needed to train, never to test."""

    Settings = PABSettings
    settings: PABSettings
    paper = "Chen and Ge, Part-Attention Based Model Make Occluded Person Re-Identification Stronger, arXiv:2404.03443"

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: PABSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        channels, dim, count = backbone.channels, settings.dim, len(PARTS)
        self.predictor: nn.Module | None = None
        if settings.part_attention and settings.pixel_predictor:
            self.predictor = PixelAttention(
                channels, 1 + count, hidden=settings.hidden, relu_before_softmax=settings.relu_before_softmax
            )
        elif settings.part_attention:
            self.predictor = PixelProjection(channels, 1 + count)
        self.path: nn.Module
        if settings.focuser:
            self.path = Focuser(channels, count, dim=dim, pool=settings.pool, share_gate=settings.share_gate)
        else:
            self.path = PartPath(channels, dim, pool=settings.pool)
        self.project_global = Projection(channels, dim)
        lengths = {"global": dim, "foreground": dim, "concat": count * dim}
        if "id" in settings.part_loss:
            lengths |= dict.fromkeys(PARTS, dim)
        self.necks = nn.ModuleDict({name: bn_neck(length) for name, length in lengths.items()})
        self.classifiers = nn.ModuleDict(
            {name: linear_classifier(length, space.persons) for name, length in lengths.items()}
        )

    @property
    def requirements(self) -> Requirements:
        """Part labels to train the part maps; nothing with stripes."""
        return Requirements(train_parsing="pab6" if self.settings.part_attention else None)

    @property
    def test_settings(self) -> frozenset[str]:
        """What counts as visible, unless the triplet asks too, and which part vectors are compared."""
        return frozenset({"part_neck"} | (set() if self.settings.tri_visibility else {"mu"}))

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the identity losses (eq. 12), the part loss (eq. 10-11) and ``part_attention`` (eq. 3-4); eq. 13."""
        settings, persons = self.settings, batch.persons
        features = self.backbone(batch.images)
        masks, log_maps = self._part_masks(features)
        foreground, parts = self._part_vectors(features, masks)
        holistic = {
            "global": self.project_global(features.mean(dim=(2, 3))),
            "foreground": foreground,
            "concat": parts.flatten(1),
        }
        terms = {}
        for name, vectors in holistic.items():
            if weight := getattr(settings, f"w_id_{name}"):
                terms[f"id_{name}"] = weight * self._identity_loss(name, vectors, persons=persons)
            if weight := getattr(settings, f"w_tri_{name}"):
                terms[f"triplet_{name}"] = weight * batch_hard_triplet(vectors, persons, margin=settings.margin)
        if settings.w_parts:
            visibility = self._visibility(masks) if settings.tri_visibility else None
            terms |= {
                k: settings.w_parts * v for k, v in self._part_losses(parts, persons, visibility=visibility).items()
            }
        if log_maps is not None:
            if batch.parsing is None:
                raise DataError("PAB-ReID trains its part maps on pab6 parsing maps, but the batch has none")
            labels = labels_on_map(batch.parsing, log_maps.shape[1], size=(log_maps.shape[2], log_maps.shape[3]))
            terms["part_attention"] = settings.gamma * part_attention_loss(
                log_maps, labels, smoothing=settings.smoothing
            )
        return terms

    def embed(self, batch: Batch) -> Embedding:
        """Return the foreground behind its neck and the six parts, of length 1, with visibility (eq. 5)."""
        features = self.backbone(batch.images)
        masks, _ = self._part_masks(features)
        foreground, parts = self._part_vectors(features, masks)
        if self.settings.part_neck:
            parts = self.necks["concat"](parts.flatten(1)).view_as(parts)
        vectors = torch.cat([self.necks["foreground"](foreground).unsqueeze(1), parts], dim=1)
        visible = self._visibility(masks)
        # The foreground is always visible, so that every pair of crops has something to compare.
        visible = torch.cat([torch.ones_like(visible[:, :1]), visible], dim=1)
        return Embedding(F.normalize(vectors, dim=2), visible, ("foreground", *PARTS), "euclidean")

    def part_maps(self, batch: Batch) -> Tensor:
        """Return the maps of the six parts ``(B, 6, h, w)`` in [0, 1], for images."""
        return self._part_masks(self.backbone(batch.images))[0]

    def _part_masks(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.predictor is None:
            return stripe_masks(features, len(PARTS)), None
        log_maps = self.predictor(features)
        return log_maps[:, 1:].exp(), log_maps

    def _part_vectors(self, features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        if self.settings.foreground == "max":
            foreground = masks.amax(dim=1, keepdim=True)
        else:
            foreground = masks.sum(dim=1, keepdim=True).clamp(max=1.0)
        vectors = self.path(features, torch.cat([foreground, masks], dim=1))
        return vectors[:, 0], vectors[:, 1:]

    def _visibility(self, masks: Tensor) -> Tensor:
        return (masks.amax(dim=(2, 3)) > self.settings.mu).to(masks.dtype)  # eq. 5

    def _identity_loss(self, name: str, vectors: Tensor, *, persons: Tensor) -> Tensor:
        return cross_entropy(
            self.classifiers[name](self.necks[name](vectors)), persons, smoothing=self.settings.smoothing
        )

    def _part_losses(self, parts: Tensor, persons: Tensor, *, visibility: Tensor | None) -> dict[str, Tensor]:
        kind, margin = self.settings.part_loss, self.settings.margin
        terms = {}
        if "id" in kind:
            losses = [self._identity_loss(name, parts[:, i], persons=persons) for i, name in enumerate(PARTS)]
            terms["id_parts"] = torch.stack(losses).mean()
        if kind == "part_tri":
            terms["part_triplet"] = part_triplet(
                parts, persons, margin=margin, mode="averaged", visibility=visibility
            )  # eq. 10-11
        elif "tri" in kind:
            terms["triplet_parts"] = part_triplet(parts, persons, margin=margin, mode="per_part", visibility=visibility)
        return terms
