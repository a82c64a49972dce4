"""``unveil models``: published, installed and shipped models; cards for models of other projects."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from unveil.cli import help_panels
from unveil.cli.models import importing
from unveil.errors import CheckpointError, nearest

if TYPE_CHECKING:
    from unveil.models.catalogue.entry import PublishedFile
    from unveil.models.catalogue.starts import PublishedStart
    from unveil.models.catalogue.transfer import Progress

START = "imagenet:"
app = typer.Typer(no_args_is_help=True, help="Published, installed and shipped models; cards for models of others.")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)]


@app.command("list", epilog=help_panels.EXIT_CODES)
def show(
    speed: Annotated[
        bool, typer.Option("--speed", help="Measure crops a second of the ReID models that are here, now.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the models: those that ship with the package, those installed here, and the published ones that are known.

    `imagenet:BACKBONE` is what a network of yours can start from.

    Nothing is fetched. `--speed` runs each shipped and installed ReID model by its fastest engine, on all cores that
    the process may use; what else the machine does at that moment is in the figure.

    **Examples:** `unveil models list`, `unveil models list --speed`
    """
    rows = _rows()
    if speed:
        _measure(rows)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(
        "name", "state", "what it does", "MB", "licence", "trained on (publisher)", "publisher's figures", "ours",
        *(("crops/s now",) if speed else ()),
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row["name"], row["state"], row["about"], _megabytes(row["bytes"]), row["licence"], row["trained_on"],
            row["claims"], row["measured"], *((_pace(row),) if speed else ()),
        )  # fmt: skip
    Console().print(table)


@app.command(epilog=help_panels.EXIT_CODES)
def get(
    name: Annotated[str, typer.Argument(help="Name of a published model (`unveil models list`).")],
    accept: Annotated[
        bool, typer.Option("--accept-licence", help="Fetch it although its terms forbid some uses.")
    ] = False,
) -> None:
    """Fetch a published model: resumed where it was cut, checked against its digest, installed as a whole.

    `imagenet:BACKBONE` fetches what `backbone.init=imagenet` would fetch when training begins, into `UNVEIL_WEIGHTS`.

    `UNVEIL_MIRROR` names a server to ask in place of the publisher's, `UNVEIL_OFFLINE=1` forbids it, `UNVEIL_MODELS` is
    the folder. Proxies are taken from the usual variables.

    **Example:** `unveil models get person-reidentification-retail-0277`
    """
    from unveil.models.catalogue.get import get_model
    from unveil.models.catalogue.known import find_known

    if name.startswith(START):
        from unveil.models.starts import get_start

        typer.echo(str(get_start(name.removeprefix(START))))
        return
    known = find_known(name)
    typer.echo(f"{known.name}: {known.size / 1e6:.1f} MB, licence {known.licence}, {known.source}", err=True)
    typer.echo(str(get_model(known, accepted=accept, shown=_shown)))


@app.command(epilog=help_panels.EXIT_CODES)
def add(
    file: Annotated[Path, typer.Argument(help="Model file: .onnx, or .xml with its .bin.")],
    like: Annotated[str, typer.Option(help="How it is fed: osnet, omz, imagenet, fastreid, bot, cal, transreid ...")],
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A value of the card that differs.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Install a copy under this name.")] = None,
    replace: Annotated[bool, typer.Option(help="Write over a card that is there.")] = False,
) -> None:
    """Write the card of a ReID model of another project, after trying it on two crops.

    The card lies beside the model, which then works wherever a model is asked for.

    **Examples:** `unveil models add osnet_x0_25.onnx --like osnet`,
    `unveil models add reid.xml --like omz --set licence=Apache-2.0 --name reid`
    """
    from unveil.inference.adding import add_model

    typer.echo(str(add_model(file, like, changes=dict(map(_pair, values or ())), name=name, replace=replace)))


app.command("import", epilog=help_panels.EXIT_CODES)(importing.command)


@app.command(epilog=help_panels.EXIT_CODES)
def join(
    folder: Annotated[Path, typer.Argument(help="Folder of shards, as `unveil pretrain` packs them.")],
    file: Annotated[Path, typer.Argument(help="Model file to write, .safetensors.")],
) -> None:
    """Check the shards of a model against their SHA-256s and join them into one file.

    **Example:** `unveil models join runs/full/models/bot/0 bot.safetensors`
    """
    from unveil.models.shards import join_shards

    model = join_shards(folder, file)
    typer.echo(f"model {model.card.fingerprint} of {model.recipe.method.name} in {file}")


@app.command(epilog=help_panels.EXIT_CODES)
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names of installed models; all by default.")] = None,
) -> None:
    """Check installed models against the digests in their cards, and open each.

    **Example:** `unveil models verify`
    """
    from unveil.errors import UnveilError
    from unveil.inference.load import load_engine
    from unveil.models.catalogue.installed import DETECTOR, installed
    from unveil.video.detect import load_detector

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


@app.command(epilog=help_panels.EXIT_CODES)
def remove(name: Annotated[str, typer.Argument(help="Name of an installed model.")]) -> None:
    """Remove an installed model from this machine.

    **Example:** `unveil models remove yolox-s`
    """
    folder = _installed(name).parent
    # The card first: what is left of an interrupted removal is no installed model.
    (folder / f"{name}.json").unlink()
    shutil.rmtree(folder)
    typer.echo(f"removed {folder}")


@app.command(epilog=help_panels.EXIT_CODES)
def card(name: Annotated[str, typer.Argument(help="Name of an installed, published or shipped model.")]) -> None:
    """Print the card of a model, or what is known of a published one.

    **Example:** `unveil models card person-detection-0202`
    """
    from unveil.models.catalogue.installed import installed_path
    from unveil.models.catalogue.known import find_known
    from unveil.shipped import PREFIX, weights_path

    if name.startswith(PREFIX):
        typer.echo(weights_path(name).with_suffix(".json").read_text(encoding="utf-8").rstrip())
    elif installed_path(name) is not None:
        typer.echo(_installed(name).read_text(encoding="utf-8").rstrip())
    else:
        known = find_known(name)
        told = {"about": known.about, "source": known.source, "trained_on": known.trained_on, "licence": known.licence}
        told |= {"restriction": known.restriction, "files": [file.address for file in known.files]}  # type: ignore[dict-item]
        typer.echo(json.dumps(dict(known.card) | told, indent=2))


def _rows() -> list[dict[str, Any]]:
    from unveil.models.catalogue.installed import installed
    from unveil.models.catalogue.known import KNOWN
    from unveil.models.catalogue.starts import STARTS
    from unveil.runtime.card import read_json
    from unveil.shipped import PREFIX, shipped_names, weights_path

    there = {model.name: model for model in installed()}
    rows = [
        _row(
            f"{PREFIX}{name}",
            "ships",
            "ReID",
            weights_path(f"{PREFIX}{name}").stat().st_size,
            "Apache-2.0",
            "rendered people",
        )
        for name in shipped_names()
    ]
    for known in KNOWN.values():
        state = "installed" if known.name in there else "known"
        licence = known.licence + (" (not for every use)" if known.restriction else "")
        what = f"{known.task}: {known.about}"
        rows.append(_row(known.name, state, what, known.size, licence, known.trained_on, known.claims))
        rows[-1]["measured"] = "; ".join(f"{key} {value}" for key, value in known.measured.items())
    rows += [_start_row(backbone, files) for backbone, files in STARTS.items()]
    for name, model in there.items():
        if name not in KNOWN:
            said = read_json(model.card)
            size = sum(path.stat().st_size for path in model.card.parent.iterdir() if path.is_file())
            rows.append(_row(name, "installed", model.kind, size, said.get("licence", ""), said.get("trained_on", "")))
    return rows


def _measure(rows: list[dict[str, Any]]) -> None:
    from unveil.inference.load import load_engine
    from unveil.inference.speed import crops_per_second
    from unveil.models.catalogue.installed import REID, TRAINED, installed

    here = {model.name for model in installed() if model.kind in (REID, TRAINED)}
    for row in rows:
        row |= {"crops_per_second": None, "engine": None}
        if row["state"] == "ships" or row["name"] in here:
            engine = load_engine(row["name"])
            row |= {"crops_per_second": round(crops_per_second(engine), 1), "engine": engine.kind}


def _pace(row: dict[str, Any]) -> str:
    return "" if row["engine"] is None else f"{row['crops_per_second']:.0f} ({row['engine']})"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.1f}"


def _start_row(backbone: str, files: Sequence[PublishedStart]) -> dict[str, Any]:
    from unveil.models.starts import local_start

    here = next(((start, path) for start in files if (path := local_start(start)) is not None), None)
    start = here[0] if here else files[-1]
    size = here[1].stat().st_size if here else start.size
    state = "installed" if here else "known" if start.digest else "by hand"
    return _row(f"{START}{backbone}", state, f"start of {backbone}: {start.file}", size, start.licence, "ImageNet-1k")


def _row(
    name: str, state: str, about: str, size: int | None, licence: str, trained_on: str, claims: str = ""
) -> dict[str, Any]:
    return {
        "name": name, "state": state, "about": about, "bytes": size, "licence": licence or "not stated",
        "trained_on": trained_on or "not stated", "claims": claims, "measured": "",
    }  # fmt: skip


def _installed(name: str) -> Path:
    """Return the card of an installed model."""
    from unveil.models.catalogue.installed import installed_names, models_folder

    known = installed_names()
    if name not in known:
        raise CheckpointError(
            f"no model {name!r} is installed{nearest(name, known)}; installed: {', '.join(known) or 'none'}"
        )
    return models_folder() / name / f"{name}.json"


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise CheckpointError(f"--set {text}: expected KEY=VALUE, as in channels=bgr or mean=[0.5,0.5,0.5]")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


@contextmanager
def _shown(file: PublishedFile) -> Iterator[Progress]:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(file.name, total=file.size)
        yield lambda done, total: bar.update(task, completed=done, total=total)
