import copy
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file

from unveil.errors import CheckpointError, DataError
from unveil.methods.method import LabelSpace
from unveil.models.card import Card, read_card
from unveil.models.checkpoint import load_model, new_model, save_model
from unveil.models.embeddings import EmbeddedCrops, load_embeddings, same_model, save_embeddings
from unveil.models.summary import ModelIdentity
from unveil.recipe import load_recipe
from unveil.records import Batch, Embedding, Sample

RECIPE = load_recipe(None, ["backbone.name=resnet18_x0_5", "input.height=64", "input.width=32"])


def make(persons=5, recipe=RECIPE, seed=0):
    torch.manual_seed(seed)
    return new_model(recipe, LabelSpace(persons)), Card(recipe=recipe.model_dump(mode="json"), persons=persons)


@pytest.fixture
def saved(tmp_path):
    method, card = make()
    save_model(tmp_path / "model.safetensors", method, card=card)
    return tmp_path / "model.safetensors"


def test_a_model_comes_back_the_same_with_its_preprocessing(saved):
    method, _ = make()
    loaded = load_model(saved.parent)
    batch = Batch(torch.rand(2, 3, 64, 32), torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(loaded.method.embed(batch).vectors, method.eval().embed(batch).vectors)
    assert (loaded.input.height, loaded.input.width) == (64, 32)
    assert not loaded.method.training
    assert json.loads(saved.with_suffix(".json").read_text())["fingerprint"] == loaded.card.fingerprint


def test_the_fingerprint_sees_weights_and_preprocessing(tmp_path, saved):
    first = load_model(saved).card.fingerprint
    method, card = make(seed=1)
    assert save_model(tmp_path / "other.safetensors", method, card=card).fingerprint != first
    recipe = RECIPE.model_copy(update={"input": RECIPE.input.model_copy(update={"interpolation": "bicubic"})})
    method, card = make(recipe=recipe)
    assert save_model(tmp_path / "bicubic.safetensors", method, card=card).fingerprint != first


@pytest.mark.parametrize("where", ["backbone.last_stride=2", "method.smoothing=0.3"])
def test_the_fingerprint_sees_what_the_weights_are_built_into(tmp_path, saved, where):
    first = load_model(saved)
    (part, name), value = where.split("=")[0].split("."), float(where.split("=")[1])
    recipe = copy.deepcopy(first.card.recipe)
    recipe[part][name] = int(value) if value >= 1 else value
    card = first.card.model_copy(update={"recipe": recipe})
    changed = save_model(tmp_path / "changed.safetensors", first.method, card=card)
    assert (
        load_model(tmp_path / "changed.safetensors").card.fingerprint == changed.fingerprint != first.card.fingerprint
    )


def test_a_model_from_before_keeps_the_fingerprint_of_its_weights_alone(saved):
    text, tensors = saved.with_suffix(".json").read_text(), load_file(saved)
    of_weights = hashlib.sha256(load_model(saved).input.model_dump_json().encode())
    for name in sorted(tensors):
        of_weights.update(f"{name}{tensors[name].dtype}{tuple(tensors[name].shape)}".encode())
        of_weights.update(tensors[name].numpy().tobytes())
    card = json.loads(text) | {"format": 4, "fingerprint": of_weights.hexdigest()[:16]}
    save_file(tensors, saved, metadata={"card": json.dumps(card)})
    assert load_model(saved).card.fingerprint == card["fingerprint"]


def test_one_changed_byte_is_found(saved):
    data = bytearray(saved.read_bytes())
    data[-5] ^= 0x40
    saved.write_bytes(data)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_model(saved)


def test_a_truncated_file_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_model(saved)


def test_weights_without_a_card_and_no_file_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(CheckpointError, match=r"no card.*backbone\.init"):
        load_model(tmp_path / "bare.safetensors")
    with pytest.raises(CheckpointError, match="no model at"):
        load_model(tmp_path)


def test_a_card_of_another_architecture_is_refused_with_the_keys(tmp_path):
    method, card = make()
    recipe = {**card.recipe, "backbone": {"name": "resnet34"}}
    save_model(tmp_path / "m.safetensors", method, card=card.model_copy(update={"recipe": recipe}))
    with pytest.raises(CheckpointError, match=r"another architecture: missing backbone\.layer1\.2"):
        load_model(tmp_path / "m.safetensors")


def test_a_card_from_before_names_its_datasets_where_a_newer_one_has_words(saved):
    now = load_model(saved).card
    recipe = now.recipe | {"data": {"train": [{"name": "viper"}, {"name": "prid"}]}}
    tree = now.model_dump(mode="json") | {"format": 5, "recipe": recipe}
    del tree["trained_on"]
    before = read_card(json.dumps(tree), "a card")
    assert before.trained_on == "" and before.summary("m").trained_on == "viper, prid"
    told = before.model_copy(update={"trained_on": "people of two benchmarks"}).summary("m")
    assert told.trained_on == "people of two benchmarks"


def test_a_card_of_a_newer_format_is_refused(tmp_path):
    method, card = make()
    save_model(tmp_path / "m.safetensors", method, card=card.model_copy(update={"format": 99, "unveil": "9.0"}))
    with pytest.raises(CheckpointError, match=r"written by unveil 9\.0 in format 99"):
        load_model(tmp_path / "m.safetensors")


def crops(tmp_path, fingerprint="f" * 16):
    samples = (
        Sample("a", tmp_path / "a.jpg", person="1", extra={"visible": "0.5"}),
        Sample("b", data=b"x", camera="c"),
    )
    embedding = Embedding(np.eye(2, dtype=np.float32)[:, None], np.ones((2, 1), np.float32), ("global",), "euclidean")
    return EmbeddedCrops(embedding, samples, fingerprint, "d#1", "dual", "Apache-2.0")


def test_embeddings_come_back_with_their_crops(tmp_path):
    before = crops(tmp_path)
    save_embeddings(tmp_path / "e.safetensors", before)
    after = load_embeddings(tmp_path / "e.safetensors")
    np.testing.assert_array_equal(after.embedding.vectors, before.embedding.vectors)
    assert after.embedding.metric == "euclidean"
    assert after.samples[0] == before.samples[0]
    assert (after.samples[1].key, after.samples[1].camera) == ("b", "c")
    assert (after.fingerprint, after.source) == (before.fingerprint, before.source)
    assert after.identity == ModelIdentity("f" * 16, "dual", "Apache-2.0")


def test_embeddings_from_before_names_were_kept_are_read(tmp_path):
    save_embeddings(tmp_path / "e.safetensors", crops(tmp_path))
    with safe_open(tmp_path / "e.safetensors", framework="np") as f:
        head, arrays = json.loads(f.metadata()["unveil"]), {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
    del head["model"], head["licence"]
    save_numpy(arrays, tmp_path / "old.safetensors", {"unveil": json.dumps(head)})
    old = load_embeddings(tmp_path / "old.safetensors").identity
    assert old.to_dict() == {"name": None, "fingerprint": "f" * 16, "licence": None}
    assert str(old) == f"{'f' * 16}, licence not stated"


def test_damaged_or_foreign_embeddings_are_refused(tmp_path):
    path = tmp_path / "e.safetensors"
    with pytest.raises(DataError, match="unveil embed"):
        load_embeddings(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="not a file of embeddings"):
        load_embeddings(path)
    path.write_bytes(b"text")
    with pytest.raises(DataError, match="not a file of embeddings"):
        load_embeddings(path)


def test_embeddings_of_two_models_are_never_compared(tmp_path):
    with pytest.raises(CheckpointError, match="embed both with the same model"):
        same_model(crops(tmp_path), crops(tmp_path, "0" * 16))


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
@pytest.mark.parametrize("writer", ["save_model", "save_state"])
def test_a_disk_that_fills_while_writing_leaves_the_finished_file(saved, writer):
    """A limit on file size is as good as a full disk: the system refuses the bytes in the middle of the write."""
    code = f"""
import resource, signal, sys
from pathlib import Path
import torch
from unveil.errors import UnveilError
from unveil.models.checkpoint import load_model, save_model
from unveil.training.resuming import Identity
from unveil.training.state import TrainState, save_state

folder = Path(sys.argv[1])
model = load_model(folder)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    if {writer!r} == "save_model":
        save_model(folder / "model.safetensors", model.method, card=model.card)
    else:
        save_state(
            folder, model.method, optimisers=[], generator=torch.Generator(), train_state=TrainState(),
            identity=Identity({{}}, "x"),
        )
except UnveilError as e:
    print("refused:", e)
"""
    before = saved.read_bytes()
    (saved.parent / "resume.pt").write_bytes(b"finished")
    command = [sys.executable, "-c", code, str(saved.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "refused: cannot write" in done.stdout, done.stderr
    assert saved.read_bytes() == before
    assert (saved.parent / "resume.pt").read_bytes() == b"finished"
    assert {p.name for p in saved.parent.iterdir()} == {"model.safetensors", "model.json", "resume.pt"}
