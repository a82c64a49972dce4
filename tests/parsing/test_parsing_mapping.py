import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.errors import DataError
from unveil.label_sets import ATR18, CRE7_ERASED, LIP20, SCHEMES
from unveil.parsing.mapping import CONVERSIONS, map_labels, targets


def u8(rows):
    return np.array(rows, dtype=np.uint8)


def test_every_conversion_covers_every_source_label_and_only_target_labels():
    for (source, target), conversion in CONVERSIONS.items():
        assert len(conversion.table) == len(SCHEMES[source].labels), (source, target)
        values = {*conversion.table, *(x for s in conversion.sided for x in (s.left, s.right))}
        assert max(values) < len(SCHEMES[target].labels)
        for sided in conversion.sided:
            assert all(conversion.table[label] == 0 for label in sided.labels)


def test_eight_parts_are_the_six_with_feet_apart():
    for source in ("lip20", "atr18"):
        labels = np.arange(len(SCHEMES[source].labels), dtype=np.uint8)[None].repeat(2, axis=0)
        eight = map_labels(labels, source, target="bpb8")
        assert np.array_equal(map_labels(eight, "bpb8", target="pab6"), map_labels(labels, source, target="pab6"))
        feet = {SCHEMES[source].labels[label] for label in np.unique(labels[eight >= 7])}
        assert feet == {"left-shoe", "right-shoe"} | ({"socks"} if source == "lip20" else set())


def test_every_scheme_reaches_cre7_and_pab6():
    for name in SCHEMES:
        assert "cre7" in targets(name)
        assert "pab6" in targets(name) or name == "pab6"


def test_atr_garments_are_erased_and_shoes_and_skin_are_not():
    erased = {n for i, n in enumerate(ATR18.labels) if CONVERSIONS["atr18", "cre7"].table[i] in CRE7_ERASED}
    assert erased == {"upper-clothes", "pants", "dress", "skirt", "belt", "bag", "scarf"}


def test_pants_follow_the_nearest_leg_or_shoe_against_a_naive_loop():
    rng = np.random.default_rng(0)
    labels = rng.choice(u8([0, 9, 9, 9, 12, 16, 19]), size=(12, 9))
    mapped = map_labels(labels, "lip20", target="pab6")
    left = [p for p in np.ndindex(labels.shape) if labels[p] == 16]
    right = [p for p in np.ndindex(labels.shape) if labels[p] == 19]

    def nearest(p, anchors):
        return min((p[0] - a[0]) ** 2 + (p[1] - a[1]) ** 2 for a in anchors)

    for p in np.ndindex(labels.shape):
        if labels[p] in (9, 12):
            assert mapped[p] == (5 if nearest(p, left) <= nearest(p, right) else 6)


def test_midline_splits_when_no_leg_is_seen_facing_the_camera():
    labels = u8([[0, 9, 9, 9, 9, 0]])
    assert map_labels(labels, "lip20", target="pab6").tolist() == [[0, 6, 6, 5, 5, 0]]


def test_midline_follows_the_arms_of_a_person_seen_from_behind():
    labels = u8([[14, 0, 5, 0, 0, 15], [0, 9, 9, 9, 9, 0]])
    assert map_labels(labels, "lip20", target="pab6")[1].tolist() == [0, 5, 5, 6, 6, 0]


def test_glove_goes_to_the_nearer_arm():
    labels = u8([[14, 14, 0, 0, 0, 15, 3], [3, 0, 0, 0, 0, 0, 0]])
    mapped = map_labels(labels, "lip20", target="pab6")
    assert mapped[0, 6] == 3
    assert mapped[1, 0] == 2


def test_same_scheme_is_untouched_and_no_way_back_is_an_error():
    labels = u8([[0, 3]])
    assert map_labels(labels, "cre7", target="cre7") is labels
    with pytest.raises(DataError, match="'cre7' cannot become 'lip20'"):
        map_labels(labels, "cre7", target="lip20")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_background_stays_background_and_mirroring_swaps_the_sides(seed):
    labels = np.random.default_rng(seed).integers(0, 20, (9, 7), dtype=np.uint8)
    labels[0, :4] = 16, 17, 14, 15
    mirrored = LIP20.flip_table[labels[:, ::-1]]
    for target in ("cre7", "pab6", "atr18", "pascal7"):
        mapped = map_labels(labels, "lip20", target=target)
        assert (mapped[labels == 0] == 0).all()
        back = SCHEMES[target].flip_table[map_labels(mirrored, "lip20", target=target)[:, ::-1]]
        # A pixel as far from the left leg as from the right one goes left, so only ties may differ.
        assert (back == mapped)[~np.isin(labels, (3, 8, 9, 12))].all()


@pytest.mark.parametrize("source", [name for name in SCHEMES if name != "worn14"])
def test_worn14_is_parts_and_clothes_in_one_map(source):
    labels = np.arange(len(SCHEMES[source].labels), dtype=np.uint8)[None].repeat(2, axis=0)
    worn = map_labels(labels, source, target="worn14")
    parts, regions = map_labels(labels, source, target="pab6"), map_labels(labels, source, target="cre7")
    for place in np.ndindex(labels.shape):
        assert worn[place] == parts[place] + (7 if regions[place] in CRE7_ERASED else 0)
    assert np.array_equal(map_labels(worn, "worn14", target="pab6"), parts)
    assert "worn14" in targets(source)
