"""The rule that tells people from noise and textures, on the package's parser and rendered people."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.gallery.search.query import NoPersonDetectedError, check_people
from unveil.parsing.no_people import KINDS, without_people
from unveil.parsing.person_check import FEATURES, _map_features, person_features

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra onnx)")


@pytest.fixture(scope="module")
def parser():
    from unveil.parsing.default import default_parser

    return default_parser(1)


def accepted(images, parser) -> int:
    rule = parser.card.person_check
    scores = person_features(images, parser) @ np.array([rule.weights[name] for name in FEATURES]) + rule.bias
    return int((scores >= rule.threshold).sum())


def test_the_card_weighs_every_feature(parser):
    rule = parser.card.person_check
    assert rule is not None and set(rule.weights) == set(FEATURES)


def test_noise_is_nobody(parser):
    """Uniform noise, of which an older rule took some for people; all sizes."""
    rng = np.random.default_rng(5)
    noise = [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((64, 32), (128, 64), (256, 128), (384, 160))]
    assert accepted(noise, parser) == 0
    with pytest.raises(NoPersonDetectedError, match="it: no person"):
        check_people(noise[:1], ["it"], parser)


def test_few_textures_and_nearly_all_people_pass(parser, rendered):
    textures = [without_people(number, seed=3)[1] for number in range(len(KINDS))]
    assert accepted(textures, parser) <= 2
    from unveil.data.images import read_image

    people = [read_image(path) for path in sorted((rendered / "crops").rglob("*.jpg"))[:8]]
    assert accepted(people, parser) >= 7


def test_drawn_images_are_the_same_for_a_number_and_of_every_kind():
    first, again = without_people(4), without_people(4)
    assert first[0] == again[0] and np.array_equal(first[1], again[1])
    assert {without_people(number)[0] for number in range(len(KINDS))} == set(KINDS)
    assert all(without_people(n)[1].dtype == np.uint8 and without_people(n)[1].shape[2] == 3 for n in range(len(KINDS)))


def test_features_of_a_map_by_hand():
    """A head above a trunk above legs, four pixels wide; its mirror image agrees, a blurred one sees half of it."""
    labels = np.zeros((12, 8), np.uint8)
    labels[0:4, 2:6], labels[4:8, 2:6], labels[8:12, 2:6] = 1, 2, 3
    blurred = labels.copy()
    blurred[:, 4:] = 0
    area, rough, steady, agree, order, head, top, legs = _map_features(labels, labels[:, ::-1], blurred)
    assert (area, steady, agree) == (0.5, 0.5, 1.0)
    assert rough == pytest.approx(24 / np.sqrt(48))
    assert order == pytest.approx(8 / 12)
    assert head == top == legs == pytest.approx(1 / 3)
