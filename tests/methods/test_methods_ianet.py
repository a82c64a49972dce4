import pytest
import torch
from occlusion_batches import batch, make, unlabelled

from unveil.errors import RecipeError
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods import method_settings
from unveil.methods.method import Step


def test_blocks_follow_the_second_and_the_third_stage_and_change_nothing_at_first():
    method = make("ianet", backbone="resnet50").eval()
    assert method.interactions.addresses == ["layer2.3", "layer3.5"]
    with torch.no_grad():
        features = method.backbone(batch().images)
        vectors = method.neck(features.mean(dim=(2, 3)))
        torch.testing.assert_close(method.embed(batch()).vectors[:, 0], vectors)


def test_losses_are_those_of_the_vector_behind_the_norm():
    method = make("ianet", w_metric=0.5).eval()
    for block in method.interactions.modules():
        if isinstance(block, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(block.weight)
    with torch.no_grad():
        terms = method.losses(batch(), Step())
        features = method.backbone(batch().images, method.interactions.hooks())
        assert not torch.allclose(features, method.backbone(batch().images))
        vectors = method.neck(features.mean(dim=(2, 3)))
        logits = method.classifier(vectors)
    assert terms.keys() == {"id", "triplet"}
    torch.testing.assert_close(terms["id"], cross_entropy(logits, batch().persons, smoothing=0.1))
    expected = 0.5 * batch_hard_triplet(vectors, batch().persons, margin=0.3, distance="cosine")
    torch.testing.assert_close(terms["triplet"], expected)


@pytest.mark.parametrize(("spatial", "channel", "norms"), [(True, True, 4), (True, False, 2), (False, False, 0)])
def test_blocks_can_be_left_out(spatial, channel, norms):
    method = make("ianet", spatial=spatial, channel=channel)
    found = [m for m in method.interactions.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(found) == norms and len(method.embed(unlabelled())) == 8


def test_a_reach_of_nothing_is_refused():
    with pytest.raises(RecipeError, match="sigma: expected a share above 0"):
        method_settings("ianet", {"sigma": 0.0})
