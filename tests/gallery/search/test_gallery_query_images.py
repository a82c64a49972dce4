"""Images of a query: boxes as text, what is cut out of an image, and what is embedded of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from unveil.errors import DataError
from unveil.gallery.search.query import NoPersonDetectedError, check_people, cut, embed_person, read_box
from unveil.records import Embedding

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)  # 60 wide, 40 high


class Parser:
    """Sees people on some crops, and of each crop a share of head and legs."""

    parts = ("legs", "head")

    def __init__(self, *people, shown=(1.0, 1.0)):
        self.is_person, self.shown = np.array(people), shown

    def people(self, images):
        return self.is_person[: len(images)]

    def parse(self, images):
        return SimpleNamespace(parts=self.parts, visibility=np.tile(np.float32(self.shown), (len(images), 1)))


class Engine:
    """Embeds a crop as its mean, in two vectors."""

    @staticmethod
    def embed(images):
        vectors = np.array([np.full((2, 3), image.mean()) for image in images], np.float32)
        return Embedding(vectors, np.ones((len(images), 2), np.float32), ("head", "legs"))


def test_a_box_is_four_numbers_in_pixels():
    assert read_box("120,40,64,160") == (120, 40, 64, 160)
    assert read_box("-3, 0,1,1") == (-3, 0, 1, 1)
    assert read_box("-1000000,1000000,1000000,1000000") == (-1_000_000, 1_000_000, 1_000_000, 1_000_000)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1 2 3 4", "1,2,3,x", "1.5,2,3,4"])
def test_a_box_of_something_else_is_refused_with_an_example(text):
    with pytest.raises(DataError, match=r"^a box is x,y,width,height in pixels, for example 120,40,64,160; got '"):
        read_box(text)


@pytest.mark.parametrize(
    "text", ["0,0,0,5", "0,0,5,0", "0,0,-5,5", "1000001,0,5,5", "0,-1000001,5,5", "0,0,1000001,5", "0,0,5,1000001"]
)
def test_an_empty_box_and_a_huge_one_are_refused(text):
    with pytest.raises(DataError, match=f"^the box {text} is empty or too large$"):
        read_box(text)


@pytest.mark.parametrize(
    "box",
    [None, (0, 0, 60, 40), (10, 5, 20, 30), (-5, -6, 20, 30), (50, 30, 100, 100), (-10, -10, 100, 100), (5, 9, 8, 8)],
)
def test_a_cut_holds_the_pixels_of_the_image_that_lie_in_the_box(box):
    x, y, w, h = box or (0, 0, 60, 40)
    expected = [[IMAGE[v, u] for u in range(60) if x <= u < x + w] for v in range(40) if y <= v < y + h]
    np.testing.assert_array_equal(cut(IMAGE, box), np.array(expected))


@pytest.mark.parametrize(
    ("box", "left"),
    [((5, 9, 7, 20), "7 x 20"), ((5, 9, 20, 7), "20 x 7"), ((-13, 0, 20, 40), "7 x 40"), ((70, 50, 20, 20), "0 x 0"),
     ((-30, -30, 20, 20), "0 x 0")],
)  # fmt: skip
def test_a_box_with_too_little_of_the_image_is_refused(box, left):
    message = f"^a.jpg of 60 x 40 pixels: {left} are left to look at, a person needs at least 8 a side$"
    with pytest.raises(DataError, match=message):
        cut(IMAGE, box, name="a.jpg")
    with pytest.raises(DataError, match=r"^the image of 60 x 40 pixels"):
        cut(IMAGE, box)


def test_the_first_crop_without_a_person_is_named():
    check_people([IMAGE, IMAGE], ["a", "b"], parser=Parser(True, True))
    message = "^b: no person is seen on it; choose another image, or draw a box around someone$"
    with pytest.raises(NoPersonDetectedError, match=message):
        check_people([IMAGE] * 3, ["a", "b", "c"], parser=Parser(True, False, False))


def test_an_embedded_person_is_checked_and_loses_the_parts_that_are_not_shown():
    images, names = [IMAGE, IMAGE[:20]], ["a", "b"]
    told = {"engine": Engine(), "parser": Parser(True, True, shown=(0.1, 0.9))}
    found = embed_person(images, names, **told)
    np.testing.assert_array_equal(found.vectors, Engine.embed(images).vectors)
    np.testing.assert_array_equal(found.visibility, [[1, 0], [1, 0]])
    with pytest.raises(NoPersonDetectedError, match=r"^b: "):
        embed_person(images, names, engine=Engine(), parser=Parser(True, False))
    unchecked = Parser(False, False, shown=(0.9, 0.1))
    found = embed_person(images, names, engine=Engine(), parser=unchecked, skip_person_check=True)
    np.testing.assert_array_equal(found.visibility, [[0, 1], [0, 1]])
    assert (embed_person(images, names, engine=Engine(), parser=None).visibility == 1).all()
