"""Files that a stranger made to get past the checks on reading: one error each that names the file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from unveil.bulk.shards import read_head, read_shard
from unveil.errors import CheckpointError, RecipeError, UnveilError
from unveil.models.card import read_card
from unveil.models.embeddings import load_embeddings
from unveil.parsing.formats.pifpaf import read_fields
from unveil.parsing.formats.pixel_sampling import read_probabilities
from unveil.recipe import load_recipe
from unveil.world.dataset import read_card as read_world_card

DEEP = "[" * 100_000
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcde", "bcdef", strict=True)
)
HEAD: dict[str, Any] = {
    "format": 1, "names": ["global"], "metric": "cosine", "weights": [1.0], "fingerprint": "f" * 16, "source": "s",
    "samples": [{"key": "a", "path": None, "extra": {}}],
}  # fmt: skip


def embeddings(visible: float = 1.0, head: str | None = None, **changed: object) -> bytes:
    arrays = {"vectors": np.ones((1, 1, 2), np.float32), "visibility": np.full((1, 1), visible, np.float32)}
    return save(arrays, {"unveil": json.dumps(HEAD | changed) if head is None else head})


def shard() -> bytes:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra ray is not installed")
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"row": [0]}).replace_schema_metadata({b"unveil": DEEP}), out)
    return out.getvalue()


def npy(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def floats(shape: str) -> bytes:
    return npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}")


def model_card(path: Path) -> object:
    return read_card(path.read_text(), str(path))


READERS: dict[str, tuple[Callable[[Path], object], dict[str, bytes | Callable[[], bytes]]]] = {
    "embeddings": (
        load_embeddings,
        {
            "sample": embeddings(samples=["abc"]),
            "deep": embeddings(head=DEEP),
            "metric": embeddings(metric="foo"),
            "fingerprint": embeddings(fingerprint=None),
            "model": embeddings(model=3),
            "visibility over 1": embeddings(visible=1.5),
            "visibility under 0": embeddings(visible=-0.5),
        },
    ),
    "model card": (model_card, {"deep": DEEP.encode()}),
    "head of a shard": (read_head, {"deep": shard}),
    "shard": (read_shard, {"deep": shard}),
    "recipe": (
        load_recipe,
        {
            "date": b"train: {seed: 2001-99-99}",
            "number": b"train: {seed: 0b_}",
            "tag": b"train: {seed: !!timestamp x}",
            "deep": b"train: " + b"[" * 900 + b"]" * 900,
            "bomb": (BOMB + "train: {epochs: *f}").encode(),
            "alias": b"input: {height: &a 64, width: *a}",
            "long": b"train: {epochs: 3}\n" + b"#" * 100_000,
            "long value": b"train: {epochs: " + b"x" * 50_000 + b"}",
        },
    ),
    "fields": (
        read_fields,
        {
            "zip": b"PK\x03\x04" + bytes(100),
            "131 TiB": floats("(36, 1000000, 1000000)"),
            "overflow": floats("(36, 4611686018427387904, 4611686018427387904)"),
            "huge": floats(f"(36, {10**30}, 1)"),
            "deep": npy("(" * 9000),
            "text": npy("{'descr': '<U1', 'fortran_order': False, 'shape': (36, 1, 1)}") + bytes(36 * 4),
            "quote": npy("'''"),
        },
    ),
    "probabilities": (
        read_probabilities,
        {"zip": b"PK\x03\x04" + bytes(100), "131 TiB": floats("(6000000, 1000000, 6)")},
    ),
}


@pytest.mark.parametrize(
    ("kind", "which"), [(kind, which) for kind, (_, contents) in READERS.items() for which in contents], ids=str
)
def test_a_file_of_a_stranger_is_one_short_error_that_names_it(kind, which, tmp_path):
    reader, contents = READERS[kind]
    data, path = contents[which], tmp_path / "strange"
    path.write_bytes(data if isinstance(data, bytes) else data())
    with pytest.raises(UnveilError) as error:
        reader(path)
    assert "strange" in str(error.value) and len(str(error.value)) < 600


def test_the_same_files_are_read_where_nothing_is_wrong_with_them(tmp_path):
    path = tmp_path / "sound"
    path.write_bytes(embeddings())
    assert load_embeddings(path).samples[0].key == "a"
    path.write_bytes(floats("(36, 1, 1)") + bytes(36 * 4))
    assert not read_fields(path).any()
    path.write_bytes(floats("(2, 1, 6)") + bytes(12 * 4))
    assert read_probabilities(path).shape == (2, 1)
    path.write_bytes(b"train: {epochs: 3}\n")
    assert load_recipe(path).train.epochs == 3


@pytest.mark.parametrize("value", ["2001-99-99", "0b_", "[" * 900 + "]" * 900, "[&a 3, *a]", "x" * 1000])
def test_a_value_of_a_command_that_is_none_is_one_error(value):
    with pytest.raises(RecipeError, match=r"train\.seed"):
        load_recipe(None, [f"train.seed={value}"])


@pytest.mark.parametrize("lacking", ["hash", "manifest_sha256"])
def test_a_card_of_a_world_without_a_hash_is_refused(lacking, tmp_path):
    card = {"world": {}, "hash": "a", "manifest_sha256": "b"}
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card))
    assert read_world_card(tmp_path) == card
    path.write_text(json.dumps({key: value for key, value in card.items() if key != lacking}))
    with pytest.raises(UnveilError, match=rf"card\.json is no card of a world .*{lacking}"):
        read_world_card(tmp_path)
    path.write_text(DEEP)
    with pytest.raises(UnveilError, match=r"card\.json is no card of a world"):
        read_world_card(tmp_path)


def test_a_card_of_a_model_is_refused_as_one():
    with pytest.raises(CheckpointError, match="m: the card is no JSON"):
        read_card(DEEP, "m")
