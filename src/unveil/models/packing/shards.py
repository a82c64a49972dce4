"""A trained model as half-precision weights in files of a bounded size with their SHA-256s, and back into one file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from unveil.atomic_io import atomic_folder
from unveil.errors import CheckpointError
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import TrainedModel, load_model, load_weights_exactly, new_model, save_model
from unveil.models.packing.adapted import refuse_adapted
from unveil.recipe import recipe_from

MANIFEST = "manifest.json"
LIMIT = 15_000_000
MAX_BYTES = 8_000_000_000


class Shard(BaseModel):
    """One file, by its plain name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^weights-\d{3,5}$")
    bytes: int = Field(ge=1)
    sha256: str


class Manifest(BaseModel):
    """What the shards are: their order and hashes, the hash of all of them together, and the card of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    shards: tuple[Shard, ...] = Field(min_length=1, max_length=10_000)
    sha256: str
    card: Card


def write_shards(model: TrainedModel, folder: Path, *, limit: int = LIMIT) -> Manifest:
    """Write a model in half precision as files of at most ``limit`` bytes, with a manifest; replaces the folder.

    A tensor with a value that half precision cannot hold stays as it is.

    Raises:
        CheckpointError: the model is adapted to cameras; see `refuse_adapted`.
        UnveilError: the folder cannot be written.
    """
    refuse_adapted(model)
    tensors = {name: _halved(tensor.detach().cpu()) for name, tensor in model.method.state_dict().items()}
    data = save(tensors)
    pieces = {f"weights-{n:03d}": data[at : at + limit] for n, at in enumerate(range(0, len(data), limit))}
    shards = tuple(Shard(name=name, bytes=len(piece), sha256=_sha256(piece)) for name, piece in pieces.items())
    manifest = Manifest(shards=shards, sha256=_sha256(data), card=model.card)
    with atomic_folder(folder) as temporary:
        for name, piece in pieces.items():
            (temporary / name).write_bytes(piece)
        (temporary / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder of shards.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as e:
        raise CheckpointError(f"{path} cannot be read: {e.strerror or e}") from None
    except ValidationError as e:
        raise CheckpointError(f"{path} is damaged: {e.errors()[0]['msg']}") from None


def join_shards(folder: Path, target: Path) -> TrainedModel:
    """Verify the shards of a folder, write them as one model file in single precision, and return the model.

    The rounded weights have a fingerprint of their own: embeddings of the model before and after do not mix.

    Raises:
        CheckpointError: a shard is missing or changed, or they do not hold the model of their card.
    """
    manifest = read_manifest(folder)
    if sum(shard.bytes for shard in manifest.shards) > MAX_BYTES:
        raise CheckpointError(f"{folder / MANIFEST}: expected at most {MAX_BYTES} bytes of weights, found more")
    data = b"".join(_verified(folder, shard) for shard in manifest.shards)
    if _sha256(data) != manifest.sha256:
        raise CheckpointError(f"{folder}: the shards together do not have the SHA-256 of the manifest: is one missing?")
    try:
        tensors = load(data)
    except SafetensorError as e:
        raise CheckpointError(f"{folder}: the shards are no weights: {e}") from None
    card = manifest.card
    recipe = recipe_from(card.recipe, f"card of {folder}")
    method = new_model(recipe, LabelSpace(card.persons, card.clothes, card.outfits))
    load_weights_exactly(method, tensors, source=str(folder))
    save_model(target, method, card=card)
    return load_model(target)


def _halved(tensor: Tensor) -> Tensor:
    half = tensor.half() if tensor.is_floating_point() else tensor
    kept = half if torch.equal(half.isfinite(), tensor.isfinite()) else tensor
    return kept.contiguous()


def _verified(folder: Path, shard: Shard) -> bytes:
    path = folder / shard.name
    try:
        if path.stat().st_size != shard.bytes:
            raise CheckpointError(f"{path}: expected {shard.bytes} bytes, found {path.stat().st_size}: get it again")
        data = path.read_bytes()
    except OSError as e:
        raise CheckpointError(
            f"{path} cannot be read: {e.strerror or e}; all shards of the manifest are needed"
        ) from None
    if _sha256(data) != shard.sha256:
        raise CheckpointError(f"{path} does not have the SHA-256 of the manifest: get it again")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
