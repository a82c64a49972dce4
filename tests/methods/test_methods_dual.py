"""Dual: what trains which vector, what a mode compares, and what the clothes may not say."""

from __future__ import annotations

import pytest
import torch

from unveil.errors import DataError, RecipeError
from unveil.methods import build_method
from unveil.methods.dual import PARTS
from unveil.methods.method import LabelSpace, Step
from unveil.nn.backbones.choice import build_backbone
from unveil.nn.colour_histogram import COLOURS
from unveil.recipe import BackboneChoice, InputSettings
from unveil.records import Batch

SPACE = LabelSpace(persons=2, clothes=4, outfits=(0, 0, 1, 1))


def _method(**settings: object):
    torch.manual_seed(0)
    backbone = build_backbone(BackboneChoice(name="osnet_x0_25"))
    return build_method(
        "dual", {"identity_dim": 16, "part_dim": 8, "hidden": 8, **settings}, backbone=backbone, space=SPACE
    )


def _batch(count: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(1)
    parsing = torch.zeros(count, 64, 32, dtype=torch.uint8)
    parsing[:, 4:14, 10:22], parsing[:, 14:40, 8:24], parsing[:, 40:60, 10:22] = 1, 11, 12
    persons = torch.arange(count) // 4
    return Batch(
        torch.randint(256, (count, 3, 64, 32), dtype=torch.uint8, generator=generator),
        persons,
        clothes=persons * 2 + (torch.arange(count) // 2) % 2,
        parsing=parsing,
    )


def _normalised(batch: Batch) -> Batch:
    return batch.replace(images=batch.images.float() / 255)


def test_recoloured_crops_have_no_outfit_and_other_clothes_only():
    batch = _batch()
    changed = _method(recoloured=1.0).expand_batch(batch)
    assert torch.equal(changed.images[:2], batch.images[:2]) and torch.equal(changed.clothes[:2], batch.clothes[:2])
    assert (changed.clothes[2:] == -1).all()
    clothed = (batch.parsing >= 7).unsqueeze(1).expand(-1, 3, -1, -1)
    assert torch.equal(changed.images[~clothed], batch.images[~clothed])
    assert (changed.images[2:][clothed[2:]] != batch.images[2:][clothed[2:]]).float().mean() > 0.8
    assert torch.equal(_method(recoloured=0.0).expand_batch(batch).images, batch.images)


@pytest.mark.parametrize("seed", range(8))
def test_a_small_batch_always_has_two_crops_in_their_own_clothes(seed):
    method = _method(recoloured=0.8).train()
    torch.manual_seed(seed)
    batch = method.expand_batch(_batch(4))
    assert (batch.clothes >= 0).sum() >= 2
    terms = method.losses(batch.replace(images=batch.images.float() / 255), Step())
    assert all(torch.isfinite(term) for term in terms.values())


def test_an_unknown_outfit_trains_identity_and_maps_alone():
    method = _method().train()
    batch = _normalised(_batch())
    batch = batch.replace(clothes=torch.where(torch.arange(8) % 2 == 0, -1, batch.clothes))
    terms = method(batch, Step())
    torch.stack(list(terms.values())).sum().backward()
    assert all(torch.isfinite(term) for term in terms.values())
    seen = method.classifiers["appearance"].weight.grad.abs().sum(1)
    assert (seen > 0).all()
    only = batch.replace(clothes=torch.full((8,), -1))
    method.zero_grad(set_to_none=True)
    method.train()
    terms = method.losses(only.replace(clothes=torch.tensor([0, 0, *[-1] * 6])), Step())
    assert terms["id_identity"] > 0 and terms["cross_clothes"] >= 0


def test_embedding_names_appearance_identity_and_the_parts():
    method = _method().eval()
    with torch.inference_mode():
        embedding = method.embed(_normalised(_batch()))
    assert embedding.names == ("appearance", "identity", *PARTS)
    assert embedding.vectors.shape == (8, 8, method.backbone.channels)
    norms = embedding.vectors.norm(dim=2)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    assert (embedding.visibility[:, :2] == 1).all()


def test_parts_are_visible_where_their_map_exceeds_mu():
    batch = _normalised(_batch())
    with torch.inference_mode():
        assert _method(mu=0.0).eval().embed(batch).visibility.min() == 1
        assert _method(mu=1.0).eval().embed(batch).visibility[:, 2:].max() == 0


def test_it_refuses_to_train_without_maps():
    with pytest.raises(DataError, match="worn14"):
        _method().expand_batch(_batch().replace(parsing=None))


def test_frozen_stages_stay_as_they_are_while_the_rest_trains():
    backbone = build_backbone(BackboneChoice(name="efficientnet_lite0", frozen_stages=2))
    torch.manual_seed(0)
    method = build_method(
        "dual", {"identity_dim": 16, "part_dim": 8, "hidden": 8}, backbone=backbone, space=SPACE
    ).train()
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    terms = method(_normalised(_batch()), Step())
    torch.stack(list(terms.values())).sum().backward()
    torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1).step()
    frozen = ("conv_stem", "bn1", "blocks.0", "blocks.1")
    for name, tensor in method.state_dict().items():
        if name.startswith(tuple(f"backbone.{f}." for f in frozen)):
            assert torch.equal(tensor, before[name]), name
    for name in ("backbone.conv_head.weight", "backbone.blocks.2.0.conv_pw.weight", "backbone.bn2.running_mean"):
        assert not torch.equal(method.state_dict()[name], before[name]), name
    with pytest.raises(RecipeError, match="frozen_stages"):
        build_backbone(BackboneChoice(name="efficientnet_lite0", frozen_stages=8))


def _spread(count: int) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """Crops of ``count`` people in two outfits of one colour each, two crops an outfit."""
    generator = torch.Generator().manual_seed(3)
    outfits = torch.arange(2 * count).repeat_interleave(2)
    colours = torch.rand(2 * count, 3, 1, 1, generator=generator)
    images = (colours[outfits] + 0.1 * torch.randn(len(outfits), 3, 64, 32, generator=generator)).clamp(0, 1)
    return Batch(images, outfits // 2), outfits // 2, outfits


def test_projections_are_fitted_to_outfits_people_and_colours():
    whole = _method(colour_dim=COLOURS).eval()
    short = _method(compact_dim=8, colour_dim=12).eval()
    same = {key: tensor for key, tensor in whole.state_dict().items() if not key.endswith(("_projection", "_mean"))}
    short.load_state_dict(same, strict=False)
    size = InputSettings(height=64, width=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    for method in (whole, short):
        method.tell_input(size)
    batch, persons, outfits = _spread(12)
    with torch.inference_mode():
        seen = whole.embed(batch)
        before = short.embed(batch)
    vectors = {name: seen.vectors[:, e].clone() for e, name in enumerate(seen.names)}
    short.fit_projections(vectors, persons=persons, outfits=outfits)
    with torch.inference_mode():
        after = short.embed(batch)
    assert after.names == ("appearance", "identity", "colours", *PARTS) and after.vectors.shape == (48, 9, 12)
    assert after.weights[2] == 0.5 and (after.visibility[:, 2] == 1).all()
    assert not torch.allclose(after.vectors[:, :3], before.vectors[:, :3], atol=1e-2)
    assert torch.allclose(after.vectors[:, 3:], before.vectors[:, 3:])
    colours = after.vectors[:, 2]
    likeness = colours @ colours.T - 2 * torch.eye(48)
    assert (outfits[likeness.argmax(1)] == outfits).float().mean() > 0.9
    with pytest.raises(ValueError, match="too few"):
        short.fit_projections(vectors, persons=torch.arange(48), outfits=torch.arange(48))


def test_colours_are_those_of_the_image_however_it_was_normalised():
    batch, *_ = _spread(4)
    sizes = [InputSettings(height=64, width=32, mean=(m,) * 3, std=(s,) * 3) for m, s in ((0.0, 1.0), (0.4, 0.25))]
    found = []
    for size in sizes:
        method = _method(colour_dim=COLOURS).eval()
        method.tell_input(size)
        mean, std = size.mean[0], size.std[0]
        log_maps = torch.full((len(batch), 7, 4, 2), 1 / 7).log()
        found.append(method._colours((batch.images - mean) / std, log_maps))
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=0)


def test_gradients_of_the_vectors_are_finite_with_colours():
    # Adapting trains through the vectors that are compared; most bins of a histogram are empty.
    method = _method(colour_dim=12).train()
    batch, *_ = _spread(4)
    method.embed(batch).vectors.square().sum(dim=2).sqrt().sum().backward()
    grown = [p.grad for p in method.parameters() if p.grad is not None]
    assert grown and all(torch.isfinite(grad).all() for grad in grown)


def test_without_colours_nothing_is_kept_for_them():
    assert not [name for name in _method().state_dict() if "colour" in name or "input" in name]
