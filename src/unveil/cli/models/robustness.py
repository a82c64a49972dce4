"""``unveil robustness``: how well models search while their queries are occluded more and more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.choices import MODEL, EngineOption


def command(
    models: Annotated[list[Path], typer.Argument(help=f"Models to compare. {MODEL}")],
    data: Annotated[str, typer.Option(help="Dataset to test on, name:root?option=value.")] = "world:small?seed=2",
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="Protocol by name; the dataset's default otherwise.")
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            help="parts, blocks, cutouts or people; the last three by default, as far as there are maps.",
            rich_help_panel=help_panels.OCCLUSION,
        ),
    ] = None,
    ratio: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of the person to occlude; 0, 0.1 ... 0.6 by default.",
            rich_help_panel=help_panels.OCCLUSION,
        ),
    ] = None,
    cutouts: Annotated[
        Path | None,
        typer.Option(
            help="Folder of RGBA images for the style cutouts; the world's by default.",
            rich_help_panel=help_panels.OCCLUSION,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of curves, tables and occluded queries.", rich_help_panel=help_panels.OUTPUT)
    ] = Path("runs/robustness"),
    seed: Annotated[int, typer.Option(help="Seed of the occlusion.", rich_help_panel=help_panels.OCCLUSION)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...", rich_help_panel=help_panels.EXECUTION)] = "auto",
    engine: EngineOption = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Occlude a growing part of every query and measure again: Rank-1 and mAP against the occluded part.

    OUT gets `robustness.csv`, `.json` and `.png`, a page `report.html` and a sheet `examples.jpg`. The gallery is not
    occluded. A run that was stopped resumes where it stopped.

    **Example:** `unveil robustness runs/bot runs/pcb --data world:small --style blocks --style people`
    """
    import dataclasses
    import json
    from typing import get_args

    from unveil.errors import DataError, nearest
    from unveil.experiments.robustness import RATIOS, run_robustness
    from unveil.inference.load import load_embedder
    from unveil.occlusion.settings import Style
    from unveil.recipe import DataSource

    known = get_args(Style)
    for name in style or ():
        if name not in known:
            raise DataError(f"no style {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    embedders = [load_embedder(path, engine, device=device) for path in models]
    names = [embedder.summary.name for embedder in embedders]
    if len(set(names)) != len(names):
        names = [str(path) for path in models]
    loaded = dict(zip(names, embedders, strict=True))
    points = run_robustness(
        loaded,
        DataSource.of(data),
        out=out,
        styles=tuple(s for s in known if s in (style or ())),
        ratios=tuple(ratio or RATIOS),
        protocol=protocol,
        cutouts=cutouts,
        seed=seed,
        cache=cache,
    )
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(point) for point in points]))
        return
    for point in points:
        typer.echo(
            f"{point.model}, {point.style} {point.ratio:g} ({point.occluded:.1f} % occluded): "
            f"R-1 {point.rank1:.1f}, mAP {point.mAP:.1f} [{point.low:.1f}, {point.high:.1f}]"
        )
    typer.echo(f"{points[0].dataset} under {points[0].protocol}; curves and page in {out}")
