import json

import numpy as np
import pytest
import torch

from unveil.cli import app
from unveil.data.images import read_image
from unveil.errors import CheckpointError
from unveil.gallery.scoring.ranking import part_means
from unveil.gallery.scoring.reasons import reasons
from unveil.inference.load import load_engine
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.catalogue.detectors import OWN
from unveil.models.checkpoint import load_model, new_model, save_model, write_model
from unveil.models.packing.without_heads import without_heads
from unveil.nn.backbones.choice import build_backbone
from unveil.pretrained import DEFAULT_MODEL, shipped_names, weights_path
from unveil.recipe import load_recipe
from unveil.records import Batch


@pytest.mark.parametrize("method", ["bot", "cal", "pab", "combined"])
def test_a_model_without_heads_embeds_as_before_and_is_smaller(method, tmp_path):
    overrides = [f"method.name={method}", "backbone.name=osnet_x0_25", "input.height=64", "input.width=32"]
    recipe = load_recipe(None, overrides)
    torch.manual_seed(0)
    outfits = tuple(i // 4 for i in range(160))
    card = Card(recipe=recipe.model_dump(mode="json"), persons=40, clothes=160, outfits=outfits, trained_on="words")
    save_model(tmp_path / "whole.safetensors", new_model(recipe, LabelSpace(40, 160, outfits)), card=card)
    whole = load_model(tmp_path / "whole.safetensors")
    tensors, card = without_heads(whole)
    write_model(tmp_path / "bare.safetensors", tensors, card=card)
    bare = load_model(tmp_path / "bare.safetensors")
    batch = Batch(torch.randn(2, 3, 64, 32), torch.zeros(2, dtype=torch.long))
    with torch.inference_mode():
        before, after = whole.method.embed(batch), bare.method.embed(batch)
    torch.testing.assert_close(after.vectors, before.vectors, rtol=0.02, atol=0.02)
    torch.testing.assert_close(after.visibility, before.visibility)
    assert bare.card.persons == 1 and bare.card.trained_on == "words"
    assert (tmp_path / "bare.safetensors").stat().st_size < 0.55 * (tmp_path / "whole.safetensors").stat().st_size


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_weights_load_as_a_model_and_as_a_backbone_and_say_where_they_are_from(name):
    model = load_model(f"unveil:{name}")
    assert model.card.trained_on.startswith("synthetic people only") and len(model.card.licence) < 80
    # A line ends every search with it.
    assert model.summary.trained_on == model.card.trained_on and len(str(model.summary.identity)) < 120
    backbone = build_backbone(model.recipe.backbone, weights=weights_path(f"unveil:{name}"))
    for key, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, model.method.backbone.state_dict()[key])
    assert weights_path(f"unveil:{name}").stat().st_size < 12_000_000


def test_the_default_network_gives_its_reasons_by_part(rendered):
    images = [read_image(path) for path in sorted((rendered / "crops").rglob("*.jpg"))]
    embedding = load_engine(DEFAULT_MODEL, "torch").embed(images)
    query = embedding.select(slice(0, 1))
    parts = part_means(query, embedding)
    shown = ~np.isnan(parts)
    assert {"head", "torso"} <= set(embedding.names) and parts.shape == (len(images), len(embedding.names))
    assert shown.any(1).all() and not shown.all(), "an occluded part is not compared"
    said = reasons(embedding.names, parts, query_visibility=query.visibility, rows=range(len(images)))
    named = [sentence for sentence in said if any(name in sentence for name in embedding.names)]
    assert said[0].endswith("match") and len(named) > len(said) / 2


@pytest.mark.parametrize("name", [f"unveil:{name}" for name in shipped_names()] + ["parser", OWN])
def test_cards_say_what_people_must_know_before_they_use_a_network(name, capsys):
    app(["models", "card", name], standalone_mode=False)
    card = json.loads(capsys.readouterr().out)
    assert all(card[key] for key in ("figures", "intended_use", "limits"))
    assert "has not been measured" in card["limits"] and card["licence"].startswith("Apache-2.0")


def test_an_unknown_name_is_one_error():
    with pytest.raises(CheckpointError, match="no weights 'unveil:nobody' in this package"):
        load_model("unveil:nobody")
