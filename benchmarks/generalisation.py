"""What else might help the default network on people it has not seen: ways of training, each from ImageNet weights.

    python benchmarks/generalisation.py DATA --runs runs/ways [--ways recipe,mixed,normalised,taught,alike,all_alike]
        [--seeds 3] [--out benchmarks/results/generalisation.csv]

Each way trains the recipe ``dual`` at 192 x 96 on 250 people of one world, as ``benchmarks/people_curve.py`` does, and
is measured as there. ``recipe`` changes nothing. ``mixed`` mixes the statistics of maps of different crops (Zhou et
al., Domain Generalization with MixStyle, ICLR 2021, eq. 4-6). ``normalised`` has half of the channels normalised crop
by crop (Pan et al., Two at Once, ECCV 2018). Both act before the first stage that is trained, the second also before
the next. ``taught`` learns how alike a larger network finds the crops (Tung and Mori, Similarity-Preserving Knowledge
Distillation, ICCV 2019, eq. 1-4); the teacher, EfficientNet-Lite2, is trained first, likewise, and measured as
``teacher``. ``alike`` looks for hard negatives among all identities: half of the people of a batch look alike to the
network so far, in ``all_alike`` all of them (after Liao and Shao, Graph Sampling Based Deep Metric Learning, CVPR 2022,
section 3.2). A run that was stopped resumes; one that is in the CSV is not trained again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csv_rows import measured_on, read_rows, write_rows
from people_curve import run
from unveil.cli.allocator import keep_freed_memory
from unveil.methods import METHODS
from unveil.methods.dual import Dual, DualSettings
from unveil.methods.method import LabelSpace, Step
from unveil.models.checkpoint import load_model
from unveil.nn.backbones.backbone import Backbone
from unveil.records import Batch

PEOPLE, WORLD, EPOCHS = 250, 1000, 4
FIRST_TRAINED, NEXT = "blocks.4.0", "blocks.5.0"  # blocks that the trained stages begin with
MIXING = 0.1  # alpha of the beta distribution (MixStyle, section 3.2)
MIXED = 0.5  # share of the batches
TEACHING = 3000.0  # gamma of Tung and Mori, eq. 5
SMALL = 1e-6


class DualMixed(Dual):
    """The default network whose maps exchange their statistics in training."""

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: DualSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        backbone.get_submodule(FIRST_TRAINED).register_forward_pre_hook(lambda module, x: (self._mix(x[0]),))

    def _mix(self, x: Tensor) -> Tensor:
        if not self.training or torch.rand(()) >= MIXED:
            return x
        mean, std = x.mean((2, 3), keepdim=True), (x.var((2, 3), keepdim=True) + SMALL).sqrt()
        mean, std = mean.detach(), std.detach()
        share = torch.distributions.Beta(MIXING, MIXING).sample((len(x), 1, 1, 1)).to(x)
        other = torch.randperm(len(x))
        mixed = [share * own + (1 - share) * own[other] for own in (mean, std)]
        return (x - mean) / std * mixed[1] + mixed[0]


class HalfInstanceNorm(nn.Module):
    """Normalises the first half of the channels crop by crop; its gains begin at what the first batch has.

    So the pretrained layers behind it are given maps of the size that they know.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.gain = nn.Parameter(torch.ones(self.half))
        self.offset = nn.Parameter(torch.zeros(self.half))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` of the same shape ``(B, C, H, W)``."""
        first, rest = x[:, : self.half], x[:, self.half :]
        if self.training and not self.fitted:
            with torch.no_grad():
                self.gain.copy_(first.var((2, 3)).sqrt().mean(0))
                self.offset.copy_(first.mean((0, 2, 3)))
                self.get_buffer("fitted").fill_(True)
        normalised = F.instance_norm(first, eps=SMALL)
        return torch.cat([normalised * self.gain[:, None, None] + self.offset[:, None, None], rest], dim=1)


class DualNormalised(Dual):
    """The default network with instance normalisation before the two first stages that are trained."""

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: DualSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        channels = {stage.name: stage.channels for stage in backbone.stages}
        self.norms = nn.ModuleList(HalfInstanceNorm(channels[name]) for name in ("blocks.3", "blocks.4"))
        for address, norm in zip((FIRST_TRAINED, NEXT), self.norms, strict=True):
            backbone.get_submodule(address).register_forward_pre_hook(partial(through, norm))


def through(norm: nn.Module, module: nn.Module, x: tuple[Tensor]) -> tuple[Tensor]:
    """Put a norm before a module: a hook."""
    return (norm(x[0]),)


@dataclass(frozen=True)
class TaughtSettings(DualSettings):
    """Settings.

    Args:
        teacher: folder of its run.
    """

    teacher: str = ""


class DualTaught(Dual):
    """The default network that learns how alike another one finds the crops of a batch."""

    Settings = TaughtSettings
    settings: TaughtSettings

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: TaughtSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        self.teacher = [load_model(settings.teacher).method.eval()]  # in a list: no part of this model's weights
        self.necks["appearance"].register_forward_hook(lambda module, x, y: self._keep(y))
        self.kept: list[Tensor] = []

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return the losses of the recipe and ``likeness``."""
        self.kept.clear()
        terms = super().losses(batch, step)
        (found,) = self.kept
        assert batch.clothes is not None
        dressed = torch.nonzero(batch.clothes >= 0).flatten()  # recoloured crops have no appearance vector
        with torch.no_grad():
            expected = self.teacher[0].embed(Batch(batch.images[dressed], batch.persons[dressed])).vectors[:, 0]
        return terms | {"likeness": TEACHING * F.mse_loss(likeness(found), likeness(expected))}

    def _keep(self, vectors: Tensor) -> None:
        if self.training:
            self.kept.append(vectors)


def likeness(vectors: Tensor) -> Tensor:
    """Return ``(N, N)``, how alike vectors are, each row at length 1 (Tung and Mori, eq. 1-3)."""
    return F.normalize(vectors @ vectors.T, dim=1)


NAMES = {"dual_mixed": DualMixed, "dual_normalised": DualNormalised, "dual_taught": DualTaught}
METHODS.update({name: f"{__name__}:{kind.__name__}" for name, kind in NAMES.items()})
WAYS = {
    "recipe": (),
    "mixed": ("method.name=dual_mixed",),
    "normalised": ("method.name=dual_normalised",),
    "taught": ("method.name=dual_taught",),
    "alike": ("sampler.alike=0.5",),
    "all_alike": ("sampler.alike=1",),
}
LARGER = "efficientnet_lite2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--ways", default=",".join(WAYS), help="comma-separated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "generalisation.csv")
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    ways = args.ways.split(",")
    if unknown := sorted({*ways} - {*WAYS}):
        parser.error(f"unknown ways {', '.join(unknown)}; known: {', '.join(WAYS)}")
    teacher = args.runs / "teacher"
    if "taught" in ways:
        measure_once("teacher", 0, args, [f"backbone.name={LARGER}"])
    for seed in range(args.seeds):
        for way in ways:
            measure_once(way, seed, args, [*WAYS[way], *([f"method.teacher={teacher}"] if way == "taught" else [])])


def measure_once(way: str, seed: int, args: argparse.Namespace, changes: list[str]) -> None:
    """Train one way with one seed, and add its rows to the CSV, unless they are there."""
    rows = read_rows(args.out) if args.out.is_file() else []
    if any(row["way"] == way and int(row["seed"]) == seed for row in rows):
        return
    out = args.runs / ("teacher" if way == "teacher" else f"{way}-{seed}")
    found = run(args.data, out, people=PEOPLE, most=WORLD, epochs=EPOCHS, seed=seed, changes=changes)
    write_rows(
        args.out, [{"way": way, **row, **measured_on()} for row in found], key=("way", "seed", "data", "protocol")
    )


if __name__ == "__main__":
    main()
