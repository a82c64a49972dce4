"""Crops a second of `unveil embed` in one process and by actors of Ray on this machine, from files to what is written.

    python benchmarks/bulk.py [--crops 2048] [--rounds 2] [--model unveil:dual] [--out benchmarks/results/bulk.csv]

Each way is a command of its own, so its seconds have everything in them: loading, reading the crops, and, with Ray, its
start. The seconds from the first shard to the last are what a long job would take for as many crops. Ways take turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from csv_rows import measured_on, write_rows

SIZE = (256, 128)  # pixels, height and width
SHARD = 64  # crops
WARMING = 512  # crops, from which on the fastest engine is looked for
WAYS = {  # threads of an inference, and options
    "one process, 1 thread": (1, []),
    "one process, 2 threads": (2, []),
    "Ray, 1 actor of 1 thread": (1, ["--ray", "local", "--actors", "1"]),
    "Ray, 2 actors of 1 thread": (1, ["--ray", "local", "--actors", "2"]),
    "Ray, 1 actor of 2 threads": (2, ["--ray", "local", "--actors", "1", "--threads", "2"]),
}


def write_crops(folder: Path, count: int) -> None:
    """Write JPEG files that are as hard to decode as crops: smooth shapes under noise."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (16, 8, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize(SIZE[::-1], Image.Resampling.BICUBIC), np.float32)
        noisy = (pixels + rng.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{number:06d}.jpg", quality=90)


def embed(crops: Path, out: Path, *, model: str, threads: int, options: list[str]) -> tuple[float, float]:
    """Return the seconds of the command, and of a crop between its first shard and its last (NaN without shards)."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    # One process is held to as many cores as it has threads: its inference takes all that it may run on.
    held = [] if options else ["taskset", "-c", ",".join(map(str, cores))]
    options = [*options, "--shard-size", str(SHARD)] if options else []
    command = [*held, sys.executable, "-m", "unveil", "-q", "embed", model, str(crops), "--out", str(out), *options]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    seconds = time.monotonic() - began
    times = sorted(path.stat().st_mtime for path in out.glob("part-*")) if out.is_dir() else []
    return seconds, (times[-1] - times[0]) / ((len(times) - 1) * SHARD) if len(times) > 1 else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default="unveil:dual")
    parser.add_argument("--out", type=Path, help="CSV to write")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        os.environ["UNVEIL_CACHE"] = str(place / "cache")
        write_crops(place / "few", WARMING)
        write_crops(place / "crops", args.crops)
        for threads in (1, 2):  # not counted: graphs are made, and engines compared
            embed(place / "few", place / "few.safetensors", model=args.model, threads=threads, options=[])
        for number in range(args.rounds):
            for turn, (way, (threads, options)) in enumerate(WAYS.items()):
                out = place / f"{number}-{turn}{'' if options else '.safetensors'}"
                # Decoded images of a run before would spare one process the decoding.
                shutil.rmtree(place / "cache/images", ignore_errors=True)
                seconds, a_crop = embed(place / "crops", out, model=args.model, threads=threads, options=options)
                rows.append(
                    {
                        "what": way, "model": args.model, "crops": args.crops, "round": number + 1,
                        "seconds": f"{seconds:.1f}", "crops_per_second": f"{args.crops / seconds:.1f}",
                        "crops_per_second_between_shards": f"{1 / a_crop:.1f}" if a_crop == a_crop else "",
                        **measured_on(),
                    }
                )  # fmt: skip
                print(*rows[-1].values(), sep="  ", flush=True)
    if args.out is not None:
        write_rows(args.out, rows)


if __name__ == "__main__":
    main()
