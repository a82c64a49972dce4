"""Crops per second of the shipped parser: ONNX Runtime, OpenVINO, PyTorch, and everything from pixels to maps.

    python benchmarks/parser_speed.py [--threads 2] [--rounds 7] [--out benchmarks/results/parser_speed.csv]

Weights do not change the time: PyTorch runs the same network with drawn ones. Rounds alternate, so that other work on
the machine slows all alike; its load is written beside the figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from csv_rows import measured_on, write_rows
from unveil.nn.parsing_network import LabelNet, ParsingNet
from unveil.parsing.default import DEFAULT_CARD, default_parser
from unveil.world import labels as world
from unveil.world.shares import SHARES

BATCH = 16
NATIVE = (208, 96)  # pixels; about the median crop of the world


def runners(threads: int) -> dict[str, Callable[[], object]]:
    """Return one function a way, each for `BATCH` crops."""
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (*NATIVE, 3), dtype=np.uint8) for _ in range(BATCH)]
    parser = default_parser(threads)
    height, width = parser.card.height, parser.card.width
    tensor = rng.standard_normal((BATCH, 3, height, width), dtype=np.float32)
    session = parser._session
    network = ParsingNet(world.FIRST + len(world.CLASSES), world.SIDES, shares=len(SHARES))
    eager = LabelNet(network, world.FIRST).eval().to(memory_format=torch.channels_last)
    last = torch.from_numpy(tensor).to(memory_format=torch.channels_last)

    def torch_eager() -> object:
        with torch.inference_mode():
            return eager(last)

    found: dict[str, Callable[[], object]] = {
        "PyTorch eager": torch_eager,
        "ONNX Runtime": lambda: session.run({parser._input.name: tensor}),
        "ONNX Runtime, pixels to maps": lambda: parser(crops),
    }
    try:
        import openvino
    except ImportError:
        return found
    core = openvino.Core()
    for name, hint in (("OpenVINO 32 bits", "f32"), ("OpenVINO 16 bits", "bf16")):
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        compiled = core.compile_model(str(DEFAULT_CARD.parent / parser.card.model), "CPU", options)
        found[name] = lambda compiled=compiled: compiled(tensor)  # type: ignore[misc]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="CSV to write")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    ways = runners(args.threads)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(args.rounds + 1):
        for name, work in ways.items():
            start, used = time.perf_counter(), time.process_time()
            work()
            if round_:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
                spent[name].append(time.process_time() - used)
    rows = [
        {
            "what": name,
            "threads": args.threads,
            "batch": BATCH,
            "rounds": args.rounds,
            "best_crops_per_second": round(BATCH / min(seconds[name]), 1),
            "median_crops_per_second": round(BATCH / float(np.median(seconds[name])), 1),
            "processor_ms_per_crop": round(1000 * float(np.median(spent[name])) / BATCH, 2),
            **measured_on(),
        }
        for name in ways
    ]
    for row in rows:
        print(row)
    if args.out:
        write_rows(args.out, rows)


if __name__ == "__main__":
    main()
