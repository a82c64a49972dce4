"""What people wear and carry: colours, regions, words, votes, and what can be asked for."""

import json

import numpy as np
import pytest

from unveil.attributes.colours import COLOURS, NEAR, balanced, colour_shares, lab
from unveil.attributes.describe import ANSWERS, RULES, Maps, describe
from unveil.attributes.records import COLOUR_NAMES, FILTERS, NAMES, VALUES, Attribute, Attributes, vote
from unveil.attributes.wanted import sureness, wanted_of
from unveil.attributes.words import words
from unveil.errors import DataError
from unveil.label_sets import ATR18, LIP20, PASCAL7

SHOWN = {
    **{"head": 0.9, "torso": 0.8, "body": 0.9, "left-arm": 0.6, "right-arm": 0.8},
    **{"left-leg": 0.7, "right-leg": 0.9},
}
SHIRT, TROUSERS, AROUND = (62, 106, 160), (34, 33, 35), (128, 128, 128)


def person(*, shown=SHOWN, bare_arms=False, bag=False, hat=False, skirt=False, bare_legs=False) -> Maps:
    """A drawn person: head, torso with arms beside it, legs, in plain colours on grey."""
    image = np.full((256, 128, 3), AROUND, np.uint8)
    lip, atr, pascal = (np.zeros((256, 128), np.uint8) for _ in range(3))
    image[0:4, 0:128] = 240  # something bright: no exposure is to be taken out

    def paint(rows, columns, part, label, colour, also=None):
        where = (slice(*rows), slice(*columns))
        image[where], lip[where] = colour, LIP20.index(label)
        atr[where] = ATR18.index(also or (label if label in ATR18.labels else "upper-clothes"))
        pascal[where] = PASCAL7.index(part)

    paint((10, 40), (50, 78), "head", "face", (200, 160, 140))
    paint((10, 25), (50, 78), "head", "hat" if hat else "hair", (30, 25, 22))
    paint((40, 130), (44, 84), "torso", "upper-clothes", SHIRT)
    for columns in ((30, 44), (84, 98)):
        paint((44, 90), columns, "upper-arms", "upper-clothes", SHIRT)
        paint((90, 130), columns, "lower-arms", "left-arm" if bare_arms else "upper-clothes", SHIRT)
    paint((130, 190), (44, 84), "upper-legs", "skirt" if skirt else "pants", TROUSERS)
    paint((190, 240), (44, 84), "lower-legs", "left-leg" if bare_legs else "skirt" if skirt else "pants", TROUSERS)
    if bag:
        image[60:120, 98:118], atr[60:120, 98:118] = (120, 30, 30), ATR18.index("bag")
    return Maps(image, lip, atr, pascal, shown)


def test_each_anchor_of_a_colour_is_that_colour_and_near_colours_exist():
    from unveil.attributes.colours import ANCHORS

    for name, anchors in ANCHORS.items():
        shares = colour_shares(lab(np.array(anchors, np.uint8)))
        assert shares[COLOURS.index(name)] == pytest.approx(1)
    assert set(NEAR) == set(COLOURS) and all(
        name not in near and set(near) <= set(COLOURS) for name, near in NEAR.items()
    )


def test_the_light_of_a_scene_is_partly_taken_out():
    """Grey cloth in yellow, dim light: half of the cast goes, what is left counts more, and it is brighter."""
    image = np.full((64, 64, 3), (120, 108, 90), np.uint8)
    around = np.ones((64, 64), bool)
    around[20:40, 20:40] = False
    seen, raw = (pixels[30, 30] for pixels in (balanced(image, around), lab(image)))
    assert seen[1:] == pytest.approx(0.5 * 1.3 * raw[1:], abs=0.01)
    assert raw[0] < seen[0] < 1.3 * raw[0]
    alone = balanced(image[:10, :10], np.ones((10, 10), bool))[0, 0]  # too little around it to tell the light
    assert alone[1:] == pytest.approx(1.3 * raw[1:], abs=0.01)


def test_a_person_is_described():
    told = describe(person())
    assert told.upper_colour.main == ("blue",) and told.upper_colour.shown == pytest.approx(0.8)
    assert told.lower_colour.main == ("black",) and told.lower_colour.shown == pytest.approx(0.8)
    answers = {name: told.get(name).main[0] for name in ANSWERS}
    assert answers == {
        **{
            "hair": "dark",
            "jacket": "no",
            "sleeves": "long",
            "skirt": "no",
            "legs": "covered",
            "bag": "no",
            "hat": "no",
        }
    }
    assert told.sleeves.shown == pytest.approx(0.7)
    assert words(told) == "blue top, black bottoms, dark hair"


@pytest.mark.parametrize(
    ("worn", "name", "value", "said"),
    [
        ({"bag": True}, "bag", "yes", "bag"),
        ({"hat": True}, "hat", "yes", "hat"),
        ({"bare_arms": True}, "sleeves", "short", "bare arms"),
        ({"bare_legs": True}, "legs", "bare", "bare legs"),
    ],
)
def test_what_is_worn_is_told(worn, name, value, said):
    told = describe(person(**worn))
    assert told.get(name).main[0] == value != describe(person()).get(name).main[0]
    assert told.get(name).values[value] > 0.7
    assert said in words(told).split(", ")


@pytest.mark.parametrize(
    ("parts", "gone"),
    [
        (("torso",), {"upper-colour", "jacket", "bag"}),
        (("head",), {"hair", "hat"}),
        (("left-arm", "right-arm"), {"sleeves"}),
        (("left-leg", "right-leg"), {"lower-colour", "skirt", "legs"}),
    ],
)
def test_a_part_that_does_not_show_is_not_told(parts, gone):
    told = describe(person(shown=SHOWN | dict.fromkeys(parts, 0.1)))
    assert set(NAMES) - set(told.seen) == gone
    assert words(Attributes()) == words(None) == ""


def test_a_crop_without_a_person_tells_nothing():
    empty = np.zeros((256, 128), np.uint8)
    assert describe(Maps(np.zeros((256, 128, 3), np.uint8), empty, empty, empty, SHOWN)) == Attributes()


def test_attributes_go_through_json():
    told = describe(person(bag=True))
    again = Attributes.from_dict(json.loads(json.dumps(told.to_dict())))
    assert again.to_dict() == told.to_dict() and set(again.seen) == set(told.seen)
    newer = told.to_dict() | {"wings": {"shown": 1, "values": {"yes": 1}}}
    newer["hat"]["values"]["crown"] = 0.9
    assert Attributes.from_dict(newer).to_dict() == told.to_dict()


def test_a_tracklet_has_the_vote_of_its_crops_by_what_each_shows():
    red, blue = Attribute({"red": 1.0}, 0.9), Attribute({"blue": 0.8}, 0.3)
    crops = [(Attributes(upper_colour=red), 0.5), (Attributes(upper_colour=blue), 0.5), (Attributes(), 1.0)]
    found = vote(crops)
    assert found.upper_colour.main == ("red",) and found.upper_colour.shown == 0.9
    assert found.upper_colour.values == pytest.approx({"red": 0.75, "blue": 0.2})
    assert found.bag is None and vote([]) == Attributes()


def test_two_colours_are_named_where_both_cover_much():
    assert Attribute({"red": 0.5, "white": 0.4, "grey": 0.1}, 1).main == ("red", "white")
    assert Attribute({"red": 0.7, "white": 0.2}, 1).main == ("red",)
    assert Attribute({"yes": 0.6, "no": 0.4}, 1).main == ("yes",)


def test_what_is_asked_for():
    colour, bag = wanted_of(("bag=yes", "upper-colour=blue", "upper-colour=red"))
    assert (colour.name, colour.values) == ("upper-colour", ("blue", "red"))
    assert set(colour.accepted) == {"blue", "navy", "red", "orange", "pink"}
    looks = Attributes(
        upper_colour=Attribute({"navy": 0.5, "red": 0.1}, 0.8), bag=Attribute({"yes": 0.7, "no": 0.3}, 0.8)
    )
    assert colour.sureness(looks) == pytest.approx(0.6) and bag.sureness(looks) == 0.7
    assert sureness((colour, bag), looks) == pytest.approx(0.6)
    assert bag.sureness(None) is None and bag.sureness(Attributes()) is None and sureness((bag,), Attributes()) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("uper-colour=blue", "upper-colour"),
        ("upper-colour=blu", "blue"),
        ("bag=perhaps", "yes, no"),
        ("jacket=yes", "jacket"),  # not told well enough
        ("skirt=yes", "skirt"),
        ("bag", "yes"),
    ],
)
def test_what_nobody_can_be_asked_for(text, words):
    with pytest.raises(DataError, match=words):
        wanted_of((text,))


def test_names_and_rules_fit():
    assert set(RULES) == set(ANSWERS) == set(NAMES) - set(COLOUR_NAMES)
    assert all(set(ANSWERS[name]) == set(VALUES[name]) for name in ANSWERS)
    assert set(FILTERS) == set(NAMES) - {"jacket", "skirt"}
