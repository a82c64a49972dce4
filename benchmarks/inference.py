"""Crops a second of each engine, beside PyTorch as it is (eager) in the same run, and how far they are from it.

    python benchmarks/inference.py [--method bot] [--backbone resnet50] [--batches 1,32] [--rounds 7]
        [--out benchmarks/results/inference.csv]

The weights are drawn at random: they change no time. Pixels are given at the model's size, so the figures are of the
network, with normalisation and, where the method tests so, the mirrored crop. Rounds go in turn, so that other work on
the machine slows all engines; the ratio to PyTorch is the median of the ratios round by round.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from unveil.export.parity import difference, test_crops
from unveil.export.write import write_graph
from unveil.inference.backends.exported_file import default_threads
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.engine import Engine
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import TrainedModel, new_model
from unveil.recipe import load_recipe


def model_of(method: str, backbone: str, height: int, width: int) -> TrainedModel:
    torch.manual_seed(0)
    size = [f"input.height={height}", f"input.width={width}"]
    recipe = load_recipe(None, [f"method.name={method}", f"backbone.name={backbone}", *size])
    built = new_model(recipe, LabelSpace(10, 20, tuple(n // 2 for n in range(20)))).eval()
    return TrainedModel(built, recipe, Card(recipe=recipe.model_dump(mode="json"), persons=10))


def machine() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "openvino"))
    return f"{os.cpu_count()} cores {model}; {packages}"


def seconds(engine: Engine, crops: list[np.ndarray]) -> float:
    start = time.perf_counter()
    engine.embed(crops)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="bot")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batches", default="1,32")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--out", type=Path, help="CSV to write; rows of other models in it stay")
    args = parser.parse_args()

    model = model_of(args.method, args.backbone, args.height, args.width)
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        write_graph(model, graph)
        engines = {
            "torch": torch_engine(model, args.threads),
            "onnx": onnx_engine(graph, args.threads),
            "openvino": openvino_engine(graph, args.threads),
        }
        rows = []
        for batch in map(int, args.batches.split(",")):
            crops = test_crops(model.input, batch)
            expected = engines["torch"].embed(crops)
            apart = {kind: difference(expected, engine.embed(crops)).largest for kind, engine in engines.items()}
            times: dict[str, list[float]] = {kind: [] for kind in engines}
            for _ in range(args.rounds):
                for kind, engine in engines.items():
                    times[kind].append(seconds(engine, crops))
            for kind in engines:
                ratio = np.median(np.array(times["torch"]) / np.array(times[kind]))
                row = {
                    "method": args.method, "backbone": args.backbone, "height": args.height, "width": args.width,
                    "engine": kind, "batch": batch, "threads": args.threads, "rounds": args.rounds,
                    "best_crops_a_second": f"{batch / min(times[kind]):.1f}",
                    "median_crops_a_second": f"{batch / np.median(times[kind]):.1f}",
                    "times_torch": f"{ratio:.2f}", "difference": f"{apart[kind]:.1e}",
                    "load": f"{os.getloadavg()[0]:.1f}", "machine": machine(),
                }  # fmt: skip
                rows.append(row)
                print(row)
    if args.out:
        keep = []
        if args.out.is_file():
            with args.out.open(newline="") as f:
                same = ("method", "backbone", "height", "width", "threads")
                keep = [r for r in csv.DictReader(f) if any(r[k] != str(rows[0][k]) for k in same)]
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows([*keep, *rows])


if __name__ == "__main__":
    main()
