"""Robustness curves: the same search while more and more of every query is occluded; the gallery stays as it is."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unveil.atomic_io import write_text
from unveil.data.images import read_sample
from unveil.errors import DataError, ProtocolError
from unveil.evaluation.evaluate import Result, evaluate
from unveil.experiments.occluders import cutouts_for, translation
from unveil.models.embed import embed_samples
from unveil.models.embedder import Embedder
from unveil.models.evaluate import test_set
from unveil.occlusion.build import build, root_of
from unveil.occlusion.settings import OcclusionSettings, Style
from unveil.occlusion.sheet import save_grid
from unveil.recipe import DataSource
from unveil.records import Dataset, Embedding, Protocol, Sample
from unveil.report.curves import grid_of_curves
from unveil.report.page import Panel, write_page

log = logging.getLogger(__name__)
RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
STYLES: tuple[Style, ...] = ("blocks", "cutouts", "people")
EXAMPLES = 2  # queries on the sheet of examples


@dataclass(frozen=True)
class Occluded:
    """The queries of a dataset, occluded: asked ratio, the mean share of the person that is occluded, and the crops."""

    style: Style
    ratio: float
    share: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Point:
    """A model's figures at one ratio, a line of the CSV; ``occluded`` and figures in percent, ``low`` and ``high`` are
    the 95 % interval of mAP."""

    model: str
    method: str
    backbone: str
    start: str
    fingerprint: str
    dataset: str
    protocol: str
    style: str
    ratio: float
    occluded: float
    rank1: float
    mAP: float
    low: float
    high: float
    queries: int
    unreadable: int


def run_robustness(
    models: Mapping[str, Embedder],
    source: DataSource,
    *,
    out: Path,
    styles: Sequence[Style] = (),
    ratios: Sequence[float] = RATIOS,
    protocol: str | None = None,
    cutouts: Path | None = None,
    seed: int = 0,
    cache: Path | None = None,
) -> list[Point]:
    """Measure every model under every style and ratio; the same call gives the same figures.

    Args:
        models: by the name that tables and curves show.
        source: what to test on.
        out: folder that gets ``robustness.csv``, ``.json`` and ``.png``, ``examples.jpg``, ``report.html`` and the
            occluded queries.
        styles: how to occlude; `STYLES` by default, without "people" where nobody has a parsing map.
        ratios: shares of the person to occlude (of the crop where no map is known), in [0, 1].
        protocol: name of a protocol; the dataset's default otherwise.
        cutouts: folder of RGBA images for the style "cutouts"; the world's things by default.
        seed: of what occludes whom.
        cache: folder of the image stores.

    Raises:
        DataError: a style needs parsing maps that are not there, or a ratio is out of range.
        ProtocolError: the protocol is unknown, or the source asks for the mean of several splits.
    """
    splits, protocols = test_set(source, (protocol,) if protocol else ())
    if len(splits) > 1:
        raise ProtocolError(f"{source}: occluded queries are measured on one split: name it (split=0)")
    if not models or not ratios:
        raise DataError("a robustness curve needs at least one model and one ratio")
    dataset, rules = splits[0], protocols[0]
    donors = [sample for sample in dataset.train if sample.parsing is not None] or [*dataset.query]
    if not styles:
        styles = tuple(s for s in STYLES if s != "people" or any(d.parsing for d in donors))
    wanted = sorted({float(ratio) for ratio in ratios})
    steps = [
        _occlude(dataset, source, style=style, ratio=ratio, out=out, donors=donors, cutouts=cutouts, seed=seed)
        for style in styles
        for ratio in wanted
    ]
    results = {
        name: _measure(model, dataset, protocol=rules, steps=steps, cache=cache) for name, model in models.items()
    }
    points = [
        _point(name, models[name], step=step, result=result)
        for name, found in results.items()
        for step, result in zip(steps, found, strict=True)
    ]
    write_text(out / "robustness.csv", to_csv(points))
    trees = [dataclasses.asdict(p) for p in points]
    write_text(out / "robustness.json", json.dumps(trees, indent=1) + "\n")
    _report(points, steps, protocol=rules, seed=seed, out=out)
    return points


def to_csv(points: Sequence[Point]) -> str:
    """Return points as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in dataclasses.fields(Point)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(point) for point in points)
    return text.getvalue()


def _occlude(
    dataset: Dataset,
    source: DataSource,
    *,
    style: Style,
    ratio: float,
    out: Path,
    donors: Sequence[Sample],
    cutouts: Path | None,
    seed: int,
) -> Occluded:
    if ratio == 0:
        return Occluded(style, 0.0, 0.0, dataset.query)
    root = root_of(dataset, Path(source.root or "."))
    folder = out / "occluded" / f"{style}-{ratio:g}"
    settings = OcclusionSettings(
        style, ratio, seed, cutouts=cutouts_for(style, cutouts) if style == "cutouts" else None
    )
    queries = dataclasses.replace(dataset, samples=dataset.query)
    log.info("occluding %d queries: %s, %g", len(queries.samples), style, ratio)
    report = build(
        queries,
        root,
        out=folder,
        settings=settings,
        parser="",
        translate=translation(dataset),
        donors=donors,
        companions=False,
    )
    samples = tuple(
        dataclasses.replace(s, path=folder / s.key, data=None, parsing=_moved(s.parsing, root, folder=folder))
        for s in queries.samples
    )
    return Occluded(style, ratio, report.occluded_person, samples)


def _moved(parsing: Path | None, root: Path, *, folder: Path) -> Path | None:
    """Return the map of an occluded crop: what is occluded is background in it, where it lies in the dataset."""
    return folder / parsing.relative_to(root) if parsing is not None and parsing.is_relative_to(root) else parsing


def _measure(
    model: Embedder, dataset: Dataset, *, protocol: Protocol, steps: Sequence[Occluded], cache: Path | None
) -> list[Result]:
    scheme = dataset.parsing_scheme
    gallery, store = embed_samples(model, dataset.gallery, cache=cache, scheme=scheme)
    results: list[Result] = []
    whole: Result | None = None
    for step in steps:
        if step.ratio == 0 and whole is not None:  # nothing is occluded, in whatever style
            results.append(whole)
            continue
        query, asked = embed_samples(model, step.samples, cache=cache, scheme=scheme)
        both = Embedding.concatenate([query, gallery])
        result = evaluate(both, (*asked.samples, *store.samples), protocol=protocol, dataset=dataset)
        unreadable = {bad.key: bad.reason for bad in (*asked.bad, *store.bad)}
        results.append(dataclasses.replace(result, unreadable=unreadable))
        whole = results[-1] if step.ratio == 0 else whole
    return results


def _point(name: str, model: Embedder, *, step: Occluded, result: Result) -> Point:
    low, high = result.intervals["mAP"]
    return Point(
        name,
        model.summary.method,
        model.summary.backbone,
        model.summary.start,
        model.summary.fingerprint,
        f"{result.dataset}@{result.dataset_hash}",
        f"{result.protocol}#{result.protocol_hash}",
        step.style,
        step.ratio,
        round(100 * step.share, 2),
        round(100 * result.cmc[1], 2),
        round(100 * result.mean_ap, 2),
        round(100 * low, 2),
        round(100 * high, 2),
        result.queries,
        len(result.unreadable),
    )


def _report(points: Sequence[Point], steps: Sequence[Occluded], *, protocol: Protocol, seed: int, out: Path) -> None:
    styles = list(dict.fromkeys(point.style for point in points))
    names = list(dict.fromkeys(point.model for point in points))

    def line(name: str, style: str, *, figure: str) -> list[tuple[float, float]]:
        return [(p.occluded, getattr(p, figure)) for p in points if (p.model, p.style) == (name, style)]

    panels = [
        [{name: line(name, style, figure=figure) for name in names} for style in styles] for figure in ("rank1", "mAP")
    ]
    grid_of_curves(
        panels,
        out / "robustness.png",
        rows=("Rank-1 (%)", "mAP (%)"),
        columns=styles,
        across="occluded part of the query (%)",
    )
    _examples(steps, out / "examples.jpg")
    head = ("style", "asked", "occluded", *names)
    rows = []
    for step in steps:
        same = [p for p in points if (p.style, p.ratio) == (step.style, step.ratio)]
        figures = (f"{p.rank1:.1f} / {p.mAP:.1f} [{p.low:.1f}, {p.high:.1f}]" for p in same)
        rows.append((step.style, f"{step.ratio:g}", f"{100 * step.share:.1f} %", *figures))
    text = "Rank-1 / mAP in percent, with the 95 % interval of mAP over queries."
    sections = [
        Panel("Curves", "The queries are occluded, the gallery is not.", images=(out / "robustness.png",)),
        Panel("Figures", text, head, tuple(rows)),
        Panel("Examples", "A row a style and query, the ratio grows.", images=(out / "examples.jpg",)),
    ]
    header = {
        "dataset": points[0].dataset,
        "protocol": f"{protocol}: {protocol.about}",
        "models": ", ".join(
            f"{name} ({p.fingerprint}, started from {p.start})" for name, p in {p.model: p for p in points}.items()
        ),
        "seed": str(seed),
    }
    write_page(sections, out / "report.html", title="How much may be occluded?", header=header)


def _examples(steps: Sequence[Occluded], path: Path) -> None:
    styles = dict.fromkeys(step.style for step in steps)
    count = len(steps[0].samples)
    chosen = sorted({(2 * n + 1) * count // (2 * EXAMPLES) for n in range(EXAMPLES)})
    rows = [[read_sample(step.samples[i]) for step in steps if step.style == style] for style in styles for i in chosen]
    save_grid(rows, path)
