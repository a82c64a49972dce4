"""What SBS, SSGR, PAB-ReID and OCNet have in common, and every row of their papers' ablation tables."""

import pytest
import torch
from occlusion_batches import SMALL, batch, make, people, rank1, total, unlabelled

from unveil.methods.method import Step
from unveil.methods.tables import TABLES
from unveil.records import Batch

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
        loss = total(method(method.erase(batch()), Step(iteration=iteration)))
        assert loss.isfinite()
        optimiser.zero_grad()
        loss.backward()
        if iteration == 0:
            unused = [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None]
            assert unused == []
        optimiser.step()
    with torch.no_grad():
        assert method.eval().embed(unlabelled()).vectors.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
def test_learns_8_people_by_heart(name):
    method, crops = make(name, persons=8), people(0)
    with torch.no_grad():
        assert rank1(method.eval().embed(crops), crops.persons) < 0.5
    method.train()
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-3)
    losses = []
    for iteration in range(24):
        loss = total(method(method.erase(crops), Step(iteration=iteration)))
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
