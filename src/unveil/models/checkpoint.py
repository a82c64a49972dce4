"""Saving and loading a trained model: one safetensors file with weights and card, and the card as JSON beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unveil.atomic_io import atomic_path, write_text
from unveil.data.augment.pipeline import normalise
from unveil.data.fitting import CropSize
from unveil.errors import CheckpointError
from unveil.methods import build_method
from unveil.methods.inference import embed_batches
from unveil.methods.method import LabelSpace, Method
from unveil.models.camera_statistics import KEYS, CameraStatistics
from unveil.models.card import FINGERPRINT_OF_RECIPE, FORMAT, Card, read_card
from unveil.models.device import use_bf16
from unveil.models.locate import NAME, name_of
from unveil.models.summary import ModelSummary
from unveil.nn.backbones.choice import build_backbone
from unveil.nn.projections.whitening import Whitening
from unveil.pretrained import weights_path
from unveil.recipe import InputSettings, Recipe, recipe_from
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class TrainedModel:
    """A method with its weights, its card and the recipe that says how to feed it.

    ``camera_statistics``: of the cameras that an adapted model knows.
    """

    method: Method
    recipe: Recipe
    card: Card
    name: str = "model"
    camera_statistics: CameraStatistics | None = None

    @property
    def summary(self) -> ModelSummary:
        """What people are told of the model."""
        return self.card.summary(self.name)

    @property
    def crop_size(self) -> CropSize:
        """Size of the crops that it takes, and how images are brought to it."""
        return CropSize.of(self.input)

    @property
    def batch(self) -> int:
        """Crops at a time: the recipe's ``train.eval_batch``."""
        return self.recipe.train.eval_batch

    @property
    def test_parsing(self) -> str | None:
        """Label set of the parsing maps that the method tests with; ``None``: it tests without."""
        return self.method.requirements.test_parsing

    def embed_crops(self, crops: np.ndarray, parsing: np.ndarray | None = None, /) -> Embedding:
        """Return the numpy embedding of crops that have the right size; see `unveil.models.embedder.Embedder`."""
        images = torch.from_numpy(np.array(crops)).permute(0, 3, 1, 2)
        maps = None if parsing is None else torch.from_numpy(np.array(parsing))
        batch = Batch(images, torch.full((len(images),), -1), parsing=maps).map(lambda t: t.to(self.device))
        bf16 = use_bf16(self.recipe.train.precision, self.device)
        return embed_batches(self.method, [normalise(batch, self.input)], bf16=bf16)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras that it is adapted to."""
        return self.camera_statistics.cameras if self.camera_statistics else ()

    @contextmanager
    def of_camera(self, camera: str | None) -> Iterator[None]:
        """Embed as for crops of a camera within a block, where the model is adapted to it."""
        with self.camera_statistics.of_camera(self.method, camera) if self.camera_statistics else nullcontext():
            yield

    @property
    def input(self) -> InputSettings:
        """Preprocessing: size, interpolation, mean and standard deviation."""
        return self.recipe.input

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.method.parameters()).device


def new_model(recipe: Recipe, space: LabelSpace, *, weights: Path | None = None) -> Method:
    """Build the method of a recipe.

    Args:
        recipe: method and backbone; what ``backbone.init`` asks for is found by `unveil.models.starts.find_start`.
        space: identities and outfits.
        weights: file of weights of the backbone; random ones without.
    """
    choice = recipe.method
    return build_method(
        choice.name, choice.settings, backbone=build_backbone(recipe.backbone, weights=weights), space=space
    )


def save_model(path: Path, method: Method, *, card: Card, statistics: CameraStatistics | None = None) -> Card:
    """Write weights, statistics of cameras and card atomically; return the card with its fingerprint.

    Raises:
        UnveilError: the file cannot be written; an older file of that name is untouched.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in method.state_dict().items()}
    return write_model(path, tensors | (statistics.tensors if statistics else {}), card=card)


def write_model(path: Path, tensors: dict[str, Tensor], *, card: Card) -> Card:
    """Write a state dict with its card; see `save_model`."""
    card = card.model_copy(update={"format": max(card.format, FORMAT)})
    card = card.model_copy(update={"fingerprint": _fingerprint(tensors, card, size=recipe_from(card.recipe).input)})
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"card": card.model_dump_json()})
        except SafetensorError as e:
            raise OSError(str(e)) from e
    write_text(path.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")
    return card


def load_model(path: Path | str, device: str | torch.device = "cpu") -> TrainedModel:
    """Read a model from its file, from the folder of a run, or by the name of shipped weights (``unveil:NAME``).

    Raises:
        CheckpointError: the file is missing, damaged, not a model of this tool, or does not fit its own card.
    """
    name = name_of(path)
    path = weights_path(path)
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise CheckpointError(f"no model at {path}: expected a .safetensors file or the folder of a training run")
    tensors, card = _read(path)
    if card is None:
        raise CheckpointError(f"{path} has weights but no card; to start training from it use backbone.init={path}")
    recipe = recipe_from(card.recipe, f"card of {path}")
    method = new_model(recipe, LabelSpace(card.persons, card.clothes, card.outfits))
    method.whitening = _whitening(tensors)
    cameras = card.adaptation.cameras if card.adaptation else ()
    statistics = CameraStatistics.of(cameras, tensors, network=method, source=str(path)) if cameras else None
    weights = {key: tensor for key, tensor in tensors.items() if not (statistics and key in KEYS)}
    load_weights_exactly(method, weights, source=str(path))
    return TrainedModel(method.to(device).eval(), recipe, card, name, statistics)


def _whitening(tensors: dict[str, Tensor]) -> Whitening | None:
    """Return an empty whitening of the shape that a file of weights has, which then gets its numbers as weights do."""
    found = [tensors.get(f"whitening.{name}") for name in ("centre", "matrix")]
    if any(tensor is None for tensor in found):
        return None
    return Whitening(*(torch.zeros(tensor.shape) for tensor in found if tensor is not None))


def read_card_of(path: Path) -> Card | None:
    """Return the card inside a file of weights; None for a file without one.

    Raises:
        CheckpointError: the file is damaged, or its card was written in a newer format.
    """
    return _read(path)[1] if path.suffix == ".safetensors" else None


def _read(path: Path) -> tuple[dict[str, Tensor], Card | None]:
    """Return the tensors of a safetensors file and the card in it, which must name their hash."""
    try:
        with safe_open(path, framework="pt") as f:
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
            text = (f.metadata() or {}).get("card")
    except (SafetensorError, OSError) as e:
        raise CheckpointError(f"{path} is not a readable safetensors file: {e}") from None
    if text is None:
        return tensors, None
    card = read_card(text, str(path))
    if _fingerprint(tensors, card, size=recipe_from(card.recipe, f"card of {path}").input) != card.fingerprint:
        raise CheckpointError(f"{path} is damaged: its weights and recipe do not have the hash that its card names")
    return tensors, card


def load_weights_exactly(method: Method, tensors: dict[str, Tensor], *, source: str) -> None:
    """Load a state dict whose keys and shapes must all fit, or say which do not."""
    own = method.state_dict()
    wrong = [f"missing {k}" for k in own if k not in tensors] + [f"unexpected {k}" for k in tensors if k not in own]
    wrong += [
        f"{k} is {tuple(tensors[k].shape)}, expected {tuple(own[k].shape)}"
        for k in own
        if k in tensors and tensors[k].shape != own[k].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise CheckpointError(f"{source} holds another architecture: {'; '.join(wrong[:10])}{more}")
    method.load_state_dict(tensors)


def _fingerprint(tensors: dict[str, Tensor], card: Card, *, size: InputSettings) -> str:
    """Return the hash of all that embeddings depend on: preprocessing, method, backbone and weights."""
    digest = hashlib.sha256(size.model_dump_json().encode())
    if card.format >= FINGERPRINT_OF_RECIPE:
        # As the card has it: settings that a later version adds must not change the hash of what is there.
        backbone = [card.recipe.get("backbone", {}).get(name) for name in ("name", "last_stride")]
        built = {"method": card.recipe.get("method"), "backbone": backbone}
        digest.update(json.dumps(built, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].dtype}{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
