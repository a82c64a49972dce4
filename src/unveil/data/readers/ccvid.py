"""CCVID (Gu et al., CVPR 2022): tracklets of walking people, with and without a change of clothes.

Layout as its public readers document it: ``{train,query,gallery}.txt`` with lines ``session1/001_01 001 outfit``
(folder of frames, person, outfit); the camera is the number after the "_" of the folder, other cameras in session 3.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated

from pydantic import Field

from unveil.data.listing import FileNote, find_root, require_images
from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.text import read_lines, with_slashes
from unveil.data.walk import LeftOut, LeftOutNote
from unveil.errors import DataError
from unveil.records import Dataset, Protocol, Sample, Split

_SPLITS: tuple[Split, ...] = ("train", "query", "gallery")
_CROPS = "frame by frame, so not comparable with papers that average a tracklet"
PROTOCOLS = (
    Protocol("ccvid_standard", ("same_camera",), about=f"general, {_CROPS}"),
    Protocol("ccvid_cc", ("same_camera", "same_clothes"), about=f"cloth-changing, {_CROPS}"),
    Protocol("ccvid_sc", ("same_camera", "other_clothes"), about=f"same clothes, {_CROPS}"),
)
LAYOUT = Layout(
    "ccvid",
    r"(?P<session>session\d+)/(?P<folder>\w+?_(?P<camera>\d+))/?$",
    outer=("CCVID", "CCVID/CCVID"),
    protocols=PROTOCOLS,
    published={"images": 347833, "train persons": 75, "query persons": 151, "gallery persons": 151},
)


def read(root: Path, *, every: Annotated[int, Field(ge=1)] = 1) -> Dataset:
    """Read CCVID.

    Args:
        root: the folder of the three lists and the sessions.
        every: take each n-th frame of a tracklet, the first one always (there are 347,833 frames).
    """
    place = find_root(root, ("session1",), outer=LAYOUT.outer)
    samples: list[Sample] = []
    strange: list[str] = []
    left_out = LeftOut()
    for split in _SPLITS:
        table = place.path / f"{split}.txt"
        before = len(samples)
        for line in sorted(read_lines(table, "the list of tracklets of CCVID")):
            fields = with_slashes(line).split()
            match = re.match(LAYOUT.pattern, fields[0])
            if match is None or len(fields) != 3:
                strange.append(f"{split}.txt: {line!r}")
                continue
            camera = int(match["camera"])
            labels = {
                "person": fields[1],
                "camera": f"3-{camera}" if match["session"] == "session3" else str(camera),
                "clothes": f"{fields[1]}_{fields[2]}",
                "tracklet": fields[0].rstrip("/"),
            }
            frames = require_images(place.path / fields[0])
            left_out.add(frames.left_out)
            samples += [sample_of(place, path, split=split, labels=labels) for path in frames[::every]]
        if len(samples) == before:
            raise DataError(f"{table}: expected lines 'session1/001_01 001 outfit', found none")
    said = f"{len(strange)} lines do not match the pattern and were left out, first {strange[0]}" if strange else ""
    notes = [*([FileNote(said, strange)] if strange else []), LeftOutNote(str(left_out), left_out)]
    form = LAYOUT if every == 1 else dataclasses.replace(LAYOUT, published={})
    return assemble(form, place, samples=samples, notes=notes)
