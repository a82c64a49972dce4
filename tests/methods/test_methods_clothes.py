"""What CAL, OC4-ReID and CRE have in common, and every row of their papers' ablation tables."""

import pytest
import torch
from clothes_batches import NAMES, batch, make, normalised, raw, total, train, unlabelled

from unveil.methods.method import Step
from unveil.methods.tables import TABLES
from unveil.records import Batch

WITH_TABLES = ("cal", "oc4", "cre")
ROWS = [(name, table.title, row) for name in WITH_TABLES for table in TABLES[name].values() for row in table.rows]


@pytest.mark.filterwarnings("ignore:crops without parsing maps")
@pytest.mark.parametrize(("name", "title", "row"), ROWS, ids=[f"{n}-{t}-{r.label}" for n, t, r in ROWS])
def test_every_row_of_the_papers_tables_trains_and_embeds(name, title, row):
    method = make(name, **row.settings)
    train(method, 2)
    with torch.no_grad():
        assert method.eval().embed(unlabelled()).vectors.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_learns_a_few_crops_by_heart(name):
    losses = train(make(name), 12)
    assert sum(losses[-3:]) / 3 < 0.7 * losses[0]


@pytest.mark.filterwarnings("ignore:crops without parsing maps")
@pytest.mark.parametrize("name", NAMES)
def test_a_crop_embeds_alone_as_in_a_batch_and_after_reloading(name):
    method = make(name)
    method(batch(method), Step(30))  # moves running means away from their first values
    method.eval()
    with torch.no_grad():
        together = method.embed(unlabelled())
        alone = method.embed(Batch(unlabelled().images[2:3], torch.tensor([-1])))
    assert (together.names, together.metric, together.visibility.min()) == (("global",), "cosine", 1)
    torch.testing.assert_close(alone.vectors[0], together.vectors[2], atol=1e-5, rtol=1e-4)
    other = make(name).eval()
    other.load_state_dict(method.state_dict())
    with torch.no_grad():
        assert torch.equal(other.embed(unlabelled()).vectors, together.vectors)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_agrees_with_single(name):
    method = make(name).eval()
    with torch.no_grad():
        single = method.losses(batch(method), Step(30))
        with torch.autocast("cpu", torch.bfloat16):
            half = method.losses(batch(method), Step(30))
    assert single.keys() == half.keys()
    for key in single:
        assert half[key].item() == pytest.approx(single[key].item(), rel=0.1, abs=0.05), key


@pytest.mark.filterwarnings("ignore:crops without parsing maps")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_assumes_a_kind_of_backbone(name):
    method = make(name, backbone="osnet_x0_25")
    train(method, 1)
    assert len(method.eval().embed(unlabelled())) == 8


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_pairs_is_no_reason_to_fail(name):
    method = make(name)
    same = raw().replace(persons=torch.zeros(8, dtype=torch.long), clothes=torch.arange(8) % 2)
    assert total(method(normalised(method.expand_batch(same)), Step(30))).isfinite()
    alone = raw().map(lambda t: t[::2])
    assert total(method(normalised(method.expand_batch(alone)), Step(30))).isfinite()


def test_tables_have_as_many_rows_as_the_papers():
    assert [len(table.rows) for table in TABLES["cal"].values()] == [2]
    assert [len(table.rows) for table in TABLES["oc4"].values()] == [4, 8, 5, 2]
    assert [len(table.rows) for table in TABLES["cre"].values()] == [6, 7, 3, 3]
