"""Finding a recipe by file or by name, and listing those of the package."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import typer
from rich.console import Console

from unveil.cli.tables import Table
from unveil.errors import RecipeError, nearest


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(Path(str(entry)).stem for entry in _folder().iterdir() if str(entry).endswith(".yaml"))


def find_recipe(name: str | None) -> Path | None:
    """Return the file of a recipe given by path or by name; ``None`` stays ``None`` (the defaults).

    Raises:
        RecipeError: there is no such file or name.
    """
    if name is None or Path(name).is_file():
        return Path(name) if name else None
    if name in recipe_names():
        return _folder() / f"{name}.yaml"
    raise RecipeError(
        f"no recipe {name!r}: neither a file nor one of {', '.join(recipe_names())}{nearest(name, recipe_names())}"
    )


def print_recipes(*, as_json: bool) -> None:
    """Print the package's recipes: what each trains, how large and how long, and what its data must have."""
    rows = [_row(name) for name in recipe_names()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


def _row(name: str) -> dict[str, str | int]:
    from unveil.methods import method_requirements
    from unveil.recipe import load_recipe

    path = _folder() / f"{name}.yaml"
    recipe = load_recipe(path)
    needs = method_requirements(recipe.method.name, recipe.method.settings)
    maps = {needs.train_parsing, needs.test_parsing} - {None}
    return {
        "recipe": name,
        "method": recipe.method.name,
        "backbone": recipe.backbone.name,
        "input": f"{recipe.input.height}x{recipe.input.width}",
        "batch": f"{recipe.sampler.persons}x{recipe.sampler.images}",
        "epochs": recipe.train.epochs,
        "needs": ", ".join(["outfits"] * needs.train_clothes + sorted(f"maps in {scheme}" for scheme in maps)),
        "about": _first_sentence(path.read_text()),
    }


def _first_sentence(text: str) -> str:
    """Return the first sentence of the comment that a recipe begins with."""
    comment = " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    return comment.split(". ")[0].removesuffix(".")


def _folder() -> Path:
    return Path(str(files("unveil") / "recipes"))
