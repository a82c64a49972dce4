"""Fits the rule by which the package's parser tells people from noise and textures, and writes it into its graph.

    python scripts/fit_person_check.py [--people world:small] [--count 700] [--folder src/unveil/parsing/pack]

People are rendered crops, as they are and with the faults of sensors added; what is no person are drawn textures and
noise, with and without such faults, and parts of rendered scenes before anybody walks in. No real image is used. The
threshold is the highest number of any texture as it is drawn, plus a little. It takes two minutes on one core; run it
after a new parser, then ``python benchmarks/person_check.py``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from unveil.atomic_io import write_bytes, write_text
from unveil.data.augment.sensor import sensor
from unveil.data.images import read_sample
from unveil.datasets.sources import crops_of
from unveil.parsing.card import read_card
from unveil.parsing.default import DEFAULT_CARD
from unveil.parsing.training.no_people import without_people
from unveil.parsing.training.person_check import FEATURES, OUTPUT, with_features, with_rule
from unveil.runtime.preprocessing import to_input
from unveil.world.capture.plate import LIGHT_MAX, render_plate
from unveil.world.capture.sensor import develop
from unveil.world.scenes.scene import make_scene

SEED = 0  # of drawn textures; the benchmark's is another
RIDGE = 0.3  # strong: the rule has to hold on real cameras, which are not in the fit
MARGIN = 0.15  # of the spread of people's numbers, above the highest of what is none
SCENES, PARTS = 4, 50  # rendered scenes without people, and crops of each
SENSOR = 0.6  # how poor the cameras are
BATCH = 16

Image = NDArray[np.uint8]


def main() -> None:
    """Fit, write the graph and the card, and say how many of each kind pass."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--people", default="world:small", help="source of rendered people")
    asked.add_argument("--count", type=int, default=700, help="people, and half as many again of textures")
    asked.add_argument("--folder", type=Path, default=DEFAULT_CARD.parent, help="folder of parser.onnx and its card")
    options = asked.parse_args()
    rng, generator = np.random.default_rng(SEED), torch.Generator().manual_seed(SEED)
    path = options.folder / DEFAULT_CARD.name
    model_path = options.folder / json.loads(path.read_text())["model"]
    model = onnx.load(str(model_path))
    with_features(model)
    look = Features(path, model)
    people = some(options.people, options.count)
    textures = [without_people(n, SEED)[1] for n in range(3 * options.count // 2)]
    kinds = {
        "people": look(people),
        "people, degraded": look([degraded(smaller(image, rng), generator) for image in people]),
        "textures": look(textures),
        "textures, degraded": look([degraded(image, generator) for image in textures[: options.count // 3]]),
        "scenes": look(list(scenes(rng))),
    }
    positive = np.concatenate([kinds["people"], kinds["people, degraded"]])
    negative = np.concatenate([found for name, found in kinds.items() if "people" not in name])
    weights, bias = fit(negative, positive)
    # The rest is in the fit alone: one poster, or one texture blurred to a silhouette, costs many people.
    threshold = (kinds["textures"] @ weights + bias).max() + MARGIN * (positive @ weights + bias).std()
    with_rule(model, weights, bias=bias - threshold)
    onnx.checker.check_model(model)
    write_bytes(model_path, model.SerializeToString())
    card = json.loads(path.read_text()) | {"person_check": {"output": OUTPUT, "threshold": 0.0}}
    write_text(path, json.dumps(card) + "\n")
    for name, found in kinds.items():
        passed = int((found @ weights + bias >= threshold).sum())
        print(f"{name}: {passed} of {len(found)} are taken for people ({passed / len(found):.1%})")


class Features:
    """What the parser's graph answers at the output `FEATURES`."""

    def __init__(self, card: Path, model: onnx.ModelProto) -> None:
        import onnxruntime

        self._card = read_card(card)
        one = onnxruntime.SessionOptions()
        one.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), one, ["CPUExecutionProvider"])

    def __call__(self, images: list[Image]) -> NDArray[np.float64]:
        """Return ``(N, F)``."""
        name = self._session.get_inputs()[0].name
        batches = (images[first : first + BATCH] for first in range(0, len(images), BATCH))
        found = [
            self._session.run([FEATURES], {name: to_input(batch, self._card, dtype=np.dtype(np.float32))})[0]
            for batch in batches
        ]
        return np.concatenate(found).astype(np.float64)


def some(source: str, count: int) -> list[Image]:
    """Return at most ``count`` crops of a source, drawn with a fixed seed."""
    samples = crops_of(source).samples
    chosen = np.random.default_rng(SEED).permutation(len(samples))[:count]
    return [read_sample(samples[n]) for n in sorted(chosen)]


def smaller(image: Image, rng: np.random.Generator) -> Image:
    """Return a crop at the size of one from farther away."""
    height = int(rng.integers(60, 200))
    width = max(20, int(height * rng.uniform(0.33, 0.5)))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def degraded(image: Image, generator: torch.Generator) -> Image:
    """Return an image as a street camera would show it."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float().div_(255)
    changed = sensor(pixels, SENSOR, generator=generator)[0].permute(1, 2, 0)
    return np.asarray(changed.mul(255).round_().numpy(), np.uint8)


def scenes(rng: np.random.Generator) -> Iterator[Image]:
    """Yield parts of scenes without people, of the shape of crops."""
    for number in range(SCENES):
        scene = make_scene(number, 4242)
        plate = render_plate(scene)
        light = (plate.ambient.astype(np.float32) ** 2 + plate.direct.astype(np.float32) ** 2) * (LIGHT_MAX / 255**2)
        picture = develop(cv2.resize(light, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), scene.camera, rng=rng)
        rows, columns = picture.shape[:2]
        for _ in range(PARTS):
            height = int(rng.integers(60, min(350, rows)))
            width = int(height * rng.uniform(0.33, 0.6))
            top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, columns - width + 1))
            yield np.ascontiguousarray(picture[top : top + height, left : left + width])


def fit(negative: NDArray[np.float64], positive: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return weights ``(F,)`` and bias of the logistic rule; both kinds weigh the same."""
    rows = np.concatenate([negative, positive])
    sign = np.repeat([-1.0, 1.0], [len(negative), len(positive)])
    share = np.repeat([0.5 / len(negative), 0.5 / len(positive)], [len(negative), len(positive)])
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    inputs = (rows - middle) / spread

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = sign * (inputs @ w[:-1] + w[-1])
        pull = -share * sign / (1 + np.exp(np.clip(margins, -50, 50)))
        slope = np.append(inputs.T @ pull + 2 * RIDGE * w[:-1], pull.sum())
        return float((share * np.logaddexp(0, -margins)).sum() + RIDGE * (w[:-1] ** 2).sum()), slope

    found = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ middle)


if __name__ == "__main__":
    main()
