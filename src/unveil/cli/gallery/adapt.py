"""``unveil gallery adapt``: the model of a gallery learns from its rows, and the gallery is embedded anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unveil.cli import help_panels
from unveil.cli.adapt_options import (
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
from unveil.errors import DataError
from unveil.gallery.audit import audited, user
from unveil.pretrained import DEFAULT_MODEL

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from unveil.gallery.store.protocol import Store


def command(
    name: Annotated[str, typer.Argument(help="Name of the gallery.")],
    model: Annotated[str, typer.Option(help="Weights of the gallery's own model.")] = DEFAULT_MODEL,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the adapted model; runs/adapted-NAME by default.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = None,
    stages: StagesOption = None,
    epochs: EpochsOption = 8,
    grouping: GroupingOption = "surest",
    pairs: PairsOption = 0.4,
    radius: RadiusOption = 0.55,
    neighbours: NeighboursOption = 20,
    held_out: HeldOutOption = 0.2,
    hold_out_cameras: HoldOutCamerasOption = 0.0,
    keep_worse: Annotated[bool, typer.Option(help="Switch to the model even if it finds less than before.")] = False,
    seed: Annotated[int, typer.Option(help="Of sampling and augmentation.")] = 0,
    undo: Annotated[bool, typer.Option("--undo", help="Switch back to the vectors of the model before.")] = False,
    remove_old: Annotated[
        bool, typer.Option("--remove-old", help="Remove the vectors of the model that does not answer, for good.")
    ] = False,
    why: Annotated[
        str | None, typer.Option(help="Reason, for the audit log.", rich_help_panel=help_panels.AUDIT)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...", rich_help_panel=help_panels.EXECUTION)] = "auto",
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was done as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Let the model of a gallery learn its cameras from the gallery's own rows, without labels.

    Crops of one tracklet, and confirmed results, are one person; tracklets that one camera saw at the same time, and
    rejected results, are two. If the model is better on what was held out, all rows are embedded anew. Until then the
    old vectors answer; the switch is one transaction, and --undo takes it back. Stopped or killed, the same command
    resumes.

    The adapted model is derived from the people in the gallery (docs/operator.md).

    **Examples:** `unveil gallery adapt station --why "new cameras"`, `unveil gallery adapt station --undo`
    """
    from unveil.adaptation.base import Base
    from unveil.adaptation.gallery import job
    from unveil.gallery.ingest.quality import find_parser
    from unveil.inference.load import load_engine
    from unveil.models.device import pick_device

    if undo and remove_old:
        raise DataError("give --undo or --remove-old, not both")
    with opened(store, folder) as found:
        info = found.info(name)
        if remove_old:
            if info.standby is None:
                raise DataError(f"gallery {name!r} keeps no vectors of another model: there is nothing to remove")
            old = info.standby
            with _entered(found, "remove old model", name, why, {"model": old.space.fingerprint}):
                found.drop_standby(name)
            told = {"gallery": name, "removed": old.space.fingerprint, "weights": old.model}
            _tell(as_json, told, f"{name}: vectors of {old.space.fingerprint} are removed; its weights: {old.model}")
            return
        parser = find_parser()
        if undo:
            back = {"from": info.space.fingerprint, "to": info.standby and info.standby.space.fingerprint, "undo": True}
            with _entered(found, "switch model", name, why, back) as outcome:
                outcome["embedded"] = job.undo(
                    found, name, load=lambda kept: load_engine(kept if model == DEFAULT_MODEL else model), parser=parser
                )
            _tell(as_json, {"gallery": name, **back}, f"{name} answers with model {back['to']} again")
            return
        base = Base.load(model, pick_device(device))
        settings = settings_of(
            base, stages,
            epochs=epochs, grouping=grouping, pairs=pairs, radius=radius, neighbours=neighbours,
            held_out=held_out, hold_out_cameras=hold_out_cameras, seed=seed,
        )  # fmt: skip
        folder_of_model = out or Path("runs") / f"adapted-{name}"
        with _entered(
            found, "adapt", name, why, {"model": base.fingerprint, "stages": list(settings.stages)}
        ) as outcome:
            learnt, record = job.adapt_to_gallery(
                found, name, model=base, out=folder_of_model, settings=settings, keep_worse=keep_worse
            )
            outcome |= {"adapted": record.fingerprint, "crops": record.crops, "weights": str(learnt.path)}
        if record.fingerprint == info.space.fingerprint:
            _tell(as_json, {"gallery": name, "model": record.fingerprint, "weights": str(learnt.path)},
                  f"{name} answers with model {record.fingerprint} already")  # fmt: skip
            return
        engine = load_engine(learnt.path)
        own = str(Path(model).resolve()) if Path(model).exists() else model
        made = job.embed_anew(found, name, engine=engine, model=str(learnt.path), own=own, parser=parser)
        change = {"from": base.fingerprint, "to": record.fingerprint}
        with _entered(found, "switch model", name, why, change) as outcome:
            made += job.switch(found, name, engine=engine, model=str(learnt.path), parser=parser)
            outcome["embedded"] = made
        calibrated = found.info(name).calibration is not None
    evaluation = learnt.adaptation.evaluation if learnt.adaptation else {}
    _tell(as_json, {"gallery": name, "model": record.fingerprint, "weights": str(learnt.path),
                    "evaluation": evaluation},
          "\n".join([
              *figure_lines(evaluation),
              f"{name}: {made} rows embedded anew; it answers with model {record.fingerprint} now, search and "
              f"add with --model {learnt.path.parent}",
              *(["the calibration is out of date: fit it anew with `unveil gallery calibrate`"] if calibrated else []),
              f"the vectors before are kept: `unveil gallery adapt {name} --undo`, or --remove-old",
          ]))  # fmt: skip


def _entered(
    store: Store, action: str, gallery: str, why: str | None, details: dict[str, Any]
) -> AbstractContextManager[dict[str, Any]]:
    return audited(store.log, {"who": user(), "action": action, "gallery": gallery, "why": why, "details": details})


def _tell(as_json: bool, told: dict[str, Any], text: str) -> None:
    typer.echo(json.dumps(told) if as_json else text)
