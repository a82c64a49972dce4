"""What SBS, SSGR, PAB-ReID and OCNet have in common, and every row of their papers' ablation tables."""

import pytest
import torch
import torch.nn.functional as F

from unveil.methods import build_method
from unveil.methods.method import LabelSpace, Step
from unveil.methods.tables import TABLES
from unveil.nn.backbones import build_backbone
from unveil.recipe import BackboneChoice
from unveil.records import Batch

SMALL = {
    "ianet": {},
    "sbs": {},
    "ssgr": {},
    "bpbreid": {"dim": 16},
    "pab": {"dim": 16, "hidden": 16},
    "ocnet": {"dim": 16},
}


def make(name, backbone="resnet18", persons=4, **settings):
    torch.manual_seed(0)
    return build_method(
        name, SMALL[name] | settings, build_backbone(BackboneChoice(name=backbone)), LabelSpace(persons)
    )


def batch(seed=0, parsing=True):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(8, 3, 64, 32, generator=generator)
    maps = torch.randint(7, (8, 8, 4), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return Batch(images, torch.arange(8) // 2, parsing=maps.to(torch.uint8) if parsing else None)


def unlabelled(seed=1):
    return Batch(batch(seed).images, torch.full((8,), -1))


def total(terms):
    return torch.stack(list(terms.values())).sum()


ROWS = [
    (name, table.title, row)
    for name in ("ssgr", "pab", "ocnet")
    for table in TABLES[name].values()
    for row in table.rows
]


@pytest.mark.parametrize(("name", "title", "row"), ROWS, ids=[f"{n}-{t}-{r.label}" for n, t, r in ROWS])
def test_every_row_of_the_papers_tables_trains_and_embeds(name, title, row):
    method = make(name, **row.settings)
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-3)
    for iteration in range(2):
        loss = total(method(batch(), Step(iteration=iteration)))
        assert loss.isfinite()
        optimiser.zero_grad()
        loss.backward()
        if iteration == 0:
            unused = [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None]
            assert unused == []
        optimiser.step()
    with torch.no_grad():
        assert method.eval().embed(unlabelled()).vectors.isfinite().all()


def people(noise_seed):
    """Two crops of each of 8 people, whose clothes are random bands; noise and the colour of the light differ."""
    bands = torch.randn(8, 3, 4, 1, generator=torch.Generator().manual_seed(7)).repeat_interleave(2, dim=0)
    generator = torch.Generator().manual_seed(noise_seed)
    images = bands.repeat_interleave(16, dim=2).expand(-1, -1, -1, 32)
    light = torch.randn(16, 3, 1, 1, generator=generator)
    images = images + 0.8 * light + 0.5 * torch.randn(images.shape, generator=generator)
    parsing = torch.tensor([1, 4, 5, 6], dtype=torch.uint8).repeat_interleave(16)[None, :, None].expand(16, 64, 32)
    return Batch(images, torch.arange(16) // 2, parsing=parsing)


def rank1(embedding, persons):
    vectors = F.normalize(embedding.vectors, dim=2) if embedding.metric == "cosine" else embedding.vectors
    distances = torch.cdist(vectors.transpose(0, 1), vectors.transpose(0, 1))
    weights = torch.tensor(embedding.weights)[:, None, None]
    shared = weights * embedding.visibility.T[:, :, None] * embedding.visibility.T[:, None, :]
    mean = (distances * shared).sum(0) / shared.sum(0)
    return (persons[mean.fill_diagonal_(torch.inf).argmin(1)] == persons).float().mean().item()


@pytest.mark.parametrize("name", SMALL)
def test_learns_8_people_by_heart(name):
    method, crops = make(name, persons=8), people(0)
    with torch.no_grad():
        assert rank1(method.eval().embed(crops), crops.persons) < 0.5
    method.train()
    optimiser = torch.optim.Adam(method.parameters(), lr=5e-4)
    losses = []
    for iteration in range(24):
        loss = total(method(crops, Step(iteration=iteration)))
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.85 * losses[0]
    with torch.no_grad():
        assert rank1(method.eval().embed(crops), crops.persons) == 1.0


@pytest.mark.parametrize("name", SMALL)
def test_a_crop_embeds_alone_as_in_a_batch_and_after_reloading(name):
    method = make(name)
    method(batch(), Step())  # moves running means away from their first values
    method.eval()
    with torch.no_grad():
        together = method.embed(unlabelled())
        alone = method.embed(Batch(unlabelled().images[2:3], torch.tensor([-1])))
    torch.testing.assert_close(alone.vectors[0], together.vectors[2], atol=1e-5, rtol=1e-4)
    assert torch.equal(alone.visibility[0], together.visibility[2])
    other = make(name).eval()
    other.load_state_dict(method.state_dict())
    with torch.no_grad():
        assert torch.equal(other.embed(unlabelled()).vectors, together.vectors)


@pytest.mark.parametrize("name", SMALL)
def test_half_precision_agrees_with_single(name):
    method = make(name).eval()  # batch statistics aside, so that only rounding differs
    torch.manual_seed(1)
    with torch.no_grad():
        single = method.losses(batch(), Step())
    torch.manual_seed(1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = method.losses(batch(), Step())
    assert single.keys() == half.keys()
    for key in single:
        assert half[key].item() == pytest.approx(single[key].item(), rel=0.1, abs=0.05), key


@pytest.mark.parametrize("name", SMALL)
def test_nothing_assumes_a_kind_of_backbone(name):
    method = make(name, backbone="osnet_x0_25")
    total(method(batch(), Step())).backward()
    embedding = method.eval().embed(unlabelled())
    assert len(embedding) == 8
    one = Batch(torch.randn(1, 3, 64, 32), torch.tensor([0]))
    assert method.embed(one).vectors.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_without_pairs_is_no_reason_to_fail(name):
    method = make(name)
    lonely = batch().replace(persons=torch.tensor([0] * 8))
    assert total(method(lonely, Step())).isfinite()
    lonely = Batch(batch().images[:4], torch.arange(4), parsing=batch().parsing[:4])
    assert total(method(lonely, Step())).isfinite()
