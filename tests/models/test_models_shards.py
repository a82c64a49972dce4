import dataclasses
import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from unveil.errors import CheckpointError
from unveil.methods.method import LabelSpace
from unveil.models.camera_statistics import CameraStatistics, read_statistics
from unveil.models.card import Card
from unveil.models.checkpoint import TrainedModel, load_model, new_model, save_model
from unveil.models.packing.shards import MANIFEST, join_shards, write_shards
from unveil.models.packing.without_heads import without_heads
from unveil.nn.projections.whitening import Whitening
from unveil.recipe import load_recipe
from unveil.records import Batch


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    recipe = load_recipe(
        None, ["backbone.name=osnet_x0_25", "backbone.init=random", "input.height=64", "input.width=32"]
    )
    method = new_model(recipe, LabelSpace(3)).eval()
    with torch.no_grad():
        method.neck.running_var[0] = 1e6  # more than half precision holds
        method.neck.num_batches_tracked.fill_(123457)
    save_model(tmp_path / "model.safetensors", method, card=Card(recipe=recipe.model_dump(mode="json"), persons=3))
    return load_model(tmp_path)


def test_shards_are_small_and_join_into_a_model_that_embeds_nearly_the_same(model: TrainedModel, tmp_path):
    manifest = write_shards(model, tmp_path / "shards", limit=50_000)
    assert len(manifest.shards) > 3
    assert all((tmp_path / "shards" / s.name).stat().st_size <= 50_000 for s in manifest.shards)
    joined = join_shards(tmp_path / "shards", tmp_path / "joined.safetensors")
    crops = Batch(torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(1)), torch.full((4,), -1))
    with torch.no_grad():
        before, after = model.method.embed(crops).vectors, joined.method.embed(crops).vectors
    torch.testing.assert_close(after, before, atol=2e-2, rtol=2e-2)
    assert joined.method.neck.running_var[0] == 1e6
    assert joined.method.neck.num_batches_tracked == 123457
    assert joined.card.fingerprint != model.card.fingerprint
    assert load_model(tmp_path / "joined.safetensors").card == joined.card
    weights = load_file(tmp_path / "joined.safetensors")
    assert {t.dtype for name, t in weights.items() if "tracked" not in name} == {torch.float32}
    again = join_shards(tmp_path / "shards", tmp_path / "again.safetensors")
    assert again.card.fingerprint == joined.card.fingerprint


def test_a_changed_a_short_and_a_missing_shard_are_named(model, tmp_path):
    folder = tmp_path / "shards"
    write_shards(model, folder, limit=50_000)
    second = folder / "weights-001"
    data = second.read_bytes()
    for broken, message in ((bytes([data[0] ^ 1]) + data[1:], "SHA-256"), (data[:-1], "expected 50000 bytes")):
        second.write_bytes(broken)
        with pytest.raises(CheckpointError, match=rf"weights-001.*{message}"):
            join_shards(folder, tmp_path / "out.safetensors")
    second.unlink()
    with pytest.raises(CheckpointError, match="weights-001 cannot be read"):
        join_shards(folder, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_manifest_cannot_lead_out_of_its_folder_or_leave_one_out(model, tmp_path):
    folder = tmp_path / "shards"
    write_shards(model, folder, limit=50_000)
    tree = json.loads((folder / MANIFEST).read_text())

    def written(**changes):
        (folder / MANIFEST).write_text(json.dumps(tree | changes))
        return folder

    with pytest.raises(CheckpointError, match="damaged"):
        join_shards(written(shards=[tree["shards"][0] | {"name": "../model.safetensors"}]), tmp_path / "out")
    with pytest.raises(CheckpointError, match="is one missing"):
        join_shards(written(shards=tree["shards"][:-1]), tmp_path / "out")
    with pytest.raises(CheckpointError, match="at most"):
        join_shards(written(shards=[tree["shards"][0] | {"bytes": 10**10}]), tmp_path / "out")
    (folder / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        join_shards(folder, tmp_path / "out")


@pytest.mark.parametrize("what", ["whitening", "statistics"])
def test_a_model_that_is_adapted_to_cameras_is_packed_by_neither_of_the_two(model, tmp_path, what):
    if what == "whitening":
        model.method.whitening = Whitening(torch.zeros(1, 512), torch.eye(512)[None])
    else:
        own = [values[None] for values in read_statistics(model.method)]
        model = dataclasses.replace(model, camera_statistics=CameraStatistics(("c0",), own[0], own[1]))
    for packed in (without_heads, partial(write_shards, folder=tmp_path / "shards")):
        with pytest.raises(CheckpointError, match="is adapted to cameras, and packing keeps neither"):
            packed(model)
    assert not (tmp_path / "shards").exists()
