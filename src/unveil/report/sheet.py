"""The ranked sheet: each query and its matches as one PNG, right and wrong ones framed in green and red."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from unveil.atomic_io import atomic_path
from unveil.errors import UnveilError
from unveil.progress import track
from unveil.report.answer import Answer, Crop, Match

CELL = (112, 224)  # pixels, width and height of the box that a crop is fitted into
GAP, MARGIN, FRAME = 14, 28, 4
LINES = 44  # pixels of text below a crop
PER_LINE = 10
MAX_PIXELS = 300_000_000
PAPER, INK, PALE = (252, 252, 251), (32, 36, 42), (112, 119, 128)
FRAMES = {True: (26, 152, 80), False: (214, 47, 60), None: (154, 163, 173)}


def ranked_sheet(answers: Sequence[Answer], path: Path, *, title: str = "", per_line: int = PER_LINE) -> None:
    """Write the sheet.

    Args:
        answers: one block each, in order.
        path: PNG to write.
        title: line at the top, for example model, dataset and protocol.
        per_line: matches beside each other; more follow below.

    Raises:
        UnveilError: the sheet would be too large for an image, or cannot be written.
    """
    asked = max((len(answer.queries) for answer in answers), default=1)
    longest = max((len(answer.matches) for answer in answers), default=0)
    columns = asked + min(longest, per_line)
    width = 2 * MARGIN + columns * (CELL[0] + GAP) + GAP
    top = MARGIN + (40 if title else 0)
    heights = [_block_height(answer, per_line) for answer in answers]
    height = top + sum(heights) + MARGIN
    if width * height > MAX_PIXELS:
        raise UnveilError(
            f"a sheet of {len(answers)} queries would have {width} x {height} pixels: show fewer queries or matches, "
            "or write a page (.html) instead"
        )
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((MARGIN, MARGIN - 6), _shorten(title, width - 2 * MARGIN, size=22), INK, ImageFont.load_default(22))
    for answer, block in track(zip(answers, heights, strict=True), "drawing", total=len(answers)):
        _draw_block(sheet, answer, top=top, asked=asked, per_line=per_line)
        top += block
        if answer is not answers[-1]:
            draw.line((MARGIN, top - 16, width - MARGIN, top - 16), (226, 228, 231))
    with atomic_path(path) as temporary:
        sheet.save(temporary, "PNG", optimize=True)


def _block_height(answer: Answer, per_line: int) -> int:
    lines = max(1, -(-len(answer.matches) // per_line))
    return (30 if answer.title else 0) + lines * (CELL[1] + LINES + GAP) + 18


def _draw_block(sheet: Image.Image, answer: Answer, *, top: int, asked: int, per_line: int) -> None:
    draw = ImageDraw.Draw(sheet)
    if answer.title:
        text = _shorten(answer.title, sheet.width - 2 * MARGIN, size=16)
        draw.text((MARGIN, top), text, INK, ImageFont.load_default(16))
        top += 30
    for n, crop in enumerate(answer.queries):
        _draw_crop(sheet, crop, x=MARGIN + n * (CELL[0] + GAP), y=top, label="query", match=None)
    first = MARGIN + asked * (CELL[0] + GAP) + GAP
    for n, match in enumerate(answer.matches):
        x = first + n % per_line * (CELL[0] + GAP)
        y = top + n // per_line * (CELL[1] + LINES + GAP)
        _draw_crop(sheet, match.crop, x=x, y=y, label=f"{n + 1}   {match.distance:.3f}", match=match)
    if answer.matches:
        x = first - GAP
        draw.line((x, top, x, top + CELL[1]), (208, 212, 217), 2)


def _draw_crop(sheet: Image.Image, crop: Crop, *, x: int, y: int, label: str, match: Match | None) -> None:
    draw = ImageDraw.Draw(sheet)
    image = Image.fromarray(crop.pixels())
    # The true aspect: a crop fills the box in one direction only.
    scale = min((CELL[0] - 2 * FRAME) / image.width, (CELL[1] - 2 * FRAME) / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    left, bottom = x + (CELL[0] - size[0]) // 2, y + CELL[1] - FRAME
    box = (left, bottom - size[1], left + size[0], bottom)
    if match is not None:
        outer = (box[0] - FRAME, box[1] - FRAME, box[2] + FRAME - 1, box[3] + FRAME - 1)
        draw.rectangle(outer, FRAMES[match.same])
    sheet.paste(image.resize(size, Image.Resampling.LANCZOS), box[:2])
    if match is not None and match.same is not None:
        _draw_mark(draw, box[2] - 11, y=box[1] + 11, right=match.same)
    for text, size_px, colour, at in ((label, 16, INK, 6), (crop.caption, 13, PALE, 26)):
        draw.text(
            (x + CELL[0] / 2, y + CELL[1] + at), _shorten(text, CELL[0] + GAP - 4, size=size_px), colour,
            ImageFont.load_default(size_px), anchor="mt",
        )  # fmt: skip


def _draw_mark(draw: ImageDraw.ImageDraw, x: int, *, y: int, right: bool) -> None:
    """A tick or a cross in a disc, so that the frame's colour is not the only sign."""
    draw.ellipse((x - 9, y - 9, x + 9, y + 9), FRAMES[right])
    if right:
        draw.line(((x - 4, y), (x - 1, y + 4), (x + 5, y - 4)), "white", 2, joint="curve")
    else:
        draw.line((x - 4, y - 4, x + 4, y + 4), "white", 2)
        draw.line((x - 4, y + 4, x + 4, y - 4), "white", 2)


def _shorten(text: str, width: float, *, size: int) -> str:
    """Cut the middle out of a text that is wider than ``width`` pixels; both ends of a path tell something."""
    font = ImageFont.load_default(size)
    if font.getlength(text) <= width:
        return text
    kept = len(text) - 1
    while kept > 2 and font.getlength(_cut(text, kept)) > width:
        kept -= 1
    return _cut(text, kept)


def _cut(text: str, kept: int) -> str:
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
