"""Which way a person faces: left limbs on the right of the image, or the other way round."""

import numpy as np

from unveil.parsing.training.facing import left_from_right

SIDES = (0, 1, -1)


def maps():
    """Seen from before, from behind, with one limb alone, and nobody."""
    parts = np.full((4, 20, 10), -1)
    parts[0, 5:15, 7:9], parts[0, 5:15, 1:3] = 1, 2
    parts[1] = parts[0][:, ::-1]
    parts[2, 5:15, 7:9] = 1
    return parts


def test_before_is_above_zero_and_behind_below():
    # The limbs are 6 of 10 columns apart, and each has a tenth of the crop.
    np.testing.assert_allclose(left_from_right(maps(), SIDES), [0.06, -0.06, 0, 0], atol=1e-6)


def test_parts_without_a_side_do_not_count():
    assert not left_from_right(maps(), (0, 0, 0)).any()
