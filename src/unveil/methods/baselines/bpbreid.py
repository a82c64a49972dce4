"""BPBReID: part maps learnt from parsing, identities from whole vectors, triplets from parts (Somers et al., "Body
Part-Based Representation Learning for Occluded Person Re-Identification", WACV 2023).

The base of PAB-ReID, without its changes. Blocks, weights and schedule follow the paper's published code
(VlSomers/bpbreid, commit c0db006) with its ResNet-50.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.errors import DataError
from unveil.label_sets import get_scheme
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_attention import labels_on_map, part_attention_loss
from unveil.losses.part_triplet import part_triplet
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Requirements, Share, Step
from unveil.nn.attention.pixel_attention import PixelProjection
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.neck import bn_neck, linear_classifier
from unveil.nn.parts.focuser import Projection
from unveil.nn.parts.part_pooling import pool_parts
from unveil.records import Batch, Embedding

HOLISTIC = ("global", "foreground", "concat")


@dataclass(frozen=True)
class BPBReIDSettings:
    """Settings of BPBReID.

    Args:
        label_set: the parts: the eight of its configurations for occluded sets ("bpb8"), or six ("pab6").
        dim: length of every vector.
        margin: of the triplets.
        smoothing: eps of the identity losses and of the part prediction.
        w_part_attention: weight of the part prediction; its configuration for Occluded-REID has 0.7.
        w_tri_foreground: weight of a batch-hard triplet on the foreground vector; its configurations for Market-1501,
            DukeMTMC-reID and Occluded-REID have 1.
    """

    label_set: Literal["bpb8", "pab6"] = "bpb8"
    dim: int = 512
    margin: float = 0.3
    smoothing: Share = 0.1
    w_part_attention: float = 0.35
    w_tri_foreground: float = 0.0


class BPBReID(Method):
    """Foreground vector and part vectors with visibility; parsing maps are needed to train, never to test."""

    Settings = BPBReIDSettings
    settings: BPBReIDSettings
    paper = "Somers et al., Body Part-Based Representation Learning for Occluded Person Re-ID, WACV 2023"

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: BPBReIDSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        self.parts = get_scheme(settings.label_set).labels[1:]
        channels, dim = backbone.channels, settings.dim
        self.predictor = PixelProjection(channels, 1 + len(self.parts))
        self.project = nn.ModuleDict({name: Projection(channels, dim) for name in ("global", "foreground", "parts")})
        lengths = {"global": dim, "foreground": dim, "concat": len(self.parts) * dim}
        self.necks = nn.ModuleDict({name: bn_neck(length) for name, length in lengths.items()})
        self.classifiers = nn.ModuleDict(
            {name: linear_classifier(length, space.persons) for name, length in lengths.items()}
        )

    @property
    def requirements(self) -> Requirements:
        """Part labels to train the part maps."""
        return Requirements(train_parsing=self.settings.label_set)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return GiLt (identity losses on whole vectors, the averaged triplet on parts) and ``part_attention``."""
        settings, persons = self.settings, batch.persons
        if batch.parsing is None:
            raise DataError(f"BPBReID trains on {settings.label_set} parsing maps, but the batch has none")
        features = self.backbone(batch.images)
        log_maps = self.predictor(features)
        foreground, parts = self._vectors(features, log_maps)
        whole = {
            "global": self.project["global"](features.mean(dim=(2, 3))),
            "foreground": foreground,
            "concat": parts.flatten(1),
        }
        terms = {}
        for name in HOLISTIC:
            logits = self.classifiers[name](self.necks[name](whole[name]))
            terms[f"id_{name}"] = cross_entropy(logits, persons, smoothing=settings.smoothing)
        terms["part_triplet"] = part_triplet(parts, persons, margin=settings.margin)
        if settings.w_tri_foreground:
            triplet = batch_hard_triplet(foreground, persons, margin=settings.margin)
            terms["triplet_foreground"] = settings.w_tri_foreground * triplet
        labels = labels_on_map(batch.parsing, log_maps.shape[1], size=(log_maps.shape[2], log_maps.shape[3]))
        attention = part_attention_loss(log_maps, labels, smoothing=settings.smoothing)
        terms["part_attention"] = settings.w_part_attention * attention
        return terms

    def embed(self, batch: Batch) -> Embedding:
        """Return the foreground behind its neck and the parts, of length 1; a part is visible where its map is the
        largest at some position, the foreground always.
        """
        features = self.backbone(batch.images)
        log_maps = self.predictor(features)
        foreground, parts = self._vectors(features, log_maps)
        vectors = torch.cat([self.necks["foreground"](foreground).unsqueeze(1), parts], dim=1)
        largest = log_maps == log_maps.amax(dim=1, keepdim=True)
        visible = largest.flatten(2).any(dim=2).to(vectors.dtype)
        visible[:, 0] = 1  # the background's place is taken by the foreground
        return Embedding(F.normalize(vectors, dim=2), visible, ("foreground", *self.parts), "euclidean")

    def _vectors(self, features: Tensor, log_maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the foreground vector ``(B, dim)`` and those of the parts ``(B, K, dim)``."""
        masks = log_maps[:, 1:].exp()
        outline = masks.amax(dim=1, keepdim=True)
        # As published: the foreground is averaged over all positions, a part over its own.
        foreground = pool_parts((features * outline).unsqueeze(1), outline, kind="gap")[:, 0]
        return self.project["foreground"](foreground), self.project["parts"](
            pool_parts(features.unsqueeze(1), masks, kind="gwap")
        )
