"""Which backbone to take on a processor or a GPU: crops per second of training and of embedding, for each candidate.

    python benchmarks/backbones.py [--backbones efficientnet_lite0,resnet50] [--sizes 192x96,256x128] [--device cpu]
        [--threads 1] [--batch 16] [--rounds 3] [--minutes 3] [--out benchmarks/results/backbones.csv]

A training step is that of BoT: forward, its losses over four crops per person, backward, Adam. Weights are random: they
change no time.
On a processor, time is what the process used (`time.process_time`) and one thread is the default: other work on the
machine takes none of it away, and the figure is of one core. On a GPU it is the time on the clock. Rounds go in turn
over all candidates; the median of a candidate's rounds counts. With --minutes, rounds that are not begun by then are
left out; a candidate without a single round is not in the table. bf16 is measured where the device computes in it.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from csv_rows import measured_on, write_rows
from unveil.methods import build_method
from unveil.methods.method import LabelSpace, Method, Step
from unveil.methods.summary import describe
from unveil.models.device import has_bf16, pick_device
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice, InputSettings
from unveil.records import Batch

CANDIDATES = (
    "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnet18", "resnet50",
    "osnet_x0_25", "osnet_x1_0",
)  # fmt: skip
SIZES = "192x96,256x128"
IMAGES_OF_A_PERSON = 4


@dataclass
class Candidate:
    """A backbone at a size and a precision, and the seconds of its rounds."""

    backbone: str
    size: tuple[int, int]
    precision: str
    method: Method
    batch: Batch
    training: list[float] = field(default_factory=list)
    embedding: list[float] = field(default_factory=list)


def candidate(name: str, size: tuple[int, int], precision: str, device: torch.device, batch: int) -> Candidate:
    torch.manual_seed(0)
    people = batch // IMAGES_OF_A_PERSON
    method = build_method("bot", {}, backbone=build_backbone(BackboneChoice(name=name)), space=LabelSpace(people))
    method = method.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(batch, 3, *size, device=device).to(memory_format=torch.channels_last)
    return Candidate(name, size, precision, method, Batch(images, torch.arange(batch, device=device) % people))


def steps_of(one: Candidate, device: torch.device) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return a training step and the embedding of the batch."""
    optimiser = torch.optim.Adam(one.method.parameters())
    precise = torch.autocast(device.type, torch.bfloat16, enabled=one.precision == "bf16")

    def train() -> None:
        one.method.train()
        with precise:
            loss = sum(one.method.losses(one.batch, Step()).values())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def embed() -> object:
        one.method.eval()
        with torch.inference_mode(), precise:
            return one.method.embed(one.batch)

    return train, embed


def seconds(run: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        run()
        torch.cuda.synchronize(device)
        return time.perf_counter() - start
    start = time.process_time()
    run()
    return time.process_time() - start


def row_of(one: Candidate, device: torch.device, threads: int) -> dict[str, object]:
    cost = describe("bot", BackboneChoice(name=one.backbone), size=InputSettings(height=one.size[0], width=one.size[1]))
    count = len(one.batch.images)
    cores = threads if device.type == "cpu" else 1
    return {
        "backbone": one.backbone, "height": one.size[0], "width": one.size[1], "precision": one.precision,
        "million_parameters": f"{sum(p.numel() for p in one.method.backbone.parameters()) / 1e6:.2f}",
        "million_multiply_adds": f"{cost.multiply_adds / 1e6:.0f}",
        "train_crops_per_second": f"{cores * count / statistics.median(one.training):.1f}",
        "embed_crops_per_second": f"{cores * count / statistics.median(one.embedding):.1f}",
        "rounds": len(one.training), "batch": count, "threads": threads,
        "clock": "process" if device.type == "cpu" else "wall",
        **measured_on(device),
    }  # fmt: skip


def measure(found: list[Candidate], device: torch.device, *, rounds: int, minutes: float) -> None:
    """Fill in the seconds of every candidate, in turn, until the rounds or the minutes are over."""
    end = time.monotonic() + 60 * minutes
    runs = [steps_of(one, device) for one in found]
    for number, (one, (train, embed)) in itertools.product(range(-1, rounds), zip(found, runs, strict=True)):
        if time.monotonic() > end:
            return
        took = seconds(train, device), seconds(embed, device)
        if number >= 0:  # the first round of each builds kernels
            one.training.append(took[0])
            one.embedding.append(took[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default=",".join(CANDIDATES))
    parser.add_argument("--sizes", default=SIZES, help="height x width in pixels, separated by commas")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--out", type=Path, help="CSV to write")
    args = parser.parse_args()

    device = pick_device(args.device)
    torch.set_num_threads(args.threads)
    precisions = ["fp32", *(["bf16"] if has_bf16(device) else [])]
    sizes = [tuple(map(int, size.split("x"))) for size in args.sizes.split(",")]
    found = [
        candidate(name, size, precision, device, args.batch)
        for size, precision, name in itertools.product(sizes, precisions, args.backbones.split(","))
    ]
    measure(found, device, rounds=args.rounds, minutes=args.minutes)
    rows = [row_of(one, device, args.threads) for one in found if one.training]
    for row in rows:
        print(row, flush=True)
    for one in found:
        if not one.training:
            print(f"{one.backbone} at {one.size} in {one.precision}: not measured, the minutes were over")
    if args.out and rows:
        write_rows(args.out, rows)


if __name__ == "__main__":
    main()
