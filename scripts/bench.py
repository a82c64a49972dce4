"""Run the short benchmarks at reduced sizes, without data or downloads; `make bench` calls it.

Usage: python scripts/bench.py [NAME ...] [--out build/bench]

Each benchmark writes NAME.csv and NAME.log and gives one line, with its ratio to the named alternative where it has
one: above 1, it is better. One that fails is named, the others go on, and the exit code is 1. What is reduced says
little of full sizes; it shows what a change has made slower, on the same machine under the same load.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
PEOPLE, CROPS_OF_PERSON = 16, 4
SIZE = (256, 128)  # pixels, height and width


@dataclass(frozen=True)
class Short:
    """A benchmark at a reduced size, and the cell of its CSV that is told.

    Args:
        options: "{crops}" stands for a folder with images and a manifest.
        figure: column that is told.
        row: cells of its row.
        against: cells in which the row of the alternative differs; empty without one.
        lower: is better.
    """

    options: str
    figure: str
    row: Mapping[str, str]
    against: Mapping[str, str] = field(default_factory=dict)
    lower: bool = False


SHORT = {
    "evaluator": Short(
        "--queries 500 --gallery 4000 --numbers 512 --rounds 3", "best_seconds", {"what": "unveil"},
        {"what": "naive full sort, extrapolated from 100 queries"}, lower=True,
    ),
    "sharded_search": Short(
        "--rows 20000 --queries 50", "value",
        {"question": "tail", "shards": "64", "what": "p99 ms", "setting": "stalls, hedged"}, {"setting": "stalls"},
        lower=True,
    ),
    "gallery": Short(
        "--crops 10000 --queries 50", "value",
        {"what": "unfiltered top-100 with re-scoring of 500, processor ms"},
        {"what": "unfiltered top-100 in numpy, all in memory, no re-scoring, processor ms"}, lower=True,
    ),
    "server": Short(
        "--rows 2000 --requests 40", "p50_ms", {"what": "server, 1 client"},
        {"what": "numpy, exact, without a server"}, lower=True,
    ),
    "everyday": Short("{crops} --rounds 2", "times_python", {"what": "unveil search"}, lower=True),
    "inference": Short(
        "{crops} --model resnet18_x0_5 --crops 64 --threads 1 --rounds 2", "crops_per_second", {"way": "onnx"},
        {"way": "loop"},
    ),
    "parser_speed": Short(
        "--threads 1 --rounds 3", "processor_ms_per_crop", {"what": "ONNX Runtime"}, {"what": "PyTorch eager"},
        lower=True,
    ),
    "training": Short(
        "--data manifest:{crops} --backbone osnet_x0_25 --device cpu --persons 4 --steps 1 --rounds 2 --threads 1 "
        "--workers 1 --minutes 1",
        "crops_per_cpu_second", {"way": "unveil"}, {"way": "loop"},
    ),
    "world_speed": Short("--people 6 --processes 1", "cpu_ms_per_crop", {"what": "warm loop"}, lower=True),
}  # fmt: skip


def write_crops(folder: Path) -> None:
    """Write JPEG files of noise with a manifest: as hard to decode as crops, with nobody on them."""
    rng = np.random.default_rng(0)
    lines = ["path,person,camera,split"]
    for number in range(PEOPLE * CROPS_OF_PERSON):
        pixels = rng.integers(0, 256, (*(n // 8 for n in SIZE), 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(SIZE[::-1]).save(folder / f"{number:03d}.jpg")
        lines.append(f"{number:03d}.jpg,{number // CROPS_OF_PERSON},{number % CROPS_OF_PERSON},train")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


def told(short: Short, path: Path) -> str:
    """Return the figure of a CSV in words, with its ratio to the alternative.

    Raises:
        ValueError: the CSV has no such row or figure.
    """
    with path.open(newline="") as f:
        rows = list(csv.DictReader(f))

    def value(cells: Mapping[str, str]) -> float:
        for row in rows:
            if all(row.get(name) == cell for name, cell in cells.items()):
                return float(row.get(short.figure) or "")
        raise ValueError(f"{path} has no row with {dict(cells)}")

    own = value(short.row)
    text = f"{', '.join(short.row.values())}: {own:g}{'' if short.figure == 'value' else f' {short.figure}'}"
    if not short.against:
        return text
    other = value({**short.row, **short.against})
    better, worse = (other, own) if short.lower else (own, other)
    return f"{text}, {better / worse:.2f} times as good as {', '.join(short.against.values())} ({other:g})"


def run(name: str, out: Path, crops: Path) -> str:
    """Run a benchmark; return its line.

    Raises:
        ValueError: it failed, or its CSV is without its figure.
    """
    short, path = SHORT[name], out / f"{name}.csv"
    words = [word.format(crops=crops) for word in short.options.split()]
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *words, "--out", str(path)]
    if path.is_file():  # a benchmark that adds to its CSV would keep what was measured at other sizes
        path.unlink()
    with path.with_suffix(".log").open("w") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise ValueError(f"exit code {done.returncode}, see {path.with_suffix('.log')}")
    return told(short, path)


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(SHORT)}; all by default")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder to write to")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - SHORT.keys()):
        parser.error(f"{', '.join(unknown)} is none of {', '.join(SHORT)}")
    args.out.mkdir(parents=True, exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory(prefix="unveil-") as folder:
        write_crops(Path(folder))
        for name in args.names or SHORT:
            try:
                print(f"{name:<16}{run(name, args.out, Path(folder))}", flush=True)
            except ValueError as e:
                failed.append(name)
                print(f"{name:<16}failed: {e}", flush=True)
    print(f"rows are in {args.out}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
