"""One network, two questions: the same clothes, or clothes that may have changed; for people who are partly occluded.

An appearance vector tells outfits apart, an identity vector is the same across them, and six part vectors with their
visibility come from the same map. The colours that a person shows from head to foot may be a further vector. What it
takes from the five methods: part attention and visibility (PAB-ReID, eq. 1-4 and 10-11), recoloured and erased clothes
with the triplet across clothes (CRE, eq. 1 and 7). Ours: the outfit, not the person, is the class of the appearance
vector, the head is pooled apart for the identity vector, and the colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.errors import DataError, RecipeError
from unveil.label_sets import PAB6, WORN14
from unveil.losses.cross_clothes_triplet import cross_clothes_triplet
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_attention import labels_on_map, part_attention_loss
from unveil.losses.part_triplet import part_triplet
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Requirements, Share, Step
from unveil.nn.attention.pixel_attention import PixelAttention
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.clothes_erasure import recolour
from unveil.nn.colour_histogram import COLOURS, colour_histograms
from unveil.nn.neck import bn_neck, linear_classifier
from unveil.nn.parts.part_pooling import pool_parts
from unveil.nn.projections.discriminants import discriminants
from unveil.recipe import InputSettings
from unveil.records import Batch, Embedding

PARTS = PAB6.labels[1:]
MAPS = len(PAB6.labels)
HEAD = PARTS.index("head")
LENGTH = 4.0  # of normalised vectors in the soft-margin triplet, whose gap would else be at most 2
MAP_STRIDE = 16  # of the map that parts are told on
COLOUR = "colours"
VECTOR_SHRINKAGE = 0.8  # of appearance and identity, which training told apart already
COLOUR_SHRINKAGE = 0.3
MIN_DRESSED = 2  # crops in their own clothes, of which the norm behind the appearance vectors takes its statistics


@dataclass(frozen=True)
class DualSettings:
    """Settings.

    Args:
        identity_dim: length of the identity vector.
        part_dim: length of a part vector.
        hidden: width of the part predictor.
        recoloured: share of the training crops whose clothes get random colours; they train the identity vector and
            the part maps alone.
        mu: a part is visible where its map exceeds this in some cell (PAB-ReID, eq. 5).
        gamma: weight of the part attention loss.
        identity_weight: weight of the losses of the identity vector, beside 1 for those of the appearance vector.
        part_weight: weight of the losses of the part vectors.
        part_share: weight of the six parts together in a distance, beside 1 for the appearance vector.
        identity_share: weight of the identity vector in a distance when nothing is said about clothes.
        compact_dim: length that appearance and identity are projected to for a test, by what `fit_projections` found
            after training; 0 leaves them. Galleries keep all vectors of a crop at the longest length.
        colour_dim: length of a further vector, ``colours``, by what `fit_projections` found as well; 0: there is none.
        colour_share: weight of the colours in a distance.
        margin: of the triplets of identity and parts.
        smoothing: eps of the label smoothing.
    """

    identity_dim: int = 512
    part_dim: int = 128
    hidden: int = 64
    recoloured: Share = 0.3
    mu: float = 0.4
    gamma: float = 0.35
    identity_weight: float = 0.5
    part_weight: float = 0.5
    part_share: float = 0.5
    identity_share: float = 0.25
    compact_dim: int = 0
    colour_dim: int = 0
    colour_share: float = 0.5
    margin: float = 0.3
    smoothing: Share = 0.1


class Dual(Method):
    """Appearance, identity and part vectors of one map."""

    Settings = DualSettings
    settings: DualSettings
    paper = "none: components of PAB-ReID and CRE with an appearance and an identity vector (docs/methods.md)"
    flip_test = True

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: DualSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        channels = backbone.channels
        stages = [stage for stage in backbone.stages if stage.stride == MAP_STRIDE]
        if not stages:
            raise DataError(f"dual needs a stage at 1/{MAP_STRIDE} of the image; the backbone has none")
        # Parts are told on the finest of the deep maps, so that arms are more than a cell wide.
        self.part_stage = stages[-1].name
        self.predictor = PixelAttention(stages[-1].channels, MAPS, hidden=settings.hidden, relu_before_softmax=False)
        self.identity = nn.Linear(2 * channels, settings.identity_dim, bias=False)
        self.part = nn.Linear(channels, settings.part_dim, bias=False)
        self.necks = nn.ModuleDict(
            {
                "appearance": bn_neck(channels),
                "identity": bn_neck(settings.identity_dim),
                "parts": bn_neck(len(PARTS) * settings.part_dim),
            }
        )
        if settings.compact_dim:
            for name, length in (("appearance", channels), ("identity", settings.identity_dim)):
                self.register_buffer(f"{name}_mean", torch.zeros(length))
                self.register_buffer(f"{name}_projection", torch.eye(settings.compact_dim, length))
        if settings.colour_dim:
            self.register_buffer(f"{COLOUR}_mean", torch.zeros(COLOURS))
            self.register_buffer(f"{COLOUR}_projection", torch.eye(settings.colour_dim, COLOURS))
            self.register_buffer("input_mean", torch.full((3,), 0.5))
            self.register_buffer("input_std", torch.full((3,), 0.5))
        classes = space.clothes or space.persons
        self.classifiers = nn.ModuleDict(
            {
                "appearance": linear_classifier(channels, classes),
                "identity": linear_classifier(settings.identity_dim, space.persons),
                "parts": linear_classifier(len(PARTS) * settings.part_dim, classes),
            }
        )

    @property
    def requirements(self) -> Requirements:
        """Maps and outfits to train, nothing to test."""
        return Requirements(train_parsing=WORN14.name, train_clothes=True)

    def expand_batch(self, batch: Batch) -> Batch:
        """Recolour the clothes of some crops, whose outfit is then unknown (-1); at least two keep their clothes."""
        if batch.clothes is None or batch.parsing is None:
            raise DataError("dual trains on outfits and worn14 parsing maps, but the batch lacks them")
        chosen = torch.rand(len(batch)) < self.settings.recoloured
        if int((~chosen).sum()) < MIN_DRESSED:
            chosen[:MIN_DRESSED] = False
        rows = torch.nonzero(chosen).flatten().to(batch.images.device)
        if not len(rows):
            return batch.replace(erased=None)
        worn = batch.parsing[rows]
        images = batch.images.clone()
        images[rows] = recolour(batch.images[rows], torch.where(worn >= MAPS, worn - MAPS + 1, 0))
        clothes = batch.clothes.index_fill(0, rows, -1)
        return batch.replace(images=images, clothes=clothes, erased=None)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the losses of the three kinds of vectors and ``part_attention``."""
        settings = self.settings
        if batch.clothes is None or batch.parsing is None:
            raise DataError("dual trains on outfits and worn14 parsing maps, but the batch lacks them")
        views, log_maps = self._views(batch.images)
        dressed = torch.nonzero(batch.clothes >= 0).flatten()
        outfits = batch.clothes[dressed]
        pooled, parts = views["pooled"][dressed], views["parts"][dressed]
        appearance = self.necks["appearance"](pooled)
        identity = self.necks["identity"](views["identity"])
        behind = self.necks["parts"](parts.flatten(1))
        terms = {
            "id_appearance": self._classify("appearance", appearance, labels=outfits),
            "triplet": batch_hard_triplet(LENGTH * F.normalize(pooled, dim=1), outfits, margin=0.0),
            "id_identity": settings.identity_weight * self._classify("identity", identity, labels=batch.persons),
            "cross_clothes": settings.identity_weight
            * cross_clothes_triplet(
                identity,
                batch.persons,
                clothes=batch.clothes,
                margin=settings.margin,
                without_pairs="batch_hard",
            ),
            "id_parts": settings.part_weight * self._classify("parts", behind, labels=outfits),
            "part_triplet": settings.part_weight
            * part_triplet(
                behind.view_as(parts),
                outfits,
                margin=settings.margin,
                visibility=views["visible"][dressed].detach(),
                distance="cosine",
            ),
        }
        labels = labels_on_map(batch.parsing % MAPS, MAPS, size=(log_maps.shape[2], log_maps.shape[3]))
        return terms | {"part_attention": settings.gamma * part_attention_loss(log_maps, labels)}

    def check_training(self) -> None:
        """Refuse projections, which are found on vectors of a trained model; without that they say nothing."""
        for name in ("compact_dim", "colour_dim"):
            if found := getattr(self.settings, name):
                raise RecipeError(
                    f"method dual: {name}={found} in a training: scripts/ship_weights.py finds projections after it; "
                    f"train with {name}=0"
                )

    def embed(self, batch: Batch) -> Embedding:
        """Return ``appearance``, ``identity``, ``colours`` if there are any, and the six parts.

        They are compared by cosine; shorter ones are padded with 0.
        """
        settings = self.settings
        seen, log_maps = self._views(batch.images)
        parts = self.necks["parts"](seen["parts"].flatten(1)).view_as(seen["parts"])
        views = {
            "appearance": self._compact("appearance", self.necks["appearance"](seen["pooled"])),
            "identity": self._compact("identity", self.necks["identity"](seen["identity"])),
            **({COLOUR: self._colours(batch.images, log_maps)} if settings.colour_dim else {}),
            **dict(zip(PARTS, parts.unbind(1), strict=True)),
        }
        longest = max(view.shape[1] for view in views.values())
        vectors = torch.stack([F.pad(F.normalize(v, dim=1), (0, longest - v.shape[1])) for v in views.values()], dim=1)
        visible = seen["visible"]
        visible = torch.cat([visible.new_ones(visible.shape[0], len(views) - len(PARTS)), visible], dim=1)
        colours = (settings.colour_share,) if settings.colour_dim else ()
        weights = (1.0, settings.identity_share, *colours, *([settings.part_share / len(PARTS)] * len(PARTS)))
        return Embedding(vectors, visible, tuple(views), "cosine", weights)

    @property
    def test_settings(self) -> frozenset[str]:
        """What counts as visible, and how much each vector counts in a distance."""
        return frozenset({"mu", "part_share", "identity_share", "colour_share"})

    def tell_input(self, size: InputSettings) -> None:
        """Say how images are normalised, which colours depend on; half and half unless told otherwise."""
        if self.settings.colour_dim:
            self.get_buffer("input_mean").copy_(torch.tensor(size.mean))
            self.get_buffer("input_std").copy_(torch.tensor(size.std))

    @torch.no_grad()
    def fit_projections(self, vectors: Mapping[str, Tensor], *, persons: Tensor, outfits: Tensor) -> None:
        """Set the projections to what tells outfits apart (appearance, colours), and people (identity).

        Args:
            vectors: ``(N, C)`` by name, on the CPU, of some thousand crops of people whom it did not learn, as cameras
                of many kinds see them; from the same weights without projections: ``compact_dim`` 0, ``colour_dim``
                `COLOURS`.
            persons: ``(N,)`` codes from 0 on.
            outfits: likewise.

        Raises:
            ValueError: there are more directions than values, or no two crops of a class.
        """
        compact, colours = self.settings.compact_dim, self.settings.colour_dim
        for name, count, classes, shrinkage in (
            ("appearance", compact, outfits, VECTOR_SHRINKAGE),
            ("identity", compact, persons, VECTOR_SHRINKAGE),
            (COLOUR, colours, outfits, COLOUR_SHRINKAGE),
        ):
            if count:
                mean, directions = (self.get_buffer(f"{name}_{what}") for what in ("mean", "projection"))
                found = discriminants(vectors[name][:, : len(mean)], classes, count=count, shrinkage=shrinkage)
                mean.copy_(found[0])
                directions.copy_(found[1])

    def _colours(self, images: Tensor, log_maps: Tensor) -> Tensor:
        mean, std = (self.get_buffer(name) for name in ("input_mean", "input_std"))
        # Detached: the root of an empty bin has no gradient, and colours are not what maps are trained by.
        person = 1 - log_maps[:, :1].detach().exp()
        histograms = colour_histograms(images.detach(), person, mean=mean, std=std)
        return self._project(COLOUR, histograms)

    def _compact(self, name: str, vectors: Tensor) -> Tensor:
        return self._project(name, F.normalize(vectors, dim=1)) if self.settings.compact_dim else vectors

    def _project(self, name: str, vectors: Tensor) -> Tensor:
        return F.linear(vectors - self.get_buffer(f"{name}_mean"), self.get_buffer(f"{name}_projection"))

    def _views(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the vectors before their necks with the visibility of parts, and the logarithms of the part maps."""
        kept: dict[str, Tensor] = {}

        def keep(x: Tensor) -> Tensor:
            kept["map"] = x
            return x

        features = self.backbone(images, {self.part_stage: keep})
        log_maps = self.predictor(kept["map"])
        maps = log_maps.exp()
        masks = F.interpolate(maps[:, 1:], features.shape[2:], mode="area")
        pooled = pool_parts(features.unsqueeze(1), masks)
        whole = features.mean((2, 3)) + features.amax((2, 3))
        identity = self.identity(torch.cat([features.mean((2, 3)), pooled[:, HEAD]], dim=1))
        visible = (maps[:, 1:].amax((2, 3)) > self.settings.mu).to(pooled.dtype)
        return {"pooled": whole, "identity": identity, "parts": self.part(pooled), "visible": visible}, log_maps

    def _classify(self, name: str, vectors: Tensor, *, labels: Tensor) -> Tensor:
        return cross_entropy(self.classifiers[name](vectors), labels, smoothing=self.settings.smoothing)
