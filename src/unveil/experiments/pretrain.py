"""Training a list of recipes at full size in slices of minutes, each of which leaves a usable state.

A slice renders the world on all cores, trains, evaluates what is finished under all protocols, and packs every model.
Killed at any moment, the next slice resumes.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unveil.atomic_io import locked
from unveil.errors import InterruptedRunError, UnveilError
from unveil.experiments.grid import Cell, run_grid
from unveil.experiments.packing import pack
from unveil.models.checkpoint import NAME
from unveil.recipe import Recipe

log = logging.getLogger(__name__)
MIN_RENDER_SECONDS = 30.0  # shorter slices would begin again and again and never come further
RECIPES = ("bot", "sbs", "cal", "oc4", "ssgr", "pab", "cre", "ocnet", "combined")
RENDER = """
import sys
from unveil.datasets import load_dataset
from unveil.errors import UnveilError
from unveil.recipe import DataSource
try:
    load_dataset(DataSource.model_validate(sys.argv[1]))
except UnveilError as e:
    sys.exit(f"{e}")
"""


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Args:
        world: source of the crops to train and test on.
        ending: of the recipes' names where there is such a recipe: ``-world`` has recipes for two cores.
        changes: overrides of every recipe.
    """

    world: str
    ending: str = ""
    changes: tuple[str, ...] = ()


SIZES = {
    "tiny": Size(
        "world:tiny?people=6",
        "-world",
        (
            "backbone={name: osnet_x0_25, init: random}",
            "input={height: 64, width: 32}",
            "sampler.persons=2",
            "sampler.images=2",
            "train.epochs=2",
            "train.frozen_engine=pytorch",
        ),
    ),
    "small": Size("world:small", "-world"),
    "large": Size("world:large"),
}


def run_slice(out: Path, recipes: Sequence[tuple[str, Recipe]], *, world: str, seeds: int, minutes: float) -> None:
    """Train, measure and pack a list of recipes for about so many minutes.

    Args:
        out: folder: gets ``runs/`` (one folder a run, ``results.csv``), ``models/`` (shards and cards), ``log.txt`` and
            ``cache/`` (the world and decoded crops).
        recipes: label and recipe of each; they train and test on ``world``.
        world: source to render first.
        seeds: how many seeds of each recipe.
        minutes: length of the slice; decoding and evaluation, once begun, run to their end.

    Raises:
        InterruptedRunError: there is more to do; the same call resumes.
        UnveilError: a recipe or the world is wrong, or the folder cannot be written.
    """
    end = time.monotonic() + 60 * minutes
    cells = [Cell(label, recipe) for label, recipe in recipes]
    with _cache_in(out / "cache"), locked(out / "slice"), _log_into(out / "log.txt"):
        if not render(world, end - time.monotonic()):
            raise InterruptedRunError(f"{world} is not rendered yet; the same command resumes")
        try:
            run_grid(cells, range(seeds), out=out / "runs", minutes=max(end - time.monotonic(), 0) / 60)
        finally:
            # What an earlier slice finished is packed by the next one, whatever happens to the rest.
            for model in sorted((out / "runs").glob(f"*/*/{NAME}")):
                pack(model.parent, out / "models" / model.parent.relative_to(out / "runs"))
        log.info("finished: %s", out / "models")


def render(world: str, seconds: float) -> bool:
    """Render a world within a time and return whether it is finished; what is rendered already is kept.

    Raises:
        UnveilError: the render fails; its message is on standard error.
    """
    process = subprocess.Popen([sys.executable, "-c", RENDER, world], start_new_session=True)
    try:
        code = process.wait(max(seconds, MIN_RENDER_SECONDS))
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
            process.wait()
    if code:
        raise UnveilError(f"rendering {world} failed with exit code {code}")
    return True


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    """Keep the caches in a folder: what a slice rendered and decoded travels with its runs."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UnveilError(f"cannot write in {folder}: {e.strerror or e}") from e
    before = os.environ.get("UNVEIL_CACHE")
    os.environ["UNVEIL_CACHE"] = str(folder.resolve())  # the environment: processes that render see it too
    try:
        yield
    finally:
        if before is None:
            del os.environ["UNVEIL_CACHE"]
        else:
            os.environ["UNVEIL_CACHE"] = before


@contextmanager
def _log_into(path: Path) -> Iterator[None]:
    """Append what the package logs to a file, also where the terminal is quiet."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    package = logging.getLogger("unveil")
    level = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    except UnveilError as e:
        log.info("%s", e)
        raise
    finally:
        package.setLevel(level)
        package.removeHandler(handler)
        handler.close()
