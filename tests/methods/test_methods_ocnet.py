import pytest
import torch
import torch.nn.functional as F
from occlusion_batches import batch, make, unlabelled

from unveil.errors import RecipeError
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods import build_method, method_settings
from unveil.methods.method import LabelSpace, Step
from unveil.methods.tables.ocnet import ABLATIONS


def vectors_of(method):
    method.eval()
    with torch.no_grad():
        return method._vectors(batch())


def test_final_feature_is_the_weighted_concatenation():
    method = make("ocnet")
    vectors = vectors_of(method)
    parts = [vectors[name] for name in ("global", "stripe1", "stripe2", "centre")]
    weights = method.relate.weight(method.relate.relations(torch.stack(parts, dim=1))).sigmoid()
    torch.testing.assert_close(vectors["final"], torch.cat(parts, dim=1) * weights.flatten(1))
    features = method.backbone(batch().images)
    torch.testing.assert_close(vectors["stripe2"], method.converters["stripe2"](features[:, :, 2:]))
    torch.testing.assert_close(vectors["centre"], method.converters["centre"](method.focus(features)))
    plain = vectors_of(make("ocnet", relation="none"))
    torch.testing.assert_close(
        plain["final"], torch.cat([plain[n] for n in ("global", "stripe1", "stripe2", "centre")], dim=1)
    )


def test_losses_are_equations_1_to_3():
    method = make("ocnet", gamma=2.0).eval()
    vectors = vectors_of(method)
    with torch.no_grad():
        terms = method.losses(batch(), Step())
        identity = triplet = 0.0
        for name, weight in (("final", 0.8), ("backbone", 0.5), ("global", 0.25), ("centre", 0.25)):
            logits = method.classifiers[name](method.necks[name](vectors[name]))
            identity += weight * cross_entropy(logits, batch().persons, smoothing=0.1)
            triplet += weight * batch_hard_triplet(vectors[name], batch().persons, margin=0.3)
        cosines = [F.cosine_similarity(vectors["global"], vectors[f"stripe{i}"]) for i in (1, 2)]
    torch.testing.assert_close(terms["id"], identity)
    torch.testing.assert_close(terms["triplet"], triplet)
    torch.testing.assert_close(terms["separation"], 2.0 * (2 + sum(cosines)).mean())
    assert 4.0 - 1e-4 <= terms["separation"] <= 8.0 + 1e-4  # cosines behind a ReLU are not negative


@pytest.mark.parametrize(
    ("row", "names", "has_separation"),
    [
        (0, {"backbone"}, False),
        (1, {"final", "backbone"}, False),
        (2, {"final", "backbone", "global"}, False),
        (3, {"final", "backbone", "global"}, True),
        (8, {"final", "backbone", "global", "centre"}, True),
    ],
)
def test_terms_of_absent_features_are_dropped(row, names, has_separation):
    method = make("ocnet", **ABLATIONS["table2"].rows[row].settings)
    assert set(method.classifiers) == names
    assert ("separation" in method(batch(), Step())) == has_separation


def test_embedding_has_two_distances():
    method = make("ocnet", alpha=0.5).eval()
    with torch.no_grad():
        embedding = method.embed(unlabelled())
    assert (embedding.names, embedding.metric, embedding.weights) == (("final", "backbone"), "euclidean", (1.0, 0.5))
    assert embedding.vectors.shape == (8, 2, 256)  # the backbone's is the longer one
    assert embedding.vectors[:, 0, 64:].abs().max() == 0
    torch.testing.assert_close(embedding.vectors.norm(dim=2), torch.ones(8, 2))
    baseline = make("ocnet", **ABLATIONS["table2"].rows[0].settings).eval().embed(unlabelled())
    assert (baseline.names, baseline.weights) == (("backbone",), (1.0,))


def test_the_baseline_of_table_2_is_bot():
    """Half of BoT's losses would be another baseline: 0.5 is the weight beside three other features."""
    ocnet = make("ocnet", **ABLATIONS["table2"].rows[0].settings)
    bot = build_method("bot", {}, backbone=ocnet.backbone, space=LabelSpace(4))
    bot.neck, bot.classifier = ocnet.necks["backbone"], ocnet.classifiers["backbone"]
    ours, theirs = ocnet.eval().losses(batch(), Step()), bot.eval().losses(batch(), Step())
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)
    with torch.no_grad():
        found, expected = ocnet.embed(unlabelled()).vectors, bot.embed(unlabelled()).vectors
    torch.testing.assert_close(found, F.normalize(expected, dim=2))


@pytest.mark.parametrize("relu", [True, False])
def test_the_separation_loss_can_fall_below_n_without_the_last_relu_of_the_converter(relu):
    method = make("ocnet", cm_relu=relu, n_parts=2)
    separated = []
    optimiser = torch.optim.Adam(method.converters.parameters(), lr=0.01)
    for _ in range(30):
        term = method(batch(), Step())["separation"]
        optimiser.zero_grad()
        term.backward()
        optimiser.step()
        separated.append(term.item())
    assert all(vector.min() >= 0 for vector in vectors_of(method)["final"][None]) == relu
    assert (min(separated) < 1.5) == (not relu) and (min(separated) >= 2 - 1e-4) == relu


@pytest.mark.parametrize("parts", [1, 3, 4, 6])
def test_any_number_of_stripes(parts):
    method = make("ocnet", n_parts=parts)
    assert method.necks["final"].num_features == (parts + 2) * 16
    assert torch.stack(list(method(batch(), Step()).values())).isfinite().all()


def test_relations_need_vectors_to_relate():
    with pytest.raises(RecipeError, match="relation=none and gamma=0"):
        make("ocnet", concat=False)
    with pytest.raises(RecipeError, match="relation=none and gamma=0"):
        make("ocnet", concat=False, relation="none")


def test_defaults_are_the_papers():
    settings = method_settings("ocnet", {})
    assert (settings.gamma, settings.center_w, settings.n_parts, settings.alpha) == (1.0, 2, 2, 1.0)
    assert [len(table.rows) for table in ABLATIONS.values()] == [9, 4, 4, 4, 2]
    for table, row in (("table2", 8), ("center", 0), ("parts", 1), ("gamma", 1), ("ibn", 0)):
        assert method_settings("ocnet", dict(ABLATIONS[table].rows[row].settings)) == settings
        assert ABLATIONS[table].rows[row].figures == (59.9, 49.7)
