import numpy as np
import pytest

from unveil.errors import DataError
from unveil.label_sets import ATR18, CRE7, LIP20, PAB6, PASCAL7, SCHEMES, check_labels, get_scheme

VOC = """0,0,0 128,0,0 0,128,0 128,128,0 0,0,128 128,0,128 0,128,128 128,128,128 64,0,0 192,0,0 64,128,0 192,128,0
64,0,128 192,0,128 64,128,128 192,128,128 0,64,0 128,64,0 0,192,0 128,192,0"""


def test_palette_is_the_published_one():
    assert LIP20.palette.tolist() == [list(map(int, c.split(","))) for c in VOC.split()]


def test_sizes_and_indices_are_those_of_the_parsers():
    assert [len(s.labels) for s in (LIP20, ATR18, PASCAL7, CRE7, PAB6)] == [20, 18, 7, 7, 7]
    assert (LIP20.index("pants"), LIP20.index("right-shoe")) == (9, 19)
    assert (ATR18.index("pants"), ATR18.index("scarf"), ATR18.index("left-shoe")) == (6, 17, 9)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda s: s.name)
def test_flip_table_is_an_involution_that_swaps_every_left_with_its_right(scheme):
    table = scheme.flip_table
    assert (table[table] == np.arange(256)).all()
    for label, name in enumerate(scheme.labels):
        mirrored = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert scheme.labels[table[label]] == mirrored


def test_unknown_labels_name_the_file_and_the_label():
    with pytest.raises(DataError, match=r"a/b\.png.*0\.\.6 of pascal7, found 9, 200"):
        check_labels(np.array([[0, 6], [9, 200]], dtype=np.uint8), PASCAL7, path="a/b.png")


def test_unknown_scheme_suggests_the_nearest():
    with pytest.raises(DataError, match="did you mean 'lip20'"):
        get_scheme("lip2")
