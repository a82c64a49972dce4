"""Running a grid: every cell is a training run in a folder of its own; finished cells are not run again.

Cells that differ only in what the test looks at share one training.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import re
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from unveil.atomic_io import alone_in, write_text
from unveil.datasets.splits import is_averaged, sources_of
from unveil.errors import CheckpointError, UnveilError
from unveil.evaluation.evaluate import Result
from unveil.methods import method_settings, training_settings
from unveil.models.card import Card, read_card
from unveil.models.checkpoint import NAME, load_model, save_model
from unveil.models.device import pick_device
from unveil.models.evaluate import evaluate_model, tested_on
from unveil.models.parsing_maps import open_training_set
from unveil.recipe import Recipe
from unveil.training.keeping import BEST
from unveil.training.loop import train
from unveil.training.state import NAME as STATE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cell:
    """A recipe to run under a label, for example a row of a table."""

    label: str
    recipe: Recipe


@dataclass(frozen=True)
class ResultRow:
    """One evaluation of one run, a line of the CSV; figures in percent."""

    label: str
    method: str
    backbone: str
    start: str
    seed: int
    epochs: int
    dataset: str
    protocol: str
    rank1: float
    rank5: float
    rank10: float
    mAP: float
    mINP: float
    queries: int
    device: str


@dataclass(frozen=True)
class Average:
    """Figures of several runs of one cell.

    Args:
        means: mean of "rank1", "rank5", "rank10" and "mAP", in percent.
        std: their standard deviations over runs; 0 for one run.
        runs: how many.
    """

    means: Mapping[str, float]
    std: Mapping[str, float]
    runs: int

    @classmethod
    def of(cls, figures: Sequence[ResultRow]) -> Average:
        """Return the average of at least one figure."""
        values = {name: [getattr(figure, name) for figure in figures] for name in ("rank1", "rank5", "rank10", "mAP")}
        several = len(figures) > 1
        return cls(
            {name: statistics.fmean(found) for name, found in values.items()},
            {name: statistics.stdev(found) if several else 0.0 for name, found in values.items()},
            len(figures),
        )

    def text(self, names: Sequence[str] = ("rank1", "mAP")) -> str:
        """Return figures as ``38.7 / 16.8``, with standard deviations where there are several runs."""
        spread = {name: f" ± {self.std[name]:.1f}" if self.runs > 1 else "" for name in names}
        return " / ".join(f"{self.means[name]:.1f}{spread[name]}" for name in names)


def run_grid(
    cells: Sequence[Cell],
    seeds: Iterable[int],
    *,
    out: Path,
    cache: Path | None = None,
    minutes: float | None = None,
    tidy: bool = False,
) -> list[ResultRow]:
    """Train and evaluate every cell with every seed; write ``results.csv`` after each run.

    A killed grid resumes where it stopped when it is called again with the same cells and folder.

    Args:
        cells: what to run; labels are unique.
        seeds: seeds of each cell.
        out: folder; every run gets ``<label>/<seed>/`` in it, or one a split ``<label>/<seed>/split<n>/``.
        cache: folder of the image stores.
        minutes: stop after about so long, within a run; no bound for ``None``.
        tidy: remove from finished runs what only more epochs would need, several times the size of the model.

    Raises:
        InterruptedRunError: the minutes are over before the grid is; the state is saved.
        UnveilError: two cells have the same label, no test data are named, or another process runs a grid in ``out``.
    """
    if not cells:
        raise UnveilError("a grid needs at least one recipe, found none")
    for cell in cells:  # a wrong name is known now, not hours later
        method_settings(cell.recipe.method.name, cell.recipe.method.settings)
    names = [_slug(cell.label) for cell in cells]
    if len(set(names)) != len(names):
        raise UnveilError(f"labels of a grid must differ, found {sorted(cell.label for cell in cells)}")
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    figures: list[ResultRow] = []
    trained: dict[str, Path] = {}
    todo = [
        (cell, out / name / str(seed) / split, seed, recipe)
        for seed in seeds
        for cell, name in zip(cells, names, strict=True)
        for split, recipe in one_a_split(cell.recipe)
    ]
    with alone_in(out):
        for number, (cell, folder, seed, recipe) in enumerate(todo, 1):
            if not recipe.data.test:
                raise UnveilError(f"{cell.label}: data.test is empty, so there is nothing to measure")
            recipe = _seeded(recipe, seed)
            card = _finished(folder, recipe, cache=cache)
            same = trained.setdefault(_training_of(recipe), folder)
            if card is None:
                log.info("run %d of %d: %s, %s", number, len(todo), cell.label, folder.relative_to(out))
            if card is None and same != folder:
                card = _test_again(same, folder, recipe=recipe, cache=cache)
            elif card is None:
                left = None if minutes is None else max(end - time.monotonic(), 0) / 60
                card = train(recipe, folder, resume=(folder / STATE).exists(), cache=cache, minutes=left).card
            for name in (STATE, BEST, Path(BEST).with_suffix(".json")) if tidy else ():
                (folder / name).unlink(missing_ok=True)
            figures += _figures(cell.label, recipe, card=card)
            write_text(out / "results.csv", to_csv(figures))
    return figures


def finished_figures(cells: Sequence[Cell], seeds: Iterable[int], *, out: Path) -> list[ResultRow]:
    """Return the figures of the runs of a grid that are finished, without running any."""
    figures: list[ResultRow] = []
    for seed in seeds:
        for cell in cells:
            for split, recipe in one_a_split(cell.recipe):
                seeded = _seeded(recipe, seed)
                card = _card_of(out / _slug(cell.label) / str(seed) / split, seeded)
                figures += [] if card is None else _figures(cell.label, seeded, card=card)
    return figures


def one_a_split(recipe: Recipe) -> list[tuple[str, Recipe]]:
    """Return (folder, recipe): one a split where ``data.train`` names several (``viper:ROOT?splits=10``), else itself.

    Raises:
        UnveilError: training sets name different numbers of splits.
    """
    data = recipe.data
    splits = {str(source): sources_of(source) for source in data.train if is_averaged(source)}
    counts = {len(split) for split in splits.values()}
    if not counts:
        return [("", recipe)]
    if len(counts) > 1:
        raise UnveilError(f"data.train names different numbers of splits: {', '.join(map(str, sorted(counts)))}")
    recipes = []
    for n in range(counts.pop()):
        # What is both trained and tested on is tested on its own split; other tests keep the mean of theirs.
        own = {name: split[n] for name, split in splits.items()}
        train_on, test_on = (tuple(own.get(str(s), s) for s in sources) for sources in (data.train, data.test))
        changed = data.model_copy(update={"train": train_on, "test": test_on})
        recipes.append((f"split{n}", recipe.model_copy(update={"data": changed})))
    return recipes


def to_csv(figures: Sequence[ResultRow]) -> str:
    """Return figures as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(ResultRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(figure) for figure in figures)
    return text.getvalue()


def summary(figures: Sequence[ResultRow]) -> dict[tuple[str, str, str], Average]:
    """Return (label, dataset, protocol) -> the average over runs."""
    groups: dict[tuple[str, str, str], list[ResultRow]] = {}
    for figure in figures:
        groups.setdefault((figure.label, figure.dataset, figure.protocol), []).append(figure)
    return {key: Average.of(group) for key, group in groups.items()}


def _seeded(recipe: Recipe, seed: int) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"seed": seed})})


def _card_of(folder: Path, recipe: Recipe) -> Card | None:
    """Return the card of a finished run of a recipe."""
    path = folder / Path(NAME).with_suffix(".json")
    if not path.is_file():
        return None
    try:
        card = read_card(path.read_text(encoding="utf-8", errors="replace"), str(path))
    except CheckpointError:
        return None
    if card.epoch != recipe.train.epochs or not card.figures or card.recipe != recipe.model_dump(mode="json"):
        return None
    return card


def _finished(folder: Path, recipe: Recipe, *, cache: Path | None) -> Card | None:
    card = _card_of(folder, recipe)
    if card is None:
        return None
    now = tested_on(recipe, cache)
    then = {(tree["dataset"], tree["dataset_hash"], tree.get("content", "")) for tree in card.figures}
    unnamed = not all(content for *_, content in then)  # measured by an unveil that kept only the hash of the labels
    same = {labels for _, labels, _ in now} == {labels for _, labels, _ in then} if unnamed else now == then
    if card.content != open_training_set(recipe, cache).content_hash or not same:
        raise UnveilError(f"{folder} holds a run on other data than these: choose another --out, or delete it")
    if unnamed:
        log.info("%s: its figures do not tell on which files they were measured: they are measured again", folder)
        return _measured(folder, recipe, cache=cache)
    return card


def _training_of(recipe: Recipe) -> str:
    """Return what the training of a recipe depends on: recipes that agree in it give the same weights."""
    settings = training_settings(recipe.method.name, recipe.method.settings)
    return json.dumps(recipe.model_dump(mode="json") | {"method": {"name": recipe.method.name, **settings}})


def _test_again(trained: Path, folder: Path, *, recipe: Recipe, cache: Path | None) -> Card:
    """Measure the weights of a finished run under settings that only the test looks at, as a run of its own."""
    found = load_model(trained / NAME)
    if found.card.recipe == recipe.model_dump(mode="json"):  # the same row of another table
        return save_model(folder / NAME, found.method, card=found.card)
    card = found.card.model_copy(update={"recipe": recipe.model_dump(mode="json"), "figures": ()})
    save_model(folder / NAME, found.method, card=card)
    return _measured(folder, recipe, cache=cache)


def _measured(folder: Path, recipe: Recipe, *, cache: Path | None) -> Card:
    """Measure the model of a finished run, and write the figures onto its card."""
    model = load_model(folder / NAME, pick_device(recipe.train.device))
    results = evaluate_model(model, recipe.data.test, protocols=recipe.data.protocols, cache=cache)
    card = model.card.model_copy(update={"figures": tuple(result.to_json() for result in results)})
    return save_model(folder / NAME, model.method, card=card)


def _figures(label: str, recipe: Recipe, *, card: Card) -> list[ResultRow]:
    results = [Result.from_json(tree) for tree in card.figures]
    return [
        ResultRow(
            label=label,
            method=recipe.method.name,
            backbone=recipe.backbone.name,
            start=card.started_from,
            seed=recipe.train.seed,
            epochs=recipe.train.epochs,
            dataset=result.dataset,
            protocol=f"{result.protocol}#{result.protocol_hash}",
            rank1=_percent(result.cmc.get(1)),
            rank5=_percent(result.cmc.get(5)),
            rank10=_percent(result.cmc.get(10)),
            mAP=_percent(result.mean_ap),
            mINP=_percent(result.mean_inp),
            queries=result.queries,
            device=card.device,
        )
        for result in results
    ]


def _percent(share: float | None) -> float:
    """Return a share in percent, NaN where it was not measured."""
    return math.nan if share is None else round(100 * share, 2)


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9.=-]+", "_", label.lower()).strip("_") or "run"
