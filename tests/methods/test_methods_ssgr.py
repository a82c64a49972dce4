import pytest
import torch
import torch.nn.functional as F
from test_methods_occlusion import batch, make, unlabelled

from unveil.losses.bounded_exponential import bounded_exponential
from unveil.methods import method_settings
from unveil.methods.method import Step
from unveil.methods.ssgr import ABLATIONS

BASELINE = dict(ABLATIONS["table5"].rows[0].settings)


def test_without_its_changes_it_is_the_baseline():
    ssgr, sbs = make("ssgr", **BASELINE, box_p=0.0), make("sbs")
    weights = {key.removeprefix("branch."): value for key, value in ssgr.state_dict().items()}
    sbs.load_state_dict(weights)
    ours, theirs = ssgr(batch(), Step()), sbs(batch(), Step())
    torch.testing.assert_close(ours["id_gf"], theirs["id"])
    torch.testing.assert_close(ours["triplet_gf"], theirs["triplet"])
    assert len(ours) == len(theirs) == 2
    with torch.no_grad():
        assert torch.equal(ssgr.eval().embed(unlabelled()).vectors, sbs.eval().embed(unlabelled()).vectors)


def test_losses_are_equation_5_on_both_features():
    method = make("ssgr", box_p=0.0, stripe_p=0.0, smoothing=0.0)
    terms = method(batch(), Step())
    assert set(terms) == {"id_gf", "bed_gf", "id_rpf", "bed_rpf"}
    images, persons = batch().images.repeat(2, 1, 1, 1), batch().persons.repeat(2)
    features = method.backbone(images, method.attention.taps())
    rpf = method.reconstruct(features)
    torch.testing.assert_close(terms["bed_rpf"], bounded_exponential(rpf, persons, 0.3))
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
    terms = make("ssgr", **settings)(batch(), Step())
    assert set(terms) == (names or {"id_gf", "bed_gf", "id_rpf", "bed_rpf"})
    assert torch.stack(list(terms.values())).isfinite().all()


def test_the_compound_batch_is_what_the_backbone_sees():
    method, seen = make("ssgr"), []
    method.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    torch.manual_seed(5)
    first = method(batch(), Step())
    method.load_state_dict(make("ssgr").state_dict())
    torch.manual_seed(5)
    second = method(batch(), Step())
    assert seen[0].shape[0] == 16
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(first["bed_gf"], second["bed_gf"])
    method = make("ssgr", cbe=False, box_p=1.0)
    method.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    method(batch(), Step())
    assert seen[-1].shape[0] == 8
    assert (seen[-1] != batch().images).flatten(1).any(dim=1).all()


def test_the_mean_is_subtracted_from_the_pooled_vector_at_test_only():
    method = make("ssgr")
    method(batch(), Step())
    method.eval()
    before = method.mean.mean.clone()
    with torch.no_grad():
        embedding = method.embed(unlabelled())
        gf = method.pool(method.backbone(unlabelled().images, method.attention.taps()))
    torch.testing.assert_close(embedding.vectors[:, 0], F.normalize(gf, dim=1) - before)
    assert torch.equal(method.mean.mean, before)
    assert embedding.metric == "cosine"
    plain = make("ssgr", me=False).eval()
    with torch.no_grad():
        gf = plain.pool(plain.backbone(unlabelled().images, plain.attention.taps()))
        torch.testing.assert_close(plain.embed(unlabelled()).vectors[:, 0], plain.branch.neck(gf))


def test_queries_and_keys_are_spared_from_weight_decay():
    spared = make("ssgr").undecayed_parameters()
    assert len(spared) == 8  # two in each of four blocks
    assert make("ssgr", dnl=False).undecayed_parameters() == []


def test_defaults_are_the_papers_and_its_table_is_cumulative():
    settings = method_settings("ssgr", {})
    assert (settings.alpha, settings.beta, settings.heads, settings.heads_mode) == (0.3, 0.9, 2, "sum_ce")
    rows = ABLATIONS["table5"].rows
    assert [sum(bool(row.settings[k]) for k in ("cbe", "bed", "dnl", "rp", "me")) for row in rows] == list(range(6))
    assert [row.settings["heads"] for row in rows] == [1, 1, 2, 2, 2, 2]
    assert method_settings("ssgr", dict(rows[-1].settings)) == settings
    columns = ABLATIONS["table5"].columns
    assert dict(zip(columns, rows[-1].figures, strict=True))["Occluded-Duke R-1"] == 69.0
    assert dict(zip(columns, rows[0].figures, strict=True))["DukeMTMC-reID mAP"] == 79.8
