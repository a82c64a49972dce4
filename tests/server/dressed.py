"""A gallery whose people are dressed: what tests of attributes on the server and on the page ask for."""

from unveil.attributes.records import Attribute, Attributes
from unveil.gallery.records import Filter

COLOURS = ("blue", "navy", "red", "grey", "white", "green", "brown", "pink")  # of the top of person 0, 1, ...


def dress(store, name: str) -> str:
    """Give the rows of a gallery of `conftest.fill` attributes: every second person has a bag; c2 sees no top."""
    told = {}
    for item in store.find(name, Filter()):
        number = int(item.person[1:])
        bag = 0.9 if number % 2 == 0 else 0.1
        top = None if item.camera == "c2" else Attribute({COLOURS[number]: 0.8, "black": 0.1}, 0.8)
        told[item.id] = Attributes(upper_colour=top, bag=Attribute({"yes": bag, "no": 1 - bag}, 0.75))
    store.fill_attributes(name, told)
    return name
