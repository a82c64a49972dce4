from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from clothes_batches import OUTFITS, batch, make, train, unlabelled

import unveil
from unveil.errors import DataError, RecipeError
from unveil.losses.clothes import clothes_adversarial_loss
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_triplet import part_triplet
from unveil.methods import method_settings
from unveil.methods.method import Step
from unveil.methods.tables.oc4 import ABLATIONS
from unveil.recipe import OptimSettings, load_recipe
from unveil.training.optimisers import auxiliary_update, build_auxiliary_optimiser, build_optimiser

RECIPES = Path(unveil.__file__).parent / "recipes"
BASE = dict(ABLATIONS["table2"].rows[0].settings)


def test_losses_are_equation_6():
    method = make("oc4", margin=0.7, smoothing=0.2, w_id_p=0.5, w_part=0.25).eval()
    crops = batch(method)
    with torch.no_grad():
        terms = method.losses(crops, Step(25))
        features = method.backbone(crops.images)
        f_g = method.neck(features.mean(dim=(2, 3)))
        parts, whole = method.stripes(features)
        cosines = F.normalize(f_g, dim=1) @ F.normalize(method.clothes.classifier.weight, dim=1).T
        expected = {
            "id_g": cross_entropy(method.classifier(f_g), crops.persons, smoothing=0.2),
            "id_p": 0.5 * cross_entropy(method.classifier_p(whole), crops.persons, smoothing=0.2),
            "prt": 0.25 * part_triplet(parts, crops.persons, margin=0.7),
            "clothes": F.cross_entropy(16 * cosines, crops.clothes),
            "clothes_adversarial": clothes_adversarial_loss(
                cosines, crops.clothes, persons=crops.persons, owners=torch.tensor(OUTFITS)
            ),
        }
    assert terms.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(terms[key], value, msg=key)


@pytest.mark.parametrize("name", ["cal", "oc4"])
def test_the_adversary_trains_in_between_and_alone(name):
    method = make(name)
    optim = OptimSettings(lr=1e-2)
    optimiser, inner = build_optimiser(method, optim), build_auxiliary_optimiser(method, optim)
    head = method.clothes.classifier.weight
    assert method.auxiliary_parameters() == [head]
    assert all(head is not p for group in optimiser.param_groups for p in group["params"])
    before, seen = head.detach().clone(), {}

    def update(loss):
        grads = torch.autograd.grad(loss, list(method.parameters()), retain_graph=True, allow_unused=True)
        seen["trained"] = {n for (n, _), g in zip(method.named_parameters(), grads, strict=True) if g is not None}
        auxiliary_update(inner)(loss)
        seen["updated"] = head.detach().clone()
        inner.zero_grad(set_to_none=True)

    crops = batch(method)
    terms = method(crops, Step(25, 0, update))
    assert seen["trained"] == {"clothes.classifier.weight"}
    assert not torch.equal(seen["updated"], before)
    assert not terms["clothes"].requires_grad
    terms["clothes_adversarial"].backward()
    assert head.grad is None
    first = next(method.backbone.parameters())
    assert first.grad is not None and first.grad.abs().sum() > 0
    optimiser.step()
    assert torch.equal(head, seen["updated"])


def test_the_adversarial_loss_sees_the_updated_classifier():
    method = make("cal").eval()
    crops, head = batch(method), method.clothes.classifier.weight

    def update(loss):
        with torch.no_grad():
            head.copy_(torch.randn(head.shape, generator=torch.Generator().manual_seed(5)))

    with torch.no_grad():
        terms = method.losses(crops, Step(25, 0, update))
        features = method.neck(method.pool(method.backbone(crops.images)))
        cosines = F.normalize(features, dim=1) @ F.normalize(head, dim=1).T
        expected = clothes_adversarial_loss(cosines, crops.clothes, persons=crops.persons, owners=torch.tensor(OUTFITS))
    torch.testing.assert_close(terms["clothes_adversarial"], expected)


@pytest.mark.parametrize("name", ["cal", "oc4"])
def test_clothes_losses_wait_for_their_epoch(name):
    method = make(name, clothes_start_epoch=3)
    crops = batch(method)
    calls = []
    early = method(crops, Step(2, 0, calls.append))
    assert not calls and not {"clothes", "clothes_adversarial"} & early.keys()
    method(crops.replace(clothes=None), Step(2))
    assert {"clothes", "clothes_adversarial"} <= method(crops, Step(3, 0, calls.append)).keys() and len(calls) == 1
    with pytest.raises(DataError, match="outfit of every crop"):
        method(crops.replace(clothes=None), Step(3))


@pytest.mark.parametrize("name", ["cal", "oc4"])
def test_without_clothes_losses_no_clothes_are_needed(name):
    method = make(name, clothes_loss=False)
    assert not method.requirements.train_clothes and method.auxiliary_parameters() == []
    assert make(name).requirements.train_clothes
    assert "clothes" not in method(batch(method).replace(clothes=None), Step(30))


def test_the_baseline_is_cal():
    oc4, cal = make("oc4", **BASE), make("cal")
    oc4.load_state_dict(cal.state_dict())
    crops = batch(cal)
    ours, theirs = oc4(crops, Step(30)), cal(crops, Step(30))
    torch.testing.assert_close(list(ours.values()), list(theirs.values()))
    with torch.no_grad():
        found, expected = (m.eval().embed(unlabelled()).vectors for m in (oc4, cal))
    assert torch.equal(found, expected) and expected.shape == (8, 1, 512)


def test_the_test_vector_is_that_of_the_screened_stripes():
    method = make("oc4", k=3)  # 3 does not divide the 4 rows of the map
    train(method, 2)
    method.eval()
    with torch.no_grad():
        vectors = method.embed(unlabelled()).vectors[:, 0]
        torch.testing.assert_close(vectors, method.stripes(method.backbone(unlabelled().images))[1])
        method.stripes.threshold = 0.55
        changed = method.embed(unlabelled()).vectors[:, 0]
        method.stripes.screen = False
        open_ = method.embed(unlabelled()).vectors[:, 0]
    assert not torch.equal(changed, open_)
    assert method.flip_test


def test_a_part_loss_needs_stripes():
    with pytest.raises(RecipeError, match="part_loss=none beside t2mgs=false"):
        make("oc4", t2mgs=False)
    with pytest.raises(RecipeError, match="at least 1 stripe"):
        make("oc4", k=0)


def test_defaults_are_the_papers():
    settings = method_settings("oc4", {})
    assert (settings.k, settings.threshold, settings.margin, settings.part_loss) == (6, 0.35, 0.5, "prt")
    assert (settings.w_id_p, settings.w_part, settings.clothes_start_epoch) == (1.0, 1.0, 25)
    for table, row in (("table2", 3), ("lambda", 4), ("k", 2), ("repo", 0)):
        assert method_settings("oc4", dict(ABLATIONS[table].rows[row].settings)) == settings
        assert ABLATIONS[table].rows[row].figures == (58.81, 56.52)
    assert len(make("oc4").stripes.predictors) == 6
    assert len(make("oc4", **ABLATIONS["repo"].rows[1].settings).stripes.predictors) == 1


def test_cal_and_oc4_are_one_global_branch_with_the_same_weights_under_the_same_seed():
    oc4, cal = make("oc4", **BASE).state_dict(), make("cal").state_dict()
    assert list(oc4) == list(cal)
    assert all(torch.equal(oc4[key], cal[key]) for key in cal)
    assert {key.partition(".")[0] for key in cal} == {"backbone", "neck", "classifier", "clothes"}


def test_the_preset_of_the_published_code_has_its_triplet_on_the_logits_of_stripes():
    settings = load_recipe(RECIPES / "oc4_repo.yaml").method.settings
    method = make("oc4", **settings | {"clothes_loss": False}).eval()
    torch.nn.init.normal_(method.part_classifier.weight)
    crops = batch(method)
    with torch.no_grad():
        terms = method.losses(crops, Step())
        stripes, _ = method.stripes(method.backbone(crops.images))
    logits = (stripes @ method.part_classifier.weight.T + method.part_classifier.bias).tolist()
    persons = crops.persons.tolist()

    def distance(a, b, k):
        x, y = logits[a][k], logits[b][k]
        dot = sum(i * j for i, j in zip(x, y, strict=True))
        return 1 - dot / (sum(i * i for i in x) ** 0.5 * sum(i * i for i in y) ** 0.5)

    hinges = []
    for k in range(6):
        for a in range(8):
            farthest = max(distance(a, b, k) for b in range(8) if persons[b] == persons[a] and b != a)
            nearest = min(distance(a, b, k) for b in range(8) if persons[b] != persons[a])
            hinges.append(max(farthest - nearest + 0.3, 0.0))
    assert set(terms) == {"id_g", "id_p", "logit_triplet"}
    assert terms["logit_triplet"].item() == pytest.approx(0.01 * sum(hinges) / len(hinges), rel=1e-4)
