import pytest
import torch
import torch.nn.functional as F
from occlusion_batches import batch, make, unlabelled

from unveil.errors import RecipeError
from unveil.losses.bounded_exponential import bounded_exponential
from unveil.methods import method_settings, training_settings
from unveil.methods.method import Step
from unveil.methods.ssgr import _Branch
from unveil.methods.tables.ssgr import ABLATIONS

BASELINE = dict(ABLATIONS["table5"].rows[0].settings)


def test_without_its_changes_it_is_the_baseline():
    ssgr, sbs = make("ssgr", **BASELINE, box_p=0.0), make("sbs")
    weights = {key.removeprefix("branch."): value for key, value in ssgr.state_dict().items() if key != "mean.mean"}
    sbs.load_state_dict(weights)
    ours, theirs = ssgr(ssgr.erase(batch()), Step()), sbs(batch(), Step())
    torch.testing.assert_close(ours["id_gf"], theirs["id"])
    torch.testing.assert_close(ours["triplet_gf"], theirs["triplet"])
    assert len(ours) == len(theirs) == 2
    with torch.no_grad():
        assert torch.equal(ssgr.eval().embed(unlabelled()).vectors, sbs.eval().embed(unlabelled()).vectors)


def test_losses_are_equation_5_on_both_features():
    method = make("ssgr", box_p=0.0, stripe_p=0.0, smoothing=0.0)
    terms = method(method.erase(batch()), Step())
    assert set(terms) == {"id_gf", "bed_gf", "id_rpf", "bed_rpf"}
    images, persons = batch().images.repeat(2, 1, 1, 1), batch().persons.repeat(2)
    features = method.backbone(images, method.attention.hooks())
    rpf = method.reconstruct(features)
    torch.testing.assert_close(terms["bed_rpf"], bounded_exponential(rpf, persons, alpha=0.3))
    logits = method.rpf_branch.classifier(method.rpf_branch.neck(rpf))
    expected = F.cross_entropy(logits[0], persons) + F.cross_entropy(logits[1], persons)
    torch.testing.assert_close(terms["id_rpf"], expected, atol=1e-4, rtol=1e-4)
    gf = F.normalize(method.pool(features), dim=1)
    torch.testing.assert_close(method.mean.mean, 0.1 * gf.mean(dim=0))
    assert method.saturated == 0


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"id_on_rpf": False}, {"id_gf", "bed_gf", "bed_rpf"}),
        ({"rp": False}, {"id_gf", "bed_gf"}),
        ({"bed": False}, {"id_gf", "triplet_gf", "id_rpf", "triplet_rpf"}),
        ({"bed": False, "id_on_rpf": False}, {"id_gf", "triplet_gf", "triplet_rpf"}),
        ({"heads_mode": "sum_logits", "bed_reduce": "all", "bed_normalize": False, "dnl_gamma": False}, None),
        ({"qk_ratio": 2, "heads": 4, "pool": "avg"}, None),
    ],
)
def test_switches_change_the_terms(settings, names):
    method = make("ssgr", **settings)
    terms = method(method.erase(batch()), Step())
    assert set(terms) == (names or {"id_gf", "bed_gf", "id_rpf", "bed_rpf"})
    assert torch.stack(list(terms.values())).isfinite().all()


def test_the_compound_batch_is_what_the_backbone_sees():
    method, seen = make("ssgr"), []
    method.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    torch.manual_seed(5)
    first = method(method.erase(batch()), Step())
    method.load_state_dict(make("ssgr").state_dict())
    torch.manual_seed(5)
    second = method(method.erase(batch()), Step())
    assert seen[0].shape[0] == 16
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(first["bed_gf"], second["bed_gf"])
    method = make("ssgr", cbe=False, box_p=1.0)
    method.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    method(method.erase(batch()), Step())
    assert seen[-1].shape[0] == 8
    assert (seen[-1] != batch().images).flatten(1).any(dim=1).all()


def test_the_mean_is_subtracted_from_the_pooled_vector_at_test_only():
    method = make("ssgr")
    method(method.erase(batch()), Step())
    method.eval()
    before = method.mean.mean.clone()
    with torch.no_grad():
        embedding = method.embed(unlabelled())
        gf = method.pool(method.backbone(unlabelled().images, method.attention.hooks()))
    torch.testing.assert_close(embedding.vectors[:, 0], F.normalize(gf, dim=1) - before)
    assert torch.equal(method.mean.mean, before)
    assert embedding.metric == "cosine"


@pytest.mark.parametrize("feature", ["pooled", "neck"])
def test_without_the_mean_the_vector_it_is_subtracted_from_is_compared_or_the_one_behind_the_neck(feature):
    plain = make("ssgr", me=False, test_feature=feature)
    plain(plain.erase(batch()), Step())
    plain.eval()
    with torch.no_grad():
        gf = plain.pool(plain.backbone(unlabelled().images, plain.attention.hooks()))
        expected = gf if feature == "pooled" else plain.branch.neck(gf)
        torch.testing.assert_close(plain.embed(unlabelled()).vectors[:, 0], expected)
        # The row with the mean changes nothing else: the same weights, the mean of the same vectors.
        full = make("ssgr").eval()
        full.load_state_dict(plain.state_dict())
        torch.testing.assert_close(full.embed(unlabelled()).vectors[:, 0], F.normalize(gf, dim=1) - full.mean.mean)


def test_one_training_serves_several_shares_of_the_old_mean():
    betas = (0.1, 0.9, 0.99)
    swept, single = make("ssgr", betas=betas), {beta: make("ssgr", beta=beta) for beta in betas}
    for seed in range(3):
        for method in (swept, *single.values()):
            torch.manual_seed(seed)
            method(method.erase(batch(seed)), Step())
    for row, beta in enumerate(betas):
        torch.testing.assert_close(swept.mean.mean[row], single[beta].mean.mean)
        again = make("ssgr", beta=beta, betas=betas).eval()
        again.load_state_dict(swept.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(
                again.embed(unlabelled()).vectors, single[beta].eval().embed(unlabelled()).vectors
            )
        assert "beta" in again.test_settings and "beta" not in single[beta].test_settings


def test_the_random_box_takes_as_much_as_its_setting_says():
    for area in ((0.02, 0.4), (0.02, 0.33), (0.3, 0.31)):
        method, seen = make("ssgr", cbe=False, box_p=1.0, box_area=area, erase_fill=99.0), []
        method.backbone.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        for seed in range(20):
            torch.manual_seed(seed)
            method(method.erase(batch()), Step())
        shares = torch.cat([(images[:, 0] == 99).float().mean(dim=(1, 2)) for images in seen])
        assert shares.min() > area[0] - 0.02 and shares.max() < area[1] + 0.02
        assert shares.max() > area[1] - 0.05  # and the largest ones come up
    assert method_settings("ssgr", {}).box_area == (0.02, 0.4)


def test_places_of_the_non_local_blocks():
    assert make("ssgr", backbone="resnet50").attention.addresses == [
        "layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"
    ]  # fmt: skip
    last = make("ssgr", backbone="resnet50", placement="last").attention.addresses
    assert last == make("sbs", backbone="resnet50").attention.addresses
    assert last == ["layer2.2", "layer2.3", "layer3.3", "layer3.4", "layer3.5"]


def test_two_cross_entropies_have_a_floor_that_one_of_summed_logits_has_not():
    """A head of its own can reach a cosine of 1 with its person and 0 with 750 others, no more."""
    floors = {}
    for mode in ("sum_ce", "sum_logits"):
        branch = _Branch(2 * 751, 751, settings=method_settings("ssgr", {"heads_mode": mode, "smoothing": 0.0}))
        branch.neck = torch.nn.Identity()
        apart = torch.eye(751).repeat(1, 2)  # orthogonal in either head
        with torch.no_grad():
            branch.classifier.weight.copy_(1e3 * apart)
        floors[mode] = branch.losses(apart, torch.arange(751))["id"].item()
    assert floors["sum_logits"] < 0.001 < 0.3 < floors["sum_ce"] < 0.7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_feature": "neck"}, "test_feature=pooled, or me=false"),
        ({"box_area": (0.4, 0.02)}, "box_area: expected 0 < smallest"),
        ({"beta": 1.0}, "beta: expected shares"),
        ({"betas": (0.5, -1)}, "beta: expected shares"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        method_settings("ssgr", settings)


def test_queries_and_keys_are_spared_from_weight_decay():
    spared = make("ssgr").no_weight_decay()
    assert len(spared) == 4  # two in each of two blocks
    assert make("ssgr", dnl=False).no_weight_decay() == []


def test_defaults_are_the_papers_and_its_table_is_cumulative():
    settings = method_settings("ssgr", {})
    assert (settings.alpha, settings.beta, settings.heads, settings.heads_mode) == (0.3, 0.9, 2, "sum_ce")
    rows = ABLATIONS["table5"].rows
    assert [sum(bool(row.settings[k]) for k in ("cbe", "bed", "dnl", "rp", "me")) for row in rows] == list(range(6))
    assert [row.settings["heads"] for row in rows] == [1, 1, 2, 2, 2, 2]
    assert method_settings("ssgr", dict(rows[-1].settings)) == settings
    before, last = (dict(row.settings) for row in rows[-2:])
    assert {key for key in last if last[key] != before[key]} == {"me"}  # and that only the test looks at
    assert training_settings("ssgr", before) == training_settings("ssgr", last)
    columns = ABLATIONS["table5"].columns
    assert dict(zip(columns, rows[-1].figures, strict=True))["Occluded-Duke R-1"] == 69.0
    assert dict(zip(columns, rows[0].figures, strict=True))["DukeMTMC-reID mAP"] == 79.8
