"""The crops that a command was given, and on standard error what of them it leaves out."""

from __future__ import annotations

import typer

from unveil.data.walk import LeftOutNote
from unveil.datasets import sources
from unveil.recipe import DataSource
from unveil.records import Dataset


def crops_of(source: str | DataSource) -> Dataset:
    """Return what `unveil.datasets.sources.crops_of` does, and say what of a folder is left out."""
    dataset = sources.crops_of(source)
    for note in dataset.notes:
        if isinstance(note, LeftOutNote):
            typer.echo(f"{source}: {note}", err=True)
    return dataset
