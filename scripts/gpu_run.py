"""Train a list of recipes at full size wherever a GPU is at hand, in slices of minutes that each leave a usable state.

    python scripts/gpu_run.py OUT --slice-minutes 8          # again and again, until the exit code is 0
    python scripts/gpu_run.py --join OUT/models/bot/0 bot.safetensors

A slice renders the world on all cores, trains on, evaluates what is finished under all protocols, and packs every model
as half-precision shards. Nothing is fetched from a network. Killed at any moment, the same command goes on.
OUT gets ``runs/`` (one folder a run), ``runs/results.csv`` (with the device's name), ``models/`` (shards, their
SHA-256s, card), ``log.txt`` and ``cache/`` (the world and decoded crops). Exit codes: 0 finished, 3 more, 2 error.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from unveil.cli.models.recipes import find_recipe
from unveil.errors import CheckpointError, InterruptedRunError, UnveilError
from unveil.evaluation.evaluate import Result
from unveil.experiments.grid import Cell, run_grid
from unveil.files import locked, write_text
from unveil.models.card import Card
from unveil.models.checkpoint import NAME, load_model
from unveil.models.shards import MANIFEST, join_shards, read_manifest, write_shards
from unveil.progress import show_progress
from unveil.recipe import load_recipe

log = logging.getLogger("gpu_run")
FINISHED, ERROR, MORE = 0, 2, 3
LEAST_SECONDS = 30.0  # of rendering: shorter slices would begin again and again and never come further
RECIPES = ("bot", "sbs", "cal", "oc4", "ssgr", "pab", "cre", "ocnet", "combined")
RENDER = "import sys; from unveil.datasets import load_dataset; from unveil.recipe import DataSource; " \
    "load_dataset(DataSource.model_validate(sys.argv[1]))"  # fmt: skip


@dataclass(frozen=True)
class Size:
    """A world, the ending of the recipes' names, and what is changed in all of them."""

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
        ),
    ),
    "small": Size("world:small", "-world"),
    "large": Size("world:large"),
}


def main() -> int:
    """Run one slice, or join shards; return the exit code."""
    arguments = _parser().parse_args()
    try:
        if arguments.join:
            model = join_shards(*arguments.join)
            print(f"model {model.card.fingerprint} of {model.recipe.method.name} in {arguments.join[1]}")
            return FINISHED
        if arguments.out is None:
            raise UnveilError("name the folder of the runs, or --join FOLDER FILE")
        size = SIZES[arguments.size]
        size = replace(size, world=arguments.world or size.world, changes=(*size.changes, *arguments.set))
        return run_slice(arguments.out, size, arguments.recipes, arguments.seeds, arguments.slice_minutes)
    except UnveilError as e:
        print(f"error: {e}", file=sys.stderr)
        return ERROR


def run_slice(out: Path, size: Size, recipes: list[str], seeds: int, minutes: float) -> int:
    """Go on with a list of recipes for about so many minutes.

    Args:
        out: folder of the runs.
        size: what to run them on, and at.
        recipes: names of full-size recipes.
        seeds: how many seeds of each.
        minutes: length of the slice; decoding and evaluation, once begun, run to their end.

    Returns:
        0 when everything is trained, measured and packed, 3 when there is more to do.

    Raises:
        UnveilError: a recipe is unknown or wrong, or the folder cannot be written.
    """
    end = time.monotonic() + 60 * minutes
    out.mkdir(parents=True, exist_ok=True)
    os.environ["UNVEIL_CACHE"] = str((out / "cache").resolve())
    changes = (f"data.train={size.world}", f"data.test={size.world}", "train.eval_every=0", *size.changes)
    cells = [Cell(name, load_recipe(find_recipe(name + size.ending), changes)) for name in recipes]
    with locked(out / "slice"):
        _log_into(out / "log.txt")
        if not render(size.world, end - time.monotonic()):
            log.info("the world is not finished yet")
            return MORE
        try:
            run_grid(cells, range(seeds), out / "runs", minutes=max(end - time.monotonic(), 0) / 60)
            finished = True
        except InterruptedRunError as e:
            log.info("%s", e)
            finished = False
        for model in sorted((out / "runs").glob(f"*/*/{NAME}")):
            pack(model.parent, out / "models" / model.parent.relative_to(out / "runs"))
    log.info("finished" if finished else "more to do: run the same command again")
    return FINISHED if finished else MORE


def render(world: str, seconds: float) -> bool:
    """Render a world within a time; whether it is finished. What is rendered already is kept.

    Raises:
        UnveilError: the render fails; its message is in the log.
    """
    process = subprocess.Popen([sys.executable, "-c", RENDER, world], start_new_session=True)
    try:
        code = process.wait(max(seconds, LEAST_SECONDS))
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
            process.wait()
    if code:
        raise UnveilError(f"rendering {world} failed with exit code {code}")
    return True


def pack(run: Path, folder: Path) -> None:
    """Write the model of a run as shards with a card for people, unless they are there already."""
    try:
        model = load_model(run)
    except CheckpointError as e:  # a kill in the middle of a slice: the next one trains on
        log.warning("%s", e)
        return
    try:
        if read_manifest(folder).card == model.card:
            return
    except CheckpointError:
        pass
    manifest = write_shards(model, folder)
    write_text(folder / "README.md", card_text(model.card, len(manifest.shards)))
    log.info("%s packed into %d shards, %s", run, len(manifest.shards), folder / MANIFEST)


def card_text(card: Card, shards: int) -> str:
    """Return the card of a model for people."""
    method, backbone, train = (card.recipe[key] for key in ("method", "backbone", "train"))
    lines = [
        f"# {method['name']} on {backbone['name']}",
        "",
        f"Trained with unveil {card.unveil} for {card.epoch} of {train['epochs']} epochs, seed {train['seed']}, on "
        f"{card.device}, from {card.started_from}, on "
        + ", ".join(f"{data.name} ({data.images} crops of {data.persons} people, {data.hash})" for data in card.data)
        + ".",
        "",
        f"{shards} shards of half-precision weights; `python scripts/gpu_run.py --join FOLDER model.safetensors` "
        "checks their SHA-256s and joins them. The whole recipe is in `manifest.json`.",
        "",
    ]
    results = [Result.from_json(tree) for tree in card.figures]
    if not results:
        return "\n".join([*lines, "Not finished: no figures yet.", ""])
    rows = [
        f"| {r.dataset} | {r.protocol}#{r.protocol_hash} | {100 * r.cmc[1]:.1f} | {100 * r.mean_ap:.1f} | {r.queries} |"
        for r in results
    ]
    return "\n".join([*lines, "| data | protocol | Rank-1 | mAP | queries |", "|---|---|---|---|---|", *rows, ""])


def _log_into(path: Path) -> None:
    formatter = logging.Formatter("%(asctime)s %(name)s: %(message)s")
    for handler in (logging.StreamHandler(), logging.FileHandler(path, encoding="utf-8")):
        handler.setFormatter(formatter)
        logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    show_progress()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="folder of the runs")
    parser.add_argument("--size", choices=SIZES, default="large", help="full size by default; small is for two cores")
    parser.add_argument(
        "--recipes", type=lambda text: text.split(","), default=list(RECIPES), help="separated by commas"
    )
    parser.add_argument("--world", help="another world than that of the size, for example world:small")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of each recipe")
    parser.add_argument("--slice-minutes", type=float, default=8.0, help="about how long to work")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change every recipe")
    parser.add_argument("--join", type=Path, nargs=2, metavar=("FOLDER", "FILE"), help="join shards into a model")
    return parser


if __name__ == "__main__":
    sys.exit(main())
