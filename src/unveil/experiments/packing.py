"""Packing the model of a run as half-precision shards with a card for people."""

from __future__ import annotations

import logging
from pathlib import Path

from unveil.atomic_io import write_text
from unveil.errors import CheckpointError
from unveil.evaluation.evaluate import Result
from unveil.models.card import Card
from unveil.models.checkpoint import load_model
from unveil.models.packing.shards import MANIFEST, read_manifest, write_shards

log = logging.getLogger(__name__)


def pack(run: Path, folder: Path) -> None:
    """Write the model of a run as shards with a ``README.md``, unless they are there already.

    Args:
        run: folder of the run; one whose model cannot be read (a kill in the middle of writing) is left for later.
        folder: where the shards go.
    """
    try:
        model = load_model(run)
    except CheckpointError as e:
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
    """Return the card of a model as Markdown: what it is, what it was trained on, and its figures in percent."""
    method, backbone, train = (card.recipe[key] for key in ("method", "backbone", "train"))
    lines = [
        f"# {method['name']} on {backbone['name']}",
        "",
        f"Trained with unveil {card.unveil} for {card.epoch} of {train['epochs']} epochs, seed {train['seed']}, on "
        f"{card.device}, from {card.started_from}, on "
        + ", ".join(f"{data.name} ({data.images} crops of {data.persons} people, {data.hash})" for data in card.data)
        + ".",
        "",
        f"{shards} shards of half-precision weights; `unveil models join FOLDER model.safetensors` checks their "
        "SHA-256s and joins them. The whole recipe is in `manifest.json`.",
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
