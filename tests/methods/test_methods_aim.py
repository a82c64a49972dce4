import pytest
import torch
import torch.nn.functional as F
from clothes_batches import OUTFITS, batch, make, unlabelled

from unveil.errors import DataError, RecipeError
from unveil.losses.clothes import clothes_adversarial_loss
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.symmetric_divergence import symmetric_divergence
from unveil.methods import method_settings
from unveil.methods.method import Step

SMALL = {"stripe_width": 16, "fusion_maps": 2}


def test_losses_are_those_of_both_branches():
    method = make("aim", **SMALL, w_debias=0.5, w_divergence=0.25, smoothing=0.2).eval()
    for layer in (method.pyramid.join, method.fusion.join):
        torch.nn.init.normal_(layer.weight)
    crops = batch(method)
    with torch.no_grad():
        terms = method.losses(crops, Step(25))
        features, clothes_features = method.backbone(crops.images), method.clothes_backbone(crops.images)
        vectors = method.neck(torch.cat([features.amax(dim=(2, 3)), features.mean(dim=(2, 3))], dim=1))
        outfits = F.normalize(method.pyramid(clothes_features), dim=1) @ method.clothes_classifier.weight.T
        seen = F.normalize(vectors, dim=1) @ method.clothes.classifier.weight.T
        mixed = method.classifier(method.fusion(features, clothes_features))
        expected = {
            "id": cross_entropy(method.classifier(vectors), crops.persons, smoothing=0.2),
            "clothes_branch": F.cross_entropy(16 * outfits, crops.clothes),
            "clothes": F.cross_entropy(16 * seen, crops.clothes),
            "clothes_adversarial": clothes_adversarial_loss(
                seen, crops.clothes, persons=crops.persons, owners=torch.tensor(OUTFITS)
            ),
            "debias": 0.5 * cross_entropy(method.classifier(vectors) - mixed, crops.persons, smoothing=0.2),
            "divergence": 0.25 * symmetric_divergence(seen, outfits, reduce="sum"),
        }
    assert terms.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(terms[key], value, msg=key)


def test_each_branch_is_trained_by_its_own_losses_alone():
    method = make("aim", **SMALL)
    crops = batch(method)
    identity, clothes = next(method.backbone.parameters()), next(method.clothes_backbone.parameters())
    assert torch.equal(identity, clothes) and identity is not clothes  # the same start
    for name, own, other in (
        ("debias", identity, clothes),
        ("clothes_adversarial", identity, clothes),
        ("clothes_branch", clothes, identity),
        ("divergence", clothes, identity),
    ):
        term = method(crops, Step(30))[name]
        mine, theirs = torch.autograd.grad(term, [own, other], allow_unused=True)
        assert mine.abs().sum() > 0 and theirs is None, name
    for classifier in (method.clothes.classifier, method.clothes_classifier):
        torch.testing.assert_close(classifier.weight.norm(dim=1), torch.ones(len(OUTFITS)))


def test_before_their_epoch_there_are_two_classifiers_and_nothing_between_them():
    method = make("aim", **SMALL)
    assert set(method(batch(method), Step(24))) == {"id", "clothes_branch"}


def test_the_test_looks_at_the_identity_branch_alone():
    method = make("aim", **SMALL).eval()
    with torch.no_grad():
        before = method.embed(unlabelled()).vectors
        for parameter in method.clothes_backbone.parameters():
            parameter.normal_()
        assert torch.equal(method.embed(unlabelled()).vectors, before)
    assert method.flip_test and method.requirements.train_clothes


def test_wrong_use_is_said():
    with pytest.raises(RecipeError, match="set w_divergence=0 too"):
        method_settings("aim", {"clothes_loss": False})
    method = make("aim", **SMALL, clothes_loss=False, w_divergence=0.0)
    assert set(method(batch(method), Step(30))) == {"id", "clothes_branch", "debias"}
    with pytest.raises(DataError, match="outfit of every crop"):
        method(batch(method).replace(clothes=None), Step())
