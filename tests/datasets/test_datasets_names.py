"""Names of datasets beside each other."""

import pytest

from unveil.datasets.names import told_apart
from unveil.recipe import DataSource


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (["a /d/x", "b /d/x"], ["a", "b"]),
        (["m /d/market", "m /d/occluded"], ["m (market)", "m (occluded)"]),
        (["m /d/market", "o /d/market", "m /e/market"], ["m (d/market)", "o", "m (e/market)"]),
        (["m /d", "m /d/d"], ["m (/d)", "m (d/d)"]),
        (["w small", "w small?seed=2"], ["w (w:small)", "w (w:small?seed=2)"]),
        (["w small", "w small"], ["w (w:small, 1)", "w (w:small, 2)"]),
        (["w ", "w ?seed=2"], ["w (w)", "w (w?seed=2)"]),
        ([], []),
    ],
)
def test_what_shares_a_name_tells_its_source(named, told):
    pairs = [text.split(" ") for text in named]
    sources = [DataSource.of(":".join(pair)) for pair in pairs]
    assert told_apart([name for name, _ in pairs], sources) == told
