import pytest
import torch
import torch.nn.functional as F

from unveil.errors import RecipeError
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods import build_method, method_class, method_settings
from unveil.methods.method import LabelSpace, Step
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice
from unveil.records import Batch


def make(backbone="resnet18_x0_5", persons=4, **settings):
    torch.manual_seed(0)
    return build_method(
        "bot", settings, backbone=build_backbone(BackboneChoice(name=backbone)), space=LabelSpace(persons)
    )


def batch(seed=0):
    images = torch.randn(8, 3, 64, 32, generator=torch.Generator().manual_seed(seed))
    return Batch(images, torch.arange(8) // 2)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet18_ibn_a", "osnet_x0_25", "osnet_ain_x0_25"])
@pytest.mark.parametrize("pool", ["avg", "maxavg", "gem"])
def test_trains_and_embeds_with_any_backbone(backbone, pool):
    method = make(backbone, pool=pool)
    terms = method(batch(), Step())
    torch.stack(list(terms.values())).sum().backward()
    lacking = [name for name, p in method.named_parameters() if p.requires_grad and p.grad is None]
    assert lacking == []
    embedding = method.eval().embed(batch())
    assert embedding.vectors.shape == (8, 1, method.pool.out_channels)
    assert embedding.metric == "cosine" and embedding.visibility.min() == 1


def test_losses_are_those_of_the_paper():
    method = make(smoothing=0.2, margin=0.7)
    terms = method.losses(batch(), Step())
    features = method.backbone(batch().images).mean(dim=(2, 3))
    torch.testing.assert_close(terms["triplet"], batch_hard_triplet(features, batch().persons, margin=0.7))
    behind = (features - features.mean(0)) / (features.var(0, unbiased=False) + 1e-5).sqrt()
    logits = behind @ method.classifier.weight.T
    expected = F.cross_entropy(logits, batch().persons, label_smoothing=0.2)
    torch.testing.assert_close(terms["id"], expected, atol=1e-5, rtol=1e-5)
    assert set(terms) == {"id", "triplet"}


def test_defaults_are_the_papers():
    settings = method_settings("bot", {})
    assert (settings.pool, settings.margin, settings.smoothing) == ("avg", 0.3, 0.1)
    assert method_class("bot").flip_test is False


def test_a_wrong_setting_is_named():
    with pytest.raises(RecipeError, match=r"unknown setting 'marginn'.*did you mean 'margin'"):
        make(marginn=1)
    with pytest.raises(RecipeError, match="pool"):
        make(pool="median")


def test_learns_a_few_crops_by_heart():
    method = make()
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-3)
    first = None
    for iteration in range(15):
        loss = torch.stack(list(method(batch(), Step(iteration=iteration)).values())).sum()
        first = first or loss.item()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.7 * first
