import numpy as np
import pytest

from unveil.world import labels
from unveil.world.shares import AREAS, SHARES, pab_shares


@pytest.mark.parametrize(
    ("limb", "upper", "lower"),
    [("left-arm", "left-upper-arm", "left-lower-arm"), ("right-leg", "right-upper-leg", "right-lower-leg")],
)
def test_the_larger_piece_of_a_limb_counts_for_more(limb, upper, lower):
    """All of the larger piece in sight and nothing of the smaller is more than half of the limb, by their areas."""
    parts, place = list(labels.PARTS), list(SHARES).index(limb)
    shares = np.full((3, len(parts) + 1), np.nan, np.float32)
    shares[:, -1] = 0.5
    shares[0, [parts.index(upper), parts.index(lower)]] = 1, 0
    shares[1, [parts.index(upper), parts.index(lower)]] = 0, 1
    shares[2, parts.index(lower)] = 0.25
    a, b = AREAS[parts.index(upper)], AREAS[parts.index(lower)]
    found = pab_shares(shares)
    np.testing.assert_allclose(found[:, place], [a / (a + b), b / (a + b), 0.25], rtol=1e-5)
    assert (found[:, -1] == 0.5).all()
    others = [i for i in range(len(SHARES) - 1) if i != place]
    assert np.isnan(found[:, others]).all(), "of what is not known nothing is said"
