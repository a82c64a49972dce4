"""OCNet: global, upper, lower and centre features, related to each other (Kim et al., ICASSP 2022).

The modules are shown in images only; what their text leaves open is a setting here, marked "free".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.errors import RecipeError
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.separation import separation
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Share, Step
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.converter import Converter
from unveil.nn.neck import bn_neck, linear_classifier
from unveil.nn.parts.centre_focus import CentreFocus, Region
from unveil.nn.parts.relational_adaptive import RelationalAdaptive, RelationNetwork
from unveil.nn.parts.stripes import stripe_bounds
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class OCNetSettings:
    """Settings of OCNet; the first four are the columns of its Table 2.

    Args:
        concat: build the final feature of global, stripe and (with ``cfm``) centre vectors. Without it the centre
            vector is the final feature, and without both nothing but the backbone's feature (the baseline) remains.
        cfm: the centre-focus module.
        gamma: weight of the separation loss; 0 switches it off.
        relation: how the vectors of the final feature meet: "ram" weights them, "rn" replaces them by their
            relations, "none" leaves them.
        center_w: columns of the map in the centre.
        n_parts: stripes.
        alpha: weight of the backbone's distance beside that of the final feature at test.
        region: whether the centre is "columns" of full height or a "square" (free).
        rescale: whether the mean weight in the centre is 1 (free).
        dim: length of a converted vector (free).
        cm_groups: groups of the converter's convolution (free).
        cm_kernel: size of the converter's convolution (free).
        cm_relu: whether the converter ends in a ReLU (free). With it no vector has a negative entry, no cosine is
            negative, and the separation loss cannot fall below ``n_parts``.
        w_final: weight of identity and triplet loss on the final feature.
        w_backbone: the same on the backbone's feature.
        w_global: the same on the global vector.
        w_center: the same on the centre vector.
        margin: of the triplets.
        smoothing: eps of the label smoothing.
    """

    concat: bool = True
    cfm: bool = True
    gamma: float = 1.0
    relation: Literal["none", "rn", "ram"] = "ram"
    center_w: int = 2
    n_parts: int = 2
    alpha: float = 1.0
    region: Region = "columns"
    rescale: bool = True
    dim: int = 512
    cm_groups: int = 4
    cm_kernel: int = 1
    cm_relu: bool = True
    w_final: float = 0.8
    w_backbone: float = 0.5
    w_global: float = 0.25
    w_center: float = 0.25
    margin: float = 0.3
    smoothing: Share = 0.1

    def __post_init__(self) -> None:
        if not self.concat and (self.relation != "none" or self.gamma):
            raise RecipeError(
                "method ocnet: without concat there are no vectors to relate or to separate: "
                "set relation=none and gamma=0 too"
            )


class OCNet(Method):
    """Two vectors a crop, the final and the backbone's; their distances are added."""

    Settings = OCNetSettings
    settings: OCNetSettings
    paper = (
        "Kim et al., Occluded Person Re-Identification via Relational Adaptive Feature Correction Learning, ICASSP 2022"
    )

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: OCNetSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        views = (["global", *self._stripes] if settings.concat else []) + (["centre"] if settings.cfm else [])
        self.converters = nn.ModuleDict(
            {
                view: Converter(
                    backbone.channels,
                    settings.dim,
                    groups=settings.cm_groups,
                    kernel=settings.cm_kernel,
                    relu=settings.cm_relu,
                )
                for view in views
            }
        )
        if settings.cfm:
            self.focus = CentreFocus(
                backbone.channels, settings.center_w, region=settings.region, rescale=settings.rescale
            )
        self.relate: nn.Module = nn.Identity()
        if settings.relation != "none":
            self.relate = {"ram": RelationalAdaptive, "rn": RelationNetwork}[settings.relation](settings.dim)
        # eq. 2-3: what each identity and triplet loss weighs; stripes have none of their own.
        self.weights = {"final": settings.w_final} if views else {}
        self.weights["backbone"] = settings.w_backbone
        if settings.concat:
            self.weights |= {"global": settings.w_global} | ({"centre": settings.w_center} if settings.cfm else {})
        lengths = {"final": len(views) * settings.dim, "backbone": backbone.channels}
        self.necks = nn.ModuleDict({name: bn_neck(lengths.get(name, settings.dim)) for name in self.weights})
        self.classifiers = nn.ModuleDict(
            {name: linear_classifier(lengths.get(name, settings.dim), space.persons) for name in self.weights}
        )

    @property
    def _stripes(self) -> list[str]:
        return [f"stripe{i + 1}" for i in range(self.settings.n_parts)]

    @property
    def test_settings(self) -> frozenset[str]:
        """The weight of the backbone's distance."""
        return frozenset({"alpha"})

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id`` and ``triplet``, weighted sums over features (eq. 2-3), and ``separation`` (eq. 1)."""
        settings, persons = self.settings, batch.persons
        vectors = self._vectors(batch)
        identity, triplet = [], []
        for name, weight in self.weights.items():
            logits = self.classifiers[name](self.necks[name](vectors[name]))
            identity.append(weight * cross_entropy(logits, persons, smoothing=settings.smoothing))
            triplet.append(weight * batch_hard_triplet(vectors[name], persons, margin=settings.margin))
        terms = {"id": torch.stack(identity).sum(), "triplet": torch.stack(triplet).sum()}
        if settings.gamma:
            stripes = torch.stack([vectors[name] for name in self._stripes], dim=1)
            terms["separation"] = settings.gamma * separation(vectors["global"], stripes)
        return terms

    def embed(self, batch: Batch) -> Embedding:
        """Return "final" and "backbone", behind their necks and of length 1, weighing 1 and alpha (eq. 4).

        The shorter one is filled up with zeros, which changes no distance.
        """
        vectors = self._vectors(batch)
        names = tuple(name for name in ("final", "backbone") if name in self.weights)
        rows = [F.normalize(self.necks[name](vectors[name]), dim=1) for name in names]
        longest = max(row.shape[1] for row in rows)
        stacked = torch.stack([F.pad(row, (0, longest - row.shape[1])) for row in rows], dim=1)
        weights = {"final": 1.0, "backbone": self.settings.alpha if len(names) == 2 else 1.0}
        return Embedding(
            stacked, torch.ones_like(stacked[:, :, 0]), names, "euclidean", tuple(weights[name] for name in names)
        )

    def _vectors(self, batch: Batch) -> dict[str, Tensor]:
        """Return the backbone's feature, the converted vectors, and the final feature."""
        features = self.backbone(batch.images)
        views = {"global": features}
        bounds = stripe_bounds(features.shape[2], self.settings.n_parts)
        views |= {n: features[:, :, top:bottom] for n, (top, bottom) in zip(self._stripes, bounds, strict=True)}
        if self.settings.cfm:
            views["centre"] = self.focus(features)
        vectors = {name: converter(views[name]) for name, converter in self.converters.items()}
        if vectors:
            vectors["final"] = self.relate(torch.stack(list(vectors.values()), dim=1)).flatten(1)
        return vectors | {"backbone": features.mean(dim=(2, 3))}
