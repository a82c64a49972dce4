"""Shares that a network hedges are told as they are after the calibration, and nothing else of it changes."""

from __future__ import annotations

import copy

import numpy as np
import torch

from unveil.nn.parsing_network import ParsingNet
from unveil.nn.share_calibration import calibrate_shares, fit_shares, shares_told


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_what_was_hedged_is_told_as_it_is():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (400, 2))
    truth = sigmoid(logits * (3.0, 1.0) + (0.5, -1.0))
    unknown = rng.random(truth.shape) < 0.2
    scale, offset = fit_shares(sigmoid(logits), np.where(unknown, np.nan, truth))
    assert np.allclose(scale, (3.0, 1.0), rtol=0.1) and np.allclose(offset, (0.5, -1.0), atol=0.1)


def test_shares_that_are_0_or_1_and_a_part_that_never_shows_are_no_trouble():
    told = np.array([[0.0, 0.3], [1.0, 0.6], [0.9, 0.1]], np.float32)
    scale, offset = fit_shares(told, np.array([[0.0, np.nan], [1.0, np.nan], [1.0, np.nan]]))
    assert torch.isfinite(scale).all() and torch.isfinite(offset).all() and (scale > 0).all()
    assert (scale[1], offset[1]) == (1, 0), "what is not known is left as it is"


def test_a_calibrated_network_answers_by_the_formula():
    torch.manual_seed(0)
    network = ParsingNet(5, (0, 1, -1), shares=3).eval()
    changed = copy.deepcopy(network)
    scale, offset = torch.tensor([2.0, 0.5, 1.0]), torch.tensor([0.3, -1.0, 0.0])
    calibrate_shares(changed, scale, offset=offset)
    images = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        before, after = network(images), changed(images)
    torch.testing.assert_close(after[2], before[2] * scale + offset)
    for n in (0, 1, 3):
        assert torch.equal(after[n], before[n]), "classes, parts and the way a person faces are told as before"


def test_shares_are_told_of_crops_of_any_size_in_their_order():
    torch.manual_seed(0)
    network = ParsingNet(5, (0, 1, -1), shares=3).eval()
    rng = np.random.default_rng(1)
    crops = [rng.integers(0, 256, (40 + n, 20 + n, 3), np.uint8) for n in range(18)]
    told = shares_told(network, crops, size=(64, 32))
    assert told.shape == (18, 3) and ((told > 0) & (told < 1)).all()
    alone = shares_told(network, crops[17:], size=(64, 32))
    assert np.allclose(told[17], alone[0], atol=1e-5)
