"""A trained model as one graph without state: resized pixels in, vectors and visibility out."""

from __future__ import annotations

import copy
import keyword
from collections.abc import ItemsView, Iterator, KeysView

import torch
from torch import Tensor, nn

from unveil.data.augment.pipeline import normalise
from unveil.export.metadata import ModelMetadata, SpaceInfo
from unveil.export.variant import Layout
from unveil.methods.inference import embed_for_search
from unveil.models.checkpoint import TrainedModel
from unveil.records import Batch, Embedding


class Graph(nn.Module):
    """Normalisation, the method, and the mirrored crop where the method tests with one.

    Methods that look at a parsing map at test do here what they do without one.

    Args:
        model: a trained model; its weights are shared, not copied.
        layout: of its input; see `unveil.export.variant.Variant`.
    """

    def __init__(self, model: TrainedModel, layout: Layout = "nhwc-uint8") -> None:
        super().__init__()
        self.method = model.method.eval()
        self.input = model.input
        self.layout = layout

    def embed(self, images: Tensor) -> Embedding:
        """Return the embedding of RGB crops at the size of the model's input, laid out as ``layout`` says."""
        unknown = torch.zeros_like(images[:, 0, 0, 0], dtype=torch.long)
        planes = images if self.layout == "nchw-float" else images.permute(0, 3, 1, 2)
        batch = normalise(Batch(planes, unknown), self.input)
        return embed_for_search(self.method, batch)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors ``(B, E, D)`` and visibility ``(B, E)`` float32."""
        found = self.embed(images)
        return found.vectors.float(), found.visibility.float()


def exportable(graph: Graph) -> Graph:
    """Return a copy that PyTorch's exporter can write, and writes in a shorter time.

    Modules have names that it can write as Python ("global" is none). It takes ReLU6 apart, which costs a third of its
    time in a network that has many, and leaves a clamp as it is.
    """
    graph = copy.deepcopy(graph)
    for module in list(graph.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(module, name, _Clamp())
            if isinstance(child, nn.ModuleDict) and any(keyword.iskeyword(key) for key in child):
                setattr(module, name, _SafeNames(child))
    return graph


def metadata_of(model: TrainedModel) -> ModelMetadata:
    """Return what an export of a model says of itself; the method is asked once with an empty crop."""
    size = model.input
    with torch.inference_mode():
        found = Graph(model).embed(torch.zeros(1, size.height, size.width, 3, dtype=torch.uint8, device=model.device))
    weights = tuple(map(float, found.weights))
    space = SpaceInfo(found.names, found.vectors.shape[2], found.metric, weights, size.model_dump(mode="json"))
    notes = []
    if wanted := model.method.requirements.test_parsing:
        notes.append(
            f"method {model.recipe.method.name} can look at {wanted} parsing maps at test; "
            "here it embeds without them, as it does for crops that have none"
        )
    return ModelMetadata(model.card, space, tuple(notes))


class _Clamp(nn.Module):
    """ReLU6 as one operation."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 6)


class _SafeNames(nn.ModuleDict):
    """A dictionary of modules that answers to its keys and keeps them under other names."""

    def __init__(self, modules: nn.ModuleDict) -> None:
        super().__init__()
        self._safe = {key: f"{key}_" if keyword.iskeyword(key) else key for key in modules}
        for key, module in modules.items():
            self._modules[self._safe[key]] = module

    def __getitem__(self, key: str) -> nn.Module:
        return super().__getitem__(self._safe[key])

    def __contains__(self, key: str) -> bool:
        return key in self._safe

    def __iter__(self) -> Iterator[str]:
        return iter(self._safe)

    def keys(self) -> KeysView[str]:
        return self._safe.keys()

    def items(self) -> ItemsView[str, nn.Module]:
        return {key: self[key] for key in self._safe}.items()
