"""Images and videos to add to a gallery, and whether two galleries hold the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from films import write_boxes, write_film
from generated import figure
from unveil.gallery.records import Filter
from unveil.records import Sample


def write_images(folder: Path, count: int) -> list[Sample]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(figure(number, 0, 0)).save(folder / f"{number:04d}.png")
    return [Sample(p.name, p) for p in sorted(folder.iterdir())]


def render_frames(folder: Path, people: int = 3, apart: int = 60, **options) -> tuple[Path, Path]:
    frames = apart * people + 10
    return (
        write_film(folder / "film.mp4", frames, people, apart),
        write_boxes(folder / "boxes.csv", frames, people, apart, **options),
    )


def rows(store, name):
    """Everything in a gallery but the numbers that the store gives, by key."""
    items = store.find(name, Filter(), limit=100_000)
    ids, embedding = store.embeddings(name, [item.id for item in items])
    assert len(ids) == len(items)
    found = {item.key: (replace(item, id=None), embedding.select(slice(i, i + 1))) for i, item in enumerate(items)}
    assert len(found) == len(items)
    return found


def same(a, b) -> None:
    assert a.keys() == b.keys()
    for key, (item, embedding) in a.items():
        other, vectors = b[key]
        close = {f: pytest.approx(getattr(other, f), abs=1e-5) for f in ("quality", "visible", "time", "end")}
        assert item == replace(other, **{f: getattr(item, f) for f in close})
        assert all(getattr(item, f) == value for f, value in close.items())
        assert np.allclose(embedding.vectors, vectors.vectors, atol=2e-3, rtol=2e-3)
        assert np.allclose(embedding.visibility, vectors.visibility, atol=2e-3)
