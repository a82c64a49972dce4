"""Crops, their captions, and whether a match is right."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from unveil.records import Sample
from unveil.report.answer import Answer, Crop, Match, crop_of, image_of, same_person

RED = np.full((6, 4, 3), (200, 10, 20), np.uint8)


def test_images_come_from_pixels_bytes_and_files(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RED).save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    for source in (RED, buffer.getvalue(), tmp_path / "a.png"):
        np.testing.assert_array_equal(Crop(image_of(source)).pixels(), RED)


def test_a_crop_that_is_gone_is_a_placeholder(tmp_path: Path) -> None:
    assert crop_of(Sample("gone", path=tmp_path / "gone.jpg")).pixels().ndim == 3
    assert crop_of(Sample("no file", data=b"")).pixels().shape[2] == 3


def test_captions_say_what_is_known() -> None:
    assert crop_of(Sample("a", data=b"", camera="3", time=12.5)).caption == "camera 3, 12.5 s"
    assert crop_of(Sample("a", data=b"", time=0.0)).caption == "0 s"
    assert crop_of(Sample("a", data=b"")).caption == ""


def test_identities_are_compared_only_where_known() -> None:
    a, b, unknown = (Sample(k, data=b"", person=k) for k in ("a", "b", None))  # type: ignore[arg-type]
    assert same_person([a, a], a) is True
    assert same_person([a], b) is False and same_person([a, b], a) is False
    assert same_person([a], unknown) is None and same_person([unknown], unknown) is None


def test_part_names_are_those_that_any_match_shows() -> None:
    crop = Crop(image_of(RED))
    answer = Answer((crop,), (Match(crop, 0.1, parts={"b": 0.1}), Match(crop, 0.2, parts={"a": 0.2, "b": 0.3})))
    assert answer.part_names == ("b", "a")
