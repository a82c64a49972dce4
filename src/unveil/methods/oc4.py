"""OC4-ReID: people who are occluded and have changed clothes, by screened stripes and the part-robust triplet.

Where the paper and its published code differ, the defaults are the paper's; recipe ``oc4_repo`` has the code's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from unveil.errors import RecipeError
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_triplet import part_triplet
from unveil.methods.clothes_branch import ClothesBranch, ClothesSettings
from unveil.methods.method import LabelSpace, Step
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.neck import linear_classifier
from unveil.nn.parts.micro_screening import MicroScreening
from unveil.nn.pooling import PoolingName
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class OC4Settings(ClothesSettings):
    """Settings of OC4-ReID beside those of CAL; the first two are the columns of its Table II.

    Args:
        t2mgs: the micro-granularity screening branch, whose vector is then the one to test with; without it CAL
            remains (with ``global_pool: maxavg``) and ``part_loss`` must be "none".
        part_loss: on the stripes: "prt" mines on the distance averaged over them, "triplet" in each of them;
            "logit_triplet" is what the published code has in place of the paper's: mined in each stripe, by cosine,
            between the identity logits of the stripes, from one classifier for all that no other loss trains.
        k: number of stripes.
        threshold: lambda; at test, a channel of a stripe whose quality is below it counts as 0.
        shared_predictor: one quality predictor for all stripes, as in the published code, instead of one each.
        screen_at_test: apply the threshold.
        global_pool: how the map becomes the global vector.
        hidden: width of a quality predictor; half of the map's channels for ``None``, as in the published code.
        w_id_p: weight of the identity loss on the screened vector; the published code has 0.01.
        w_part: weight of ``part_loss``; the published code has 0.01.
        margin: of the triplets; the published code has 0.3.
    """

    t2mgs: bool = True
    part_loss: Literal["none", "triplet", "prt", "logit_triplet"] = "prt"
    k: int = 6
    threshold: float = 0.35
    shared_predictor: bool = False
    screen_at_test: bool = True
    global_pool: PoolingName = "avg"
    hidden: int | None = None
    w_id_p: float = 1.0
    w_part: float = 1.0
    margin: float = 0.5

    def __post_init__(self) -> None:
        if not self.t2mgs and self.part_loss != "none":
            raise RecipeError(
                f"method oc4: part_loss={self.part_loss} needs stripes: set part_loss=none beside t2mgs=false"
            )
        if self.k < 1:
            raise RecipeError(f"method oc4: k: expected at least 1 stripe, found {self.k}")


class OC4(ClothesBranch):
    """A global branch that forgets clothes, and a branch of stripes that forgets what occludes the person."""

    Settings = OC4Settings
    settings: OC4Settings
    paper = "Chen et al., OC4-ReID: Occluded Cloth-Changing Person Re-Identification, arXiv:2403.08557"
    flip_test = True

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: OC4Settings) -> None:
        super().__init__(backbone, space, settings=settings, pool=settings.global_pool)
        self.stripes: MicroScreening | None = None
        if settings.t2mgs:
            self.stripes = MicroScreening(
                backbone.channels,
                settings.k,
                threshold=settings.threshold,
                shared=settings.shared_predictor,
                hidden=settings.hidden,
                screen=settings.screen_at_test,
            )
            self.classifier_p = linear_classifier(backbone.channels, space.persons, bias=True)
            if settings.part_loss == "logit_triplet":
                self.part_classifier = linear_classifier(backbone.channels, space.persons, bias=True)

    @property
    def test_settings(self) -> frozenset[str]:
        """Whether and where stripes are screened."""
        return frozenset({"threshold", "screen_at_test"})

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the terms of eq. 6: ``id_g``, ``id_p``, the ``part_loss`` by its name, and the two clothes losses."""
        settings, persons = self.settings, batch.persons
        features = self.backbone(batch.images)
        f_g = self.global_vectors(features)
        terms = {"id_g": self.identity_loss(f_g, batch)}
        if self.stripes is not None:
            parts, whole = self.stripes(features)
            terms["id_p"] = settings.w_id_p * cross_entropy(
                self.classifier_p(whole), persons, smoothing=settings.smoothing
            )
            if settings.part_loss == "prt":
                terms["prt"] = settings.w_part * part_triplet(parts, persons, margin=settings.margin)  # eq. 4-5
            elif settings.part_loss == "triplet":
                terms["triplet"] = settings.w_part * part_triplet(
                    parts, persons, margin=settings.margin, mode="per_part"
                )
            elif settings.part_loss == "logit_triplet":
                logits = self.part_classifier(parts)
                triplets = part_triplet(logits, persons, margin=settings.margin, mode="per_part", distance="cosine")
                terms["logit_triplet"] = settings.w_part * triplets
        return terms | self.clothes_losses(f_g, batch, step=step)

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, compared by cosine: f_g^w of the screened stripes, or without them f_g."""
        features = self.backbone(batch.images)
        vectors = self.global_vectors(features) if self.stripes is None else self.stripes(features)[1]
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))
