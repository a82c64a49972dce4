"""The ranked lists as one HTML file that needs nothing else: pictures, styles and figures are inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from unveil.errors import MissingExtraError
from unveil.files import write_text
from unveil.progress import track
from unveil.report.answer import Answer, Crop

THUMBNAIL = 320  # pixels, longest side
QUALITY = 85


def ranked_page(
    answers: Sequence[Answer], path: Path, title: str = "Search", header: Mapping[str, str] | None = None
) -> None:
    """Write the page.

    Args:
        answers: one section each, in order.
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
    sections = [_section(answer) for answer in track(answers, "drawing")]
    write_text(path, template.render(title=title, header=dict(header or {}), sections=sections))


def _section(answer: Answer) -> dict[str, Any]:
    names = answer.part_names
    # Bars are comparable inside one list: the longest is the largest distance of any part in it.
    longest = max((d for match in answer.matches for d in match.parts.values()), default=0.0) or 1.0
    return {
        "title": answer.title,
        "queries": [_crop(crop) for crop in answer.queries],
        "matches": [
            {
                **_crop(match.crop),
                "rank": rank,
                "distance": f"{match.distance:.4f}",
                "state": {True: "same", False: "other", None: "unknown"}[match.same],
                "parts": [_part(name, match.parts.get(name), longest) for name in names],
            }
            for rank, match in enumerate(answer.matches, 1)
        ],
    }


def _part(name: str, distance: float | None, longest: float) -> dict[str, Any]:
    if distance is None:
        return {"name": name, "distance": None, "share": 0}
    return {"name": name, "distance": f"{distance:.3f}", "share": round(max(distance, 0) / longest, 3)}


def _crop(crop: Crop) -> dict[str, Any]:
    image = Image.fromarray(crop.pixels())
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return {
        "source": f"data:image/jpeg;base64,{data}", "width": image.width, "height": image.height,
        "caption": crop.caption,
    }  # fmt: skip
