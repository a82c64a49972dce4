"""``unveil adapt``: a network learns the cameras of its user from crops without labels."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.adapt_options import (
    ApartOption,
    EpochsOption,
    GroupingOption,
    HeldOutOption,
    HoldOutCamerasOption,
    NeighboursOption,
    PairsOption,
    RadiusOption,
    StagesOption,
    settings_of,
)
from unveil.cli.adaptation_figures import figure_lines
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.gallery.audit import audited, user

if TYPE_CHECKING:
    from unveil.adaptation.gallery.crops import GalleryCrops
    from unveil.adaptation.groups.links import FeedbackPair
    from unveil.records import Dataset

GALLERY = "gallery:"


def command(
    model: Annotated[
        str,
        typer.Argument(
            help="A run's folder, a model file of this package, unveil:NAME, or a model of another project."
        ),
    ],
    data: Annotated[
        list[str],
        typer.Argument(
            help="Crops: a folder, a manifest (.csv) with camera, tracklet, time and place where known, name:root, or "
            "gallery:NAME."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the adapted model.", rich_help_panel=help_panels.OUTPUT)] = Path(
        "runs/adapted"
    ),
    stages: StagesOption = None,
    epochs: EpochsOption = 8,
    grouping: GroupingOption = "surest",
    pairs: PairsOption = 0.4,
    apart: ApartOption = False,
    radius: RadiusOption = 0.55,
    neighbours: NeighboursOption = 20,
    held_out: HeldOutOption = 0.2,
    hold_out_cameras: HoldOutCamerasOption = 0.0,
    skip_person_check: Annotated[
        bool, typer.Option("--skip-person-check", help="Take crops on which no person is detected.")
    ] = False,
    keep_worse: Annotated[bool, typer.Option(help="Write the model even if it finds less than before.")] = False,
    seed: Annotated[int, typer.Option(help="Of sampling and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...", rich_help_panel=help_panels.EXECUTION)] = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was done as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Adapt a model to cameras from crops that nobody labelled.

    Crops of one tracklet are one person; tracklets that one camera saw at the same time are two. Of a gallery, results
    that were confirmed or rejected count too. A share of the tracklets is held out: one half of each must find the
    other, before and after, and a model that got worse is not written. The same command resumes a run that was stopped.

    **Examples:** `unveil adapt unveil:dual crops/ --out runs/shop`,
    `unveil adapt unveil:dual crops.csv --stages statistics --out runs/shop`,
    `unveil adapt unveil:dual gallery:station --out runs/station`
    """
    from unveil.adaptation.base import Base
    from unveil.adaptation.gallery.crops import gallery_crops
    from unveil.adaptation.gallery.job import decoded_images, note_derived
    from unveil.datasets.sources import crops_of
    from unveil.gallery.ingest.quality import find_parser
    from unveil.models.device import pick_device

    base = Base.load(model, pick_device(device))
    settings = settings_of(
        base, stages,
        epochs=epochs, grouping=grouping, pairs=pairs, radius=radius, neighbours=neighbours,
        apart=apart, held_out=held_out, hold_out_cameras=hold_out_cameras, seed=seed,
    )  # fmt: skip
    galleries = [source.removeprefix(GALLERY) for source in data if source.startswith(GALLERY)]
    with ExitStack() as open_until_the_end:
        found = open_until_the_end.enter_context(opened(store, folder)) if galleries else None
        for name in galleries:
            assert found is not None
            details = {"model": base.fingerprint, "out": str(out)}
            entry = {"who": user(), "action": "adapt", "gallery": name, "details": details}
            open_until_the_end.enter_context(audited(found.log, entry))
        datasets: list[Dataset] = []
        feedback: list[FeedbackPair] = []
        taken: list[GalleryCrops] = []
        for source in data:
            if found is not None and source.startswith(GALLERY):
                name = source.removeprefix(GALLERY)
                taken.append(gallery_crops(found, name, number=len(datasets), seed=seed))
                feedback += taken[-1].feedback
                datasets.append(taken[-1].dataset)
            else:
                datasets.append(crops_of(source))
        # Images of a gallery were looked at when they were added, and belong in its store alone.
        parser = None if skip_person_check or len(galleries) == len(data) else find_parser()
        with decoded_images(out, cache, of_gallery=bool(galleries)) as images:
            adapted = base.adapt(
                datasets, out, settings=settings, feedback=feedback, galleries=galleries, cache=images, parser=parser,
                keep_worse=keep_worse,
            )  # fmt: skip
        for crops in taken:
            assert found is not None
            note_derived(found, crops, model=adapted)
    evaluation = adapted.adaptation.evaluation if adapted.adaptation else {}
    if as_json:
        typer.echo(json.dumps({"model": adapted.fingerprint, "out": str(out), "evaluation": evaluation}))
        return
    typer.echo(f"model {adapted.fingerprint} in {out}")
    for line in figure_lines(evaluation):
        typer.echo(line)
