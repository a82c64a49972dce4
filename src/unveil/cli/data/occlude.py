"""``unveil occlude``: the occluded copy of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unveil.cli import help_panels

if TYPE_CHECKING:
    from unveil.recipe import DataSource

PUBLISHED = {"occ-prcc": "prcc", "occ-ltcc": "ltcc"}


def command(
    source: Annotated[str, typer.Argument(help="Dataset as name:root, a manifest or a folder; with --like its root.")],
    out: Annotated[Path, typer.Argument(help="New folder of the copy.")],
    like: Annotated[
        Literal["occ-prcc", "occ-ltcc"] | None,
        typer.Option(help="Build this published set; SOURCE is the root of PRCC or LTCC."),
    ] = None,
    parsing: Annotated[
        Path | None,
        typer.Option(
            help="Root of a tree `parsing/<scheme>/...`; SOURCE itself when it holds one. --like needs pascal7: the "
            "package's own parser makes it where SOURCE has none.",
            rich_help_panel=help_panels.PARSING,
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(help="Scheme of the maps, where the tree has several.", rich_help_panel=help_panels.PARSING),
    ] = None,
    style: Annotated[
        Literal["parts", "blocks", "people", "cutouts"],
        typer.Option(
            help="Blocks over a body part, one block, another person, or things (--cutouts).",
            rich_help_panel=help_panels.OCCLUSION,
        ),
    ] = "parts",
    ratio: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Fraction of the person to occlude.", rich_help_panel=help_panels.OCCLUSION),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the occlusion.", rich_help_panel=help_panels.OCCLUSION)] = 0,
    component: Annotated[
        list[str] | None,
        typer.Option(
            help="Body parts to draw from: head, torso, upper-arms, lower-legs ...",
            rich_help_panel=help_panels.OCCLUSION,
        ),
    ] = None,
    kernel: Annotated[
        int | None,
        typer.Option(min=1, help="Side of a block in pixels (height / 20).", rich_help_panel=help_panels.OCCLUSION),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="A block is on above this share of its part.", rich_help_panel=help_panels.OCCLUSION
        ),
    ] = 0.0,
    upsample: Annotated[
        Literal["nearest", "bilinear"], typer.Option(help="Hard or soft blocks.", rich_help_panel=help_panels.OCCLUSION)
    ] = "nearest",
    present_only: Annotated[
        bool, typer.Option(help="Draw only parts that the image shows.", rich_help_panel=help_panels.OCCLUSION)
    ] = False,
    cutouts: Annotated[
        Path | None,
        typer.Option(
            help="Folder of RGBA images for the style cutouts; the world's by default.",
            rich_help_panel=help_panels.OCCLUSION,
        ),
    ] = None,
    parser: Annotated[
        str, typer.Option(help="What made the maps, for the table.", rich_help_panel=help_panels.PARSING)
    ] = "",
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write crops above their copies, .png or .jpg.", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads; all processors by default.", rich_help_panel=help_panels.EXECUTION),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was done as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Occlude people on purpose: the same files and names in OUT, with `occlusion.csv` saying what was occluded.

    A build that was stopped resumes where it stopped. Figures on such a set are not comparable digit for digit with the
    authors' own copy of Occ-PRCC or Occ-LTCC, whose construction was never published.

    **Examples:**

    `unveil occlude --like occ-prcc /data/prcc /data/occ_prcc`

    `unveil occlude market1501:/data/market /data/market-30 --style blocks --ratio 0.3`

    `unveil occlude world:small occluded --style cutouts --ratio 0.4 --sheet occluded.jpg`
    """
    import dataclasses
    import json

    from unveil.cli.sources import crops_of
    from unveil.data.parsing_tree import attach_parsing
    from unveil.errors import DataError, nearest
    from unveil.experiments.occluders import cutouts_for, translation
    from unveil.occlusion.build import build, root_of
    from unveil.occlusion.components import with_components
    from unveil.occlusion.parts import COMPONENTS, PartsSettings
    from unveil.occlusion.settings import OcclusionSettings
    from unveil.occlusion.sheet import save_copy_sheet

    for name in component or ():
        if name not in COMPONENTS:
            raise DataError(f"no component {name!r}{nearest(name, COMPONENTS)}; there are {', '.join(COMPONENTS)}")
    parts = PartsSettings(
        kernel=kernel,
        threshold=threshold,
        upsample=upsample,
        present_only=present_only,
        components=tuple(component or COMPONENTS),
    )
    settings = OcclusionSettings(style, ratio, seed, parts, cutouts_for(style, cutouts))
    named = _named(source, like, style)
    dataset = crops_of(named or source)
    root = root_of(dataset, Path(source) if like or named is None else named.root or Path())
    if like and style == "parts":
        dataset = with_components(dataset, parsing or root, scheme=scheme, parse=parsing is None)
    elif parsing is not None or (dataset.parsing_scheme is None and (root / "parsing").is_dir()):
        dataset, share = attach_parsing(dataset, parsing or root, scheme=scheme)
        typer.echo(str(share), err=True)
    elif scheme is not None:
        raise DataError(
            f"--scheme {scheme} chooses among the maps of a tree, and none is read here: give its root with --parsing"
        )
    report = build(
        dataset, root, out=out, settings=settings, parser=parser, translate=translation(dataset), workers=workers
    )
    if sheet is not None:
        save_copy_sheet(dataset, out, path=sheet)
    typer.echo(json.dumps(dataclasses.asdict(report)) if as_json else str(report))


def _named(source: str, like: str | None, style: str) -> DataSource | None:
    """Return the dataset that is meant; ``None`` when the source is a folder, a manifest or an image.

    Of PRCC ``rgb/val`` belongs to it, which the authors' copy has; a world comes with its maps in Pascal-Person-Part
    for the style that draws from these components.
    """
    from unveil.data.readers.prcc import has_val
    from unveil.datasets.sources import is_dataset
    from unveil.recipe import DataSource

    if like:
        root = Path(source)
        val = PUBLISHED[like] == "prcc" and has_val(root)
        return DataSource(name=PUBLISHED[like], root=root, options={"val": "true"} if val else {})
    if not is_dataset(source):
        return None
    named = DataSource.of(source)
    if style != "parts" or named.name != "world" or "scheme" in named.options:
        return named
    return named.model_copy(update={"options": {**named.options, "scheme": "pascal7"}})
