"""OC4-ReID: people who are occluded and have changed clothes, by screened stripes and the part-robust triplet.

Where the paper and its published code differ, the defaults are the paper's; recipe ``oc4_repo`` has the code's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.errors import RecipeError
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_triplet import part_triplet
from unveil.methods.ablation import Row, Table
from unveil.methods.clothes_adversary import ClothesAdversary
from unveil.methods.method import LabelSpace, Method, Needs, Step
from unveil.nn.backbone import Backbone
from unveil.nn.micro_screening import MicroScreening
from unveil.nn.neck import cal_neck, linear_classifier
from unveil.nn.pooling import PoolingName, build_pooling
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class OC4Settings:
    """Settings of OC4-ReID; the first two are the columns of its Table II. "Free" marks what the paper leaves open.

    Args:
        t2mgs: the micro-granularity screening branch, whose vector is then the one to test with; without it CAL
            remains (with ``global_pool: maxavg``) and ``part_loss`` must be "none".
        part_loss: on the stripes: "prt" mines on the distance averaged over them, "triplet" in each of them.
        k: number of stripes.
        threshold: lambda; at test, a channel of a stripe whose quality is below it counts as 0.
        shared_predictor: one quality predictor for all stripes, as in the published code, instead of one each.
        screen_at_test: apply the threshold.
        clothes_loss: train a clothes classifier and against it.
        clothes_start_epoch: 0-based epoch from which on the clothes losses count (CAL's).
        clothes_scale: inverse temperature of the clothes losses (CAL's).
        clothes_epsilon: share of the adversarial loss's weight that is spread over all outfits of the person (CAL's).
        global_pool: how the map becomes the global vector.
        hidden: width of a quality predictor; half of the map's channels for ``None``, as in the published code.
        w_id_p: weight of the identity loss on the screened vector; the published code has 0.01.
        w_part: weight of ``part_loss``; the published code has 0.01.
        margin: of the triplets.
        smoothing: eps of the label smoothing (CAL's).
    """

    t2mgs: bool = True
    part_loss: Literal["none", "triplet", "prt"] = "prt"
    k: int = 6
    threshold: float = 0.35
    shared_predictor: bool = False
    screen_at_test: bool = True
    clothes_loss: bool = True
    clothes_start_epoch: int = 25
    clothes_scale: float = 16.0
    clothes_epsilon: float = 0.1
    global_pool: PoolingName = "avg"
    hidden: int | None = None
    w_id_p: float = 1.0
    w_part: float = 1.0
    margin: float = 0.5
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not self.t2mgs and self.part_loss != "none":
            raise RecipeError(
                f"method oc4: part_loss={self.part_loss} needs stripes: set part_loss=none beside t2mgs=false"
            )
        if self.k < 1:
            raise RecipeError(f"method oc4: k: expected at least 1 stripe, found {self.k}")


class OC4(Method):
    """A global branch that forgets clothes, and a branch of stripes that forgets what hides the person."""

    Settings = OC4Settings
    settings: OC4Settings
    paper = "Chen et al., OC4-ReID: Occluded Cloth-Changing Person Re-Identification, arXiv:2403.08557"
    flip_test = True

    def __init__(self, backbone: Backbone, space: LabelSpace, settings: OC4Settings) -> None:
        super().__init__(backbone, space, settings)
        self.pool = build_pooling(settings.global_pool, backbone.channels)
        channels = self.pool.out_channels
        self.neck = cal_neck(channels)
        self.classifier = linear_classifier(channels, space.persons, bias=True)
        self.clothes: ClothesAdversary | None = None
        if settings.clothes_loss:
            self.clothes = ClothesAdversary(
                channels, space, settings.clothes_start_epoch, settings.clothes_scale, settings.clothes_epsilon
            )
        self.stripes: MicroScreening | None = None
        if settings.t2mgs:
            self.stripes = MicroScreening(
                backbone.channels,
                settings.k,
                settings.threshold,
                settings.shared_predictor,
                settings.hidden,
                settings.screen_at_test,
            )
            self.classifier_p = linear_classifier(backbone.channels, space.persons, bias=True)

    @property
    def needs(self) -> Needs:
        """Outfits to train, nothing to test."""
        return Needs(train_clothes=self.settings.clothes_loss)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the terms of eq. 6: ``id_g``, ``id_p``, ``prt`` (or ``triplet``), and the two clothes losses."""
        settings, persons = self.settings, batch.persons
        features = self.backbone(batch.images)
        f_g = self.neck(self.pool(features))
        terms = {"id_g": cross_entropy(self.classifier(f_g), persons, settings.smoothing)}
        if self.stripes is not None:
            parts, whole = self.stripes(features)
            terms["id_p"] = settings.w_id_p * cross_entropy(self.classifier_p(whole), persons, settings.smoothing)
            if settings.part_loss == "prt":
                terms["prt"] = settings.w_part * part_triplet(parts, persons, settings.margin)  # eq. 4-5
            elif settings.part_loss == "triplet":
                terms["triplet"] = settings.w_part * part_triplet(parts, persons, settings.margin, "per_part")
        return terms | (self.clothes.losses(f_g, batch, step) if self.clothes else {})

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, compared by cosine: f_g^w of the screened stripes, or without them f_g."""
        features = self.backbone(batch.images)
        vectors = self.neck(self.pool(features)) if self.stripes is None else self.stripes(features)[1]
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))

    def inner_parameters(self) -> list[nn.Parameter]:
        """Return those of the clothes classifier."""
        return list(self.clothes.parameters()) if self.clothes else []


def _table(title: str, about: str, *rows: Row) -> Table:
    return Table(title, "Occ-PRCC, changed clothes", ("R-1", "mAP"), rows, about)


_FULL = (58.81, 56.52)
ABLATIONS = {
    "table2": _table(
        "Table II: components",
        "The caption says PRCC, the text Occ-PRCC, whose figures in Table I they are.",
        Row("0: baseline", {"t2mgs": False, "part_loss": "none", "global_pool": "maxavg"}, (45.34, 43.21)),
        Row("1: T2MGS", {"part_loss": "none"}, (54.73, 54.65)),
        Row("2: T2MGS + triplet", {"part_loss": "triplet"}, (52.12, 52.11)),
        Row("3: T2MGS + PRT", {}, _FULL),
    ),
    "lambda": _table(
        "Fig. 4: lambda",
        "Plotted without numbers; the best point is the last row of Table II.",
        *(
            Row(f"{value:g}", {"threshold": value}, _FULL if value == 0.35 else ())
            for value in (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
        ),
    ),
    "k": _table(
        "Fig. 4: number of stripes",
        "Plotted without numbers; the best point is the last row of Table II. Where k does not divide the map, "
        "stripes differ by a row.",
        *(Row(f"{value}", {"k": value}, _FULL if value == 6 else ()) for value in (2, 4, 6, 8, 10)),
    ),
    "repo": _table(
        "The text and the published code",
        "Which of the two gave the printed figures is not said.",
        Row("oc4: the text", {}, _FULL),
        Row(
            "oc4_repo: the code",
            {"shared_predictor": True, "threshold": 0.3, "w_id_p": 0.01, "w_part": 0.01},
            overrides=("schedule.milestones=[20,40]", "train.epochs=60"),
        ),
    ),
}
