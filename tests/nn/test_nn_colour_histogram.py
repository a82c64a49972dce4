"""Colours by stripe: against a histogram that is counted pixel by pixel, and what they must not depend on."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from unveil.nn.colour_histogram import COLOURS, HUES, SATURATIONS, SIZE, STRIPES, VALUES, colour_histograms

RED, GREEN, BLUE, GREY = (0.8, 0.0, 0.0), (0.0, 0.8, 0.0), (0.0, 0.0, 0.8), (0.4, 0.4, 0.4)


def _image(top: tuple[float, ...], bottom: tuple[float, ...]) -> torch.Tensor:
    image = torch.empty(1, 3, *SIZE)
    image[:, :, : SIZE[0] // 2] = torch.tensor(top)[None, :, None, None]
    image[:, :, SIZE[0] // 2 :] = torch.tensor(bottom)[None, :, None, None]
    return image


def _everywhere(images: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(images), 1, *SIZE)


def _histograms(images: torch.Tensor, person: torch.Tensor) -> torch.Tensor:
    return colour_histograms(images, person, mean=torch.zeros(3), std=torch.ones(3))


def _likeness(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one * other).sum())


def _counted(image: np.ndarray, person: np.ndarray) -> np.ndarray:
    """The same histogram by loops over pixels, bins and stripes."""
    height, width = SIZE
    brightness = (image.mean(0) * person).sum() / person.sum()
    image = np.minimum(image * np.clip(0.4 / brightness, 0.5, 2.5), 1)
    counts = np.zeros((STRIPES, VALUES, HUES, SATURATIONS))
    for y in range(height):
        for x in range(width):
            h, s, v = colorsys.rgb_to_hsv(*image[:, y, x].astype(float))
            away = (x - (width - 1) / 2) / (0.3 * width)
            weight = person[y, x] * np.exp(-(away**2))
            for stripe in range(STRIPES):
                near = max(0.0, 1 - abs(y - (stripe + 0.5) * height / STRIPES) * STRIPES / height)
                if not near:
                    continue
                for value in range(VALUES):
                    for hue in range(HUES):
                        round_the_circle = min(abs(h * HUES - hue), HUES - abs(h * HUES - hue))
                        for saturation in range(SATURATIONS):
                            counts[stripe, value, hue, saturation] += (
                                weight
                                * near
                                * max(0.0, 1 - abs(v * (VALUES - 1) - value))
                                * max(0.0, 1 - round_the_circle)
                                * max(0.0, 1 - abs(s * (SATURATIONS - 1) - saturation))
                            )
    counts /= counts.sum((1, 2, 3), keepdims=True)
    return np.sqrt(counts / STRIPES).reshape(-1)


def test_it_equals_a_histogram_counted_pixel_by_pixel():
    generator = np.random.default_rng(0)
    image = generator.random((3, *SIZE)).astype(np.float32)
    person = generator.random(SIZE).astype(np.float32)
    found = _histograms(torch.from_numpy(image)[None], torch.from_numpy(person)[None, None])
    assert found.shape == (1, COLOURS)
    np.testing.assert_allclose(found[0].numpy(), _counted(image, person), atol=2e-4)
    assert float(found.norm()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("size", [(256, 128), (160, 50), (48, 20)])
def test_images_of_any_size_and_normalisation_are_made_small_by_their_areas(size):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    normalised = (images - mean[:, None, None]) / std[:, None, None]
    found = colour_histograms(normalised, _everywhere(images), mean=mean, std=std)
    expected = _histograms(torch.nn.functional.interpolate(images, SIZE, mode="area"), _everywhere(images))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_same_clothes_are_alike_and_trousers_and_shirt_may_not_trade_places():
    images = torch.cat([_image(RED, BLUE), _image(RED, BLUE), _image(BLUE, RED), _image(GREEN, GREY)])
    found = _histograms(images, _everywhere(images))
    assert _likeness(found[0], found[1]) == pytest.approx(1, abs=1e-4)
    assert _likeness(found[0], found[2]) < 0.2
    assert _likeness(found[0], found[3]) < 0.1


def test_what_is_not_the_person_does_not_count():
    person = torch.zeros(2, 1, *SIZE)
    person[:, :, :, 8:24] = 1
    images = torch.cat([_image(RED, BLUE), _image(RED, BLUE)])
    images[1, :, :, :8], images[1, :, :, 24:] = 0.9, 0.1
    found = _histograms(images, person)
    assert _likeness(found[0], found[1]) == pytest.approx(1, abs=1e-4)
    found = _histograms(images, _everywhere(images))
    assert _likeness(found[0], found[1]) < 0.9


def test_exposure_does_not_count():
    image = _image((0.5, 0.2, 0.2), (0.2, 0.2, 0.3))
    images = torch.cat([image, 0.6 * image])
    found = _histograms(images, _everywhere(images))
    assert _likeness(found[0], found[1]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_white_and_nobody_are_finite(value):
    images = torch.full((1, 3, 256, 128), value)
    for person in (torch.zeros(1, 1, 16, 8), torch.ones(1, 1, 16, 8)):
        assert torch.isfinite(_histograms(images, person)).all()
