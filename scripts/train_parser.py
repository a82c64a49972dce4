"""Train the project's own parser on the people of a world, and write what is shipped.

    python scripts/train_parser.py --run runs/parser --out src/unveil/parsing/pack

Data are rendered masks alone. A run that was stopped resumes where it stopped; the same seed gives the same run.
`benchmarks/parser_accuracy.py` measures the outcome.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from run_state import restore, save, update
from torch import Tensor
from torch.nn import functional as F

from unveil.atomic_io import write_text
from unveil.data.images import read_labels, read_sample
from unveil.datasets import load_dataset
from unveil.errors import UnveilError
from unveil.parsing.training.disturb import Codes, Crop, Disturber
from unveil.parsing.training.export import export
from unveil.parsing.training.network import WIDTHS, ParsingNet
from unveil.progress import show_progress, track
from unveil.recipe import DataSource
from unveil.records import Dataset, Sample
from unveil.world import labels as world
from unveil.world.shares import SHARES, pab_shares, world_shares

SIZE = (256, 128)
EMA, CLIP, DECAY = 0.995, 5.0, 0.02
ABOUT = "unveil's own parser, trained by scripts/train_parser.py on rendered people alone."
LOG_EVERY, SAVE_EVERY = 100, 200
SETTLE = 0.35  # share of the steps, the last ones, in which the rate falls
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
    widths: tuple[int, ...]


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


def class_weights(crops: list[Crop], plain: int) -> Tensor:
    """Weigh rare classes up, mildly."""
    counts = np.zeros(plain + len(world.CLASSES))
    for crop in crops[:: max(1, len(crops) // 600)]:
        counts += np.bincount(class_numbers(crop.labels, plain).ravel(), minlength=len(counts))
    return torch.from_numpy(((0.02 / np.maximum(counts / counts.sum(), 1e-7)) ** 0.25).clip(0.6, 2.5)).float()


def class_numbers(labels: np.ndarray, plain: int) -> np.ndarray:
    """Return the network's class of each world label."""
    return np.where(labels < plain, labels, world.class_of(labels) + plain)


def batch_at(step: int, crops: list[Crop], disturber: Disturber, settings: Settings) -> tuple[np.ndarray, ...]:
    """Return images, labels and shares of a step; they depend on the seed and the step alone."""
    per_epoch = max(1, len(crops) // settings.batch)
    order = np.random.default_rng([settings.seed, 1, step // per_epoch]).permutation(len(crops))
    chosen = np.resize(np.roll(order, -(step % per_epoch) * settings.batch), settings.batch)
    done = []
    for k, i in enumerate(chosen):
        rng = np.random.default_rng([settings.seed, 2, step, k])
        done.append(disturber(crops[i], crops[int(rng.integers(len(crops)))], rng))
    return tuple(np.stack([getattr(c, name) for c in done]) for name in ("image", "labels", "shares"))


def losses(
    network: ParsingNet, batch: tuple[np.ndarray, ...], weights: Tensor, plain: int, step: int
) -> dict[str, Tensor]:
    """Return the named losses of a batch."""
    images, labels, shares = batch
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    with torch.autocast("cpu", torch.bfloat16):
        kinds, parts, visible = network(pixels)
    # The scores have half of the size; which of four pixels teaches a score changes from step to step.
    at_half = labels[:, step % 2 :: 2, step // 2 % 2 :: 2]
    part = torch.from_numpy(world.part_of(at_half))
    truth = torch.from_numpy(pab_shares(shares))
    known = torch.isfinite(truth)
    kind = torch.from_numpy(class_numbers(at_half, plain))
    return {
        "classes": F.cross_entropy(kinds.float(), kind, weights),
        "parts": F.cross_entropy(parts.float(), part, ignore_index=-1),
        "shares": 0.5 * F.binary_cross_entropy_with_logits(visible.float()[known], truth[known].clamp(0, 1)),
    }


def train(crops: list[Crop], settings: Settings, run: Path, end: int) -> tuple[ParsingNet, dict[str, float]]:
    """Train, or resume, until the step ``end``; return the averaged network and the mean losses of the last steps."""
    torch.manual_seed(settings.seed)
    plain, meaning = world.FIRST, codes()
    network = ParsingNet(plain + len(world.CLASSES), len(world.PARTS), shares=len(SHARES), widths=settings.widths)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=DECAY, fused=True)
    weights = class_weights(crops, plain)
    large = Disturber(meaning, MIRRORED_PARTS, SIZE)
    small = Disturber(meaning, MIRRORED_PARTS, (SIZE[0] // 2, SIZE[1] // 2))
    start = restore(run, settings, network, average, optimiser)
    seen: dict[str, list[float]] = {}
    last: dict[str, float] = {}
    began = time.monotonic()
    for step in track(range(start, end), "training"):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, settings)
        batch = batch_at(step, crops, small if step < settings.small_steps else large, settings)
        terms = losses(network, batch, weights, plain, step)
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
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--small-steps", type=int, default=4000, help="so many first steps on crops of half the size")
    parser.add_argument("--stop-after", type=int, help="stop after this step; a later run resumes")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--widths", type=int, nargs=4, default=WIDTHS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, help="only about so many crops, spread evenly")
    parser.add_argument("--json", type=Path, help="file for the results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    show_progress()
    data = with_world_labels(args.data)
    settings = Settings(data.hash, args.steps, args.small_steps, args.batch, args.rate, args.seed, tuple(args.widths))
    samples = data.train[:: -(-len(data.train) // args.limit)] if args.limit else data.train
    crops = [read_crop(sample) for sample in track(samples, "reading")]
    end = min(settings.steps, args.stop_after or settings.steps)
    network, last = train(crops, settings, args.run, end)
    if end < settings.steps:
        print(f"stopped after {end} of {settings.steps} steps; the same command without --stop-after resumes")
        return
    tables = {name: world.table(name).tolist() for name in world.SCHEMES if name != "world"}
    about = f"{ABOUT} {settings.steps} steps of {settings.batch} crops, seed {settings.seed}, data {data.hash}."
    card = export(
        network, args.out or args.run, plain=world.FIRST, size=SIZE, tables=tables, shares=SHARES, about=about
    )
    text = json.dumps(
        {"card": str(card), "crops": len(crops), **dataclasses.asdict(settings), "losses": last}, indent=1
    )
    if args.json:
        write_text(args.json, text + "\n")
    print(text)


def with_world_labels(source: str) -> Dataset:
    """Return a world with its own labels, whatever else its name asks for."""
    name, _, options = source.partition("?")
    return load_dataset(DataSource.model_validate(f"{name}?{'&'.join(filter(None, (options, 'scheme=world')))}"))


if __name__ == "__main__":
    try:
        main()
    except UnveilError as e:
        raise SystemExit(f"error: {e}") from None
