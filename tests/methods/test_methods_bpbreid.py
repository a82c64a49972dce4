import pytest
import torch
import torch.nn.functional as F
from occlusion_batches import batch, make, unlabelled

from unveil.errors import DataError
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_attention import labels_on_map, part_attention_loss
from unveil.losses.part_triplet import part_triplet
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import Step
from unveil.records import Batch

PARTS = ("head", "left-arm", "right-arm", "torso", "left-leg", "right-leg", "left-foot", "right-foot")


def doubled(crops):
    return crops.replace(images=crops.images.double())


def vivid(**settings):
    """A model whose part maps differ from each other, as those of a trained one do."""
    method = make("bpbreid", **settings).double().eval()
    torch.nn.init.normal_(method.predictor.logits.weight, std=0.15)
    return method


def by_loops(method, images):
    """Part and foreground vectors before projection, visibility: position by position."""
    features = method.backbone(images)
    maps = method.predictor(features).exp()
    count, _, height, width = maps.shape
    parts = features.new_zeros(count, maps.shape[1] - 1, features.shape[1])
    foreground = features.new_zeros(count, features.shape[1])
    visible = features.new_zeros(count, maps.shape[1] - 1)
    for b in range(count):
        total = features.new_zeros(maps.shape[1] - 1)
        for y in range(height):
            for x in range(width):
                here = maps[b, :, y, x]
                foreground[b] += here[1:].max() * features[b, :, y, x] / (height * width)
                for k in range(len(total)):
                    parts[b, k] += here[1 + k] * features[b, :, y, x]
                    total[k] += here[1 + k]
                best = int(here.argmax())
                if best:
                    visible[b, best - 1] = 1
        parts[b] /= total[:, None]
    return foreground, parts, visible


def test_vectors_and_visibility_agree_with_loops_over_positions():
    method = vivid()
    with torch.no_grad():
        embedding = method.embed(doubled(unlabelled()))
        foreground, parts, visible = by_loops(method, doubled(unlabelled()).images)
        expected = torch.cat(
            [
                method.necks["foreground"](method.project["foreground"](foreground))[:, None],
                method.project["parts"](parts),
            ],
            dim=1,
        )
    assert embedding.names == ("foreground", *PARTS) and embedding.metric == "euclidean"
    torch.testing.assert_close(embedding.vectors, F.normalize(expected, dim=2))
    assert torch.equal(embedding.visibility[:, 1:], visible)
    assert embedding.visibility[:, 0].min() == 1
    assert 0 < visible.mean() < 1


def test_losses_are_gilt_and_the_part_prediction():
    method = vivid(w_tri_foreground=0.5)
    crops = doubled(batch())
    with torch.no_grad():
        terms = method.losses(crops, Step())
        features = method.backbone(crops.images)
        log_maps = method.predictor(features)
        foreground, parts, _ = by_loops(method, crops.images)
        foreground, parts = method.project["foreground"](foreground), method.project["parts"](parts)
        whole = {
            "global": method.project["global"](features.mean(dim=(2, 3))),
            "foreground": foreground,
            "concat": parts.flatten(1),
        }
        expected = {
            f"id_{name}": cross_entropy(
                method.classifiers[name](method.necks[name](vectors)), crops.persons, smoothing=0.1
            )
            for name, vectors in whole.items()
        }
        expected["part_triplet"] = part_triplet(parts, crops.persons, margin=0.3)
        expected["triplet_foreground"] = 0.5 * batch_hard_triplet(foreground, crops.persons, margin=0.3)
        labels = labels_on_map(crops.parsing, 9, size=log_maps.shape[2:])
        expected["part_attention"] = 0.35 * part_attention_loss(log_maps, labels, smoothing=0.1)
    assert terms.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(terms[key], value, atol=1e-5, rtol=1e-5, msg=key)


@pytest.mark.parametrize(("label_set", "parts"), [("bpb8", 8), ("pab6", 6)])
def test_parts_follow_the_label_set(label_set, parts):
    method = make("bpbreid", label_set=label_set)
    assert method.requirements.train_parsing == label_set and method.requirements.test_parsing is None
    assert len(method.embed(unlabelled()).names) == 1 + parts
    with pytest.raises(DataError, match=f"trains on {label_set} parsing maps"):
        method.losses(Batch(batch().images, batch().persons), Step())
