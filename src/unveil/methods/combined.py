"""``combined``: the parts of the five methods that help where people are occluded and changed clothes, in one network.

Every component is a switch. On by default is only what a measurement spoke for; most are not measured yet
(docs/methods.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.errors import DataError
from unveil.label_sets import PAB6, WORN14
from unveil.losses.cross_clothes_triplet import cross_clothes_triplet
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_attention import labels_on_map, part_attention_loss
from unveil.losses.part_triplet import part_triplet
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.clothes_branch import ClothesBranch, ClothesSettings
from unveil.methods.method import LabelSpace, Requirements, Share, Step
from unveil.nn.attention.pixel_attention import PixelAttention
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.clothes_erasure import append_without_clothes
from unveil.nn.compound_erasing import compound_erase
from unveil.nn.converter import Converter
from unveil.nn.neck import bn_neck, linear_classifier
from unveil.nn.parts.centre_focus import CentreFocus
from unveil.nn.parts.focuser import Focuser, PartPath
from unveil.nn.parts.mean_feature import MeanFeature
from unveil.nn.parts.micro_screening import MicroScreening
from unveil.nn.pooling import PoolingName
from unveil.records import Batch, Embedding

PARTS = PAB6.labels[1:]
MAPS = len(PAB6.labels)
WORN_ON_LEGS = tuple(MAPS + n for n, label in enumerate(PAB6.labels) if "leg" in label or "feet" in label)


@dataclass(frozen=True)
class CombinedSettings(ClothesSettings):
    """Settings: the switches, then the numbers, beside those of `ClothesSettings`.

    Args:
        clothes_loss: CAL's clothes classifier, trained and trained against.
        parts: PAB-ReID's part attention: a foreground vector and six part vectors with visibility.
        focuser: PAB-ReID's focuser; without it parts are pooled from the backbone's map and projected.
        screening: OC4-ReID's screened stripes: a vector, and the part-robust triplet.
        centre: OCNet's centre focus: a vector.
        compound: SSGR's compound erasing, which doubles the batch. The method erases: the recipe sets
            ``augment.erase: none``.
        erase_clothes: CRE's copies without clothes, which double the sampler's batch.
        mean_feature: SSGR's running mean, subtracted from the pooled vector; without it the test sees the vector
            behind the neck.
        metric_loss: on the global vector: "cross" is CRE's triplet across clothes, "tri" the batch-hard triplet.
        erased_clothes: whether a copy without clothes is in an outfit of its own ("distinct"), so that it and its
            original are a pair across clothes, or in that of its original ("inherit").
        recoloured: share of those copies whose clothes get random colours instead of black (ours).
        pool: how the map becomes the global vector.
        mu: a part is visible at test where its map exceeds this somewhere; 0 takes every part for visible, because on
            small maps (8x4 for crops of 128x64) narrow parts never win a cell.
        gamma: weight of the part attention loss.
        k: stripes of the screening.
        threshold: of the screening at test; 0 switches it off there.
        center_w: columns of the map in the centre.
        dim: length of the vectors of parts and centre.
        hidden: width of the part predictor.
        part_share: weight of the six parts together in a distance, beside 1 for every other vector.
        margin: of the triplets.
    """

    clothes_loss: bool = False
    parts: bool = False
    focuser: bool = False
    screening: bool = False
    centre: bool = False
    compound: bool = False
    erase_clothes: bool = True
    mean_feature: bool = False
    metric_loss: Literal["none", "tri", "cross"] = "cross"
    erased_clothes: Literal["inherit", "distinct"] = "distinct"
    recoloured: Share = 0.6
    pool: PoolingName = "maxavg"
    mu: float = 0.0
    gamma: float = 0.35
    k: int = 6
    threshold: float = 0.35
    center_w: int = 2
    dim: int = 512
    hidden: int = 512
    part_share: float = 1.0
    margin: float = 0.3


class Combined(ClothesBranch):
    """A global vector and, each with its switch, screened stripes, the centre, the foreground and six parts."""

    Settings = CombinedSettings
    settings: CombinedSettings
    paper = "none: components of OC4-ReID, SSGR, PAB-ReID, CRE and OCNet behind switches (docs/methods.md)"

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: CombinedSettings) -> None:
        super().__init__(backbone, space, settings=settings, pool=settings.pool)
        channels, dim = backbone.channels, settings.dim
        self.mean = MeanFeature(self.pool.out_channels) if settings.mean_feature else None
        self.stripes = (
            MicroScreening(channels, settings.k, threshold=settings.threshold) if settings.screening else None
        )
        lengths = {}
        if settings.centre:
            self.focus = CentreFocus(channels, settings.center_w)
            self.converter = Converter(channels, dim)
            lengths["centre"] = dim
        if settings.parts:
            self.predictor = PixelAttention(channels, MAPS, hidden=settings.hidden)
            self.path = Focuser(channels, len(PARTS), dim=dim) if settings.focuser else PartPath(channels, dim)
            lengths |= {"foreground": dim, "parts": len(PARTS) * dim}
        self.necks = nn.ModuleDict({name: bn_neck(length) for name, length in lengths.items()})
        if settings.screening:
            lengths["screened"] = channels  # its block ends in a norm of its own
        self.classifiers = nn.ModuleDict(
            {name: linear_classifier(length, space.persons) for name, length in lengths.items()}
        )

    @property
    def requirements(self) -> Requirements:
        """Maps to train parts and to erase clothes, outfits for the adversary and the triplet; nothing to test."""
        settings = self.settings
        return Requirements(
            train_parsing=WORN14.name if settings.parts or settings.erase_clothes else None,
            train_clothes=settings.clothes_loss or settings.metric_loss == "cross",
            train_erased=settings.erase_clothes,
        )

    @property
    def test_settings(self) -> frozenset[str]:
        """What counts as visible, what is screened, and what parts weigh."""
        return frozenset({"mu", "threshold", "part_share"})

    def expand_batch(self, batch: Batch) -> Batch:
        """Append the copies without clothes."""
        if not self.settings.erase_clothes:
            return batch
        settings, maps = self.settings, _maps(batch)
        garments = (maps >= MAPS).to(maps.dtype) + torch.isin(maps, maps.new_tensor(WORN_ON_LEGS)).to(maps.dtype)
        outfits = self.space.clothes if settings.erased_clothes == "distinct" else None
        return append_without_clothes(batch, garments, outfits=outfits, recoloured=settings.recoloured)

    def erase(self, batch: Batch) -> Batch:
        """Return the crops twice by compound erasing, where it is on."""
        if not self.settings.compound:
            return batch
        # Its own generator, seeded from torch's, so that the seed of the run holds on every kind of device.
        generator = torch.Generator(batch.images.device).manual_seed(int(torch.randint(2**31, ())))
        return compound_erase(batch, generator)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return identity and metric losses of every vector, the clothes losses and ``part_attention``."""
        settings, persons = self.settings, batch.persons
        features = self.backbone(batch.images)
        pooled = self.pool(features)
        if self.mean is not None and self.training:
            self.mean.update(pooled)
        vectors = self.neck(pooled)
        terms = {"id": self.identity_loss(vectors, batch), **self._metric_loss(vectors, batch)}
        if self.stripes is not None:
            stripes, screened = self.stripes(features)
            terms["id_screened"] = self._identity("screened", screened, persons=persons)
            terms["stripe_triplet"] = part_triplet(stripes, persons, margin=settings.margin)
        if settings.centre:
            centre = self.converter(self.focus(features))
            terms["id_centre"] = self._identity("centre", centre, persons=persons)
            terms["triplet_centre"] = batch_hard_triplet(centre, persons, margin=settings.margin)
        if settings.parts:
            log_maps = self.predictor(features)
            foreground, parts = self._parts(features, log_maps)
            terms["id_foreground"] = self._identity("foreground", foreground, persons=persons)
            terms["id_parts"] = self._identity("parts", parts.flatten(1), persons=persons)
            terms["part_triplet"] = part_triplet(parts, persons, margin=settings.margin)
            labels = labels_on_map(_maps(batch) % MAPS, MAPS, size=(log_maps.shape[2], log_maps.shape[3]))
            terms["part_attention"] = settings.gamma * part_attention_loss(log_maps, labels)
        if self.clothes is not None and batch.clothes is not None:
            batch = batch.replace(clothes=batch.clothes % self.space.clothes)  # copies count as their originals
        return terms | self.clothes_losses(vectors, batch, step=step)

    def embed(self, batch: Batch) -> Embedding:
        """Return the vectors of the switches that are on, compared by cosine; shorter ones are filled up with zeros.

        All but parts are always visible, so that every pair of crops has something to compare.
        """
        settings = self.settings
        features = self.backbone(batch.images)
        pooled = self.pool(features)
        views = {"global": self.neck(pooled) if self.mean is None else self.mean(pooled)}
        if self.stripes is not None:
            views["screened"] = self.stripes(features)[1]
        if settings.centre:
            views["centre"] = self.necks["centre"](self.converter(self.focus(features)))
        weights = dict.fromkeys(views, 1.0)
        visible = pooled.new_ones(pooled.shape[0], len(views))
        if settings.parts:
            log_maps = self.predictor(features)
            foreground, parts = self._parts(features, log_maps)
            # Behind the neck of all parts together: before it, those of two people differ by a thousandth only.
            parts = self.necks["parts"](parts.flatten(1)).view_as(parts)
            views |= {
                "foreground": self.necks["foreground"](foreground),
                **dict(zip(PARTS, parts.unbind(1), strict=True)),
            }
            weights |= {"foreground": 1.0, **dict.fromkeys(PARTS, settings.part_share / len(PARTS))}
            seen = (log_maps[:, 1:].exp().amax(dim=(2, 3)) > settings.mu).to(visible.dtype)
            visible = torch.cat([visible, visible[:, :1], seen], dim=1)
        longest = max(view.shape[1] for view in views.values())
        vectors = torch.stack([F.pad(F.normalize(v, dim=1), (0, longest - v.shape[1])) for v in views.values()], dim=1)
        return Embedding(vectors, visible, tuple(views), "cosine", tuple(weights.values()))

    def _parts(self, features: Tensor, log_maps: Tensor) -> tuple[Tensor, Tensor]:
        masks = log_maps[:, 1:].exp()
        vectors = self.path(features, torch.cat([masks.amax(dim=1, keepdim=True), masks], dim=1))
        return vectors[:, 0], vectors[:, 1:]

    def _identity(self, name: str, vectors: Tensor, *, persons: Tensor) -> Tensor:
        behind = self.necks[name](vectors) if name in self.necks else vectors
        return cross_entropy(self.classifiers[name](behind), persons, smoothing=self.settings.smoothing)

    def _metric_loss(self, vectors: Tensor, batch: Batch) -> dict[str, Tensor]:
        kind, margin = self.settings.metric_loss, self.settings.margin
        if kind == "tri":
            return {"triplet": batch_hard_triplet(vectors, batch.persons, margin=margin, distance="cosine")}
        if kind == "none":
            return {}
        if batch.clothes is None:
            raise DataError("the cross-clothes triplet needs the outfit of every crop, but the batch has none")
        return {
            "cross_clothes": cross_clothes_triplet(
                vectors, batch.persons, clothes=batch.clothes, margin=margin, without_pairs="batch_hard"
            )
        }


def _maps(batch: Batch) -> Tensor:
    if batch.parsing is None:
        raise DataError("unveil trains on worn14 parsing maps, but the batch has none")
    return batch.parsing
