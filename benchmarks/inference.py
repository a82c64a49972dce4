"""Crops per second from files to vectors, each engine beside the loop that people have today, in one run.

    python benchmarks/inference.py CROPS [--model resnet50 --model osnet_x1_0 --model unveil:dual] [--crops 256]
        [--threads 2] [--rounds 3] [--evaluate NAME:ROOT] [--out benchmarks/results/inference.csv]

CROPS is a folder or ``name:root``. MODEL is a backbone (method bot, 256 x 128, weights drawn at random: they change no
time), or a trained model of this package. The loop opens files with Pillow, resizes and normalises them with
torchvision's transforms, and runs PyTorch eagerly in float32 on batches of 32. The ways of this package read files into
a new image store and embed them meanwhile, as ``unveil embed`` does, with PyTorch, ONNX Runtime and OpenVINO in
float32, with the latter two in 8-bit integers whose ranges come from every second crop, and with OpenVINO in bfloat16
where the processor computes in that. All have as many threads.

Rounds go in turn, so that other work on the machine slows all ways; the first ones, in which engines find out how many
crops to run at a time, are not counted. ``times_loop`` is the median of the ratios round by round. Beside it: the time
of one crop in memory, and the largest difference of a vector from the loop's (the mean one for rounded graphs).
``--evaluate`` evaluates a trained model and its rounded graphs on a dataset, and writes the points of mAP lost.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from csv_rows import measured_on, write_rows
from unveil.data.fitting import fit_image
from unveil.data.images import read_sample
from unveil.datasets.sources import crops_of
from unveil.export.variant import Variant
from unveil.export.write import write_graph, write_openvino
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.engine import Engine
from unveil.inference.rounding import measure_loss
from unveil.inference.steps import ROUNDS, STEPS
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import TrainedModel, load_model, new_model
from unveil.models.embed import embed_samples
from unveil.nn.backbones.torchvision_guard import guard_torchvision
from unveil.pretrained import PREFIX
from unveil.recipe import DataSource, load_recipe
from unveil.records import Batch, Sample
from unveil.runtime.graph import default_threads
from unveil.runtime.openvino_graph import computes_bfloat16

MODELS = ("resnet50", "osnet_x1_0", "unveil:dual")
BATCH = 32
ALONE = 15  # crops that are embedded one by one
Run = Callable[[Sequence[Sample]], np.ndarray]


def named_model(name: str) -> TrainedModel:
    """Return a trained model, or one with that backbone and random weights."""
    if name.startswith(PREFIX) or Path(name).exists():
        return load_model(name)
    torch.manual_seed(0)
    fingerprint = f"{zlib.crc32(name.encode()):08x}"
    recipe = load_recipe(None, ["method.name=bot", f"backbone.name={name}", "input.height=256", "input.width=128"])
    built = new_model(recipe, LabelSpace(10, 20, tuple(n // 2 for n in range(20)))).eval()
    return TrainedModel(
        built, recipe, Card(recipe=recipe.model_dump(mode="json"), persons=10, fingerprint=fingerprint), name
    )


def usual_loop(model: TrainedModel) -> Run:
    """Return the loop that people have today."""
    guard_torchvision()
    from torchvision import transforms as t

    size = model.input
    modes = {"bilinear": t.InterpolationMode.BILINEAR, "bicubic": t.InterpolationMode.BICUBIC}
    prepare = t.Compose(
        [t.Resize((size.height, size.width), modes[size.interpolation]), t.ToTensor(), t.Normalize(size.mean, size.std)]
    )

    def run(samples: Sequence[Sample]) -> np.ndarray:
        vectors = []
        with torch.no_grad():
            for start in range(0, len(samples), BATCH):
                crops = [prepare(Image.open(str(s.path)).convert("RGB")) for s in samples[start : start + BATCH]]
                images = torch.stack(crops)
                unknown = torch.full((len(crops),), -1)
                vectors.append(model.method.embed(Batch(images, unknown)).vectors.numpy())
        return np.concatenate(vectors)

    return run


def through_package(engine: Engine) -> Run:
    """Return what embeds files as ``unveil embed`` does, into a new image store each time."""

    def run(samples: Sequence[Sample]) -> np.ndarray:
        with tempfile.TemporaryDirectory() as cache:
            return np.asarray(embed_samples(engine, samples, cache=Path(cache))[0].vectors)

    return run


def milliseconds_alone(engine: Engine, crops: Sequence[np.ndarray]) -> float:
    """Return the median time of one crop in memory."""
    engine.embed(crops[:1])
    times = []
    for crop in crops[:ALONE]:
        start = time.perf_counter()
        engine.embed([crop])
        times.append(time.perf_counter() - start)
    return float(1000 * np.median(times))


def settling(args: argparse.Namespace) -> int:
    """Return how many more rounds engines need before they know how many crops to run at a time."""
    trial = max(STEPS) * args.threads
    return -(-trial * len(STEPS) * ROUNDS // args.crops) - 1 if args.crops >= trial else 0


def apart(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return how far vectors are apart, relative to their length."""
    return np.asarray(np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1))


def rounds(way: str) -> bool:
    """Return whether a way computes in few bits."""
    return way.endswith(("int8", "bf16"))


def measured(name: str, samples: Sequence[Sample], args: argparse.Namespace) -> list[dict[str, object]]:
    """Measure all ways of one model; return a row for each."""
    model, threads = named_model(name), args.threads
    torch.set_num_threads(threads)
    pictures = [read_sample(sample) for sample in samples]
    with tempfile.TemporaryDirectory() as folder:
        plain, rounded = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        write_graph(model, plain)
        fitted = np.stack([fit_image(image, model.crop_size) for image in pictures[::2]])
        write_graph(model, rounded, variant=Variant(precision="int8"), calibration=fitted)
        engines = {
            "torch": torch_engine(model, threads),
            "onnx": onnx_engine(plain, threads), "openvino": openvino_engine(plain, threads),
            "onnx int8": onnx_engine(rounded, threads), "openvino int8": openvino_engine(rounded, threads),
        }  # fmt: skip
        if computes_bfloat16():
            half, precision = Path(folder) / "bf16.onnx", "bfloat16"
            metadata = write_graph(model, half, variant=Variant(precision=precision))
            engines["openvino bf16"] = openvino_engine(write_openvino(half, metadata, precision=precision), threads)
        ways: dict[str, Run] = {"loop": usual_loop(model)} | {k: through_package(e) for k, e in engines.items()}
        times: dict[str, list[float]] = {way: [] for way in ways}
        vectors = {}
        # As many crops as it takes to find out how many are best run at a time.
        for run in (*ways.values(), *[way for name, way in ways.items() if name != "loop"] * settling(args)):
            run(samples)
        for _ in range(args.rounds):
            for way, run in ways.items():
                start = time.perf_counter()
                vectors[way] = run(samples)
                times[way].append(time.perf_counter() - start)
        rows: list[dict[str, object]] = []
        for way in ways:
            far = apart(vectors["loop"], vectors[way])
            alone = "" if way == "loop" else f"{milliseconds_alone(engines[way], pictures):.1f}"
            lost = ""
            if args.evaluate and rounds(way) and name.startswith(PREFIX):
                losses = measure_loss(model, engines[way], sources=[DataSource.of(args.evaluate)], max_loss=100)
                lost = f"{max(loss.points for loss in losses):.2f}"
            rows.append(
                {
                    "model": name, "way": way, "crops": len(samples), "threads": threads, "rounds": args.rounds,
                    "crops_per_second": f"{len(samples) / min(times[way]):.1f}",
                    "times_loop": f"{np.median(np.array(times['loop']) / np.array(times[way])):.2f}",
                    "milliseconds_of_one_crop": alone,
                    "difference": f"{far.mean() if rounds(way) else far.max():.1e}", "points_of_map_lost": lost,
                    "evaluated_on": DataSource.of(args.evaluate).name if lost else "", **measured_on(),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--model", action="append", help="repeat it")
    parser.add_argument("--crops", type=int, default=256, help="how many, from all over the data")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evaluate", help="dataset to evaluate trained models and their rounded graphs on")
    parser.add_argument("--out", type=Path, help="CSV to write; rows of other models and threads in it stay")
    args = parser.parse_args()
    found = crops_of(args.data).samples
    samples = [found[number * len(found) // args.crops] for number in range(args.crops)]
    # Found out anew, as on a machine that has never run the model; what is remembered here stays as it is.
    with tempfile.TemporaryDirectory() as cache:
        os.environ["UNVEIL_CACHE"] = cache
        rows = [row for name in args.model or MODELS for row in measured(name, samples, args)]
    if args.out:
        write_rows(args.out, rows, key=("model", "threads"))


if __name__ == "__main__":
    main()
