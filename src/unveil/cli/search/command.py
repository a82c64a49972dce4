"""``unveil search``: where else is this person, in a gallery or in a file of embeddings?"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption
from unveil.cli.search import attributes
from unveil.errors import RecipeError
from unveil.pretrained import DEFAULT_MODEL

IMAGE_OPTIONS = "an image, a folder, a manifest, a file of embeddings, or row:NUMBER of a gallery"
# By the names of the arguments below.
LOOKS = ("upper_colour", "lower_colour", "hair", "sleeves", "legs", "bag", "hat", "include_unseen")
ONLY_IN_GALLERIES = {
    "each", "also", "cameras", "start", "end", "min_visible", "tags", *LOOKS, "rows", "rescore", "rerank", "why",
    "store", "folder",
}  # fmt: skip
ONLY_IN_FILES = {"device", "cache"}
ONLY_WITH_QUERY = {
    "each", "also", "negatives", "box", "rerank", "page", "sheet", "table", "one_person", "only", "mode", "rescore",
    "skip_person_check", "faces",
}  # fmt: skip


class Clothes(StrEnum):
    """Whether the clothes are the same, or may have changed."""

    same = "same"
    changed = "changed"


class Rows(StrEnum):
    """What a row of the answer is."""

    tracklet = "tracklet"
    crop = "crop"


def command(
    context: typer.Context,
    query: Annotated[
        str, typer.Argument(help=f"Query crops: {IMAGE_OPTIONS}. A gallery alone is listed by attributes.")
    ],
    gallery: Annotated[
        str | None, typer.Argument(help="Name of a gallery, or a file of embeddings (`unveil embed`).")
    ] = None,
    model: Annotated[Path, typer.Option(help="Model that embeds the query; not used for embeddings.")] = Path(
        DEFAULT_MODEL
    ),
    top: Annotated[int, typer.Option(min=1, max=10_000, help="Results for each query.")] = 10,
    one_person: Annotated[
        bool, typer.Option(help="All query crops show one person: give one list.", rich_help_panel=help_panels.QUERY)
    ] = False,
    each: Annotated[
        bool,
        typer.Option(help="In a gallery: each query crop is a query of its own.", rich_help_panel=help_panels.QUERY),
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(help="Search in this gallery of the same model too; repeat it.", rich_help_panel=help_panels.ROWS),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="Only query crops whose key contains this text.", rich_help_panel=help_panels.QUERY),
    ] = None,
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            "--not", help="Image of somebody who is not meant; may be given again.", rich_help_panel=help_panels.QUERY
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(help="Use this part of the query image: x,y,width,height.", rich_help_panel=help_panels.QUERY),
    ] = None,
    mode: Annotated[Clothes, typer.Option(help="Whether clothes are the same or may have changed.")] = Clothes.same,
    cameras: Annotated[
        list[str] | None, typer.Option("--camera", help="Any of these cameras.", rich_help_panel=help_panels.ROWS)
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Not before: 2026-03-01T08:30.", rich_help_panel=help_panels.ROWS)
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Not after.", rich_help_panel=help_panels.ROWS)] = None,
    min_visible: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="At least this share of the body shows.", rich_help_panel=help_panels.ROWS),
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="Has this tag; all of several.", rich_help_panel=help_panels.ROWS)
    ] = None,
    upper_colour: attributes.UpperColours = None,
    lower_colour: attributes.LowerColours = None,
    hair: attributes.HairOption = None,
    sleeves: attributes.SleevesOption = None,
    legs: attributes.LegsOption = None,
    bag: attributes.BagOption = None,
    hat: attributes.HatOption = None,
    include_unseen: attributes.Unseen = False,
    rows: Annotated[
        Rows, typer.Option(help="One result per tracklet, or one per crop.", rich_help_panel=help_panels.ROWS)
    ] = Rows.tracklet,
    rescore: Annotated[
        int,
        typer.Option(
            min=1, max=10_000, help="In a gallery: candidates compared exactly.", rich_help_panel=help_panels.EXECUTION
        ),
    ] = 500,
    rerank: Annotated[
        bool,
        typer.Option(
            help="In a gallery: order the candidates by k-reciprocal re-ranking.", rich_help_panel=help_panels.EXECUTION
        ),
    ] = False,
    why: Annotated[
        str | None, typer.Option(help="Reason, for the audit log.", rich_help_panel=help_panels.AUDIT)
    ] = None,
    skip_person_check: Annotated[
        bool,
        typer.Option(
            "--skip-person-check",
            help="Search even if no person is detected on the query.",
            rich_help_panel=help_panels.QUERY,
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(help="What runs the model: auto, torch, onnx or openvino.", rich_help_panel=help_panels.EXECUTION),
    ] = "auto",
    faces: Annotated[
        bool,
        typer.Option(help="Do not blur faces in --page and --sheet.", rich_help_panel=help_panels.OUTPUT),
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write the ranked sheet as an image (.png).", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write the report as one self-contained page (.html).", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Write the results as a table (.csv).", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    device: Annotated[
        str, typer.Option(help="For a file of embeddings: auto, cpu, cuda ...", rich_help_panel=help_panels.EXECUTION)
    ] = "auto",
    cache: Annotated[
        Path | None,
        typer.Option(help="For a file of embeddings: folder of decoded images.", rich_help_panel=help_panels.EXECUTION),
    ] = None,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the answer as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Rank a gallery, or a file of embeddings, for a query; show why, as a table, an image or a page.

    Without a query, rows are listed by attributes alone, the surest first. In a gallery the audit log keeps who
    searched, why, and what was found. Faces in pages and sheets are blurred.

    **Examples:** `unveil search query.jpg station --camera gate --why "lost child" --page found.html`,
    `unveil search row:17 station --mode changed --rerank`,
    `unveil search station --upper-colour blue --bag yes`,
    `unveil search crops/ station --each --also lobby --csv all.csv`,
    `unveil search query.jpg crops.safetensors --model runs/best`
    """
    # Imported where they are used: a search is asked for many times a day, and each costs a part of its second.
    from unveil.gallery.search.query import read_box

    looks = attributes.asked_for(
        upper_colour=upper_colour,
        lower_colour=lower_colour,
        hair=hair,
        sleeves=sleeves,
        legs=legs,
        bag=bag,
        hat=hat,
    )
    alone = gallery is None
    gallery = gallery or query
    if alone and not looks:
        raise RecipeError(f"say whom to look for in {gallery}: a query before it, or attributes such as --bag yes")
    if alone and (given := _given(context, ONLY_WITH_QUERY)):
        raise RecipeError(f"{given[0]} needs a query; rows by attributes alone are printed, with --json for programs")
    if box and (query.endswith(".safetensors") or query.startswith("row:")):
        raise RecipeError(f"--box is a part of an image; {query} was embedded before, as a whole")
    from unveil.bulk.shards import shard_files
    from unveil.data.media_types import IMAGE_SUFFIXES

    others, place = tuple(negatives or ()), read_box(box) if box else None
    if Path(gallery).suffix.lower() in IMAGE_SUFFIXES:
        raise RecipeError(f"{gallery} is an image: the query comes first, as in unveil search {gallery} {query}")
    if gallery.endswith(".safetensors") or Path(gallery).is_file() or shard_files(Path(gallery)):
        from unveil.cli.search.in_files import FileSearch, search_file

        if given := _given(context, ONLY_IN_GALLERIES):
            raise RecipeError(f"{given[0]} needs a gallery; {gallery} is a file of embeddings")
        asked = FileSearch(
            query=query,
            gallery=Path(gallery),
            model=model,
            top=top,
            one_person=one_person,
            only=only,
            negatives=others,
            box=place,
            mode=mode.value,
            skip_person_check=skip_person_check,
            faces=faces,
            device=device,
            engine=engine,
            cache=cache,
        )
        code = search_file(asked, sheet, page, table, as_json)
    else:
        from unveil.cli.search.in_gallery import GallerySearch, search_gallery

        if given := _given(context, ONLY_IN_FILES):
            raise RecipeError(f"{given[0]} needs a file of embeddings; {gallery} is a gallery")
        asked_of_gallery = GallerySearch(
            query=query,
            gallery=gallery,
            model=model,
            top=top,
            one_person=one_person,
            only=only,
            negatives=others,
            box=place,
            mode=mode.value,
            cameras=tuple(cameras or ()),
            start=start,
            end=end,
            min_visible=min_visible,
            tags=tuple(tags or ()),
            rows=rows.value,
            rescore=rescore,
            why=why,
            skip_person_check=skip_person_check,
            engine=engine,
            faces=faces,
            store=store,
            folder=folder,
            rerank=rerank,
            each=each,
            also=tuple(also or ()),
            attributes=looks,
            include_unseen=include_unseen,
        )
        if alone:
            code = attributes.list_rows(asked_of_gallery, as_json)
        elif each or also:
            if given := [name for name, value in {"--page": page, "--sheet": sheet}.items() if value]:
                raise RecipeError(f"{given[0]} shows one answer; with --each and --also there are --csv and --json")
            from unveil.cli.search.batch import search_each

            code = search_each(asked_of_gallery, table, as_json)
        else:
            code = search_gallery(asked_of_gallery, sheet, page, table, as_json)
    raise typer.Exit(code)


def _given(context: typer.Context, names: Collection[str]) -> list[str]:
    """Return the flags of those options that stand on the command line, whatever their values."""
    sources = {p.opts[0]: context.get_parameter_source(p.name or "") for p in context.command.params if p.name in names}
    # By its name: typer brings a click of its own.
    return [flag for flag, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
