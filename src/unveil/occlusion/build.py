"""From a dataset to its occluded copy: the same relative paths, formats and names, and a table of what was occluded.

An image depends on the seed and its relative path alone, so the result is the same for any number of workers, and a
build that was stopped resumes where it stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unveil.occlusion.components import warn_of_missing
from unveil.occlusion.occluded_copy import JOURNAL, TABLE, claim, copy_companions, read_journal, read_table, write_table
from unveil.occlusion.occluder import NO_PARSING, Occluder, Row, Translate, to_components
from unveil.occlusion.settings import OcclusionSettings
from unveil.progress import track
from unveil.records import Dataset, Sample


@dataclass(frozen=True)
class BuildReport:
    """What a build did: images, those left as they were, and the mean fraction occluded.

    Without parsing maps (``with_maps`` false) all pixels count for the person in ``occluded_person``, which is left out
    in words.
    """

    images: int
    untouched: int
    without_parsing: int
    occluded: float
    occluded_person: float
    with_maps: bool = True

    def __str__(self) -> str:
        said = f"{self.images} images; {self.untouched} untouched ({self.untouched / self.images:.1%})"
        crop = f"occluded on average {self.occluded:.1%} of the crop"
        if not self.with_maps:
            return f"{said}; {crop}"
        return f"{said}, {self.without_parsing} without a parsing map; {crop}, {self.occluded_person:.1%} of the person"


def build(
    dataset: Dataset,
    source: Path,
    *,
    out: Path,
    settings: OcclusionSettings | None = None,
    parser: str = "",
    translate: Translate | None = None,
    workers: int | None = None,
    donors: Sequence[Sample] | None = None,
    companions: bool = True,
) -> BuildReport:
    """Write the occluded copy of a dataset.

    Args:
        dataset: what to occlude; styles "parts" and "people" need parsing maps.
        source: where it lies; lists and tables of its root are copied, so that the copy can be read in the same way.
        out: new folder, or one that a build with the same settings began.
        settings: how to occlude.
        parser: what made the parsing maps, for the table.
        translate: from the labels of the maps to Pascal-7; by default that of the dataset's scheme.
        workers: threads; the number of processors by default.
        donors: people of the style "people", with parsing maps; those of the dataset by default.
        companions: copy lists and tables of the source's root.

    Raises:
        DataError: no parsing maps where the style needs them, or a map that does not fit its image.
        UnveilError: the folder holds something else, or cannot be written.
    """
    settings = settings or OcclusionSettings()
    if settings.style == "parts":
        warn_of_missing(dataset, settings.parts.components)
    source = root_of(dataset, source)
    worker = Occluder(
        dataset,
        source,
        out=out,
        settings=settings,
        parser=parser,
        translate=translate or to_components(dataset),
        donors=donors,
    )
    claim(dataset, source, out=out, settings=settings, parser=parser, donors=() if donors is None else worker.donors)
    done = read_table(out / TABLE) | read_journal(out / JOURNAL)
    rows = {key: row for key, row in done.items() if (out / key).is_file()}
    todo = [s for s in dataset.samples if s.key not in rows]
    with (out / JOURNAL).open("a", encoding="utf-8") as journal, ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        try:
            for row in track(pool.map(worker, todo), "occluding", total=len(todo)):
                rows[row["path"]] = row
                journal.write(json.dumps(row) + "\n")
                journal.flush()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if companions:
        copy_companions(dataset, source, out=out)
    ordered = [rows[s.key] for s in dataset.samples]
    write_table(out / TABLE, ordered)
    (out / JOURNAL).unlink(missing_ok=True)
    return _report(ordered, with_maps=any(sample.parsing is not None for sample in dataset.samples))


def root_of(dataset: Dataset, given: Path) -> Path:
    """Return the folder that the keys of a dataset are relative to; ``given`` when no path ends with its key."""
    for sample in dataset.samples:
        if sample.path is not None and sample.path.as_posix().endswith(f"/{sample.key}"):
            return sample.path.parents[sample.key.count("/")]
    return given if given.is_dir() else given.parent


def _report(rows: Sequence[Row], *, with_maps: bool) -> BuildReport:
    return BuildReport(
        len(rows),
        sum(float(row["occluded"]) == 0 for row in rows),
        sum(row["what"] == NO_PARSING for row in rows),
        float(np.mean([float(row["occluded"]) for row in rows])),
        float(np.mean([float(row["occluded_person"]) for row in rows])),
        with_maps,
    )
