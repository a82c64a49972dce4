"""Train the project's own parser on the people of a world, from ImageNet weights, and write what is shipped.

    python scripts/train_parser.py --run runs/parser --out src/unveil/parsing/pack

Data are rendered masks alone. A run that was stopped resumes where it stopped; the same seed gives the same run.
`benchmarks/parser_accuracy.py` measures the outcome.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import hashlib
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from run_state import averaged_weights, restore, save, state_file, update
from torch import Tensor
from torch.nn import functional as F

from unveil.atomic_io import write_text
from unveil.data.augment.sensor import sensor
from unveil.data.images import read_labels, read_sample
from unveil.datasets import load_dataset
from unveil.errors import UnveilError
from unveil.export.parser import export_parser
from unveil.models.device import has_bf16
from unveil.models.starts import get_start
from unveil.nn.parsing_network import ParsingNet
from unveil.nn.share_calibration import calibrate_shares, fit_shares, shares_told
from unveil.parsing.training.disturb import Codes, Crop, Disturber
from unveil.parsing.training.facing import left_from_right
from unveil.progress import show_progress, track
from unveil.recipe import DataSource
from unveil.records import Dataset, Sample
from unveil.world import labels as world
from unveil.world.shares import SHARES, pab_shares, world_shares

SIZE = (256, 128)
EMA, CLIP, DECAY = 0.995, 5.0, 0.02
BACKBONE = 0.3  # of the learning rate
SENSOR = 0.6  # how poor the cameras are
SEEN = 0.003  # share of a crop's pixels from which a class is on it
WANTED, MOST = 0.15, 2.5  # share of crops that a class should be on, and how often a crop is taken at most
SURE = 0.0025  # from which on the sides tell which way a person faces
ABOUT = (
    "unveil's own parser, trained by scripts/train_parser.py on rendered people alone from the ImageNet weights of "
    "EfficientNet-Lite0 (Apache-2.0)."
)
INTENDED_USE = (
    "Telling body parts and clothes on crops of one person, and which parts are hidden, for comparing people part "
    "by part."
)
LIMITS = (
    "It saw rendered people only; what it misses, on rendered and on real crops, stands in docs/parsing.md. "
    "Whether it errs more for some groups of people than for others has not been measured."
)
CALIBRATED_ON = 1500  # crops, at most
LOG_EVERY, SAVE_EVERY = 50, 50
SETTLE = 0.4  # share of the steps, the last ones, in which the rate falls
MIRRORED_PARTS = tuple(
    world.PARTS.index({"left": "right", "right": "left"}.get(side, side) + dash + rest)
    for side, dash, rest in (part.partition("-") for part in world.PARTS)
)


@dataclass(frozen=True)
class Settings:
    """What a run is; a stopped run resumes only with the same settings, but may be given other numbers of steps."""

    data: str
    steps: int = field(repr=False)
    small_steps: int = field(repr=False)
    batch: int
    rate: float
    seed: int
    start: str = "ImageNet weights"


def codes() -> Codes:
    """Say what the world's labels mean."""
    values = np.arange(256)
    last = world.FIRST + len(world.CLASSES) * len(world.PARTS)
    part = np.where(values < last, world.part_of(values), -1)
    mirrored = np.where(part >= 0, values - part + np.array(MIRRORED_PARTS)[part], values)
    return Codes(part, mirrored.astype(np.uint8), world.OCCLUDER, world.OTHER_PERSON)


def read_crop(sample: Sample) -> Crop:
    """Read a crop of a world with its labels and visible shares."""
    assert sample.parsing is not None
    return Crop(read_sample(sample), read_labels(sample.parsing), world_shares(sample.extra))


def class_shares(crops: list[Crop], plain: int) -> np.ndarray:
    """Return the share of each crop's pixels that each class has, ``(N, C)``."""
    count = plain + len(world.CLASSES)
    found = [np.bincount(class_numbers(crop.labels, plain).ravel(), minlength=count) for crop in crops]
    return np.stack(found) / np.array([crop.labels.size for crop in crops])[:, None]


def class_weights(shares: np.ndarray) -> Tensor:
    """Weigh rare classes up, mildly."""
    return torch.from_numpy(((0.02 / np.maximum(shares.mean(0), 1e-7)) ** 0.25).clip(0.6, 2.5)).float()


def repeats(shares: np.ndarray) -> np.ndarray:
    """Return how often each crop is taken in an epoch: more often those with a class that is on few crops."""
    there = shares > SEEN
    often = np.sqrt(WANTED / np.maximum(there.mean(0), 1e-7)).clip(1, MOST)
    return np.where(there, often, 1.0).max(1)


def class_numbers(labels: np.ndarray, plain: int) -> np.ndarray:
    """Return the network's class of each world label."""
    return np.where(labels < plain, labels, world.class_of(labels) + plain)


@dataclass(frozen=True)
class Data:
    """Crops, how often each is taken, and the weights of the classes."""

    crops: list[Crop]
    often: np.ndarray
    weights: Tensor

    @classmethod
    def of(cls, crops: list[Crop], plain: int) -> Data:
        """Count what is on the crops."""
        shares = class_shares(crops, plain)
        return cls(crops, repeats(shares), class_weights(shares))


def batch_at(step: int, data: Data, disturber: Disturber, settings: Settings) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Return images ``(B, 3, H, W)`` in [-1, 1], labels and shares of a step; they depend on seed and step alone."""
    rng = np.random.default_rng([settings.seed, 1, step])
    chosen = rng.choice(len(data.crops), settings.batch, p=data.often / data.often.sum())
    done = []
    for k, i in enumerate(chosen):
        rng = np.random.default_rng([settings.seed, 2, step, k])
        done.append(disturber(data.crops[i], data.crops[int(rng.integers(len(data.crops)))], rng))
    images, labels, shares = (np.stack([getattr(c, name) for c in done]) for name in ("image", "labels", "shares"))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    return sensor(pixels, SENSOR, generator=generator).mul_(2).sub_(1), labels, shares


def losses(
    network: ParsingNet, batch: tuple[Tensor, np.ndarray, np.ndarray], weights: Tensor, plain: int, step: int
) -> dict[str, Tensor]:
    """Return the named losses of a batch."""
    images, labels, shares = batch
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16(torch.device("cpu"))):
        kinds, parts, visible, facing = network(images.to(memory_format=torch.channels_last))
    # The scores have half of the size; which of four pixels teaches a score changes from step to step.
    at_half = labels[:, step % 2 :: 2, step // 2 % 2 :: 2]
    part = torch.from_numpy(world.part_of(at_half))
    truth = torch.from_numpy(pab_shares(shares))
    known = torch.isfinite(truth)
    kind = torch.from_numpy(class_numbers(at_half, plain))
    across = torch.from_numpy(left_from_right(world.part_of(labels), world.SIDES))
    sure = across.abs().clamp(max=SURE) / SURE
    turned = F.binary_cross_entropy_with_logits(facing.float(), (across > 0).float(), reduction="none")
    return {
        "classes": F.cross_entropy(kinds.float(), kind, weights),
        "parts": F.cross_entropy(parts.float(), part, ignore_index=-1),
        "shares": 0.5 * F.binary_cross_entropy_with_logits(visible.float()[known], truth[known].clamp(0, 1)),
        "facing": 0.5 * (turned * sure).sum() / sure.sum().clamp(min=1),
    }


def train(
    data: Data, settings: Settings, run: Path, end: int, begin_with: Path | None = None
) -> tuple[ParsingNet, dict[str, float]]:
    """Train, or resume, until the step ``end``; return the averaged network and the mean losses of the last steps.

    Args:
        data: the crops.
        settings: what the run is.
        run: folder of its state.
        end: step to stop before.
        begin_with: folder of another run whose averaged weights this one begins with.
    """
    torch.manual_seed(settings.seed)
    plain, meaning = world.FIRST, codes()
    start_file = get_start("efficientnet_lite0")
    network = ParsingNet(plain + len(world.CLASSES), world.SIDES, shares=len(SHARES), start=start_file)
    if begin_with:
        network.load_state_dict(averaged_weights(begin_with))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    groups = [
        {"params": [p for p in network.encoder.parameters() if p.requires_grad], "share": BACKBONE},
        {"params": [p for n, p in network.named_parameters() if not n.startswith("encoder.")], "share": 1.0},
    ]
    optimiser = torch.optim.AdamW(groups, settings.rate, weight_decay=DECAY, fused=True)
    large = Disturber(meaning, MIRRORED_PARTS, SIZE)
    small = Disturber(meaning, MIRRORED_PARTS, (SIZE[0] // 2, SIZE[1] // 2))
    start = restore(run, settings, network, average, optimiser)
    seen: dict[str, list[float]] = {}
    last: dict[str, float] = {}
    began = time.monotonic()
    network.train()
    for step in track(range(start, end), "training"):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, settings) * group["share"]
        batch = batch_at(step, data, small if step < settings.small_steps else large, settings)
        terms = losses(network, batch, data.weights, plain, step)
        total = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(total):
            raise UnveilError(f"step {step}: the loss is not finite; begin again with a lower --rate")
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        update(average, network, min(EMA, (step + 1) / (step + 10)))
        for name, term in terms.items():
            seen.setdefault(name, []).append(float(term.detach()))
        if (step + 1) % LOG_EVERY == 0 or step + 1 == end:
            last = {name: round(float(np.mean(values)), 4) for name, values in seen.items()}
            shown = "  ".join(f"{name} {value:.3f}" for name, value in last.items())
            print(f"step {step + 1}/{settings.steps}  {shown}  {time.monotonic() - began:.0f} s", file=sys.stderr)
            seen = {}
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == end:
            save(run, settings, step + 1, network, average, optimiser)
    return average.eval(), last


def rate_at(step: int, settings: Settings) -> float:
    """Return the learning rate: a short climb, a plain, and a fall to nearly nothing over the last steps."""
    warm = min(200, settings.steps // 10 + 1)
    left = (settings.steps - step) / max(1.0, SETTLE * settings.steps)
    return settings.rate * min((step + 1) / warm, 1.0, max(left, 0.002))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="world:default", help="a world, rendered on first use, or world:FOLDER")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run's state")
    parser.add_argument("--out", type=Path, help="folder for model and card; the run's by default")
    parser.add_argument("--begin-with", type=Path, metavar="RUN", help="begin with the weights of another run")
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--small-steps", type=int, default=2000, help="so many first steps on crops of half the size")
    parser.add_argument("--stop-after", type=int, help="stop after this step; a later run resumes")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, help="only about so many crops, spread evenly")
    parser.add_argument("--json", type=Path, help="file for the results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    show_progress()
    data = with_world_labels(args.data)
    settings = Settings(
        data.hash, args.steps, args.small_steps, args.batch, args.rate, args.seed, start_of(args.begin_with)
    )
    samples = data.train[:: -(-len(data.train) // args.limit)] if args.limit else data.train
    crops = [read_crop(sample) for sample in track(samples, "reading")]
    end = min(settings.steps, args.stop_after or settings.steps)
    network, last = train(Data.of(crops, world.FIRST), settings, args.run, end, args.begin_with)
    if end < settings.steps:
        print(f"stopped after {end} of {settings.steps} steps; the same command without --stop-after resumes")
        return
    some = crops[:: -(-len(crops) // CALIBRATED_ON)]
    told = shares_told(network, [crop.image for crop in some], size=SIZE)
    scale, offset = fit_shares(told, pab_shares(np.stack([crop.shares for crop in some])))
    calibrate_shares(network, scale, offset=offset)
    tables = {name: world.table(name).tolist() for name in world.SCHEMES if name != "world"}
    words = {
        "about": f"{ABOUT} {settings.steps} steps of {settings.batch} crops, seed {settings.seed}, data {data.hash}; "
        f"begun with {settings.start}.",
        "intended_use": INTENDED_USE, "limits": LIMITS,
    }  # fmt: skip
    card = export_parser(
        network, args.out or args.run, plain=world.FIRST, size=SIZE, tables=tables, shares=SHARES, words=words
    )
    text = json.dumps(
        {"card": str(card), "crops": len(crops), **dataclasses.asdict(settings), "losses": last}, indent=1
    )
    if args.json:
        write_text(args.json, text + "\n")
    print(text)


def start_of(run: Path | None) -> str:
    """Say what a run begins with: ImageNet weights, or the run whose averaged weights they are."""
    if run is None:
        return Settings.start
    file = state_file(run)
    if not file.is_file():
        raise UnveilError(f"--begin-with {run}: there is no run of a parser, {file.name} is missing")
    return f"the run {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"


def with_world_labels(source: str) -> Dataset:
    """Return a world with its own labels, whatever else its name asks for."""
    name, _, options = source.partition("?")
    return load_dataset(DataSource.model_validate(f"{name}?{'&'.join(filter(None, (options, 'scheme=world')))}"))


if __name__ == "__main__":
    try:
        main()
    except UnveilError as e:
        raise SystemExit(f"error: {e}") from None
