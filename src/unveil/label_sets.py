"""The label sets of human parsing (pixel value = label), with their colours and their left/right pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unveil.errors import DataError, nearest


@dataclass(frozen=True)
class Scheme:
    """A label set.

    Args:
        name: short name, also the folder of the project's own tree.
        labels: name of each pixel value; 0 is always the background.
        swaps: pairs of labels that trade places when an image is mirrored.
        about: where it comes from.
    """

    name: str
    labels: tuple[str, ...]
    swaps: tuple[tuple[int, int], ...] = ()
    about: str = ""

    @property
    def palette(self) -> NDArray[np.uint8]:
        """RGB colour of each label ``(labels, 3)``: those of Pascal VOC, as the field's tools write them."""
        return voc_palette()[: len(self.labels)]

    @property
    def flip_table(self) -> NDArray[np.uint8]:
        """Look-up table (256,) that a mirrored map must go through, so that left stays the person's left."""
        table = np.arange(256, dtype=np.uint8)
        for left, right in self.swaps:
            table[left], table[right] = right, left
        return table

    def index(self, label: str) -> int:
        """Return the pixel value of a label name."""
        return self.labels.index(label)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LIP20 = Scheme(
    "lip20",
    _words(
        "background hat hair glove sunglasses upper-clothes dress coat socks pants jumpsuits scarf skirt face "
        "left-arm right-arm left-leg right-leg left-shoe right-shoe"
    ),
    ((14, 15), (16, 17), (18, 19)),
    "Look Into Person, 20 labels",
)
ATR18 = Scheme(
    "atr18",
    _words(
        "background hat hair sunglasses upper-clothes skirt pants dress belt left-shoe right-shoe face left-leg "
        "right-leg left-arm right-arm bag scarf"
    ),
    ((9, 10), (12, 13), (14, 15)),
    "ATR, 18 labels",
)
PASCAL7 = Scheme(
    "pascal7",
    _words("background head torso upper-arms lower-arms upper-legs lower-legs"),
    about="Pascal-Person-Part, 7 labels; left and right limbs share one",
)
CRE7 = Scheme(
    "cre7",
    _words("background head tops bottoms dress arm lower-limbs"),
    about="the seven groups of clothing-region erasing; tops, bottoms and dress are what is erased",
)
PAB6 = Scheme(
    "pab6",
    _words("background head left-arm right-arm torso left-leg right-leg"),
    ((2, 3), (5, 6)),
    "the six parts of PAB-ReID and their background",
)
BPB8 = Scheme(
    "bpb8",
    _words("background head left-arm right-arm torso left-leg right-leg left-foot right-foot"),
    ((2, 3), (5, 6), (7, 8)),
    "the eight parts of BPBReID and their background: those of pab6 with feet apart",
)
PS6 = Scheme(
    "ps6",
    _words("background head upper-clothes pants arms legs"),
    about="six groups of pixel sampling; its training code resamples 2 and 3, the order of 1, 4, 5 is inferred",
)
CRE7_ERASED = (2, 3, 4)
WORN14 = Scheme(
    "worn14",
    (*PAB6.labels, *(f"clothed-{label}" for label in PAB6.labels)),
    ((2, 3), (5, 6), (9, 10), (12, 13)),
    "background and parts of pab6, each bare or, 7 higher, under what clothing-region erasing erases",
)

SCHEMES = {scheme.name: scheme for scheme in (LIP20, ATR18, PASCAL7, CRE7, PAB6, BPB8, PS6, WORN14)}


def get_scheme(name: str) -> Scheme:
    """Return a label set by name.

    Raises:
        DataError: no label set has that name.
    """
    if name not in SCHEMES:
        raise DataError(f"unknown parsing scheme {name!r}{nearest(name, SCHEMES)}; known: {', '.join(sorted(SCHEMES))}")
    return SCHEMES[name]


def check_labels(labels: NDArray[np.uint8], scheme: Scheme, *, path: Path | str) -> None:
    """Refuse a map that holds labels which its scheme does not have.

    Raises:
        DataError: names the file, the unknown labels and the largest known one.
    """
    unknown = np.unique(labels[labels >= len(scheme.labels)])
    if unknown.size:
        found = ", ".join(map(str, unknown[:8]))
        raise DataError(
            f"{path}: expected labels 0..{len(scheme.labels) - 1} of {scheme.name}, found {found}; "
            "is this map of another scheme, or resized with interpolation?"
        )


def voc_palette() -> np.ndarray:
    """Return the 256 VOC colours ``(256, 3)`` uint8: bit 3k+c of the index is bit 7-k of channel c."""
    index = np.arange(256)[:, None]
    channel = np.arange(3)[None, :]
    colours = sum((((index >> (3 * k + channel)) & 1) << (7 - k)) for k in range(3))
    return np.asarray(colours, dtype=np.uint8)
