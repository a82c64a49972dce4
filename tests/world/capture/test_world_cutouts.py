"""The things of the world alone, with transparency."""

import numpy as np
import pytest
from PIL import Image

from unveil.errors import DataError
from unveil.occlusion.pasted import read_cutouts
from unveil.world.capture.cutouts import TALLEST, THINGS, cutouts_folder, render_thing, write_cutouts

FEW = ("bin", "fence", "bush")


@pytest.fixture(scope="module")
def things():
    return {name: render_thing(name, np.random.default_rng(3)) for name in FEW}


def test_things_are_cropped_to_what_is_seen(things):
    for image in things.values():
        alpha = image[..., 3]
        assert image.dtype == np.uint8 and image.shape[2] == 4 and len(image) <= TALLEST
        assert all(side.any() for side in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))
        assert image[alpha == 255][:, :3].std() > 3, "shaded, not one colour"


def test_holes_are_transparent_and_bodies_are_not(things):
    share = {name: (image[..., 3] > 127).mean() for name, image in things.items()}
    assert share["bin"] > 0.9
    assert 0.1 < share["fence"] < 0.7
    assert 0.2 < share["bush"] < 0.9


def test_edges_carry_the_colour_of_the_thing_not_of_the_dark_around_it(things):
    image = things["bin"].astype(float)
    alpha = image[..., 3]
    edge, inside = (alpha > 30) & (alpha < 220), alpha == 255
    assert edge.any()
    assert image[edge][:, :3].mean() > 0.6 * image[inside][:, :3].mean()


def test_the_same_seed_gives_the_same_files_that_the_builder_reads(tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.world.capture.cutouts.THINGS", {name: THINGS[name] for name in FEW})
    write_cutouts(tmp_path / "a", 4, seed=1)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["0000_bin.png", "0001_fence.png", "0002_bush.png", "0003_bin.png"]
    first, last = (np.asarray(Image.open(tmp_path / "a" / names[i])) for i in (0, 3))
    assert first.shape != last.shape or (first != last).any()
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    folder = cutouts_folder(4, seed=1)
    assert all((folder / n).read_bytes() == (tmp_path / "a" / n).read_bytes() for n in names)
    assert [cutout.name for cutout in read_cutouts(folder)] == names
    monkeypatch.setattr("unveil.world.capture.cutouts.write_cutouts", None)
    assert cutouts_folder(4, seed=1) == folder
    with pytest.raises(DataError, match="expected 1 to"):
        write_cutouts(tmp_path / "b", 0)
