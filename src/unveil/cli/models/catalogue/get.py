"""``unveil models get``: a published model, fetched because it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from unveil.models.catalogue.entry import PublishedFile
    from unveil.models.catalogue.transfer import Progress

START = "imagenet:"


def command(
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


@contextmanager
def _shown(file: PublishedFile) -> Iterator[Progress]:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(file.name, total=file.size)
        yield lambda done, total: bar.update(task, completed=done, total=total)
