"""``unveil evaluate``: figures of a model under named protocols."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.choices import MODEL, EngineOption

if TYPE_CHECKING:
    from unveil.evaluation.ranking import Ranking
    from unveil.records import Embedding, Protocol, Sample
    from unveil.report.answer import Answer


def command(
    model: Annotated[Path, typer.Argument(help=MODEL)],
    data: Annotated[list[str], typer.Argument(help="Datasets to test on, name:root?option=value ...")],
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", "-p", help="Protocol by name; every one of the dataset by default."),
    ] = None,
    rerank: Annotated[bool, typer.Option(help="Also with k-reciprocal re-ranking.")] = False,
    curve: Annotated[
        Path | None, typer.Option(help="Write the CMC curves as an image (.png).", rich_help_panel=help_panels.OUTPUT)
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="Write right and wrong answers under each protocol as an image (.png).",
            rich_help_panel=help_panels.OUTPUT,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda ...; a GPU also ranks, but does not re-rank.", rich_help_panel=help_panels.EXECUTION
        ),
    ] = "auto",
    engine: EngineOption = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Evaluate a model: CMC, mAP, mINP with 95 % intervals, the protocol printed with each figure.

    `splits=10` gives the mean ± standard deviation of the ten splits of a small benchmark. Crops that cannot be read
    are named, counted beside the figure, and make the exit code 1: fewer crops are another test.

    **Examples:** `unveil evaluate runs/bot market1501:/data/market`,
    `unveil evaluate runs/bot viper:/data/viper?splits=10 prid:/data/prid?splits=10`,
    `unveil evaluate unveil:dual 'world:small?seed=2' --protocol world-occ --sheet answers.png`
    """
    from unveil.evaluation.rerank import RerankSettings
    from unveil.inference.load import load_embedder
    from unveil.models.evaluate import evaluate_model
    from unveil.recipe import DataSource

    sources = [DataSource.of(text) for text in data]
    embedder = load_embedder(model, engine, device=device)
    settings = RerankSettings() if rerank else None
    answers: list[Answer] = []

    def draw(dataset: str, embedding: Embedding, samples: tuple[Sample, ...], under: Protocol) -> None:
        if sheet:
            from unveil.report.ranked import right_and_wrong

            for answer in right_and_wrong(embedding, samples, protocol=under):
                answers.append(replace(answer, title=f"{dataset}, {answer.title}") if len(sources) > 1 else answer)

    results = evaluate_model(
        embedder,
        sources,
        protocols=tuple(protocol or ()),
        cache=cache,
        rerank=settings,
        ranking=_ranking(device),
        watch=draw,
    )
    if as_json:
        model_is = {"model": embedder.summary.fingerprint, "start": embedder.summary.start}
        typer.echo(json.dumps([result.to_json() | model_is for result in results], indent=2))
    else:
        typer.echo(embedder.summary.title)
        for result in results:
            typer.echo(str(result))
    if curve:
        from unveil.report.curves import cmc_curve

        cmc_curve(results, curve)
    if sheet and answers:
        from unveil.report.sheet import ranked_sheet

        ranked_sheet(answers, sheet, title=embedder.summary.title)
    if any(result.unreadable for result in results):
        raise typer.Exit(1)


def _ranking(device: str) -> Ranking:
    """Return what ranks: a GPU where the device is one, else numpy, which runs without PyTorch."""
    from unveil.evaluation.ranking import rank_positives

    if device == "cpu" or find_spec("torch") is None:
        return rank_positives
    from unveil.evaluation.on_device import rank_on_device
    from unveil.models.device import pick_device

    where = pick_device(device)
    return partial(rank_on_device, device=where) if where.type == "cuda" else rank_positives
