"""``unveil adapt``: a network learns the cameras of its user from crops without labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels


def command(
    model: Annotated[str, typer.Argument(help="A run's folder, a model file of this package, or unveil:NAME.")],
    data: Annotated[
        list[str],
        typer.Argument(
            help="Crops: a folder, a manifest (.csv) with camera, tracklet and time where known, name:root."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the adapted model.", rich_help_panel=help_panels.OUTPUT)] = Path(
        "runs/adapted"
    ),
    stages: Annotated[
        str, typer.Option(help="What to do: statistics (seconds), clusters (minutes), or both, with a comma.")
    ] = "statistics,clusters",
    epochs: Annotated[int, typer.Option(help="Rounds of clustering and training.")] = 8,
    radius: Annotated[float, typer.Option(help="Jaccard distance below which crops are neighbours, 0 to 1.")] = 0.55,
    neighbours: Annotated[
        int, typer.Option(help="Nearest crops that are looked at; about as many as there are of a person.")
    ] = 20,
    held_out: Annotated[float, typer.Option(help="Share of the tracklets to judge by, not learnt from.")] = 0.2,
    keep_worse: Annotated[bool, typer.Option(help="Write the model even if it finds less than before.")] = False,
    seed: Annotated[int, typer.Option(help="Of sampling and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...", rich_help_panel=help_panels.EXECUTION)] = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was done as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Adapt a model to cameras from crops that nobody labelled.

    Crops of one tracklet are one person; tracklets that one camera saw at the same time are two. A share of the
    tracklets is held out: one half of each must find the other, before and after, and a model that got worse is not
    written. The same command goes on with a run that was stopped.

    **Examples:** `unveil adapt unveil:dual crops/ --out runs/shop`,
    `unveil adapt unveil:dual crops.csv --stages statistics --out runs/shop`
    """
    from unveil.adaptation.adapt import adapt
    from unveil.adaptation.settings import AdaptSettings
    from unveil.datasets.sources import crops_of
    from unveil.models.checkpoint import load_model
    from unveil.models.device import pick_device

    named = tuple(stage.strip() for stage in stages.split(","))
    settings = AdaptSettings(
        stages=named,  # type: ignore[arg-type]  # checked there
        epochs=epochs, radius=radius, neighbours=neighbours, held_out=held_out, seed=seed,
    )  # fmt: skip
    datasets = [crops_of(source) for source in data]
    adapted = adapt(load_model(model, pick_device(device)), datasets, out, settings, cache=cache, keep_worse=keep_worse)
    done = adapted.card.adaptation
    judged = done.judged if done else {}
    if as_json:
        typer.echo(json.dumps({"model": adapted.card.fingerprint, "out": str(out), "judged": judged}))
        return
    typer.echo(f"model {adapted.card.fingerprint} in {out}")
    if judged:
        typer.echo(f"{judged['tracklets']} held-out tracklets, one half searched among {judged['among']}:")
        for name, title in (("rank1", "Rank-1"), ("mrr", "mean reciprocal rank")):
            figures = judged[name]
            low, high = figures["difference"]
            typer.echo(f"  {title} {figures['before']} before, {figures['after']} after ({low:+} to {high:+})")
    else:
        typer.echo("not judged: there were no tracklets to hold out")
