"""Maps that the package's parser makes in the cache are of the images that are occluded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from unveil.label_sets import PASCAL7
from unveil.occlusion import components
from unveil.occlusion.components import with_components
from unveil.records import Dataset, Sample


class Brightness:
    """A parser to which an image is one component, by how bright it is; counts what it parsed."""

    scheme, fingerprint, parsed = PASCAL7, "brightness", 0

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        self.parsed += len(images)
        return [np.full(image.shape[:2], image[0, 0, 0] // 50, np.uint8) for image in images]


@pytest.fixture
def parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Brightness:
    parser = Brightness()
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(components, "default_parser", lambda scheme: parser)
    return parser


def labels(root: Path) -> int:
    dataset = Dataset("d", (Sample("a.png", path=root / "a.png", person="1", split="query"),))
    (sample,) = with_components(dataset, root).samples
    assert sample.parsing is not None
    return int(np.asarray(Image.open(sample.parsing))[0, 0])


def draw(root: Path, brightness: int) -> Path:
    root.mkdir(exist_ok=True)
    Image.fromarray(np.full((8, 4, 3), brightness, np.uint8)).save(root / "a.png")
    return root


def test_trees_with_the_same_keys_have_maps_of_their_own(parser: Brightness, tmp_path: Path) -> None:
    first, second = draw(tmp_path / "first", 100), draw(tmp_path / "second", 200)
    assert (labels(first), labels(second)) == (2, 4)
    assert (labels(first), parser.parsed) == (2, 2), "maps that are there are kept"


def test_an_image_that_has_changed_is_parsed_again(parser: Brightness, tmp_path: Path) -> None:
    root = draw(tmp_path / "first", 100)
    assert labels(root) == 2
    with (root / "a.png").open("wb") as f:
        Image.fromarray(np.full((16, 4, 3), 200, np.uint8)).save(f, "PNG", compress_level=0)
    assert labels(root) == 4
