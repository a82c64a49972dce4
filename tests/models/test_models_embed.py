import logging
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from unveil.data.fitting import CropSize
from unveil.data.store import build
from unveil.models.embed import embed_by_camera, embed_samples
from unveil.records import Embedding, Sample
from waiting import until

ROWS = 21


def model_without_cameras():
    return SimpleNamespace(cameras=(), of_camera=lambda label: nullcontext())


def limited(most, asked):
    """Return a function that embeds row n as the number n, and has no memory for more than so many rows."""

    def embed(rows):
        asked.append(len(rows))
        if len(rows) > most:
            torch.empty(2**55)  # PyTorch's own error: no machine has so much
        return Embedding(np.array(rows, dtype=np.float32).reshape(-1, 1, 1), np.ones((len(rows), 1)))

    return embed


@pytest.mark.parametrize("most", [1, 3, 5, 8, 100])
def test_crops_are_taken_fewer_at_a_time_when_memory_is_short_and_none_is_lost(most, caplog):
    asked = []
    with caplog.at_level(logging.WARNING):
        found = embed_by_camera(model_without_cameras(), [None] * ROWS, embed=limited(most, asked), size=16)
    assert found.vectors.ravel().tolist() == list(range(ROWS))
    failed = [count for count in asked if count > most]
    assert failed == [16, 8, 4, 2][: len(failed)]  # each size is tried once
    assert len(caplog.records) == len(failed)
    assert sum(count for count in asked if count <= most) == ROWS


def test_one_crop_that_is_too_much_ends_with_the_error_and_others_errors_are_not_taken_for_it():
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        embed_by_camera(model_without_cameras(), [None] * 3, embed=limited(0, []), size=3)

    def broken(rows):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="do not fit"):
        embed_by_camera(model_without_cameras(), [None] * 3, embed=broken, size=3)


class Means:
    """A model whose vector is the mean colour of a crop; it notes the batches that it is given."""

    crop_size = CropSize(8, 4)
    batch = 4
    test_parsing = None
    cameras = ()

    def __init__(self):
        self.batches = []

    def of_camera(self, label):
        return nullcontext()

    def embed_crops(self, crops, parsing=None):
        assert parsing is None
        self.batches.append(np.array(crops))
        return Embedding(crops.mean((1, 2), dtype=np.float32)[:, None], np.ones((len(crops), 1), np.float32))


@pytest.fixture
def files(tmp_path):
    """Eighteen crops, of which the eighth is damaged."""
    found = []
    for number in range(18):
        path = tmp_path / f"{number:02}.png"
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 10, 3), np.uint8)).save(path)
        found.append(Sample(path.name, path, camera=f"c{number % 3}"))
    found[7].path.write_bytes(found[7].path.read_bytes()[:150])
    return found


def test_files_are_embedded_as_they_are_decoded_in_the_batches_of_a_store_that_is_there(files, tmp_path, caplog):
    model = Means()
    first, store = embed_samples(model, files, cache=tmp_path / "cache")
    batches, model.batches = model.batches, []
    again, same = embed_samples(model, files, cache=tmp_path / "cache")
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 1]
    for a, b in zip(batches, model.batches, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    np.testing.assert_array_equal(first.vectors[:, 0], store.images.mean((1, 2), dtype=np.float32))
    assert store.samples == same.samples == tuple(f for f in files if f.key != "07.png")
    assert [bad.key for bad in store.bad] == [bad.key for bad in same.bad] == ["07.png"]
    words = [record.getMessage() for record in caplog.records]
    assert len(words) == 2 and words[0] == words[1] and "1 of 18 crops cannot be read" in words[0]


def test_the_next_batch_is_decoded_while_the_network_works_and_no_more(files, tmp_path, monkeypatch):
    read, read_crop = [], build.read_crop

    def noted(sample, **how):
        read.append(sample.key)
        return read_crop(sample, **how)

    monkeypatch.setattr(build, "read_crop", noted)
    good = [sample for sample in files if sample.key != "07.png"]

    class Slow(Means):
        def embed_crops(self, crops, parsing=None):
            found = super().embed_crops(crops)
            there = min(len(good), 4 * len(self.batches) + 4)
            until(lambda: len(read) == there)
            return found

    found, _ = embed_samples(Slow(), good, cache=tmp_path / "cache")
    assert len(found) == len(read) == 17


def test_models_of_cameras_take_each_camera_by_itself(files, tmp_path):
    class Adapted(Means):
        cameras = ("c0", "c1")

    model = Adapted()
    found, store = embed_samples(model, files, cache=tmp_path / "cache", batch_size=10)
    assert [len(batch) for batch in model.batches] == [6, 5, 6]
    np.testing.assert_array_equal(found.vectors[:, 0], store.images.mean((1, 2), dtype=np.float32))


def test_too_little_memory_while_files_are_decoded_loses_none(files, tmp_path):
    class Small(Means):
        def embed_crops(self, crops, parsing=None):
            if len(crops) > 1:
                torch.empty(2**55)  # PyTorch's own error: no machine has so much
            return super().embed_crops(crops)

    found, store = embed_samples(Small(), files, cache=tmp_path / "cache")
    np.testing.assert_array_equal(found.vectors[:, 0], store.images.mean((1, 2), dtype=np.float32))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("broken")])
def test_an_error_of_the_network_ends_the_reading(files, tmp_path, error):
    class Broken(Means):
        def embed_crops(self, crops, parsing=None):
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        embed_samples(Broken(), files, cache=tmp_path / "cache")
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
