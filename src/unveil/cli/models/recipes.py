"""Finding a recipe by file or by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

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


def _folder() -> Path:
    return Path(str(files("unveil") / "recipes"))
