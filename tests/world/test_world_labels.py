from __future__ import annotations

import numpy as np
import pytest

from unveil.errors import DataError
from unveil.label_sets import SCHEMES as FIELD
from unveil.world.labels import CLASSES, FIRST, PARTS, SCHEMES, class_of, code, colours, part_of, table


def test_labels_fit_a_byte_and_come_apart_again() -> None:
    found = np.array([[code(kind, part) for part in PARTS] for kind in CLASSES])
    assert len(np.unique(found)) == found.size
    assert found.min() == FIRST
    assert found.max() < 256
    assert (part_of(found) == np.arange(len(PARTS))).all()
    assert (class_of(found) == np.arange(len(CLASSES))[:, None]).all()
    assert part_of(np.array([0, 1, 2])).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("scheme", SCHEMES[1:])
def test_tables_stay_within_their_label_set(scheme: str) -> None:
    assert table(scheme).max() < len(FIELD[scheme].labels)
    assert table(scheme)[:FIRST].max() == 0


@pytest.mark.parametrize(
    ("kind", "part", "lip20", "atr18", "pascal7", "cre7", "pab6"),
    [
        ("hair", "head", "hair", "hair", "head", "head", "head"),
        ("face", "head", "face", "face", "head", "head", "head"),
        ("glasses", "head", "sunglasses", "sunglasses", "head", "head", "head"),
        ("upper", "torso", "upper-clothes", "upper-clothes", "torso", "tops", "torso"),
        ("upper", "left-upper-arm", "upper-clothes", "upper-clothes", "upper-arms", "tops", "left-arm"),
        ("coat", "right-lower-arm", "coat", "upper-clothes", "lower-arms", "tops", "right-arm"),
        ("skin", "right-lower-arm", "right-arm", "right-arm", "lower-arms", "arm", "right-arm"),
        ("pants", "left-upper-leg", "pants", "pants", "upper-legs", "bottoms", "left-leg"),
        ("dress", "right-upper-leg", "dress", "dress", "upper-legs", "dress", "right-leg"),
        ("skin", "left-lower-leg", "left-leg", "left-leg", "lower-legs", "lower-limbs", "left-leg"),
        ("socks", "left-lower-leg", "socks", "left-leg", "lower-legs", "lower-limbs", "left-leg"),
        ("shoes", "right-foot", "right-shoe", "right-shoe", "lower-legs", "lower-limbs", "right-leg"),
        ("bag", "torso", "background", "bag", "background", "tops", "background"),
        ("aid", "torso", "background", "background", "background", "background", "background"),
    ],
)
def test_mappings_say_the_same_thing_in_other_words(
    kind: str, part: str, lip20: str, atr18: str, pascal7: str, cre7: str, pab6: str
) -> None:
    label = code(kind, part)
    for scheme, expected in {"lip20": lip20, "atr18": atr18, "pascal7": pascal7, "cre7": cre7, "pab6": pab6}.items():
        assert FIELD[scheme].labels[table(scheme)[label]] == expected, scheme


def test_mirrored_parts_map_to_mirrored_labels() -> None:
    for scheme in ("lip20", "atr18", "pab6"):
        flip = FIELD[scheme].flip_table
        for kind in CLASSES:
            for part in PARTS:
                if part.startswith("left-"):
                    other = code(kind, part.replace("left-", "right-"))
                    assert flip[table(scheme)[code(kind, part)]] == table(scheme)[other]


def test_unknown_scheme_and_distinct_colours() -> None:
    with pytest.raises(DataError, match="did you mean 'lip20'"):
        table("lip2")
    used = [0, 1, 2, *(code(k, p) for k in CLASSES for p in ("torso",))]
    assert len(np.unique(colours()[used], axis=0)) == len(used)
