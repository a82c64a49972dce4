"""Pixels reach a model as its card says: colours, range, layout, type and place."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.data.fitting import CropSize, fit_image, fit_labels, placement
from unveil.runtime.card import ModelCard
from unveil.runtime.preprocessing import to_input, to_tensor

RED = np.zeros((1, 4, 2, 3), np.uint8)
RED[..., 0] = 200


def card(**changes) -> ModelCard:
    return ModelCard.model_validate({"model": "m.onnx", "width": 2, "height": 4} | changes)


def test_layout_and_channels():
    assert to_tensor(RED, card(scale=1)).shape == (1, 3, 4, 2)
    assert to_tensor(RED, card(scale=1, layout="nhwc"))[0, 0, 0].tolist() == [200, 0, 0]
    assert to_tensor(RED, card(scale=1, channels="bgr"))[0, :, 0, 0].tolist() == [0, 0, 200]


def test_mean_and_std_are_in_the_order_of_the_channels():
    found = to_tensor(RED, card(channels="bgr", mean=(0.1, 0.2, 0.3), std=(1, 2, 4)))[0, :, 0, 0]
    assert found == pytest.approx([-0.1, -0.1, (200 / 255 - 0.3) / 4], abs=1e-6)


@pytest.mark.parametrize(
    ("dtype", "changes", "expected"),
    [
        (np.float16, {"scale": 1}, 200),
        (np.uint8, {"scale": 1}, 200),
        (np.int8, {"scale": 1, "mean": (128, 128, 128)}, 72),
        (np.int8, {"scale": 1}, 127),
        (np.uint8, {"scale": 0.5, "mean": (0.7, 0, 0)}, 99),
        (np.float64, {"scale": 0.5}, 100),
    ],
)
def test_the_type_is_the_models(dtype, changes, expected):
    found = to_tensor(RED, card(**changes), dtype=dtype)
    assert found.dtype == dtype and found[0, 0, 0, 0] == expected


def test_images_of_any_size_come_to_the_size_of_the_input():
    tall = np.full((8, 2, 3), 50, np.uint8)
    assert to_input([tall, RED[0]], card(scale=1)).shape == (2, 3, 4, 2)


@pytest.mark.parametrize(("fit", "left"), [("centre", 3), ("corner", 0)])
def test_a_kept_aspect_leaves_padding_where_the_card_says(fit, left):
    size = CropSize(8, 8, "linear", fit, 7)
    where = placement(16, 4, size=size)
    assert (where.height, where.width, where.top, where.left, where.down, where.across) == (8, 2, 0, left, 0.5, 0.5)
    found = fit_image(np.full((16, 4, 3), 200, np.uint8), size)
    inside = np.zeros((8, 8), bool)
    inside[where.place] = True
    assert inside.sum() == 16 and (found[inside] == 200).all() and (found[~inside] == 7).all()
    labels = fit_labels(np.full((16, 4), 5, np.uint8), size)
    assert (labels[inside] == 5).all() and (labels[~inside] == 0).all()


def test_filters_differ_where_they_should():
    """A chequerboard of single pixels: what antialiases gives grey, what does not may give anything else."""
    fine = np.where((np.indices((64, 64)).sum(axis=0) % 2)[..., None], np.uint8(255), np.uint8(0)).repeat(3, axis=2)
    coarse = {name: fit_image(fine, CropSize(13, 13, name)) for name in ("bilinear", "bicubic", "linear", "area")}
    for name in ("bilinear", "bicubic", "area"):
        assert abs(coarse[name].astype(int) - 127).max() < 40, name
    assert coarse["linear"].std() > coarse["area"].std() + 20
    # Area averages only where it shrinks by more than two.
    assert (fit_image(fine, CropSize(40, 40, "area")) == fit_image(fine, CropSize(40, 40, "linear"))).all()
