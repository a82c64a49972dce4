"""Go the way of "On videos" in docs/adapt.md, and keep its images and figures: synthetic people, an old camera.

    python scripts/adapt_pictures.py [--work FOLDER]

Runs every command of the section in order in an empty folder. Just before ``unveil gallery adapt``, and at the end,
each crop of the old camera, and each of its tracklets, is searched among the tracklets of the other: the labels that
come with rendered films are read for that alone, adapting does not see them. The images show the crop whose rank
changed most for the better, and the figures how it went for all.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from desk_pictures import PICTURES, ROOT, commands, run
from PIL import Image

from unveil.evaluation.distances import distance_matrix
from unveil.gallery.records import Filter
from unveil.gallery.store.opening import open_store

PAGE, HEADING = ROOT / "docs" / "adapt.md", "On videos"
GALLERY, ASKED, AMONG = "hall", "yard", "gate"
KINDS = ("crop", "tracklet")
QUALITY = 82


def main() -> None:
    """Run the script."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--out", type=Path, default=PICTURES)
    asked.add_argument("--work", type=Path, help="folder to go the way in, kept afterwards; films that are there stay")
    options = asked.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="unveil-"))
    try:
        print(go(work, options.out))
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)


def go(work: Path, out: Path) -> str:
    """Run all commands, measure before and after adapting, and write both images; return the figures as text."""
    work.mkdir(parents=True, exist_ok=True)
    before: dict[str, dict[int, int]] = {}
    sheets = work / "sheets"
    sheets.mkdir(exist_ok=True)
    for command in commands(PAGE, HEADING):
        words = shlex.split(command)[1:]
        if words[:2] == ["world", "video"] and (work / words[words.index("--out") + 1]).is_file():
            continue
        if words[:2] == ["gallery", "adapt"]:
            before = ranks(work)
            for row in (row for row, rank in before["crop"].items() if rank > 1):
                search(work, row, sheets / f"{row}.png")
            adapted = words[words.index("--out") + 1]
        began = time.monotonic()
        said = run(work, words)
        print(f"{time.monotonic() - began:6.1f} s  {command}\n{said}", flush=True)
    after = ranks(work)
    ranked, then = before["crop"], after["crop"]
    row = max((row for row, rank in ranked.items() if rank > 1), key=lambda row: (ranked[row] - then[row], -row))
    search(work, row, sheets / "after.png", model=adapted)
    for name, sheet in (("before", sheets / f"{row}.png"), ("after", sheets / "after.png")):
        Image.open(sheet).convert("RGB").save(out / f"adapt-{name}.jpg", quality=QUALITY, optimize=True)
    figures = [f"row {row}: rank {ranked[row]} before, {then[row]} after"]
    for name, found in (("before", before), ("after", after)):
        for kind in KINDS:
            rank = np.array(list(found[kind].values()))
            figures.append(
                f"{name}, {kind}s: Rank-1 {100 * (rank == 1).mean():.1f}, mean reciprocal rank "
                f"{100 * (1 / rank).mean():.1f}, {len(rank)} searches"
            )
    return "\n".join(figures)


def ranks(work: Path) -> dict[str, dict[int, int]]:
    """Return where the same person comes among the tracklets of the other camera, for each row of a kind of the one."""
    store = open_store(folder=work / "galleries")
    try:
        rows = {camera: store.find(GALLERY, Filter(cameras=(camera,)), limit=10_000) for camera in (ASKED, AMONG)}
        vectors = {camera: store.embeddings(GALLERY, [item.id for item in items])[1] for camera, items in rows.items()}
    finally:
        store.close()
    tracklets = [row for row, item in enumerate(rows[AMONG]) if item.kind == "tracklet"]
    people = np.array([rows[AMONG][row].person for row in tracklets])
    distances = distance_matrix(vectors[ASKED], vectors[AMONG].select(tracklets))
    answer: dict[str, dict[int, int]] = {kind: {} for kind in KINDS}
    for line, item in zip(distances, rows[ASKED], strict=True):
        own = people == item.person
        if own.any():
            answer[item.kind][int(item.id)] = 1 + int((line[~own] < line[own].min()).sum())
    return answer


def search(work: Path, row: int, sheet: Path, *, model: str | None = None) -> None:
    """Write the sheet of a search from a row of one camera in the other."""
    words = [
        "search",
        f"row:{row}",
        GALLERY,
        "--camera",
        AMONG,
        "--top",
        "8",
        "--why",
        "before and after adapting",
        "--faces",
    ]
    run(work, [*words, *(["--model", model] if model else []), "--sheet", str(sheet)])


if __name__ == "__main__":
    main()
