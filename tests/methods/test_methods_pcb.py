import math

import pytest
import torch
import torch.nn.functional as F

from unveil.methods import METHODS, build_method
from unveil.methods.method import LabelSpace, Step
from unveil.methods.summary import describe
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice, InputSettings
from unveil.records import Batch


def make(**settings):
    torch.manual_seed(0)
    return build_method(
        "pcb", settings, backbone=build_backbone(BackboneChoice(name="osnet_x0_25")), space=LabelSpace(4)
    )


def batch(height=96):
    return Batch(torch.randn(8, 3, height, 32, generator=torch.Generator().manual_seed(1)), torch.arange(8) // 2)


def test_one_loss_a_stripe_reaches_every_parameter():
    method = make()
    terms = method(batch(), Step())
    assert list(terms) == [f"id_{i}" for i in range(1, 7)]
    for term in terms.values():  # small first weights: no stripe prefers an identity
        assert term.item() == pytest.approx(math.log(4), abs=0.05)
    torch.stack(list(terms.values())).sum().backward()
    assert [name for name, p in method.named_parameters() if p.grad is None] == []


def test_the_loss_of_a_stripe_is_the_smoothed_cross_entropy_of_its_classifier():
    method = make(smoothing=0.3)
    for classifier in method.classifiers:
        torch.nn.init.normal_(classifier.weight)  # sure of something, so that smoothing matters
    terms = list(method(batch(), Step()).values())
    vectors = method._vectors(batch())
    for term, vector, classifier in zip(terms, vectors, method.classifiers, strict=True):
        expected = F.cross_entropy(classifier(vector), batch().persons, label_smoothing=0.3)
        torch.testing.assert_close(term, expected)


def test_each_vector_sees_its_own_stripe():
    method = make(channels=5).eval()
    embedding = method.embed(batch())
    assert embedding.vectors.shape == (8, 6, 5) and embedding.metric == "cosine"
    assert embedding.names == tuple(f"stripe{i}" for i in range(1, 7))
    features = method.backbone(batch().images)
    assert features.shape[2] == 6
    for i in range(6):
        linear, norm, _ = method.reductions[i]
        row = features[:, :, i].mean(dim=2) @ linear.weight.T
        torch.testing.assert_close(embedding.vectors[:, i], torch.relu(norm(row)), atol=1e-5, rtol=1e-5)


def test_rows_that_do_not_divide_into_stripes():
    assert make().eval().embed(batch(height=128)).vectors.shape == (8, 6, 256)


def test_summary_of_known_size():
    bot = describe("bot", BackboneChoice(name="osnet_x1_0"))
    assert bot.multiply_adds == 978_875_392 - 512 * 512  # torchreid's 978.9 M, without its dense layer
    assert bot.parameters == 1_905_828 + 2 * 512 + 512 * 751
    assert (bot.vectors, bot.dimensions, bot.size) == (("global",), 512, (256, 128))
    pcb = describe(
        "pcb", BackboneChoice(name="osnet_x1_0"), size=InputSettings(height=128, width=64), settings={"channels": 8}
    )
    assert pcb.dimensions == 8 and len(pcb.vectors) == 6
    assert pcb.multiply_adds < bot.multiply_adds / 3.5


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_summary(name):
    found = describe(name, BackboneChoice(name="osnet_x0_25"), size=InputSettings(height=64, width=32))
    assert found.paper and found.vectors and found.dimensions > 0
