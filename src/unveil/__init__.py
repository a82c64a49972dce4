"""unveil: person re-identification when the body is occluded and the clothes have changed.

    model = unveil.load_model()
    people = unveil.embed(model, "people/")
    found = unveil.search(unveil.embed(model, "query.png"), people)

Nothing is loaded before it is used: ``import unveil`` alone imports neither PyTorch nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unveil.api.galleries import Gallery as Gallery
    from unveil.api.galleries import open_gallery as open_gallery
    from unveil.api.models import embed as embed
    from unveil.api.models import evaluate as evaluate
    from unveil.api.models import load_embeddings as load_embeddings
    from unveil.api.models import load_model as load_model
    from unveil.api.ranking import compare as compare
    from unveil.api.ranking import search as search
    from unveil.errors import UnveilError as UnveilError
    from unveil.models.embeddings import EmbeddedCrops as EmbeddedCrops
    from unveil.models.embeddings import save_embeddings as save_embeddings
    from unveil.records.dataset import Dataset as Dataset
    from unveil.records.embedding import Embedding as Embedding
    from unveil.records.sample import Sample as Sample

__version__ = "0.1.0"
__all__ = [
    "Dataset",
    "EmbeddedCrops",
    "Embedding",
    "Gallery",
    "Sample",
    "UnveilError",
    "compare",
    "embed",
    "evaluate",
    "load_embeddings",
    "load_model",
    "open_gallery",
    "save_embeddings",
    "search",
]
_MODULES = {
    "unveil.api.galleries": ("Gallery", "open_gallery"),
    "unveil.api.models": ("embed", "evaluate", "load_embeddings", "load_model"),
    "unveil.api.ranking": ("compare", "search"),
    "unveil.errors": ("UnveilError",),
    "unveil.models.embeddings": ("EmbeddedCrops", "save_embeddings"),
    "unveil.records.dataset": ("Dataset",),
    "unveil.records.embedding": ("Embedding",),
    "unveil.records.sample": ("Sample",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'unveil' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
