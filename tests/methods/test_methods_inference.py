import numpy as np
import pytest
import torch

from unveil.label_sets import ATR18
from unveil.methods.inference import embed_batches, mirror
from unveil.methods.method import LabelSpace, Method, Requirements
from unveil.nn.backbones.backbone import Backbone
from unveil.records import Batch, Embedding


class LeftHalf(Method):
    """Two vectors: mean colour of the left half and of the pixels of a label; its visibility is how many there are."""

    flip_test = True

    def __init__(self, label=12, fail=False):
        super().__init__(Backbone(), LabelSpace(1), settings=None)
        self.label, self.fail, self.seen = label, fail, []

    @property
    def requirements(self):
        return Requirements(test_parsing="atr18")

    def embed(self, batch):
        if self.fail:
            raise RuntimeError("broken")
        self.seen.append((self.training, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
        half = batch.images[..., : batch.images.shape[-1] // 2].mean(dim=(2, 3))
        mask = (batch.parsing == self.label)[:, None].float()
        part = (batch.images * mask).mean(dim=(2, 3))
        visibility = torch.stack([torch.ones(len(batch)), mask.mean(dim=(1, 2, 3))], dim=1)
        return Embedding(torch.stack([half, part], dim=1), visibility, ("half", "part"), "euclidean", (1.0, 2.0))


def batches(sizes=(3, 2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    for size in sizes:
        images = torch.randn(size, 3, 4, 6, generator=generator)
        parsing = torch.randint(0, 18, (size, 4, 6), generator=generator, dtype=torch.uint8)
        yield Batch(images, torch.zeros(size, dtype=torch.long), parsing=parsing)


def test_stacks_batches_in_order_as_numpy():
    method = LeftHalf()
    out = embed_batches(method, batches(), flip=False)
    assert isinstance(out.vectors, np.ndarray) and out.vectors.dtype == np.float32
    expected = torch.cat([method.embed(b).vectors for b in batches()])
    np.testing.assert_array_equal(out.vectors, expected.numpy())
    assert (out.names, out.metric, out.weights) == (("half", "part"), "euclidean", (1.0, 2.0))


@pytest.mark.parametrize("training", [True, False])
def test_runs_in_evaluation_mode_and_restores_the_mode(training):
    method = LeftHalf().train(training)
    embed_batches(method, batches())
    assert set(method.seen) == {(False, False, False)} and method.training is training
    failing = LeftHalf(fail=True).train(training)
    with pytest.raises(RuntimeError, match="broken"):
        embed_batches(failing, batches())
    assert failing.training is training


def test_flip_adds_the_mirrored_crop_with_its_labels_exchanged():
    method = LeftHalf(label=ATR18.index("left-leg"))
    out = embed_batches(method, batches((4,)))
    (batch,) = batches((4,))
    images, parsing = batch.images.numpy(), batch.parsing.numpy()
    left, right = (parsing == ATR18.index(name) for name in ("left-leg", "right-leg"))
    for i in range(4):
        half = images[i, :, :, :3].mean((1, 2)) + images[i, :, :, 3:].mean((1, 2))
        part = (images[i] * left[i]).mean((1, 2)) + (images[i] * right[i]).mean((1, 2))
        for e, vector in enumerate((half, part)):
            np.testing.assert_allclose(out.vectors[i, e], vector / max(np.linalg.norm(vector), 1e-12), atol=1e-5)
        np.testing.assert_allclose(out.visibility[i], [1, (left[i].mean() + right[i].mean()) / 2], atol=1e-6)


def test_flip_follows_the_method_unless_told():
    method = LeftHalf()
    method.flip_test = False
    plain = embed_batches(method, batches())
    np.testing.assert_array_equal(plain.vectors, embed_batches(method, batches(), flip=False).vectors)
    assert not np.allclose(plain.vectors, embed_batches(method, batches(), flip=True).vectors)


def test_mirror_twice_is_the_same_batch():
    (batch,) = batches((2,))
    twice = mirror(mirror(batch, "atr18"), "atr18")
    assert torch.equal(twice.images, batch.images) and torch.equal(twice.parsing, batch.parsing)
    assert twice.parsing.dtype == torch.uint8
    assert torch.equal(mirror(batch, None).parsing, batch.parsing.flip(-1))


def test_bf16_runs_under_autocast_and_returns_single_precision():
    method = LeftHalf()
    assert embed_batches(method, batches(), flip=False, bf16=True).vectors.dtype == np.float32
    assert method.seen == [(False, False, True)] * 2


def test_no_batch_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        embed_batches(LeftHalf(), [])
