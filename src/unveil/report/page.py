"""Ranked lists, tables and images as one HTML file that needs nothing else: everything is inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from unveil.atomic_io import write_text
from unveil.errors import MissingExtraError
from unveil.progress import track
from unveil.report.answer import Answer, Crop

THUMBNAIL = 320  # pixels, longest side
QUALITY = 85


@dataclass(frozen=True)
class Panel:
    """A section that is not a ranked list.

    Args:
        title: its heading.
        text: a paragraph.
        head: names of the columns of a table.
        rows: cells of the table, as text.
        images: files of images (PNG or JPEG), shown one below the other.
    """

    title: str
    text: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    images: tuple[Path, ...] = ()


def write_page(
    sections: Sequence[Answer | Panel], path: Path, *, title: str = "Search", header: Mapping[str, str] | None = None
) -> None:
    """Write the page.

    Args:
        sections: ranked lists and panels, in order.
        path: HTML file to write.
        title: heading of the page.
        header: what the lists were made with, for example model, dataset, protocol with its hash, figures.

    Raises:
        MissingExtraError: jinja2 is not installed.
        UnveilError: the file cannot be written.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("an HTML page", "report") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    drawn = [_answer(s) if isinstance(s, Answer) else _panel(s) for s in track(sections, "drawing")]
    write_text(path, template.render(title=title, header=dict(header or {}), sections=drawn))


def _panel(panel: Panel) -> dict[str, Any]:
    kinds = {".png": "png", ".jpg": "jpeg"}
    sources = [f"data:image/{kinds[p.suffix]};base64,{_base64(p.read_bytes())}" for p in panel.images]
    return {"panel": True, "title": panel.title, "text": panel.text, "head": panel.head, "rows": panel.rows,
            "images": sources}  # fmt: skip


def _answer(answer: Answer) -> dict[str, Any]:
    names = answer.part_names
    # Bars are comparable inside one list: the longest is the largest distance of any part in it.
    longest = max((d for match in answer.matches for d in match.parts.values()), default=0.0) or 1.0
    return {
        "panel": False,
        "title": answer.title,
        "text": answer.text,
        "queries": [_crop(crop) for crop in answer.queries],
        "matches": [
            {
                **_crop(match.crop),
                "rank": rank,
                "distance": f"{match.distance:.4f}",
                "state": {True: "same", False: "other", None: "unknown"}[match.same],
                "parts": [_part(name, match.parts.get(name), longest=longest) for name in names],
            }
            for rank, match in enumerate(answer.matches, 1)
        ],
    }


def _part(name: str, distance: float | None, *, longest: float) -> dict[str, Any]:
    if distance is None:
        return {"name": name, "distance": None, "share": 0}
    return {"name": name, "distance": f"{distance:.3f}", "share": round(max(distance, 0) / longest, 3)}


def _crop(crop: Crop) -> dict[str, Any]:
    image = Image.fromarray(crop.pixels())
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return {
        "source": f"data:image/jpeg;base64,{_base64(buffer.getvalue())}", "width": image.width, "height": image.height,
        "caption": crop.caption,
    }  # fmt: skip


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
