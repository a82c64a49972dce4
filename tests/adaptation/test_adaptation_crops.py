"""Crops without labels, and what is known of them for free."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tracked import write_tracklets

from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.groups.links import seen_together, unit_places
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.task import Task
from unveil.data.fitting import CropSize
from unveil.datasets.sources import crops_of
from unveil.errors import DataError
from unveil.records import Dataset

SIZE = CropSize(64, 32)


@pytest.fixture
def dataset(tmp_path):
    return crops_of(str(write_tracklets(tmp_path)))


def opened(dataset, tmp_path, per_tracklet=8):
    return UnlabelledCrops.open([dataset], SIZE, per_tracklet=per_tracklet, cache=tmp_path / "cache")


def test_a_tracklet_is_one_unit_in_its_camera_alone(dataset, tmp_path):
    crops = opened(dataset, tmp_path)
    assert len(crops) == 14 * 2 * 4
    assert len(np.unique(crops.units)) == 28  # t0 of camera c0 is another tracklet than t0 of c1
    assert crops.known_cameras == ("c0", "c1") and crops.tracked.all()


def test_names_of_people_and_clothes_are_put_aside(dataset, tmp_path):
    named = dataclasses.replace(
        dataset, samples=tuple(dataclasses.replace(s, person="x", clothes="y") for s in dataset.samples)
    )
    crops = opened(named, tmp_path)
    assert {(s.person, s.clothes) for s in crops.store.samples} == {(None, None)}


def test_long_tracklets_are_thinned_evenly(dataset, tmp_path):
    crops = opened(dataset, tmp_path, per_tracklet=2)
    assert set(crops.times % 100) == {0.0, 3.0}


def test_of_a_benchmark_only_the_training_part_is_taken(dataset, tmp_path):
    split = tuple(dataclasses.replace(s, split="train" if i < 40 else "query") for i, s in enumerate(dataset.samples))
    assert len(opened(dataclasses.replace(dataset, samples=split), tmp_path)) == 40


def test_duplicates_count_once(dataset, tmp_path):
    copies = tuple(dataclasses.replace(s, key=f"copy/{s.key}") for s in dataset.samples[:10])
    assert len(opened(dataclasses.replace(dataset, samples=dataset.samples + copies), tmp_path)) == 112


def test_places_are_told_by_a_column_and_by_the_datasets(tmp_path):
    table = write_tracklets(tmp_path)
    head, *rows = table.read_text().splitlines()
    people = [i // 8 for i in range(len(rows))]
    told = [f"{row},{'ab'[p % 2] if p % 3 else ''}" for row, p in zip(rows, people, strict=True)]
    table.write_text("\n".join([f"{head},place", *told]) + "\n")
    first = crops_of(str(table))
    crops = opened(first, tmp_path)
    named = {s.key: s.extra.get("place", "") for s in first.samples}
    keys = [crops.store.samples[row].key.partition("/")[2] for row in crops.rows]
    assert {(named[key], place) for key, place in zip(keys, crops.places, strict=True)} == {
        ("", 0), ("a", 1), ("b", 2)
    }  # fmt: skip
    some = crops.select(np.array([5, 3]))
    assert (some.places == crops.places[[5, 3]]).all()

    other = tuple(dataclasses.replace(s, camera=f"other {s.camera}", extra={}) for s in first.samples[80:])
    both = [dataclasses.replace(first, samples=first.samples[:80]), Dataset("other", other)]
    together, apart = (
        UnlabelledCrops.open(both, SIZE, per_tracklet=8, apart=apart, cache=tmp_path / "cache")
        for apart in (False, True)
    )
    assert len(np.unique(together.places)) == 3 and len(np.unique(apart.places)) == 4
    units = unit_places(apart)
    assert (units[apart.units] == apart.places).all()
    settings = AdaptSettings(apart=True, held_out=0.0)
    assert (Task.open(both, SIZE, settings=settings, cache=tmp_path / "cache").links.places == units).all()


def test_too_few_different_crops_are_refused(dataset, tmp_path):
    one = dataset.samples[0]
    copies = tuple(dataclasses.replace(one, key=f"{i}") for i in range(50))
    with pytest.raises(DataError, match="1 different crops are too few"):
        opened(dataclasses.replace(dataset, samples=copies), tmp_path)


def test_cameras_of_two_sources_may_not_be_called_alike(dataset, tmp_path):
    with pytest.raises(DataError, match="both have a camera 'c0'"):
        UnlabelledCrops.open([dataset, dataset], SIZE, per_tracklet=8, cache=tmp_path / "cache")


def test_tracklets_that_overlap_in_one_camera_are_two_people(dataset, tmp_path):
    crops = opened(dataset, tmp_path)
    pairs = seen_together(crops)
    assert len(pairs) == 7 * 2  # two people at a time, in each of two cameras
    for a, b in pairs:
        first, second = crops.times[crops.units == a], crops.times[crops.units == b]
        assert first[0] // 100 == second[0] // 100
        cameras = {crops.cameras[i] for i in np.flatnonzero(np.isin(crops.units, [a, b]))}
        assert len(cameras) == 1


def test_without_times_or_tracklets_nothing_is_known(dataset, tmp_path):
    for change in ({"time": None}, {"tracklet": None}):
        bare = Dataset("bare", tuple(dataclasses.replace(s, **change) for s in dataset.samples))
        assert seen_together(opened(bare, tmp_path)).shape == (0, 2)
    borrowed = Dataset("borrowed", tuple(dataclasses.replace(s, time=1.7e9) for s in dataset.samples))
    assert seen_together(opened(borrowed, tmp_path)).shape == (0, 2)
