"""The commands by name, each imported when it is called: building all of them takes longer than most help pages."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

import typer

from unveil.cli import help_panels


class Command(NamedTuple):
    """A command, or a group of commands.

    Args:
        module: below ``unveil.cli``; it has ``command``, or ``app`` for a group.
        summary: first sentence of its help.
    """

    module: str
    summary: str


COMMANDS = {
    "demo": Command(
        "models.demo",
        "Render people, find occluded and re-dressed ones again, fine-tune for a minute, and write one HTML report.",
    ),
    "train": Command(
        "models.train", "Train a recipe; the run folder gets model, best model, metrics, recipe and training curves."
    ),
    "pretrain": Command(
        "models.pretrain", "Render a world, train recipes on it, measure and pack every model, in slices of minutes."
    ),
    "adapt": Command("models.adapt", "Adapt a model to cameras from crops that nobody labelled."),
    "evaluate": Command(
        "models.evaluate",
        "Evaluate a model: CMC, mAP, mINP with 95 % intervals, the protocol printed with each figure.",
    ),
    "embed": Command("models.embed", "Embed crops with a model. Files that cannot be read are listed and left out."),
    "search": Command(
        "search.command",
        "Rank a gallery, or a file of embeddings, for a query; show why, as a table, an image or a page.",
    ),
    "serve": Command(
        "gallery.serve", "Serve galleries: an HTTP API (`/api/v1/openapi.json`) and, at `/`, a page to search on."
    ),
    "watch": Command(
        "gallery.watch", "Watch a live stream, or a video as one, for people on a list, and raise an alert for each."
    ),
    "export": Command(
        "models.export",
        "Write a model as one graph and check that it gives what PyTorch gives; nothing is written otherwise.",
    ),
    "parse": Command(
        "data.parse",
        "Parse every crop into `OUT/parsing/<scheme>/<relative image path>.png`; a second run resumes the first.",
    ),
    "occlude": Command(
        "data.occlude",
        "Occlude people on purpose: the same files and names in OUT, with `occlusion.csv` saying what was occluded.",
    ),
    "robustness": Command(
        "models.robustness",
        "Occlude a growing part of every query and measure again: Rank-1 and mAP against the occluded part.",
    ),
    "bench": Command("models.bench", "Compare recipes; a stopped grid resumes when called again."),
    "ablate": Command(
        "models.ablate",
        "Run a paper's ablation table: every row with every seed; a stopped grid resumes when called again.",
    ),
    "ablate-all": Command(
        "models.ablate_all",
        "Run every ablation table of every method, from the recipes METHOD-world; a stopped run resumes when called "
        "again.",
    ),
    "methods": Command(
        "models.methods",
        "List the methods with their paper, what they need, parameters, multiply-adds and feature size.",
    ),
    "doctor": Command(
        "doctor", "Show versions, devices, threads, caches, models, and what each missing extra would give."
    ),
}
GROUPS = {
    "data": Command("data.app", "Datasets: which can be read, and is one of them whole?"),
    "gallery": Command("gallery.app", "People in images and videos, kept so that they can be searched."),
    "case": Command(
        "case.app", "Cases: searches and sightings that are kept, and archives of them that can be checked."
    ),
    "audit": Command("gallery.audit", "Who searched for whom and why, and whether the log is whole."),
    "models": Command("models.catalogue.app", "Published, installed and shipped models; cards for models of others."),
    "world": Command("world.app", "Synthetic people, rendered with exact labels."),
}


def add_commands(app: typer.Typer, only: str | None = None) -> None:
    """Add all commands to the application.

    Args:
        app: what they are added to.
        only: name of the command that is going to run; of the others nothing but the summary is there. An empty text:
            none runs. ``None``: all are whole.
    """
    for name, found in COMMANDS.items():
        add = app.command(name, epilog=help_panels.EXIT_CODES, help=None if only in (None, name) else found.summary)
        add(importlib.import_module(f"unveil.cli.{found.module}").command if only in (None, name) else _not_imported())
    for name, found in GROUPS.items():
        if only in (None, name):
            app.add_typer(importlib.import_module(f"unveil.cli.{found.module}").app, name=name)
        else:
            app.command(name, help=found.summary)(_not_imported())


def called(words: list[str]) -> str | None:
    """Return the name of the command that a command line calls, as `add_commands` takes it.

    Args:
        words: of the command line, without the program. Options before the command take no values.
    """
    word = next((word for word in words if not word.startswith("-")), "")
    return word if word in COMMANDS or word in GROUPS else ""


def _not_imported() -> Callable[[], None]:
    def command() -> None:
        raise AssertionError("this command was not imported")

    return command
