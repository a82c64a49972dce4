"""The image store: right pixels, reused while fresh, rebuilt when stale or damaged, never half there."""

import errno
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from unveil import atomic_io
from unveil.atomic_io import locked
from unveil.data.fitting import CropSize, fit_image
from unveil.data.images import read_image, read_labels, resize, resize_labels
from unveil.data.store import build as store_build
from unveil.data.store import image_store as store_module
from unveil.data.store.build import Consumer
from unveil.data.store.image_store import open_store
from unveil.errors import DataError
from unveil.recipe import InputSettings
from unveil.records import Sample

SIZE = InputSettings(height=32, width=16)


@pytest.fixture
def samples(tmp_path):
    rng = np.random.default_rng(0)
    result = []
    for i in range(9):
        path, parsing = tmp_path / f"{i}.png", tmp_path / f"{i}_labels.png"
        Image.fromarray(rng.integers(0, 256, (40, 20, 3), dtype=np.uint8)).save(path)
        Image.fromarray(rng.integers(0, 20, (40, 20), dtype=np.uint8)).save(parsing)
        result.append(Sample(path.name, path, person=str(i), parsing=parsing))
    return result


@pytest.fixture
def builds(monkeypatch):
    """Count the builds."""
    made = []
    build = store_build.build_store
    monkeypatch.setattr(store_module, "build_store", lambda *a, **k: made.append(1) or build(*a, **k))
    return made


def touch(path):
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))


def test_rows_are_the_decoded_and_resized_crops(tmp_path, samples):
    store = open_store(samples, SIZE, cache=tmp_path / "cache", workers=3)
    assert store.images.shape == (9, 32, 16, 3) and store.parsing.shape == (9, 32, 16)
    assert store.images.dtype == store.parsing.dtype == np.uint8
    assert store.samples == tuple(samples) and store.bad == ()
    for row, sample in enumerate(samples):
        np.testing.assert_array_equal(store.images[row], resize(read_image(sample.path), 32, 16))
        np.testing.assert_array_equal(store.parsing[row], resize_labels(read_labels(sample.parsing), 32, 16))


def test_large_jpeg_files_are_decoded_smaller_and_look_the_same(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    large = Image.fromarray(rng.integers(0, 256, (20, 10, 3), np.uint8)).resize((200, 400), Image.Resampling.BICUBIC)
    samples = [Sample(f"large{end}", tmp_path / f"large{end}") for end in (".jpg", ".png")]
    for sample in samples:
        large.save(sample.path)
    shapes = []
    monkeypatch.setattr(
        store_build, "fit_image", lambda image, size: shapes.append(image.shape) or fit_image(image, size)
    )
    store = open_store(samples, SIZE, cache=tmp_path / "cache", workers=1)
    assert shapes == [(100, 50, 3), (400, 200, 3)]  # JPEG at a quarter; other formats have no smaller decoding
    whole = fit_image(read_image(samples[0].path), CropSize.of(SIZE)).astype(int)
    assert np.abs(store.images[0] - whole).mean() < 1


def test_reused_while_nothing_changes(tmp_path, samples, builds):
    first = open_store(samples, SIZE, cache=tmp_path / "cache")
    second = open_store(samples, SIZE, cache=tmp_path / "cache")
    assert len(builds) == 1 and first.content_hash == second.content_hash
    other = open_store(samples, InputSettings(height=32, width=16, interpolation="bicubic"), cache=tmp_path / "cache")
    assert len(builds) == 2 and other.path != first.path and other.content_hash != first.content_hash


def test_a_changed_file_is_seen(tmp_path, samples, builds):
    before = open_store(samples, SIZE, cache=tmp_path / "cache").content_hash
    Image.new("RGB", (20, 40), (1, 2, 3)).save(samples[4].path)
    touch(samples[4].path)
    store = open_store(samples, SIZE, cache=tmp_path / "cache")
    assert len(builds) == 2 and (store.images[4] == (1, 2, 3)).all() and store.content_hash != before
    Image.new("L", (20, 40), 6).save(samples[4].parsing)
    touch(samples[4].parsing)
    assert (open_store(samples, SIZE, cache=tmp_path / "cache").parsing[4] == 6).all()


@pytest.mark.parametrize("damage", ["images.npy", "parsing.npy", "index.json"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_damaged_store_is_rebuilt(tmp_path, samples, builds, damage, how):
    first = open_store(samples, SIZE, cache=tmp_path / "cache")
    pixels, file = np.array(first.images), first.path / damage
    file.write_bytes(file.read_bytes()[:-10]) if how == "cut" else file.unlink()
    np.testing.assert_array_equal(open_store(samples, SIZE, cache=tmp_path / "cache").images, pixels)
    assert len(builds) == 2


def test_bad_files_are_listed_and_the_rest_is_kept(tmp_path, samples, builds, caplog):
    samples[0].path.write_bytes(b"")
    samples[5].path.write_bytes(samples[5].path.read_bytes()[:200])
    samples[7].path.unlink()
    samples[8].parsing.write_bytes(b"text")
    for _ in range(2):
        store = open_store(samples, SIZE, cache=tmp_path / "cache")
        assert [bad.key for bad in store.bad] == ["0.png", "5.png", "7.png", "8.png"]
        for bad, word in zip(store.bad, ("empty", "truncated", "cannot be read", "8_labels.png"), strict=True):
            assert word in str(bad)
        assert [s.key for s in store.samples] == ["1.png", "2.png", "3.png", "4.png", "6.png"]
        assert len(store) == len(store.images) == len(store.parsing) == 5
        np.testing.assert_array_equal(store.images[4], resize(read_image(samples[6].path), 32, 16))
        np.testing.assert_array_equal(store.parsing[4], resize_labels(read_labels(samples[6].parsing), 32, 16))
    assert len(builds) == 1 and "4 of 9 crops cannot be read" in caplog.text


@pytest.mark.parametrize("what", ["path", "parsing"])
def test_a_crop_that_the_system_kept_back_once_is_taken_in_the_next_time(tmp_path, samples, monkeypatch, builds, what):
    read = Path.read_bytes

    def failing(path):
        if path == getattr(samples[4], what):
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        for _ in range(2):
            store = open_store(samples, SIZE, cache=tmp_path / "cache")
            assert [bad.key for bad in store.bad] == ["4.png"] and len(store) == 8
        assert len(builds) == 1
    store = open_store(samples, SIZE, cache=tmp_path / "cache")
    assert not store.bad and len(store) == 9 and len(builds) == 2


def test_a_store_for_which_memory_is_short_is_not_built_without_the_crop(tmp_path, samples, monkeypatch):
    def failing(image):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(PngImageFile, "load", failing)
        with pytest.raises(MemoryError):
            open_store(samples, SIZE, cache=tmp_path / "cache")
    assert not open_store(samples, SIZE, cache=tmp_path / "cache").bad


def test_nothing_readable_and_nothing_at_all(tmp_path, samples):
    for sample in samples:
        sample.path.write_bytes(b"")
    with pytest.raises(DataError, match="none of the 9 crops"):
        open_store(samples, SIZE, cache=tmp_path / "cache")
    with pytest.raises(DataError, match="at least one"):
        open_store([], SIZE, cache=tmp_path / "cache")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_build_that_ends_early_leaves_nothing(tmp_path, samples, monkeypatch, error):
    def stop(items, what, total):
        for number, item in enumerate(items):
            if number == 5:
                raise error
            yield item

    monkeypatch.setattr(store_build, "track", stop)
    with pytest.raises(BaseException, match=r"No space|^$"):
        open_store(samples, SIZE, cache=tmp_path / "cache")
    assert [p.name for p in (tmp_path / "cache").iterdir() if not p.name.endswith(".lock")] == []


def test_the_rest_of_a_killed_build_is_removed(tmp_path, samples):
    path = open_store(samples, SIZE, cache=tmp_path / "cache").path
    shutil.rmtree(path)
    leftover = path.with_name(f".{path.name}.abc.tmp")
    leftover.mkdir()
    (leftover / "images.npy").write_bytes(b"half")
    assert len(open_store(samples, SIZE, cache=tmp_path / "cache")) == 9
    assert not leftover.exists()


def test_too_little_room_is_said_before_anything_is_written(tmp_path, samples, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store_build.shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(DataError, match=r"need .* GiB"):
        open_store(samples, SIZE, cache=tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


def test_parsing_only_when_every_crop_has_it(tmp_path, samples):
    without = Sample("x.png", samples[0].path, person="0")
    assert open_store([*samples[1:], without], SIZE, cache=tmp_path / "cache").parsing is None


def test_crops_given_as_bytes(tmp_path, samples):
    data = [Sample(s.key, data=Path(s.path).read_bytes()) for s in samples]
    store = open_store(data, SIZE, cache=tmp_path / "cache")
    np.testing.assert_array_equal(store.images, open_store(samples, SIZE, cache=tmp_path / "cache").images)


def test_crops_are_used_in_order_while_those_after_them_are_decoded_and_none_of_a_store_that_is_there(
    tmp_path, samples, monkeypatch
):
    samples[4].path.write_bytes(b"text")
    used, begun = [], []
    threads = store_build.in_threads

    def noted(function, items, **settings):
        return threads(function, (begun.append(item.key) or item for item in items), **settings)

    def take(crop):
        used.append(crop)
        place = len(used) if len(used) > 4 else len(used) - 1  # of this crop; one before it may be damaged
        assert len(begun) == min(place + 1 + 2, len(samples))

    monkeypatch.setattr(store_build, "in_threads", noted)
    consumer = Consumer(take, ahead=2, what="using")
    for _ in range(2):
        store = open_store(samples, SIZE, cache=tmp_path / "cache", consumer=consumer)
        np.testing.assert_array_equal(store.images, np.stack(used))
    assert [bad.key for bad in store.bad] == ["4.png"] and len(used) == 8


def test_an_error_of_who_uses_the_crops_leaves_no_store_and_no_thread(tmp_path, samples):
    def take(crop):
        raise RuntimeError("no such operator")

    with pytest.raises(RuntimeError, match="no such operator"):
        open_store(samples, SIZE, cache=tmp_path / "cache", consumer=Consumer(take, ahead=2, what="using"))
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_who_waits_for_another_that_builds_the_same_store_is_told(tmp_path, samples, monkeypatch):
    folder = open_store(samples, SIZE, cache=tmp_path / "cache").path
    shutil.rmtree(folder)
    told, found = threading.Event(), []
    monkeypatch.setattr(atomic_io.log, "warning", lambda *words: (found.append(words), told.set()))
    other = threading.Thread(target=lambda: open_store(samples, SIZE, cache=tmp_path / "cache"))
    with locked(folder):
        other.start()
        assert told.wait(60) and found == [("%s: %s", folder, store_build.BUSY)] and not folder.exists()
    other.join(60)
    assert folder.is_dir()
