"""Shards read back: what one process embeds, and a sentence for everything that is wrong with a file or a folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import unveil
from command_line import refused, run
from damage import ROUNDS, TRIED, damaged
from sharded import make_shards
from untrained import make_model
from unveil.bulk.plan import divided
from unveil.bulk.resume import shards_there
from unveil.bulk.shards import check_folder, load_shards, read_shard, shard_files, write_shard
from unveil.data.readers.manifest import read_manifest
from unveil.errors import DataError, MissingExtraError
from unveil.records import Dataset, Sample

SIZE = 100  # crops of a shard: 3 shards


@pytest.fixture(scope="module")
def whole(model: Path, crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole folder of shards."""
    folder = tmp_path_factory.mktemp("whole") / "shards"
    made = make_shards(folder, read_manifest(crops), model, SIZE)
    assert made == [{"number": n, "crops": c, "error": ""} for n, c in enumerate((99, 100, 40))]
    return folder


@pytest.fixture
def shards(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(whole, tmp_path / "shards")


def test_shards_hold_what_one_process_embeds_in_the_order_of_the_source(whole, plain, crops):
    found, one = unveil.load_embeddings(whole), unveil.load_embeddings(str(plain))
    assert found.samples == one.samples
    assert (found.identity, found.source) == (one.identity, one.source)
    np.testing.assert_allclose(found.embedding.vectors, one.embedding.vectors, rtol=1e-4, atol=1e-4)
    (line,) = [line for head in check_folder(whole) for line in head.left_out]
    assert "p07_c1_2.png: not an image" in line


def test_a_folder_that_is_whole_is_not_made_again_and_answers_searches(shards, model, crops):
    words = ("embed", model, crops, "--ray", "local", "--shard-size", SIZE, "--out", shards, "--json")
    assert json.loads(run(*words, code=1).stdout) == {
        "folder": str(shards), "crops": 239, "left_out": 1, "shape": "239x1x256", "engine": "torch", "shards": 3,
        "shards_made": 0,
    }  # fmt: skip
    query = crops.parent / "images/p00_c0_0.png"
    (answer,) = json.loads(run("search", query, shards, "--model", model, "--skip-person-check", "--json").stdout)
    assert answer["hits"][0]["key"] != "images/p00_c0_0.png"
    assert answer["hits"][0]["person"] == "p00"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"size": 50},
            "holds shards of other crops, or of shards of another size (240 crops in 3 shards, not 240 in 5)",
        ),
        ({"split": "query"}, "(240 crops in 3 shards, not 6 in 1)"),
        ({"seed": 1}, "holds shards of model "),
    ],
    ids=str,
)
def test_shards_of_another_run_are_refused(change, said, shards, model, crops, tmp_path):
    model = make_model(tmp_path, seed=1, height=64, width=32) if "seed" in change else model
    words = ["--shard-size", change.get("size", SIZE), *(["--split", "query"] if "split" in change else [])]
    before = {path: path.read_bytes() for path in shards.iterdir()}
    assert said in refused("embed", model, crops, "--ray", "local", "--out", shards, *words)
    lock = shards / ".run.lock"  # that of the folder, which stays, and is empty
    assert before == {path: path.read_bytes() for path in shards.iterdir() if path != lock}


@pytest.mark.parametrize("metadata", [{}, {"format": 2}], ids=["foreign", "newer"])
def test_files_that_are_not_of_this_run_are_refused_and_stay(metadata, shards, model, crops):
    path = shard_files(shards)[0]
    table = parquet.read_table(path)
    head = {"unveil": json.dumps(json.loads(table.schema.metadata[b"unveil"]) | metadata)} if metadata else {}
    parquet.write_table(table.replace_schema_metadata(head), path)
    before = path.read_bytes()
    words = ("embed", model, crops, "--ray", "local", "--shard-size", SIZE, "--out", shards)
    assert ("newer unveil" if metadata else "a Parquet file of something else") in refused(*words)
    assert path.read_bytes() == before
    path.write_text("notes on the shards")
    assert "is no shard of embeddings" in refused(*words)
    path.unlink()
    path.mkdir()  # what the system does not let read
    assert "is no shard of embeddings" in refused(*words)
    assert path.is_dir()


def test_a_damaged_shard_counts_as_missing_and_stays_until_it_is_made_again(shards, model, crops):
    first, second, third = shard_files(shards)
    plan = check_folder(shards)[0].plan
    data = bytearray(second.read_bytes())
    data[len(data) // 3] ^= 255  # within the rows: its head can be read
    second.write_bytes(data)
    third.write_bytes(third.read_bytes()[:-100])
    samples = read_manifest(crops).samples
    units = [[samples[row] for row in rows] for rows in divided(samples, SIZE)]
    find = partial(shards_there, shards, crops=units, with_maps=False)
    assert find(plan) == {0}
    assert second.read_bytes() == data and third.is_file()
    with pytest.raises(DataError, match="holds shards of other crops"):  # the name alone is no proof
        find(replace(plan, source="elsewhere"))
    first.unlink()
    with pytest.raises(DataError, match="holds shards of other crops"):
        find(replace(plan, source="elsewhere"))


def test_options_that_would_do_nothing_are_refused(model, crops, tmp_path):
    assert refused("embed", model, crops, "--actors", 2) == "--actors would do nothing without --ray"
    words = ("embed", model, crops, "--ray", "local", "--out", tmp_path / "x")
    assert refused(*words, "--cache", tmp_path) == "--cache would do nothing with --ray"
    assert "Ray chooses which GPU" in refused(*words, "--device", "cuda:1")
    assert refused(*words[:-1], crops) == f"{crops} is a file: shards are written into a folder"


def test_without_the_extra_it_is_named(model, crops, whole, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "unveil[ray]" in refused("embed", model, crops, "--ray", "local", "--out", tmp_path / "x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"unveil\[ray\]"):
        load_shards(whole)


def test_without_the_option_neither_ray_nor_parquet_is_imported(model, crops, tmp_path):
    code = f"""
import sys
from unveil.cli import main
sys.argv = ["unveil", "-q", "embed", {str(model)!r}, {str(crops)!r}, "--out", {str(tmp_path / "x.safetensors")!r}]
try: main()
finally: assert not {{"ray", "pyarrow"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "x.safetensors").is_file()


@given(tracklets=st.lists(st.none() | st.integers(0, 5), max_size=60), size=st.integers(1, 20))
def test_every_crop_is_in_one_shard_and_a_tracklet_that_fits_too(tracklets, size):
    samples = [
        Sample(str(row), data=b"", camera="c", tracklet=None if name is None else str(name))
        for row, name in enumerate(tracklets)
    ]
    units = divided(samples, size)
    assert sorted(row for unit in units for row in unit) == list(range(len(samples)))
    assert all(0 < len(unit) <= size for unit in units) or not samples
    for name in set(tracklets) - {None}:
        rows = {row for row, one in enumerate(tracklets) if one == name}
        assert len(rows) > size or sum(not rows.isdisjoint(unit) for unit in units) == 1


def test_damaged_shards_are_read_as_they_were_or_refused_in_a_sentence(shards):
    path = shard_files(shards)[2]
    data, sound = path.read_bytes(), read_shard(path)
    rng = np.random.default_rng(5)
    for _ in range(ROUNDS):
        path.write_bytes(damaged(data, rng))
        TRIED["shard"] += 1
        try:
            found = read_shard(path)
        except DataError as e:
            assert str(e).startswith(str(path)) and "\n" not in str(e)
        else:
            assert (found.head, found.samples, found.digests) == (sound.head, sound.samples, sound.digests)
            np.testing.assert_array_equal(found.embedding.vectors, sound.embedding.vectors)


def test_folders_that_are_not_whole_or_mixed_are_refused(shards, crops, model, tmp_path):
    first, second, _ = shard_files(shards)
    kept = second.read_bytes()
    second.unlink()
    with pytest.raises(DataError, match=r"1 of 3 shards are missing, the first is part-00001-of-00003.parquet: run"):
        load_shards(shards)
    shutil.copy(first, second)
    with pytest.raises(DataError, match=r"damaged \(it was written as part-00000-of-00003.parquet\): delete it"):
        load_shards(shards)
    second.write_bytes(kept)
    few = Dataset("few", read_manifest(crops).samples[:9])
    make_shards(tmp_path / "few", few, model, 9)
    shutil.copy(*shard_files(tmp_path / "few"), shards)
    with pytest.raises(DataError, match="holds shards of different crops or models"):
        load_shards(shards)
    with pytest.raises(DataError, match="holds no shards of embeddings"):
        load_shards(tmp_path)
    table = parquet.read_table(first)
    parquet.write_table(table.replace_schema_metadata({}), first)
    with pytest.raises(DataError, match="a Parquet file of something else"):
        read_shard(first)
    head = json.loads(table.schema.metadata[b"unveil"]) | {"format": 2}
    parquet.write_table(table.replace_schema_metadata({"unveil": json.dumps(head)}), first)
    with pytest.raises(DataError, match="written in format 2 by a newer unveil; this one reads 1"):
        read_shard(first)


@pytest.mark.parametrize(("array", "value"), [("vectors", np.nan), ("vectors", np.inf), ("visibility", 1.5)])
def test_numbers_that_are_no_embedding_are_refused(array, value, shards):
    path = shard_files(shards)[0]
    shard = read_shard(path)
    numbers = np.array(getattr(shard.embedding, array))
    numbers[3] = value
    write_shard(shards, replace(shard, embedding=replace(shard.embedding, **{array: numbers})))
    with pytest.raises(DataError, match=r"NaN or infinite|outside"):
        read_shard(path)


def test_what_a_worker_cannot_do_comes_back_as_a_sentence(model, crops, tmp_path):
    samples = tuple(Sample(f"{n}.png", tmp_path / f"{n}.png") for n in range(3))
    samples[1].path.write_bytes(b"no image")
    (made,) = make_shards(tmp_path / "bad", Dataset("bad", samples), model, 5)
    assert made == {"number": 0, "crops": 0, "error": ""}
    (head,) = check_folder(tmp_path / "bad")
    assert (head.rows, head.dimension, len(head.left_out)) == (0, 256, 3)
    with pytest.raises(DataError, match="none could be read"):
        load_shards(tmp_path / "bad")
    (tmp_path / "file").write_bytes(b"")
    (made,) = make_shards(tmp_path / "file", Dataset("few", read_manifest(crops).samples[:3]), model, 5)
    assert "cannot write" in made["error"]
