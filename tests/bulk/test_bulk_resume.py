"""What a later run of the same command makes again: shards that are damaged or of changed files; without Ray."""

from __future__ import annotations

import dataclasses
import errno
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from untrained import make_model
from unveil.atomic_io import alone_in
from unveil.bulk import on_ray
from unveil.bulk.on_ray import RaySettings, Written, embed_on_ray
from unveil.bulk.shards import load_shards, read_shard, shard_files, write_shard
from unveil.bulk.worker import Job, ShardEmbedder, Unit
from unveil.data.readers.manifest import read_manifest
from unveil.errors import UnveilError
from unveil.records import Dataset

exceptions = pytest.importorskip("ray.exceptions", reason="the extra ray is not installed")
Embed = Callable[..., Written]


@pytest.fixture
def few(crops: Path, tmp_path: Path) -> Dataset:
    """Nine crops with parsing maps, to change."""
    root = shutil.copytree(crops.parent, tmp_path / "crops")
    samples = []
    for sample in read_manifest(root / crops.name).samples[:9]:
        (root / "parsing").mkdir(exist_ok=True)
        parsing = root / "parsing" / sample.path.name
        Image.fromarray(np.zeros(Image.open(sample.path).size[::-1], np.uint8)).save(parsing)
        samples.append(dataclasses.replace(sample, parsing=parsing))
    return Dataset("few", tuple(samples), parsing_scheme="cre7")


@pytest.fixture
def embed(model: Path, few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embed:
    """Embed the crops into three shards, in this process."""

    @contextmanager
    def connected(address: str) -> Iterator[None]:
        yield None

    def run_once(ray: None, job: Job, *, units: list[Unit], settings: RaySettings) -> None:
        make(job, units)

    monkeypatch.setattr(on_ray, "_connected", connected)
    monkeypatch.setattr(on_ray, "_run_once", run_once)

    def run(by: Path = model) -> Written:
        return embed_on_ray(
            by, few, samples=few.samples, folder=tmp_path / "shards", settings=RaySettings(shard_size=3)
        )

    return run


def make(job: Job, units: list[Unit]) -> None:
    embedder = ShardEmbedder(job)
    assert not any(embedder(unit)["error"] for unit in units)


def invert(image: Path) -> None:
    ImageOps.invert(Image.open(image).convert("RGB")).save(image)


def damage(path: Path) -> None:
    """Change a byte within the rows of a shard: its head can be read."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    path.write_bytes(data)


def test_a_shard_of_a_changed_image_is_made_again(embed, few, tmp_path, caplog):
    assert embed().made == 3
    before = load_shards(tmp_path / "shards").embedding.vectors
    times = [path.stat().st_mtime_ns for path in shard_files(tmp_path / "shards")]
    assert embed().made == 0
    invert(few.samples[4].path)
    with caplog.at_level(logging.WARNING):
        assert embed().made == 1
    assert "part-00001-of-00003.parquet: its images have changed; it is made again" in caplog.text
    after = load_shards(tmp_path / "shards").embedding.vectors
    changed = np.abs(after - before).max(axis=(1, 2)) > 1e-3
    assert changed.tolist() == [row == 4 for row in range(9)]
    now = [path.stat().st_mtime_ns for path in shard_files(tmp_path / "shards")]
    assert [a == b for a, b in zip(times, now, strict=True)] == [True, False, True]
    assert embed().made == 0


def test_a_crop_that_could_not_be_read_and_now_can_is_taken_in(embed, few):
    whole = few.samples[4].path.read_bytes()
    few.samples[4].path.write_bytes(b"no image")
    assert embed().crops == 8
    few.samples[4].path.write_bytes(whole)
    assert embed().crops == 9


def test_a_crop_that_the_system_kept_back_once_is_taken_in(embed, few, monkeypatch, caplog):
    read = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == few.samples[4].path.name:
            raise OSError(errno.EMFILE, "Too many open files")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        assert embed().crops == 8
        assert embed().made == 0
    with caplog.at_level(logging.WARNING):
        again = embed()
    assert (again.made, again.crops, again.left_out) == (1, 9, ())
    assert "could not be read then, and can be now; it is made again" in caplog.text


def test_a_changed_map_counts_where_the_model_looks_at_maps(embed, few, tmp_path):
    embed()
    other = Image.fromarray(np.ones(Image.open(few.samples[4].parsing).size[::-1], np.uint8))
    other.save(few.samples[4].parsing)
    assert embed().made == 0
    shutil.rmtree(tmp_path / "shards")
    guided = make_model(tmp_path, "cre", height=64, width=32)
    assert embed(guided).made == 3
    other.save(few.samples[4].parsing)
    assert embed(guided).made == 1


def test_a_second_run_into_a_folder_is_refused(embed, tmp_path):
    with alone_in(tmp_path / "shards"), pytest.raises(UnveilError, match="another process writes into"):
        embed()
    assert not shard_files(tmp_path / "shards")


def test_a_shard_that_does_not_tell_its_files_is_made_again_and_can_be_read(embed, tmp_path, caplog):
    embed()
    path = shard_files(tmp_path / "shards")[2]
    write_shard(path.parent, dataclasses.replace(read_shard(path), files=""))
    assert len(load_shards(path.parent).samples) == 9
    with caplog.at_level(logging.WARNING):
        assert embed().made == 1
    assert f"{path}: an older unveil did not note when its images changed; it is made again" in caplog.text


@pytest.mark.parametrize("damaged", [True, False])
def test_a_shard_to_be_made_again_is_left_to_do_when_workers_die(damaged, embed, few, tmp_path, monkeypatch):
    embed()
    _, second, third = shard_files(tmp_path / "shards")
    damage(second) if damaged else invert(few.samples[4].path)
    third.unlink()
    asked = []

    def die_at_first(ray: None, job: Job, *, units: list[Unit], settings: RaySettings) -> None:
        asked.append([unit["number"] for unit in units])
        make(job, units[-1:])
        if len(units) > 1:
            raise exceptions.RayActorError

    monkeypatch.setattr(on_ray, "_run_once", die_at_first)
    assert embed().made == 2
    assert asked == [[1, 2], [1]]
    assert len(load_shards(tmp_path / "shards").samples) == 9
    assert embed().made == 0


def test_workers_that_die_over_a_damaged_shard_alone_end_the_command(embed, tmp_path, monkeypatch):
    embed()
    damage(shard_files(tmp_path / "shards")[1])

    def die(*_: object, **__: object) -> None:
        raise exceptions.RayActorError

    monkeypatch.setattr(on_ray, "_run_once", die)
    with pytest.raises(UnveilError, match="workers of Ray die over 1 of 3 shards"):
        embed()
