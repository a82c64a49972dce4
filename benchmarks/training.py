"""Crops per second of training beside the loop that people have today, on a GPU or on processors, in one run.

    python benchmarks/training.py [--data world:small] [--backbone resnet50 --backbone efficientnet_lite0] [--rounds 3]
        [--out benchmarks/results/training.csv]

Both train BoT, its losses included, from random weights on the same batches of crops of 256 x 128. The loop decodes
with Pillow and changes crops with torchvision's transforms in the workers of a DataLoader (16 where there are as many
cores), and takes Adam and PyTorch in eager float32; ``loop tf32`` and ``loop amp`` are its faster variants (AMP: fp16
with a scaler on a GPU, bf16 on processors). ``unveil`` is the loop of ``unveil train``; ``unveil bf16`` is the same
with ``train.precision=bf16``, which "auto" takes on GPUs alone.

Every way is a process of its own; after a warm-up they train some steps in turn, and whoever waits, its workers too, is
stopped as it is, its queues filled. Ratios are of the medians over rounds; ``times_loop_cpu`` is the same of processor
time, workers included, for machines that are busy with other work. ``waiting_percent`` is the share of the time until a
batch is on the device, ``augmenting_percent`` that of the augmentation, which the loop leaves to its workers.
``memory_gib`` is the peak of the device, or on processors the peak resident size of the process, workers left out.
After ``--minutes`` no new round begins.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from csv_rows import measured_on, write_rows
from training_ways import Settings
from unveil.models.device import pick_device

BACKBONES = ("resnet50", "efficientnet_lite0")
WAYS = {
    "cuda": ("loop", "loop tf32", "loop amp", "unveil"),
    "cpu": ("loop", "loop amp", "unveil", "unveil bf16"),
}


def processor_seconds(group: int) -> float:
    """Return what all living processes of a group have had of processors so far; not a number outside Linux."""
    total, found = 0, False
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[2]) == group:
            total, found = total + int(fields[11]) + int(fields[12]), True
    return total / os.sysconf("SC_CLK_TCK") if found else float("nan")


class Way:
    """A process that trains in its turns, and is stopped between them."""

    def __init__(self, name: str, backbone: str, args: argparse.Namespace, cache: str) -> None:
        options = {name: value for name, value in vars(args).items() if name in Settings._fields}
        settings = Settings(**{**options, "way": name, "backbone": backbone, "cache": cache})
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("training_ways.py")), json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.rounds: list[dict[str, float]] = []
        self._answer()

    def round(self) -> None:
        """Let it train its steps."""
        before = processor_seconds(self.process.pid)
        os.killpg(self.process.pid, signal.SIGCONT)
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found = self._answer()
        self.rounds.append({**found, "cpu": processor_seconds(self.process.pid) - before})

    def median(self, key: str) -> float:
        return statistics.median(found[key] for found in self.rounds)

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a training has ended before its time; see above")
        os.killpg(self.process.pid, signal.SIGSTOP)
        return dict(json.loads(line))


def measured(backbone: str, args: argparse.Namespace, *, until: float) -> list[dict[str, object]]:
    """Train with a backbone in all ways; return a row for each."""
    device, ways = pick_device(args.device), dict[str, Way]()
    with tempfile.TemporaryDirectory(prefix="unveil-") as cache:
        try:
            for name in WAYS[device.type]:
                ways[name] = Way(name, backbone, args, cache)
            for number in range(args.rounds):
                if number and time.monotonic() > until:
                    break
                for way in ways.values():
                    way.round()
        finally:
            for way in ways.values():
                way.end()
    crops = args.steps * args.persons * args.images
    rows: list[dict[str, object]] = []
    for name, way in ways.items():
        ratios = {
            f"times_{slow.replace(' ', '_')}{suffix}": f"{ways[slow].median(key) / way.median(key):.2f}"
            for slow, key, suffix in (("loop", "seconds", ""), ("loop amp", "seconds", ""), ("loop", "cpu", "_cpu"))
        }
        rows.append(
            {
                "backbone": backbone, "way": name, "crops_per_second": f"{crops / way.median('seconds'):.1f}",
                "crops_per_cpu_second": f"{crops / way.median('cpu'):.1f}", **ratios,
                "waiting_percent": f"{100 * way.median('waiting'):.2f}",
                "augmenting_percent": "" if "loop" in name else f"{100 * way.median('augmenting'):.2f}",
                "memory_gib": f"{way.rounds[-1]['memory'] / 2**30:.2f}",
                "batch": args.persons * args.images, "steps": args.steps, "rounds": len(way.rounds),
                "threads": args.threads, "workers": args.workers if "loop" in name else 0, "data": args.data,
                **measured_on(device),
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu = torch.cuda.is_available()
    parser.add_argument("--data", default="world:small" if gpu else "world:tiny", help="NAME:ROOT")
    parser.add_argument("--backbone", action="append", help="repeat it")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--persons", type=int, default=16 if gpu else 8, help="in a batch")
    parser.add_argument("--images", type=int, default=4, help="of a person in a batch")
    parser.add_argument("--rounds", type=int, default=5 if gpu else 3)
    parser.add_argument("--steps", type=int, default=50 if gpu else 2, help="of a round")
    parser.add_argument("--warm-up", type=int, default=20 if gpu else 1, help="steps before the first round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--workers", type=int, default=min(16, os.cpu_count() or 1), help="of the DataLoader")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path, help="CSV to write")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # those that are stopped would stay for ever
    until = [time.monotonic() + 60 * args.minutes * share for share in (0.6, 1.0)]
    backbones = args.backbone or BACKBONES
    limits = until if len(backbones) > 1 else until[1:]
    found = [measured(name, args, until=limits[min(n, len(limits) - 1)]) for n, name in enumerate(backbones)]
    rows = [row for rows in found for row in rows]
    if args.out:
        write_rows(args.out, rows)


if __name__ == "__main__":
    main()
