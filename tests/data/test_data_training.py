"""The training set: labels by sorted order, datasets kept apart, batches with the right rows."""

import numpy as np
import pytest
import torch
from PIL import Image

from unveil.data.training import TrainingSet
from unveil.errors import DataError
from unveil.recipe import InputSettings
from unveil.records import Dataset, Sample

SIZE = InputSettings(height=32, width=16)


@pytest.fixture
def make(tmp_path):
    """Make a dataset of one-colour crops: rows of (person, camera, clothes), colour = row number."""

    def make(name, rows, scheme=None, split="train"):
        samples = []
        for row, (person, camera, clothes) in enumerate(rows):
            path = tmp_path / name / f"{row}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (16, 32), (row, 100, len(name))).save(path)
            parsing = None
            if scheme:
                parsing = path.with_suffix(".map.png")
                Image.new("L", (16, 32), row).save(parsing)
            labels = {"person": person, "camera": camera, "clothes": clothes}
            samples.append(Sample(path.name, path, parsing=parsing, split=split, **labels))
        return Dataset(name, tuple(samples), parsing_scheme=scheme)

    return make


A = [("9", "c1", "9_b"), ("10", "c2", "10_a"), ("9", "c2", "9_a"), ("10", "c1", "10_a")]


def test_codes_follow_sorted_order_and_outfits_know_their_person(make, tmp_path):
    data = TrainingSet.open([make("a", A, "lip20")], SIZE, cache=tmp_path / "cache")
    assert len(data) == 4
    assert data.person_codes.tolist() == [1, 0, 1, 0]  # "10" < "9"
    assert data.camera_codes.tolist() == [0, 1, 1, 0]
    assert data.clothes_codes.tolist() == [2, 0, 1, 0]
    assert (data.persons, data.clothes, data.outfits) == (2, 3, (0, 1, 1))
    assert data.parsing_scheme == "lip20"


def test_identities_of_two_datasets_are_kept_apart(make, tmp_path):
    data = TrainingSet.open(
        [make("a", A), make("bb", [("9", None, None), ("5", None, None)])], SIZE, cache=tmp_path / "c"
    )
    assert data.person_codes.tolist() == [1, 0, 1, 0, 3, 2]
    assert data.camera_codes.tolist() == [0, 1, 1, 0, -1, -1]
    assert data.clothes_codes is None and data.clothes == 0 and data.outfits == ()
    assert [(s.name, s.images, s.persons) for s in data.sources] == [("a", 4, 2), ("bb", 2, 2)]
    notes = " ".join(data.notes)
    assert "clothes labels are not used" in notes and "2 of 4 persons have a single image" in notes


def test_batches_hold_the_rows_asked_for_across_datasets(make, tmp_path):
    data = TrainingSet.open([make("a", A, "lip20"), make("bb", A[:3], "lip20")], SIZE, cache=tmp_path / "c")
    batch = data.batch(np.array([5, 0, 6, 3, 5]))
    assert batch.images.shape == (5, 3, 32, 16) and str(batch.images.dtype) == "torch.uint8"
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.images[:, :, 7, 3].tolist() == [[1, 100, 2], [0, 100, 1], [2, 100, 2], [3, 100, 1], [1, 100, 2]]
    assert batch.parsing[:, 4, 4].tolist() == [1, 0, 2, 3, 1]
    assert batch.persons.tolist() == data.person_codes[[5, 0, 6, 3, 5]].tolist()
    batch.images[0] = 0  # a batch is a copy; the store stays as it is
    assert data.batch([5]).images[0, 1, 0, 0] == 100


def test_parsing_is_used_only_with_one_label_set(make, tmp_path):
    data = TrainingSet.open([make("a", A, "lip20"), make("bb", A, "atr18")], SIZE, cache=tmp_path / "c")
    assert data.parsing_scheme is None and data.batch([0]).parsing is None
    assert "label sets differ: atr18, lip20" in " ".join(data.notes)


def test_hash_changes_with_labels_and_pixels(make, tmp_path):
    def content(*datasets):
        return TrainingSet.open(datasets, SIZE, cache=tmp_path / "c").content_hash

    first = content(make("a", A))
    assert first == content(make("a", A))
    assert first != content(make("a", [*A[:3], ("9", "c1", "9_a")]))
    assert first != content(make("b", [*A, ("9", "c1", "9_a")]))


def test_what_cannot_be_trained_on_is_refused(make, tmp_path):
    with pytest.raises(DataError, match="at least one dataset"):
        TrainingSet.open([], SIZE)
    with pytest.raises(DataError, match="split=train"):
        TrainingSet.open([make("a", A, split=None)], SIZE)
    with pytest.raises(DataError, match=r"no crop in the split 'train'$"):
        TrainingSet.open([make("a", A, split="query")], SIZE)
    with pytest.raises(DataError, match="outfit 'x' of person"):
        TrainingSet.open([make("a", [("1", "c", "x"), ("2", "c", "x")])], SIZE, cache=tmp_path / "c")
    with pytest.raises(DataError, match="no training crop has a person"):
        TrainingSet.open([make("a", [(None, None, None)])], SIZE)


def test_crops_of_unknown_persons_are_left_out_and_said(make, tmp_path):
    data = TrainingSet.open([make("a", [*A, (None, "c1", None)])], SIZE, cache=tmp_path / "c")
    assert len(data) == 4 and "1 crops of unknown persons" in " ".join(data.notes)


def test_crops_that_are_kept_on_a_device_come_as_the_same_batches(make, tmp_path):
    sets = [make("a", A, "lip20"), make("bb", [(str(n % 7), "c1", f"{n % 7}_a") for n in range(1200)], "lip20")]
    data = TrainingSet.open(sets, SIZE, cache=tmp_path / "cache")
    kept = data.kept_on(torch.device("cpu"))
    assert data.pixel_bytes == len(data) * SIZE.height * SIZE.width * 4
    for rows in ([0], [1203, 3, 3, 4, 900]):
        batch, expected = kept.batch(rows, "cpu"), data.batch(rows, "cpu")
        for name in ("images", "persons", "cameras", "clothes", "parsing"):
            assert torch.equal(getattr(batch, name), getattr(expected, name))
        assert batch.erased is None
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        batch.images.zero_()  # what is done to a batch leaves the set as it is
    assert torch.equal(kept.batch([0]).images, data.batch([0]).images)
