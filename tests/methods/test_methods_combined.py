"""The combination: every switch by itself, and what the switches ask for."""

import pytest
import torch
import torch.nn.functional as F
from clothes_batches import OUTFITS, normalised, raw, unlabelled
from occlusion_batches import rank1

from unveil.errors import DataError, RecipeError
from unveil.losses.cross_clothes_triplet import cross_clothes_triplet
from unveil.losses.part_triplet import part_triplet
from unveil.methods import METHODS, build_method, method_requirements, method_settings
from unveil.methods.combined import MAPS, PARTS
from unveil.methods.method import LabelSpace, Step
from unveil.methods.tables.combined import ABLATIONS
from unveil.models.card import Card
from unveil.models.checkpoint import load_model, save_model
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice, OptimSettings, load_recipe
from unveil.records import Batch
from unveil.training.optimisers import auxiliary_update, build_auxiliary_optimiser, build_optimiser

SMALL = {"dim": 16, "hidden": 16, "clothes_start_epoch": 0}
ALL = {
    "parts": True,
    "screening": True,
    "centre": True,
    "compound": True,
    "erase_clothes": True,
    "mean_feature": True,
    "clothes_loss": True,
    "metric_loss": "cross",
}
OFF = dict.fromkeys(ALL, False) | {"metric_loss": "none"}
SPACE = LabelSpace(4, len(OUTFITS), OUTFITS)
SWITCHES = [
    OFF,
    ALL,
    ALL | {"focuser": True},
    ALL | {"erased_clothes": "inherit"},
    *(OFF | {name: value} for name, value in ALL.items()),
    OFF | {"metric_loss": "tri"},
]
ROWS = [(title, row) for title, table in ABLATIONS.items() for row in table.rows]


def make(backbone="resnet18_x0_5", space=SPACE, **settings):
    torch.manual_seed(0)
    return build_method(
        "combined", SMALL | settings, backbone=build_backbone(BackboneChoice(name=backbone)), space=space
    )


def seen_by_losses(method, batch):
    return method.erase(normalised(method.expand_batch(batch)))


def crops(seed=0):
    """Pixels and maps in blocks, as the image store gives them, with labels of worn14."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randint(14, (8, 8, 4), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return raw(seed).replace(parsing=maps.to(torch.uint8))


def total(terms):
    return torch.stack(list(terms.values())).sum()


def train(method, batch, iterations, lr=5e-4):
    optim = OptimSettings(lr=lr)
    optimiser, inner = build_optimiser(method, optim), build_auxiliary_optimiser(method, optim)
    losses = []
    for iteration in range(iterations):
        loss = total(method(seen_by_losses(method, batch), Step(0, iteration, auxiliary_update(inner))))
        assert loss.isfinite()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        if iteration == 0:
            unused = [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None]
            assert unused == []
        optimiser.step()
    return losses


@pytest.mark.parametrize(
    "settings", SWITCHES, ids=lambda s: "-".join(k for k, v in s.items() if v not in (False, "none"))
)
def test_every_switch_trains_embeds_alone_as_in_a_batch_and_comes_back_from_a_file(settings, tmp_path):
    method = make(**settings)
    train(method, crops(), 1)
    method.eval()
    with torch.no_grad():
        together = method.embed(unlabelled())
        alone = method.embed(Batch(unlabelled().images[2:3], torch.tensor([-1])))
    assert together.vectors.isfinite().all()
    torch.testing.assert_close(alone.vectors[0], together.vectors[2], atol=1e-5, rtol=1e-4)
    assert torch.equal(alone.visibility[0], together.visibility[2])
    tree = load_recipe(None, ["backbone.name=resnet18_x0_5"]).model_dump(mode="json")
    card = Card(
        recipe=tree | {"method": {"name": "combined", **SMALL, **settings}}, persons=4, clothes=8, outfits=OUTFITS
    )
    save_model(tmp_path / "model.safetensors", method, card=card)
    with torch.no_grad():
        again = load_model(tmp_path).method.embed(unlabelled())
    assert torch.equal(again.vectors, together.vectors) and torch.equal(again.visibility, together.visibility)
    assert (again.names, again.weights) == (together.names, together.weights)


@pytest.mark.parametrize(("title", "row"), ROWS, ids=[f"{t}-{r.label}" for t, r in ROWS])
def test_every_row_of_the_ablation_trains(title, row):
    train(make(**row.settings), crops(), 1)
    load_recipe(None, row.overrides)


def people(noise_seed=0):
    """Two crops of each of 8 people in two outfits: the head tells who it is, the bands below what is worn."""
    who = torch.randint(40, 215, (8, 3, 1, 1), generator=torch.Generator().manual_seed(7)).float()
    generator = torch.Generator().manual_seed(noise_seed)
    images = torch.randint(40, 215, (16, 3, 4, 1), generator=generator).float().repeat_interleave(16, dim=2)
    images = images.repeat(1, 1, 1, 32)
    images[:, :, :32] = who.repeat_interleave(2, dim=0)
    images = (images + 12 * torch.randn(images.shape, generator=generator)).clamp(0, 255).to(torch.uint8)
    maps = torch.tensor([1, 1, 11, 12], dtype=torch.uint8).repeat_interleave(16)[None, :, None].expand(16, 64, 32)
    return Batch(images, torch.arange(16) // 2, clothes=torch.arange(16), parsing=maps)


@pytest.mark.parametrize("settings", [{}, ALL], ids=["defaults", "all"])
def test_learns_8_people_in_changed_clothes_by_heart(settings):
    space = LabelSpace(8, 16, tuple(i // 2 for i in range(16)))
    method, batch = make(space=space, **settings), people()
    seen = normalised(batch)
    with torch.no_grad():
        assert rank1(method.eval().embed(seen), batch.persons) < 0.9
    method.train()
    losses = train(method, batch, 12, 1e-3)
    assert losses[-1] < 0.85 * losses[0]
    with torch.no_grad():
        assert rank1(method.eval().embed(seen), batch.persons) == 1.0


def test_needs_follow_from_the_settings_alone():
    assert method_requirements("combined", OFF) == make(**OFF).requirements
    bare = method_requirements("combined", OFF)
    assert bare.train_parsing is None and not bare.train_clothes
    for name in ("parts", "erase_clothes"):
        assert method_requirements("combined", OFF | {name: True}).train_parsing == "worn14"
    assert method_requirements("combined", OFF | {"clothes_loss": True}).train_clothes
    assert method_requirements("combined", OFF | {"metric_loss": "cross"}).train_clothes
    assert method_requirements("combined", ALL).test_parsing is None
    with pytest.raises(RecipeError, match="did you mean 'centre'"):
        method_requirements("combined", {"centr": True})


@pytest.mark.parametrize("name", METHODS)
def test_every_method_knows_its_needs_before_it_is_built(name):
    space = LabelSpace(2, 2, (0, 1))
    built = build_method(name, {}, backbone=build_backbone(BackboneChoice(name="resnet18_x0_5")), space=space)
    assert method_requirements(name, {}) == built.requirements


def test_what_is_missing_is_said_and_what_is_off_is_not_missed():
    bare = Batch(normalised(crops()).images, crops().persons)
    assert total(make(**OFF)(bare, Step())).isfinite()
    with pytest.raises(DataError, match="worn14 parsing maps"):
        make(**OFF | {"parts": True})(bare, Step())
    with pytest.raises(DataError, match="worn14 parsing maps"):
        make(**OFF | {"erase_clothes": True}).expand_batch(bare)
    with pytest.raises(DataError, match="outfit of every crop"):
        make(**OFF | {"metric_loss": "cross"})(bare, Step())
    with pytest.raises(DataError, match="outfit of every crop"):
        make(**OFF | {"clothes_loss": True})(bare, Step())


@pytest.mark.parametrize("settings", [{}, ALL], ids=["defaults", "all"])
def test_a_batch_without_pairs_is_no_reason_to_fail(settings):
    method = make(**settings)
    lonely = crops().replace(persons=torch.zeros(8, dtype=torch.long), clothes=torch.arange(8) % 2)
    assert total(method(seen_by_losses(method, lonely), Step())).isfinite()
    strangers = crops().map(lambda t: t[::2])
    assert total(method(seen_by_losses(method, strangers), Step())).isfinite()
    hidden = crops().replace(parsing=torch.zeros(8, 64, 32, dtype=torch.uint8))
    assert total(method(seen_by_losses(method, hidden), Step())).isfinite()


def test_vectors_names_and_weights_follow_the_switches():
    embedding = make(**OFF).eval().embed(unlabelled())
    assert (embedding.names, embedding.weights, embedding.metric) == (("global",), (1.0,), "cosine")
    method = make(**ALL, part_share=3.0, pool="avg").eval()
    with torch.no_grad():
        embedding = method.embed(unlabelled())
        features = method.backbone(unlabelled().images)
        pooled = features.mean(dim=(2, 3))
        screened = method.stripes(features)[1]
    assert embedding.names == ("global", "screened", "centre", "foreground", *PARTS)
    assert embedding.weights == (1.0,) * 4 + (0.5,) * 6
    assert embedding.visibility[:, :4].min() == 1
    torch.testing.assert_close(
        embedding.vectors[:, 0], F.normalize(F.normalize(pooled, dim=1) - method.mean.mean, dim=1)
    )
    torch.testing.assert_close(embedding.vectors[:, 1], F.normalize(screened, dim=1))
    lengths = embedding.vectors.norm(dim=2)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_parts_are_compared_behind_their_neck():
    method = make(**OFF | {"parts": True}).eval()
    with torch.no_grad():
        method.necks["parts"].running_mean.normal_()
        features = method.backbone(unlabelled().images)
        _, parts = method._parts(features, method.predictor(features))
        behind = method.necks["parts"](parts.flatten(1)).unflatten(1, parts.shape[1:])
        vectors = method.embed(unlabelled()).vectors[:, -len(PARTS) :, : parts.shape[2]]
    torch.testing.assert_close(vectors, F.normalize(behind, dim=2))
    assert not torch.allclose(vectors, F.normalize(parts, dim=2), atol=0.1)


def test_mu_decides_which_parts_are_visible():
    def seen(mu):
        return make(**OFF | {"parts": True}, mu=mu).eval().embed(unlabelled()).visibility

    assert seen(0.0).min() == 1
    assert seen(1.0).sum(dim=1).tolist() == [2.0] * 8  # global and foreground
    method = make(**OFF | {"parts": True}).eval()
    with torch.no_grad():
        highest = method.predictor(method.backbone(unlabelled().images))[:, 1:].exp().amax(dim=(2, 3))
    middle = highest.median().item()
    assert torch.equal(seen(middle)[:, 2:], (highest > middle).float())
    assert 0 < seen(middle)[:, 2:].mean() < 1


def test_terms_are_the_blocks_own_losses():
    method = make(**OFF | {"metric_loss": "cross", "parts": True, "screening": True}, margin=0.4).eval()
    batch = normalised(crops())
    with torch.no_grad():
        terms = method.losses(batch, Step())
        features = method.backbone(batch.images)
        parts = method._parts(features, method.predictor(features))[1]
        stripes, _ = method.stripes(features)
        cross = cross_clothes_triplet(method.global_vectors(features), batch.persons, clothes=batch.clothes, margin=0.4)
    torch.testing.assert_close(terms["cross_clothes"], cross)
    torch.testing.assert_close(terms["part_triplet"], part_triplet(parts, batch.persons, margin=0.4))
    torch.testing.assert_close(terms["stripe_triplet"], part_triplet(stripes, batch.persons, margin=0.4))
    assert set(terms) == {
        "id", "cross_clothes", "id_screened", "stripe_triplet", "id_foreground", "id_parts", "part_triplet",
        "part_attention",
    }  # fmt: skip


def test_copies_without_clothes_are_black_where_something_is_worn():
    batch = crops()
    twice = make(**ALL, recoloured=0.0).expand_batch(batch)
    worn = (batch.parsing >= MAPS)[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(twice.images[:8], batch.images)
    assert twice.images[8:][worn].max() == 0
    assert torch.equal(twice.images[8:][~worn], batch.images[~worn])
    assert torch.equal(twice.clothes[8:], batch.clothes + len(OUTFITS))
    assert torch.equal(make(**ALL, erased_clothes="inherit").expand_batch(batch).clothes[8:], batch.clothes)


def test_recoloured_clothes_have_one_colour_above_the_hips_and_another_below():
    batch = crops()
    grey = batch.replace(images=torch.full_like(batch.images, 128))  # without light and folds a garment is one colour
    torch.manual_seed(0)
    painted = make(**ALL, recoloured=1.0).expand_batch(grey).images[8:]
    for crop, parsing in zip(painted, batch.parsing, strict=True):
        labels = {int(label): crop[:, parsing == label] for label in parsing.unique()}
        above = [pixels for label, pixels in labels.items() if 7 <= label <= 11]
        below = [pixels for label, pixels in labels.items() if label >= 12]
        assert all((pixels == 128).all() for label, pixels in labels.items() if label < 7)
        colours = [torch.unique(torch.cat(group, 1), dim=1) for group in (above, below) if group]
        assert colours and all(colour.shape[1] == 1 for colour in colours)
        assert len(colours) < 2 or not torch.equal(*colours)


def test_the_adversary_counts_copies_as_their_originals(monkeypatch):
    method = make(**ALL)
    seen = {}
    monkeypatch.setattr(method.clothes, "losses", lambda vectors, batch, step: seen.update(clothes=batch.clothes) or {})
    method(seen_by_losses(method, crops()), Step())
    assert torch.equal(seen["clothes"], crops().clothes.repeat(4))  # copies by erasure, then all of them once more


def test_half_precision_agrees_with_single():
    method = make(**ALL).eval()
    batch = seen_by_losses(method, crops())
    torch.manual_seed(1)
    with torch.no_grad():
        single = method.losses(batch, Step())
    torch.manual_seed(1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = method.losses(batch, Step())
    assert single.keys() == half.keys()
    for key in single:
        assert half[key].item() == pytest.approx(single[key].item(), rel=0.1, abs=0.06), key


def test_nothing_assumes_a_kind_of_backbone():
    method = make(backbone="osnet_x0_25", **ALL)
    train(method, crops(), 1)
    assert len(method.eval().embed(unlabelled())) == 8


def test_settings_are_checked():
    with pytest.raises(RecipeError, match="metric_loss"):
        method_settings("combined", {"metric_loss": "triplet"})
