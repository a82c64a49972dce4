"""``unveil models verify|remove|card``: what is installed, and what a card says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from unveil.errors import CheckpointError, nearest

PARSER = "parser"


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names of installed models; all by default.")] = None,
) -> None:
    """Check installed models against the digests in their cards, and open each.

    **Example:** `unveil models verify`
    """
    from unveil.errors import UnveilError
    from unveil.inference.load import load_engine
    from unveil.models.catalogue.installed import DETECTOR, installed
    from unveil.video.detectors.detect import load_detector

    found = [model for model in installed() if not names or model.name in names]
    for name in names or ():
        _installed(name)
    bad = 0
    for model in found:
        try:
            (load_detector if model.kind == DETECTOR else load_engine)(model.model)
            typer.echo(f"{model.name}: as its card says")
        except UnveilError as e:
            bad += 1
            typer.echo(f"{model.name}: {e}", err=True)
    if bad:
        raise typer.Exit(1)


def remove(name: Annotated[str, typer.Argument(help="Name of an installed model.")]) -> None:
    """Remove an installed model from this machine.

    **Example:** `unveil models remove yolox-s`
    """
    folder = _installed(name).parent
    # The card first: what is left of an interrupted removal is no installed model.
    (folder / f"{name}.json").unlink()
    shutil.rmtree(folder)
    typer.echo(f"removed {folder}")


def card(name: Annotated[str, typer.Argument(help="Name of an installed, published or shipped model.")]) -> None:
    """Print the card of a model, or what is known of a published one.

    **Example:** `unveil models card person-detection-0202`
    """
    from unveil.models.catalogue.detectors import OWN
    from unveil.models.catalogue.installed import installed_path
    from unveil.models.catalogue.known import find_known
    from unveil.parsing.default import DEFAULT_CARD
    from unveil.pretrained import PREFIX, weights_path
    from unveil.video.detectors import default

    if name in (PARSER, OWN):
        shipped = DEFAULT_CARD if name == PARSER else default.DEFAULT_CARD
        typer.echo(shipped.read_text(encoding="utf-8").rstrip())
    elif name.startswith(PREFIX):
        typer.echo(weights_path(name).with_suffix(".json").read_text(encoding="utf-8").rstrip())
    elif installed_path(name) is not None:
        typer.echo(_installed(name).read_text(encoding="utf-8", errors="replace").rstrip())
    else:
        known = find_known(name)
        told = {"about": known.about, "source": known.source, "trained_on": known.trained_on, "licence": known.licence}
        told |= {"restriction": known.restriction, "files": [file.address for file in known.files]}  # type: ignore[dict-item]
        typer.echo(json.dumps(dict(known.card) | told, indent=2))


def _installed(name: str) -> Path:
    """Return the card of an installed model."""
    from unveil.models.catalogue.installed import installed_names, models_folder

    known = installed_names()
    if name not in known:
        raise CheckpointError(
            f"no model {name!r} is installed{nearest(name, known)}; installed: {', '.join(known) or 'none'}"
        )
    return models_folder() / name / f"{name}.json"
