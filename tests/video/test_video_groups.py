"""Boxes around several people at once."""

from unveil.video.groups import without_groups
from unveil.video.records import Box

LEFT, RIGHT = Box(100, 50, 30, 90, 0.9), Box(135, 55, 30, 90, 0.8)


def test_a_box_around_two_people_beside_the_box_of_each_is_left_out():
    both = Box(98, 48, 70, 98, 0.95)
    assert without_groups([both, LEFT, RIGHT]) == [LEFT, RIGHT]


def test_a_person_behind_another_and_one_box_twice_stay():
    behind, nearly = Box(105, 40, 28, 85, 0.6), Box(101, 51, 28, 88, 0.5)
    assert without_groups([LEFT, behind]) == [LEFT, behind]
    # One smaller box inside is a child in front, or the same person again: no group.
    child = Box(105, 90, 15, 45, 0.7)
    assert without_groups([LEFT, child]) == [LEFT, child]
    assert without_groups([Box(95, 40, 45, 110, 0.9), LEFT, nearly]) == [Box(95, 40, 45, 110, 0.9), LEFT, nearly]
