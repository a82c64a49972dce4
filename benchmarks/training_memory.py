"""Memory and time of training with activation checkpointing and with gradient accumulation.

    python benchmarks/training_memory.py [--steps 3] [--out benchmarks/results/training_memory.csv]

BoT with a ResNet-50 on random crops of 256x128, 16 crops a step, on one thread. Every row is a process of its own that
trains by the ordinary loop from the same seed. Memory is the largest resident size of the process; "for steps" is what
came on top of what it had before its first step: activations, gradients, and the optimiser's state. Seconds are the
processor time of a step, the first left out: they depend little on what else the machine does. Ratios are to the first
row. A row of accumulation trains another network, since triplets are mined in each half; the loss shows that a row of
checkpointing does not.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from csv_rows import measured_on, write_rows
from unveil.models.device import peak_bytes
from unveil.recipe import load_recipe
from unveil.training import loop
from unveil.training.metrics import read_metrics

PERSONS, IMAGES = 4, 4
ROWS = {
    "plain": [],
    "checkpointing": ["train.activation_checkpointing=true"],
    "2 x 8 crops accumulated": ["train.accumulate=2", f"sampler.persons={PERSONS // 2}"],
    "both": ["train.activation_checkpointing=true", "train.accumulate=2", f"sampler.persons={PERSONS // 2}"],
}


def write_crops(folder: Path, steps: int) -> None:
    """Write people enough for so many steps, each with the crops of one."""
    rng = np.random.default_rng(0)
    lines = ["path,person,camera,split"]
    for person in range(PERSONS * steps):
        for number in range(IMAGES):
            name = f"{person}_{number}.png"
            Image.fromarray(rng.integers(0, 256, (256, 128, 3), dtype=np.uint8)).save(folder / name)
            lines.append(f"{name},{person},{number},train")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


def measure(folder: Path, out: Path, changes: list[str]) -> dict[str, Any]:
    """Train an epoch in this process."""
    cpu = torch.device("cpu")
    seconds, before, step = [], [], loop.train_step

    def timed(*args: Any, **named: Any) -> dict[str, float]:
        before.append(peak_bytes(cpu)["resident"])
        began = time.process_time()
        values = step(*args, **named)
        seconds.append(time.process_time() - began)
        return values

    loop.train_step = timed
    settings = [
        "backbone.init=random", f"sampler.persons={PERSONS}", f"sampler.images={IMAGES}", "train.epochs=1",
        "train.device=cpu", "train.precision=fp32", f"data.train=manifest:{folder / 'manifest.csv'}",
    ]  # fmt: skip
    loop.train(load_recipe(None, [*settings, *changes]), out)
    (record,) = read_metrics(out / "metrics.jsonl")
    return {
        "steps": len(seconds),
        "peak_mib": record["peak_resident_bytes"] / 2**20,
        "mib_for_steps": (record["peak_resident_bytes"] - before[0]) / 2**20,
        "cpu_seconds_per_step": statistics.median(seconds[1:]),
        "loss": record["loss"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("ROW", "CROPS", "RUN"), help="measure one row, here")
    asked = parser.parse_args()
    if asked.one:
        row, crops, run = asked.one
        print(json.dumps(measure(Path(crops), Path(run), ROWS[row])))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_crops(folder, asked.steps)
        for name in ROWS:
            command = [sys.executable, __file__, "--one", name, str(folder), str(folder / name.replace(" ", "_"))]
            told = subprocess.run(
                command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
            found = json.loads(told.stdout.splitlines()[-1])
            first = rows[0] if rows else found
            rows.append(
                {"row": name, "crops_per_step": PERSONS * IMAGES, "steps": found["steps"]}
                | {key: round(found[key], 2) for key in ("peak_mib", "mib_for_steps", "cpu_seconds_per_step")}
                | {
                    f"{key}_ratio": round(found[key] / first[key], 3)
                    for key in ("peak_mib", "mib_for_steps", "cpu_seconds_per_step")
                }
                | {"loss": found["loss"], **measured_on()}
            )
            print(rows[-1], flush=True)
    if asked.out:
        write_rows(asked.out, rows)


if __name__ == "__main__":
    main()
