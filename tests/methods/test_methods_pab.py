import pytest
import torch
import torch.nn.functional as F
from occlusion_batches import batch, make, unlabelled

from unveil.errors import DataError, RecipeError
from unveil.losses.part_triplet import part_triplet
from unveil.methods import method_settings
from unveil.methods.method import Step
from unveil.methods.pab import PARTS
from unveil.methods.tables.pab import ABLATIONS

HOLISTIC = {"id_global", "id_foreground", "id_concat"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"part_triplet", "part_attention"}),
        ({"part_loss": "id"}, {"id_parts", "part_attention"}),
        ({"part_loss": "tri"}, {"triplet_parts", "part_attention"}),
        ({"part_loss": "id_tri"}, {"id_parts", "triplet_parts", "part_attention"}),
        ({"part_attention": False}, {"part_triplet"}),
        (
            {"w_tri_global": 1.0, "w_tri_concat": 0.5},
            {"triplet_global", "triplet_concat", "part_triplet", "part_attention"},
        ),
    ],
)
def test_terms_follow_the_switches(settings, names):
    assert set(make("pab", **settings)(batch(), Step())) == HOLISTIC | names


@pytest.mark.parametrize(
    "settings",
    [
        {"foreground": "sum"},
        {"pool": "gap"},
        {"pool": "gmp", "focuser": False},
        {"share_gate": "none"},
        {"share_gate": "all", "relu_before_softmax": False},
        {"tri_visibility": True, "mu": 0.2},
        {"w_parts": 0.0},
    ],
)
def test_free_choices_train(settings):
    terms = make("pab", **settings)(batch(), Step())
    torch.stack(list(terms.values())).sum().backward()
    assert torch.stack(list(terms.values())).isfinite().all()


def test_parsing_is_needed_to_train_the_maps_and_only_then():
    assert make("pab").requirements.train_parsing == "pab6"
    assert make("pab").requirements.test_parsing is None
    assert make("pab", part_attention=False).requirements.train_parsing is None
    make("pab", part_attention=False)(batch(parsing=False), Step())
    with pytest.raises(DataError, match="pab6 parsing maps"):
        make("pab")(batch(parsing=False), Step())


def test_embedding_is_foreground_and_six_parts_of_length_1():
    method = make("pab").eval()
    with torch.no_grad():
        embedding = method.embed(unlabelled())
    assert embedding.names == ("foreground", *PARTS)
    assert embedding.metric == "euclidean"
    assert embedding.vectors.shape == (8, 7, 16)
    lengths = embedding.vectors.norm(dim=2)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    assert embedding.visibility[:, 0].min() == 1


def test_visibility_is_the_maximum_of_the_map_above_mu():
    maps = make("pab").eval().part_maps(unlabelled()).amax(dim=(2, 3))
    middle = maps.median().item()
    visibility = make("pab", mu=middle).eval().embed(unlabelled()).visibility[:, 1:]
    assert torch.equal(visibility, (maps > middle).float())
    assert 0 < visibility.mean() < 1
    everything_hidden = make("pab", mu=1.0).eval().embed(unlabelled()).visibility
    assert everything_hidden.sum(dim=1).tolist() == [1.0] * 8
    stripes = make("pab", part_attention=False).eval().embed(unlabelled()).visibility
    assert stripes.min() == 1


def test_part_neck_compares_parts_behind_the_neck_of_all_of_them():
    method = make("pab", part_neck=True).eval()
    with torch.no_grad():
        method.necks["concat"].running_mean.normal_()
        features = method.backbone(unlabelled().images)
        _, parts = method._part_vectors(features, method._part_masks(features)[0])
        behind = method.necks["concat"](parts.flatten(1)).unflatten(1, parts.shape[1:])
        torch.testing.assert_close(method.embed(unlabelled()).vectors[:, 1:], F.normalize(behind, dim=2))
    with pytest.raises(RecipeError, match="w_id_concat"):
        make("pab", part_neck=True, w_id_concat=0.0)


def test_foreground_map_is_the_maximum_over_parts_and_a_part_uses_its_own_map():
    method = make("pab").eval()
    with torch.no_grad():
        features = method.backbone(batch().images)
        masks, log_maps = method._part_masks(features)
        foreground, parts = method._part_vectors(features, masks)
        expected = method.path(features, torch.cat([masks.amax(1, keepdim=True), masks], 1))
        embedding = method.embed(batch())
    torch.testing.assert_close(log_maps.exp().sum(1), torch.ones(8, *masks.shape[2:]))
    torch.testing.assert_close(torch.cat([foreground[:, None], parts], 1), expected)
    torch.testing.assert_close(embedding.vectors[:, 1:], F.normalize(parts, dim=2))
    torch.testing.assert_close(embedding.vectors[:, 0], F.normalize(method.necks["foreground"](foreground), dim=1))
    # The triplet sees the raw parts, without foreground and without visibility.
    with torch.no_grad():
        term = method.losses(batch(), Step())["part_triplet"]
    torch.testing.assert_close(term, part_triplet(parts, batch().persons, margin=0.3))


def test_part_attention_is_weighed_by_gamma_and_learns_the_maps():
    heavy, light = make("pab", gamma=0.7)(batch(), Step()), make("pab", gamma=0.35)(batch(), Step())
    torch.testing.assert_close(heavy["part_attention"], 2 * light["part_attention"])
    method = make("pab", relu_before_softmax=False, smoothing=0.0)
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-3)
    losses = []
    for iteration in range(12):
        loss = method(batch(), Step(iteration=iteration))["part_attention"]
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]


def test_defaults_are_the_papers():
    settings = method_settings("pab", {})
    assert (settings.mu, settings.gamma, settings.margin, settings.smoothing) == (0.5, 0.35, 0.3, 0.1)
    assert [len(table.rows) for table in ABLATIONS.values()] == [5, 4, 9]
    assert method_settings("pab", dict(ABLATIONS["table3"].rows[-1].settings)) == settings
