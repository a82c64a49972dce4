"""CRE + BSGA: clothes erased by parsing, attention led by the outline of the body, a triplet across clothes.

The paper's baseline is read as Simple-ReID: an affine neck behind which all losses and the test look. Each copy of a
crop is augmented by itself, for erasure comes before augmentation; the same draw for both is not offered.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.errors import DataError
from unveil.label_sets import CRE7, CRE7_ERASED
from unveil.losses.cross_clothes_triplet import WithoutPairs, cross_clothes_triplet
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Requirements, Share, Step
from unveil.nn.attention.body_shape_attention import BodyShapeAttention
from unveil.nn.attention.cbam import CBAM
from unveil.nn.attention.channel_interaction import ChannelInteraction
from unveil.nn.attention.efficient_channel_attention import EfficientChannelAttention
from unveil.nn.attention.polarized_attention import PolarizedAttention
from unveil.nn.attention.squeeze_excitation import SqueezeExcitation
from unveil.nn.backbones.backbone import Backbone, FeatureHook
from unveil.nn.clothes_erasure import append_without_clothes
from unveil.nn.neck import cal_neck, linear_classifier
from unveil.nn.pooling import PoolingName, build_pooling
from unveil.records import UNLABELLED, Batch, Embedding

_ATTENTIONS: dict[str, Callable[[int], nn.Module]] = {
    "cbam": CBAM,
    "se": SqueezeExcitation,
    "cia": ChannelInteraction,
    "eca": EfficientChannelAttention,
    "psa": PolarizedAttention,
}


@dataclass(frozen=True)
class CRESettings:
    """Settings of CRE + BSGA; the first three are what its Tables 4 to 6 vary. "Free" marks what the paper leaves open.

    Args:
        cre: train on every crop twice, as it is and with its clothes black; doubles the sampler's batch.
        attention: the block after the second stage: the paper's "bsga", or what it compares with.
        metric_loss: beside the identity loss: "bctri" across clothes, "tri" the batch-hard triplet, or "none".
        erased_clothes: whether the copy without clothes has the outfit of its original ("inherit"), or is one more
            outfit ("distinct"), so that the two are a pair across clothes (free).
        recoloured: share of the copies whose clothes get random colours instead of black (ours; 0 is the paper).
        without_pairs: see `cross_clothes_triplet` (free).
        reduce: "sum" over triplets as printed, or their "mean" (free).
        w_metric: lambda, the weight of ``metric_loss``.
        margin: of the triplets.
        share_mask_conv: see `BodyShapeAttention` (free).
        pool: how the map becomes a vector.
        smoothing: eps of the label smoothing.
    """

    cre: bool = True
    attention: Literal["none", "bsga", "cbam", "se", "cia", "eca", "psa"] = "bsga"
    metric_loss: Literal["none", "tri", "bctri"] = "bctri"
    erased_clothes: Literal["inherit", "distinct"] = "inherit"
    recoloured: Share = 0.0
    without_pairs: WithoutPairs = "zero"
    reduce: Literal["mean", "sum"] = "mean"
    w_metric: float = 1.0
    margin: float = 0.3
    share_mask_conv: bool = False
    pool: PoolingName = "avg"
    smoothing: Share = 0.0


class CRE(Method):
    """One vector a crop; a parsing map at test, where there is one, tells the attention where the body is."""

    Settings = CRESettings
    settings: CRESettings
    paper = "Mu et al., clothes-relevant erasure (CRE) and body shape-guided attention (BSGA), probably BMVC 2022"
    flip_test = True

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: CRESettings) -> None:
        super().__init__(backbone, space, settings=settings)
        self.place = backbone.stages[1]
        self.attention: nn.Module | None = None
        if settings.attention == "bsga":
            self.attention = BodyShapeAttention(self.place.channels, share_mask_conv=settings.share_mask_conv)
        elif settings.attention != "none":
            self.attention = _ATTENTIONS[settings.attention](self.place.channels)
        self.pool = build_pooling(settings.pool, backbone.channels)
        self.neck = cal_neck(self.pool.out_channels)
        self.classifier = linear_classifier(self.pool.out_channels, space.persons, bias=True)

    @property
    def requirements(self) -> Requirements:
        """Parsing maps to erase clothes and to guide the attention, also at test; outfits for the triplet."""
        guided = self.settings.attention == "bsga"
        return Requirements(
            train_parsing=CRE7.name if guided or self.settings.cre else None,
            train_clothes=self.settings.metric_loss == "bctri",
            test_parsing=CRE7.name if guided else None,
            train_erased=self.settings.cre,
        )

    def expand_batch(self, batch: Batch) -> Batch:
        """Append to the crops ``(M, 3, H, W)`` their copies without clothes (eq. 1): 2 M crops."""
        if not self.settings.cre:
            return batch
        if batch.parsing is None:
            raise DataError("CRE erases clothes by cre7 parsing maps, but the batch has none")
        worn = torch.isin(batch.parsing, batch.parsing.new_tensor(CRE7_ERASED))
        distinct = self.settings.erased_clothes == "distinct"
        return append_without_clothes(
            batch,
            batch.parsing * worn,
            outfits=self.space.clothes if distinct else None,
            recoloured=self.settings.recoloured,
        )

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id`` (eq. 6) and ``bctri`` (eq. 7) or ``tri``; eq. 8."""
        settings, persons = self.settings, batch.persons
        if settings.attention == "bsga" and batch.parsing is None:
            raise DataError("BSGA trains on cre7 parsing maps, but the batch has none")
        features = self._features(batch)
        terms = {"id": cross_entropy(self.classifier(features), persons, smoothing=settings.smoothing)}
        if settings.metric_loss == "tri":
            terms["tri"] = settings.w_metric * batch_hard_triplet(
                features, persons, margin=settings.margin, distance="cosine", reduce=settings.reduce
            )
        elif settings.metric_loss == "bctri":
            if batch.clothes is None:
                raise DataError("the cross-clothes triplet needs the outfit of every crop, but the batch has none")
            terms["bctri"] = settings.w_metric * cross_clothes_triplet(
                features,
                persons,
                clothes=batch.clothes,
                margin=settings.margin,
                reduce=settings.reduce,
                without_pairs=settings.without_pairs,
            )
        return terms

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, compared by cosine. BSGA takes a crop without parsing map for body all over."""
        if self.settings.attention == "bsga" and not _all_have_maps(batch):
            warnings.warn(
                "crops without parsing maps: body shape-guided attention takes them for body all over, which costs "
                "accuracy; `unveil parse` makes maps",
                stacklevel=2,
            )
        vectors = self._features(batch)
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))

    def _features(self, batch: Batch) -> Tensor:
        hooks: dict[str, FeatureHook] = {}
        if isinstance(self.attention, BodyShapeAttention):
            images = batch.images
            # Where a crop has no map, its label is UNLABELLED, which is not the background either.
            body = images.new_ones(images.shape[0], *images.shape[2:]) if batch.parsing is None else batch.parsing != 0
            hooks = {self.place.name: partial(self.attention, body=body)}
        elif self.attention is not None:
            hooks = {self.place.name: self.attention}
        return self.neck(self.pool(self.backbone(batch.images, hooks)))


def _all_have_maps(batch: Batch) -> bool:
    return batch.parsing is not None and not bool((batch.parsing[:, 0, 0] == UNLABELLED).any())
