"""``unveil serve``: the gallery over HTTP, with a page to search on."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, duration, opened
from unveil.cli.tables import Table
from unveil.errors import MissingExtraError, RecipeError
from unveil.pretrained import DEFAULT_MODEL


def command(
    gallery: Annotated[
        list[str] | None, typer.Option(help="Gallery to serve, or that a new token opens; repeat it; all by default.")
    ] = None,
    model: Annotated[Path, typer.Option(help="The model that embedded the galleries.")] = Path(DEFAULT_MODEL),
    store: StoreOption = None,
    folder: FolderOption = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            help="Detector: path, or name of an installed one, unveil:detector or hog; the best installed, else the "
            "package's own, by default."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="auto, torch, onnx or openvino.", rich_help_panel=help_panels.EXECUTION)
    ] = "auto",
    sources: Annotated[
        list[Path] | None,
        typer.Option(help="Folder in which images and videos of rows may be read, to show and play them; repeat it."),
    ] = None,
    ingest: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder from which operators may add videos and images on the page; repeat it.",
            rich_help_panel=help_panels.ACCESS,
        ),
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=ADDRESS of a live stream that operators may add on the page by its name; repeat it.",
            rich_help_panel=help_panels.ACCESS,
        ),
    ] = None,
    uploads: Annotated[
        Path | None,
        typer.Option(
            help="Folder to which operators may send videos and images to be added.",
            rich_help_panel=help_panels.ACCESS,
        ),
    ] = None,
    distances: Annotated[
        Path | None, typer.Option(help="CSV of how far cameras are apart, with the columns from, to and metres.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; without tokens loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    tokens: Annotated[
        Path | None, typer.Option(help="File of tokens: who may come in, as what.", rich_help_panel=help_panels.ACCESS)
    ] = None,
    new_token: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Make a token for somebody, print it once, and end.",
            rich_help_panel=help_panels.ACCESS,
        ),
    ] = None,
    role: Annotated[
        str, typer.Option(help="Role of the new token: reader, operator or admin.", rich_help_panel=help_panels.ACCESS)
    ] = "reader",
    revoke_token: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take a token back, and end.", rich_help_panel=help_panels.ACCESS)
    ] = None,
    expires: Annotated[
        str,
        typer.Option(
            help="How long the new token is good for: 90d, 12h ..., or forever.", rich_help_panel=help_panels.ACCESS
        ),
    ] = "forever",
    list_tokens: Annotated[
        bool, typer.Option("--list-tokens", help="List the tokens, and end.", rich_help_panel=help_panels.ACCESS)
    ] = False,
    require_why: Annotated[
        bool, typer.Option(help="Refuse searches that give no reason.", rich_help_panel=help_panels.ACCESS)
    ] = False,
    max_upload: Annotated[
        int, typer.Option(min=1, max=1000, help="Megabytes of one image.", rich_help_panel=help_panels.LIMITS)
    ] = 20,
    max_pixels: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Millions of pixels of one image.", rich_help_panel=help_panels.LIMITS),
    ] = 64,
    rate: Annotated[
        float,
        typer.Option(min=0, help="Requests per minute of each token; 0: no limit.", rich_help_panel=help_panels.LIMITS),
    ] = 120.0,
    connections_per_address: Annotated[
        int,
        typer.Option(
            min=0,
            max=256,
            help="Connections open at one time from one address; 0: no limit but 256 in all, for a proxy in front.",
            rich_help_panel=help_panels.LIMITS,
        ),
    ] = 64,
    wrong_tokens: Annotated[
        int,
        typer.Option(
            min=0,
            max=10_000,
            help="Wrong tokens per minute from one address, for a proxy those of all clients; 0: no limit.",
            rich_help_panel=help_panels.LIMITS,
        ),
    ] = 20,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file, to speak HTTPS.", rich_help_panel=help_panels.ACCESS)
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file of the certificate's key.", rich_help_panel=help_panels.ACCESS)
    ] = None,
) -> None:
    """Serve galleries: an HTTP API (`/api/v1/openapi.json`) and, at `/`, a page to search on.

    Without tokens it listens on loopback only. SIGTERM ends it after the requests that are under way.

    **Examples:** `unveil serve --gallery station`, `unveil serve --gallery station --model runs/best`,
    `unveil serve --new-token anna --role operator --gallery station --expires 90d --tokens tokens.json`
    """
    if new_token is not None or revoke_token is not None or list_tokens:
        if tokens is None:
            raise RecipeError("name the file of tokens with --tokens")
        if revoke_token is not None:
            _revoke(tokens, revoke_token)
        if new_token is not None:
            _make(tokens, new_token, role=role, galleries=tuple(gallery or ()), seconds=duration(expires))
        if list_tokens:
            _list(tokens)
        return
    from unveil.server.settings import MEGABYTE, Limits, Settings, check_binding, named_streams

    if (certificate is None) != (key is None):
        raise RecipeError("HTTPS needs both --certificate and --key")
    check_binding(host, tokens)
    try:
        from unveil.server.app import create_app
        from unveil.server.run import listen, server_of
        from unveil.server.service import Service
    except ImportError as e:
        if (e.name or "").startswith("unveil"):
            raise
        raise MissingExtraError("unveil serve", "server") from None
    from unveil.gallery.ingest.quality import find_parser
    from unveil.gallery.output.distances import read_distances
    from unveil.inference.load import load_engine
    from unveil.models.catalogue.detectors import chosen_detector
    from unveil.video.detectors.detect import load_detector

    limits = Limits(
        upload=max_upload * MEGABYTE,
        pixels=max_pixels * 1_000_000,
        rate=rate,
        burst=max(1, int(rate / 2)),
        connections_per_address=connections_per_address,
        refused=wrong_tokens,
    )
    apart = read_distances(distances) if distances else {}
    settings = Settings(
        tuple(gallery or ()), tokens, require_why, limits, tuple(sources or ()), apart, tuple(ingest or ()), uploads,
        named_streams(stream or ()),
    )  # fmt: skip
    listener = listen(host, port)
    with opened(store, folder) as found:
        finder = load_detector(chosen_detector(detector)[0])
        service = Service(found, load_engine(model, engine), detector=finder, settings=settings, parser=find_parser())
        for name in settings.galleries:
            service.searcher(found.info(name))
        scheme = "https" if certificate else "http"
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"serving at {scheme}://{shown}:{listener.getsockname()[1]}/", err=True)
        if tokens and not certificate and not host.startswith("127."):
            typer.echo("tokens and images travel unencrypted: use --certificate, or a proxy that does", err=True)
        server_of(create_app(service), certificate, key=key).run(sockets=[listener])


def _revoke(tokens: Path, name: str) -> None:
    from unveil.server.access.tokens import revoke_token

    revoke_token(tokens, name)
    typer.echo(f"{name} may not come in any more", err=True)


def _make(tokens: Path, name: str, *, role: str, galleries: tuple[str, ...], seconds: float | None) -> None:
    from unveil.server.access.tokens import new_token

    typer.echo(new_token(tokens, name, role=role, galleries=galleries, seconds=seconds))
    where = f" in {', '.join(galleries)}" if galleries else ""
    expiry = "" if seconds is None else f" until {_date(time.time() + seconds)}"
    typer.echo(f"{name} may come in as {role}{where}{expiry} with this token; it is not shown again", err=True)


def _list(tokens: Path) -> None:
    from unveil.server.access.tokens import list_tokens

    table = Table("name", "role", "galleries", "made", "expires", "last use")
    for token in list_tokens(tokens):
        expires = "never" if token.expires is None else _date(token.expires)
        if token.expires is not None and token.expires <= time.time():
            expires += " (expired)"
        used = "not known" if token.used is None else _date(token.used)
        galleries = ", ".join(token.galleries) or "all"
        table.add_row(token.name, token.role, galleries, _date(token.created), expires, used)
    Console().print(table)


def _date(seconds: float) -> str:
    from unveil.gallery.records import LAST_DATE

    if not 0 <= seconds < LAST_DATE:  # the file was written by hand
        return "no date"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
