"""SSGR: single-scale global representations for occluded people (Yan et al., ICCV 2021).

One pooled vector, no parts and no parsing: compound batch erasing, disentangled non-local blocks, reconstructive
pooling while training, the bounded exponential distance, two classifier heads, and the mean feature removed at test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.errors import RecipeError
from unveil.losses.bounded_exponential import BedReduce, bounded_exponential, saturated_share
from unveil.losses.circle import circle_softmax
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Share, Step
from unveil.nn.attention.disentangled_non_local import DisentangledNonLocal
from unveil.nn.attention.late_blocks import LateBlocks, Placement
from unveil.nn.attention.non_local import NonLocal
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.causal_heads import CausalHeads
from unveil.nn.compound_erasing import compound_erase, erase_boxes
from unveil.nn.neck import CosineClassifier, bn_neck
from unveil.nn.parts.mean_feature import MeanFeature
from unveil.nn.parts.reconstructive_pooling import ReconstructivePooling
from unveil.nn.pooling import PoolingName, build_pooling
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class SSGRSettings:
    """Settings of SSGR; the first five are the columns of its Table 5. "Free" marks what the paper leaves open.

    Args:
        cbe: compound batch erasing, which doubles the batch (the sampler's size counts before: free). Without it
            random boxes alone are erased. Either way the method erases, so the recipe sets ``augment.erase: none``.
        bed: bounded exponential distance loss; without it the baseline's soft-margin triplet behind the neck.
        dnl: disentangled non-local blocks; without them the baseline's non-local ones.
        rp: reconstructive pooling, a second branch while training.
        me: subtract the running mean of the pooled vector at test.
        placement: after which blocks the non-local ones stand, two in the second and three in the third stage (fewer
            where a stage has fewer blocks): "alternate" ones (the paper follows Wang et al., CVPR 2018), or the "last"
            (the baseline).
        test_feature: the vector to compare: the "pooled" one, on which the losses of the paper work and from which
            ``me`` subtracts, or that behind the "neck", which the baseline compares.
        heads: heads of the causal classifier; 1 is the baseline's circle softmax.
        heads_mode: sum the heads' cross-entropies (the paper), or their logits (the classifier's own paper).
        id_on_rpf: whether the reconstructed feature gets an identity loss too (the figure's caption says so).
        alpha: bound of the bounded exponential distance.
        beta: share of the old mean in the running mean.
        betas: further shares whose running means are kept too, so that one training serves to compare them.
        bed_reduce: "balanced" means positives and negatives apart, "all" together (free).
        bed_normalize: whether distances are between vectors of length 1 (free).
        qk_ratio: channels by the width of queries and keys.
        dnl_gamma: whether a learnt scalar, 0 at first, multiplies the pairwise term (the block's own paper).
        nl_inter: width of the baseline's non-local bottleneck.
        box_p: probability of a random box in an image.
        box_area: smallest and largest share of an image that the box takes: those of the cited random erasing;
            FastReID's are 0.02 and 0.33.
        stripe_p: probability of the common stripe in its half of the batch (free).
        erase_fill: value of erased pixels after normalisation (free).
        pool: how the map becomes a vector.
        tau: scale of the causal heads.
        gamma: damping of the causal heads.
        circle_scale: scale of the circle softmax.
        circle_margin: margin of the circle softmax.
        margin: of the triplet loss; 0 means the soft margin.
        smoothing: eps of the label smoothing, spread over the other classes.
    """

    cbe: bool = True
    bed: bool = True
    dnl: bool = True
    rp: bool = True
    me: bool = True
    placement: Placement = "alternate"
    test_feature: Literal["pooled", "neck"] = "pooled"
    heads: int = 2
    heads_mode: Literal["sum_ce", "sum_logits"] = "sum_ce"
    id_on_rpf: bool = True
    alpha: float = 0.3
    beta: float = 0.9
    betas: tuple[float, ...] = ()
    bed_reduce: BedReduce = "balanced"
    bed_normalize: bool = True
    qk_ratio: int = 1
    dnl_gamma: bool = True
    nl_inter: int = 1
    box_p: Share = 0.5
    box_area: tuple[float, float] = (0.02, 0.4)
    stripe_p: Share = 1.0
    erase_fill: float = 0.0
    pool: PoolingName = "gem"
    tau: float = 16.0
    gamma: float = 1 / 32
    circle_scale: float = 64.0
    circle_margin: float = 0.35
    margin: float = 0.0
    smoothing: Share = 0.1

    def __post_init__(self) -> None:
        if self.me and self.test_feature == "neck":
            raise RecipeError(
                "method ssgr: me subtracts a mean from the pooled vector (behind the neck it is about 0): set "
                "test_feature=pooled, or me=false"
            )
        low, high = self.box_area
        if not 0 < low <= high < 1:
            raise RecipeError(f"method ssgr: box_area: expected 0 < smallest <= largest < 1, found {low}, {high}")
        for beta in (self.beta, *self.betas):
            if not 0 <= beta < 1:
                raise RecipeError(f"method ssgr: beta: expected shares of at least 0 and below 1, found {beta}")


class SSGR(Method):
    """The baseline SBS with five changes, each of them a switch."""

    Settings = SSGRSettings
    settings: SSGRSettings
    paper = "Yan et al., Occluded Person Re-Identification with Single-Scale Global Representations, ICCV 2021"

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: SSGRSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        self.attention = LateBlocks(backbone.stages, self._attention_block, placement=settings.placement)
        self.pool = build_pooling(settings.pool, backbone.channels)
        channels = self.pool.out_channels
        self.branch = _Branch(channels, space.persons, settings=settings)
        self.mean = MeanFeature(
            channels, settings.beta, betas=settings.betas
        )  # kept without ``me`` too: it costs nothing
        self.reconstruct = ReconstructivePooling(backbone.channels) if settings.rp else None
        if settings.rp:
            self.rpf_branch = _Branch(backbone.channels, space.persons, settings=settings, identity=settings.id_on_rpf)
        self.register_buffer("saturated", torch.zeros(()), persistent=False)  # share of BED pairs without a gradient

    @property
    def test_settings(self) -> frozenset[str]:
        """Whether and which mean is subtracted, and from which vector."""
        kept = {"beta"} if self.settings.beta in self.settings.betas else set()
        return frozenset({"me", "test_feature", *kept})

    def erase(self, batch: Batch) -> Batch:
        """Return the crops twice by compound erasing, or once with random boxes erased."""
        settings = self.settings
        # Its own generator, seeded from torch's, so that the seed of the run holds on every kind of device.
        generator = torch.Generator(batch.images.device).manual_seed(int(torch.randint(2**31, ())))
        if not settings.cbe:
            return erase_boxes(batch, generator, p=settings.box_p, fill=settings.erase_fill, area=settings.box_area)
        return compound_erase(
            batch,
            generator,
            box_p=settings.box_p,
            stripe_p=settings.stripe_p,
            fill=settings.erase_fill,
            box_area=settings.box_area,
        )

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id_gf`` and ``bed_gf`` (or ``triplet_gf``), and the same for ``rpf``; eq. 5."""
        settings, persons = self.settings, batch.persons
        features = self.backbone(batch.images, self.attention.hooks())
        gf = self.pool(features)
        terms = {f"{name}_gf": term for name, term in self.branch.losses(gf, persons).items()}
        if self.reconstruct is not None:
            rpf = self.reconstruct(features)  # eq. 2
            terms |= {f"{name}_rpf": term for name, term in self.rpf_branch.losses(rpf, persons).items()}
        if self.training:
            self.mean.update(gf)  # eq. 6
        if settings.bed:
            self.saturated = saturated_share(gf, settings.alpha, normalize=settings.bed_normalize)
        return terms

    def diagnostics(self) -> dict[str, Tensor]:
        """Return the share of pairs that the bounded exponential distance gives hardly a gradient."""
        return {"saturated": self.saturated} if self.settings.bed else {}

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, compared by cosine: with euclidean distances the mean would cancel."""
        gf = self.pool(self.backbone(batch.images, self.attention.hooks()))
        if self.settings.me:
            vectors = self.mean(gf)
        else:
            vectors = self.branch.neck(gf) if self.settings.test_feature == "neck" else gf
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))

    def frozen_modules(self) -> list[nn.Module]:
        """Return backbone and non-local blocks, which in FastReID are part of it."""
        return [self.backbone, self.attention]

    def no_weight_decay(self) -> list[nn.Parameter]:
        """Return queries and keys of the disentangled blocks."""
        blocks = (block for block in self.attention.blocks if isinstance(block, DisentangledNonLocal))
        return [parameter for block in blocks for parameter in block.no_weight_decay()]

    def _attention_block(self, channels: int) -> nn.Module:
        if self.settings.dnl:
            return DisentangledNonLocal(channels, self.settings.qk_ratio, gamma=self.settings.dnl_gamma)
        return NonLocal(channels, self.settings.nl_inter)


class _Branch(nn.Module):
    """Neck, classifier and losses of one pooled vector."""

    def __init__(self, channels: int, persons: int, *, settings: SSGRSettings, identity: bool = True) -> None:
        super().__init__()
        self.settings, self.identity = settings, identity
        self.neck = bn_neck(channels) if identity or not settings.bed else nn.Identity()
        if identity and settings.heads == 1:
            self.classifier: nn.Module = CosineClassifier(channels, persons, std=0.01)
        elif identity:
            self.classifier = CausalHeads(
                channels, persons, heads=settings.heads, tau=settings.tau, gamma=settings.gamma
            )

    def losses(self, features: Tensor, persons: Tensor) -> dict[str, Tensor]:
        settings = self.settings
        behind = self.neck(features)
        terms = {"id": self._identity_loss(behind, persons)} if self.identity else {}
        if settings.bed:
            terms["bed"] = bounded_exponential(
                features, persons, alpha=settings.alpha, reduce=settings.bed_reduce, normalize=settings.bed_normalize
            )
        else:
            terms["triplet"] = batch_hard_triplet(behind, persons, margin=settings.margin)
        return terms

    def _identity_loss(self, behind: Tensor, persons: Tensor) -> Tensor:
        settings = self.settings
        logits = self.classifier(behind)
        if settings.heads == 1:
            logits = circle_softmax(
                logits, persons, scale=settings.circle_scale, margin=settings.circle_margin
            ).unsqueeze(0)
        elif settings.heads_mode == "sum_logits":
            logits = logits.sum(dim=0, keepdim=True)
        # eq. 5: L_c, the sum over heads
        return torch.stack(
            [cross_entropy(head, persons, smoothing=settings.smoothing, spread="others") for head in logits]
        ).sum()
