"""``unveil models join``: shards of a model as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(help="Folder of shards, as `unveil pretrain` packs them.")],
    file: Annotated[Path, typer.Argument(help="Model file to write, .safetensors.")],
) -> None:
    """Check the shards of a model against their SHA-256s and join them into one file.

    **Example:** `unveil models join runs/full/models/bot/0 bot.safetensors`
    """
    from unveil.models.packing.shards import join_shards

    model = join_shards(folder, file)
    typer.echo(f"model {model.card.fingerprint} of {model.recipe.method.name} in {file}")
